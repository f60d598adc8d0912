// The table of paths: state, throughput, latencies and a strip of the recent ones. It shows as many rows at a time as can be read; its
// rows stay, and only texts that changed are written.

import type { PathView } from "../../control/schemas/path-schema.ts";
import { latencyText, pluralText, rateText } from "../../cli/text.ts";
import { attribute, byId, make, write } from "../ground/element.ts";
import { Badge } from "../ground/glyph.ts";
import { inOrder } from "../model/cabling.ts";
import { keyOf, type RecentLatencies, type Sample } from "../model/recent.ts";
import { gravity, pathMark } from "../model/tones.ts";
import { drawStrip, strip } from "./heat-map.ts";

/** Rows at a time. The daemon tells latencies of as many paths at once. */
const ROWS_MAX = 200;

const megabytes = (bytes: number): string =>
  bytes / 1e6 < 100 ? (bytes / 1e6).toFixed(1) : String(Math.round(bytes / 1e6));

const order = (a: string | number, b: string | number): number =>
  typeof a === "number" && typeof b === "number" ? a - b : inOrder(String(a), String(b));

const plainCell = (kind: string): HTMLTableCellElement => make("td", { class: kind });

interface Live {
  readonly sample: Sample | null;
  readonly latencies: RecentLatencies;
}

const last = ({ latencies }: Live, path: PathView) => latencies.of(keyOf(path)).at(-1);

/** The columns, in their order, each with what it sorts by. Numbers begin with the largest. */
const SORTS: Readonly<Record<string, (path: PathView, live: Live) => number | string>> = {
  path: (path) => path.number,
  unit: (path) => String(path.unit),
  adapter: (path) => path.initiatorPort ?? "",
  target: (path) => path.targetPort ?? "",
  state: (path) => gravity(pathMark(path).tone),
  iops: (path, { sample }) => sample?.ofPath(keyOf(path))?.iops ?? 0,
  throughput: (path, { sample }) => {
    const rates = sample?.ofPath(keyOf(path));
    return (rates?.readBytes ?? 0) + (rates?.writtenBytes ?? 0);
  },
  p50: (path, live) => last(live, path)?.p50Us ?? 0,
  p99: (path, live) => last(live, path)?.p99Us ?? 0,
};

class Row {
  readonly element = make("tr");
  readonly button = make("button", { type: "button", class: "link" });
  readonly #strip = strip();
  readonly #cells: HTMLTableCellElement[];
  readonly #badge: Badge;
  path: PathView;

  constructor(path: PathView) {
    this.path = path;
    this.#badge = new Badge(pathMark(path));
    this.#cells = [
      plainCell("number"),
      plainCell("name"),
      plainCell("name"),
      plainCell("number"),
      plainCell("number"),
      plainCell("number"),
      plainCell("number"),
    ];
    const [unit, adapter, target, ...figures] = this.#cells;
    this.element.append(
      make("th", { scope: "row" }, this.button),
      ...[unit, adapter, target].filter((one) => one !== undefined),
      make("td", {}, this.#badge.element),
      ...figures,
      make("td", { class: "heat" }, this.#strip),
    );
  }

  show(path: PathView, live: Live): void {
    this.path = path;
    const rates = live.sample?.ofPath(keyOf(path));
    const columns = live.latencies.of(keyOf(path));
    const { p50Us = null, p99Us = null } = columns.at(-1) ?? {};
    write(this.button, path.number);
    this.#badge.show(pathMark(path));
    const texts = [
      `#${path.unit}`,
      path.initiatorPort ?? "-",
      path.targetPort ?? "-",
      rates === undefined ? "-" : rateText(rates.iops),
      rates === undefined ? "-" : megabytes(rates.readBytes + rates.writtenBytes),
      latencyText(p50Us),
      latencyText(p99Us),
    ];
    for (const [at, text] of texts.entries()) {
      const cell = this.#cells[at];
      if (cell !== undefined) write(cell, text);
    }
    drawStrip(this.#strip, columns);
  }
}

export class PathTable {
  readonly #body = byId("path-rows");
  readonly #summary = byId("path-summary");
  readonly #pages = byId("path-pages");
  readonly #filter = byId<HTMLInputElement>("path-filter");
  readonly #chosen: (path: PathView) => void;
  readonly #rows = new Map<string, Row>();
  #sort = "state";
  #isRising = false;
  #page = 0;
  #paths: readonly PathView[] = [];
  #within: ((path: PathView) => boolean) | null = null;
  #live: Live;
  #shown: readonly PathView[] = [];

  constructor(latencies: RecentLatencies, chosen: (path: PathView) => void) {
    this.#live = { sample: null, latencies };
    this.#chosen = chosen;
    this.#filter.addEventListener("input", () => this.#turnTo(0));
    byId("path-before").addEventListener("click", () => this.#turnTo(this.#page - 1));
    byId("path-after").addEventListener("click", () => this.#turnTo(this.#page + 1));
    for (const button of byId("path-titles").querySelectorAll<HTMLButtonElement>("button[data-sort]")) {
      button.addEventListener("click", () => this.#sortBy(button.dataset["sort"] ?? "path"));
    }
    this.#body.addEventListener("click", (event) => {
      const row = [...this.#rows.values()].find(({ button }) => button === event.target);
      if (row !== undefined) this.#chosen(row.path);
    });
    this.#titles();
  }

  /** The paths whose rows are there. */
  get shown(): readonly PathView[] {
    return this.#shown;
  }

  show(paths: readonly PathView[], within: ((path: PathView) => boolean) | null): void {
    this.#paths = paths;
    this.#within = within;
    this.#render();
  }

  tell(sample: Sample | null): void {
    this.#live = { ...this.#live, sample };
    this.#render();
  }

  /** Draws what is there again, in other colours. */
  redraw(): void {
    this.#render();
  }

  #turnTo(page: number): void {
    this.#page = Math.max(0, page);
    this.#render();
  }

  #sortBy(column: string): void {
    this.#isRising = this.#sort === column ? !this.#isRising : ["path", "unit", "adapter", "target"].includes(column);
    this.#sort = column;
    this.#titles();
    this.#turnTo(0);
  }

  #titles(): void {
    for (const button of byId("path-titles").querySelectorAll<HTMLButtonElement>("button[data-sort]")) {
      const title = button.closest("th");
      const isSorted = button.dataset["sort"] === this.#sort;
      if (title !== null)
        attribute(title, "aria-sort", isSorted ? (this.#isRising ? "ascending" : "descending") : "none");
    }
  }

  #matching(): PathView[] {
    const words = this.#filter.value
      .toLowerCase()
      .split(/\s+/)
      .filter((word) => word !== "");
    return this.#paths.filter((path) => {
      if (this.#within?.(path) === false) return false;
      if (words.length === 0) return true;
      const { number, unit, initiatorPort, targetPort, controller, blockDevice } = path;
      const text = [number, `#${unit}`, initiatorPort, targetPort, controller, blockDevice, pathMark(path).word]
        .join(" ")
        .toLowerCase();
      return words.every((word) => text.includes(word));
    });
  }

  #render(): void {
    const by = SORTS[this.#sort] ?? ((path: PathView) => path.number);
    const sign = this.#isRising ? 1 : -1;
    const keyed = this.#matching().map((path) => ({ path, key: by(path, this.#live) }));
    keyed.sort(
      (a, b) => sign * order(a.key, b.key) || a.path.unit - b.path.unit || inOrder(a.path.number, b.path.number),
    );
    const pages = Math.max(1, Math.ceil(keyed.length / ROWS_MAX));
    this.#page = Math.min(this.#page, pages - 1);
    const first = this.#page * ROWS_MAX;
    this.#shown = keyed.slice(first, first + ROWS_MAX).map(({ path }) => path);
    this.#place();
    this.#pages.hidden = pages === 1;
    const of = this.#paths.length === keyed.length ? "" : ` of ${this.#paths.length}`;
    const part = pages === 1 ? "" : `, ${first + 1} to ${first + this.#shown.length} shown`;
    write(this.#summary, `${pluralText(keyed.length, "path")}${of}${part}`);
  }

  /** Brings the rows into the order of what is shown. */
  #place(): void {
    const kept = new Set(this.#shown.map(keyOf));
    for (const [key, row] of this.#rows) {
      if (kept.has(key)) continue;
      row.element.remove();
      this.#rows.delete(key);
    }
    for (const [at, path] of this.#shown.entries()) {
      const row = this.#rows.get(keyOf(path)) ?? new Row(path);
      this.#rows.set(keyOf(path), row);
      row.show(path, this.#live);
      const there = this.#body.children[at];
      if (there !== row.element) this.#body.insertBefore(row.element, there ?? null);
    }
  }
}
