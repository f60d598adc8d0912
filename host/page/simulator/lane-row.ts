// A policy's row: its figures, its p99 of the last half minute, and what share of the I/O each path gets.

import { latencyText, rateText } from "../../cli/text.ts";
import { attribute, make, makeSvg, write } from "../ground/element.ts";
import { Badge } from "../ground/glyph.ts";
import { PATHS, type Lane } from "../model/lane.ts";
import { COLUMNS_KEPT, type Figures } from "../model/tally.ts";

/** The chart's height is logarithmic: from 1 ms to 8 s. */
const LOW_US = 1000;
const OCTAVES = 13;
const HEIGHT = 40;
/** Looks at the paths from which a share is made. */
const LOOKS = 8;

const heightOf = (us: number): number =>
  HEIGHT - (HEIGHT * Math.max(0, Math.min(OCTAVES, Math.log2(us / LOW_US)))) / OCTAVES;

/** Of one path: a bar, a percentage and a state. */
class Share {
  readonly element = make("td", { class: "share" });
  readonly #bar = make("span", { class: "bar", "aria-hidden": "true" });
  readonly #part = make("span", { class: "part" });
  readonly #badge = new Badge({ tone: "idle", word: "ready" });
  readonly #looks: number[] = [];

  constructor() {
    this.element.append(
      make("span", { class: "bar-back", "aria-hidden": "true" }, this.#bar),
      this.#part,
      this.#badge.element,
    );
  }

  /** I/Os since the oldest look that is kept. */
  look(ios: number): number {
    this.#looks.push(ios);
    if (this.#looks.length > LOOKS) this.#looks.shift();
    return ios - (this.#looks[0] ?? 0);
  }

  show(part: number, mark: Parameters<Badge["show"]>[0]): void {
    this.#bar.style.width = `${(100 * part).toFixed(1)}%`;
    write(this.#part, `${Math.round(100 * part)} %`);
    this.#badge.show(mark);
  }
}

export class LaneRow {
  readonly element = make("tr");
  readonly #line = makeSvg("polyline", { class: "spark-line", "vector-effect": "non-scaling-stroke" });
  readonly #cells: readonly HTMLTableCellElement[] = Array.from({ length: 5 }, () => make("td", { class: "number" }));
  readonly #shares = Array.from({ length: PATHS }, () => new Share());
  readonly #best = make("span", { class: "best" }, "best p99");
  lane: Lane;

  constructor(name: string, lane: Lane) {
    this.lane = lane;
    const chart = makeSvg(
      "svg",
      {
        viewBox: `0 0 ${COLUMNS_KEPT - 1} ${HEIGHT}`,
        preserveAspectRatio: "none",
        "aria-hidden": "true",
        class: "chart",
      },
      this.#line,
    );
    this.#best.hidden = true;
    this.element.append(
      make("th", { scope: "row" }, name, " ", this.#best),
      ...this.#cells,
      make("td", { class: "chart-cell" }, chart),
      ...this.#shares.map(({ element }) => element),
    );
  }

  show(figures: Figures, isBest: boolean): void {
    const texts = [
      rateText(figures.perSecond),
      latencyText(figures.p50Us),
      latencyText(figures.p99Us),
      latencyText(figures.maxUs),
      String(figures.failed),
    ];
    for (const [at, text] of texts.entries()) {
      const cell = this.#cells[at];
      if (cell !== undefined) write(cell, text);
    }
    this.#best.hidden = !isBest;
    const { history } = this.lane.tally;
    const begin = COLUMNS_KEPT - history.length;
    const points = history.flatMap((us, at) => (us === null ? [] : [`${begin + at},${heightOf(us).toFixed(1)}`]));
    attribute(this.#line, "points", points.join(" "));
    const { paths } = this.lane;
    const ios = paths.map((path, at) => this.#shares[at]?.look(path.ios) ?? 0);
    const total = Math.max(
      1,
      ios.reduce((sum, one) => sum + one, 0),
    );
    for (const [at, { mark }] of paths.entries()) this.#shares[at]?.show((ios[at] ?? 0) / total, mark);
  }
}
