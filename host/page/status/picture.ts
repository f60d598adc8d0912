// The cabling as a picture: host adapters, target ports, controllers and units in columns, with a line for each way that paths go. The
// boxes are buttons in lists, so that the picture can be walked with the keyboard and read out; the lines only repeat what they say.

import type { UnitView } from "../../control/schemas/unit-schema.ts";
import { pluralText } from "../../cli/text.ts";
import { attribute, byId, make, makeSvg, write } from "../ground/element.ts";
import { Badge } from "../ground/glyph.ts";
import { COLUMN_NAMES, COLUMNS, inOrder, isFaulty, type Cabling, type Component } from "../model/cabling.ts";
import { componentMark, gravity, unitMark, type Mark } from "../model/tones.ts";
import { counted } from "../../wording.ts";

/** Units that have a box of their own; of more, those that are well share one. */
const UNITS_MAX = 24;
/** Boxes are equally high, so that the lines' ends are known without asking for the layout. */
const BOX_PX = 58;
const GAP_PX = 10;
const TITLE_PX = 34;

/** What is chosen: a component, or units. */
export interface Choice {
  readonly name: string;
  readonly key: string;
  readonly component: Component | null;
  readonly units: ReadonlySet<number> | null;
}

interface Box {
  readonly key: string;
  readonly title: string;
  readonly note: string;
  readonly mark: Mark;
  readonly choice: Choice;
}

function componentBox(component: Component): Box {
  const { key, column, name, alias, paths } = component;
  return {
    key,
    title: name,
    note: [pluralText(paths.length, "path"), ...(alias === null ? [] : [alias])].join(" · "),
    mark: componentMark(paths.length, paths.filter(isFaulty).length),
    choice: { key, name: `${COLUMN_NAMES[column].toLowerCase()} ${name}`, component, units: null },
  };
}

const unitBox = (unit: UnitView): Box => {
  const key = `unit ${unit.number}`;
  return {
    key,
    title: `#${unit.number} ${unit.name}`,
    note: pluralText(unit.paths.length, "path"),
    mark: unitMark(unit.state),
    choice: { key, name: `unit #${unit.number} ${unit.name}`, component: null, units: new Set([unit.number]) },
  };
};

/** The units' boxes: the worst ones first, and the rest together by state. */
function unitBoxes(units: readonly UnitView[]): Box[] {
  if (units.length <= UNITS_MAX) return units.map(unitBox);
  const worst = units
    .filter(({ state }) => state !== "ok")
    .toSorted((a, b) => gravity(unitMark(b.state).tone) - gravity(unitMark(a.state).tone) || a.number - b.number)
    .slice(0, UNITS_MAX - 6);
  const shown = new Set(worst);
  const rest = [
    ...Map.groupBy(
      units.filter((unit) => !shown.has(unit)),
      ({ state }) => state,
    ),
  ];
  return [
    ...worst.map(unitBox),
    ...rest.map(([state, members]): Box => {
      const key = `units ${state}`;
      const title = worst.length === 0 ? pluralText(members.length, "unit") : `${members.length} more`;
      return {
        key,
        title,
        note: "one box for all of them",
        mark: unitMark(state),
        choice: {
          key,
          name: `${counted(members.length, "unit")}: ${state}`,
          component: null,
          units: new Set(members.map(({ number }) => number)),
        },
      };
    }),
  ];
}

/** How many paths go from one box to another, and how many of them are lost. */
interface Line {
  readonly from: readonly [column: number, row: number];
  readonly to: readonly [column: number, row: number];
  readonly keys: Set<string>;
  paths: number;
  faulty: number;
}

function linesOf(cabling: Cabling, columns: readonly (readonly Box[])[]): Line[] {
  const rows = columns.map((boxes) => new Map(boxes.map(({ key }, row) => [key, row])));
  const unitRow = new Map<number, readonly [row: number, key: string]>();
  for (const [row, { key, choice }] of (columns.at(-1) ?? []).entries())
    for (const number of choice.units ?? []) unitRow.set(number, [row, key]);
  const lines = new Map<string, Line>();
  for (const unit of cabling.units) {
    for (const path of unit.paths) {
      const keys = COLUMNS.map((column) => cabling.of(column, path)?.key ?? "");
      const [last = 0, lastKey = ""] = unitRow.get(unit.number) ?? [];
      const stops = [...keys.map((key, at) => rows[at]?.get(key) ?? 0), last];
      for (let at = 0; at + 1 < stops.length; at++) {
        const [from = 0, to = 0] = [stops[at], stops[at + 1]];
        const name = `${at} ${from} ${to}`;
        const line = lines.get(name) ?? {
          from: [at, from],
          to: [at + 1, to],
          keys: new Set<string>(),
          paths: 0,
          faulty: 0,
        };
        lines.set(name, line);
        for (const key of [...keys, lastKey]) line.keys.add(key);
        line.paths++;
        if (isFaulty(path)) line.faulty++;
      }
    }
  }
  return [...lines.values()];
}

const middle = (row: number): number => TITLE_PX + row * (BOX_PX + GAP_PX) + BOX_PX / 2;

/** One box on the page. */
class BoxView {
  readonly item = make("li");
  readonly button = make("button", { type: "button", class: "box" });
  readonly #title = make("span", { class: "box-title" });
  readonly #note = make("span", { class: "box-note" });
  readonly #badge: Badge;
  box: Box;

  constructor(box: Box) {
    this.box = box;
    this.#badge = new Badge(box.mark);
    this.button.append(this.#title, this.#badge.element, this.#note);
    this.item.append(this.button);
    this.show(box);
  }

  show(box: Box): void {
    this.box = box;
    write(this.#title, box.title);
    write(this.#note, box.note);
    attribute(this.button, "title", box.title);
    attribute(this.button, "data-tone", box.mark.tone);
    this.#badge.show(box.mark);
  }
}

export class Picture {
  readonly #root = byId("picture");
  readonly #lines = makeSvg("svg", { "aria-hidden": "true", class: "lines", preserveAspectRatio: "none" });
  readonly #lists = [...COLUMNS.map((column) => COLUMN_NAMES[column]), "Unit"].map((name) => {
    const id = `column-${name.toLowerCase().replaceAll(" ", "-")}`;
    const list = make("ul", { "aria-labelledby": id, class: "boxes" });
    this.#root.append(make("div", { class: "column" }, make("h3", { id }, name), list));
    return list;
  });
  readonly #boxes = new Map<string, BoxView>();
  readonly #chosen: (choice: Choice | null) => void;
  #columns: readonly (readonly Box[])[] = [];
  #drawn: readonly Line[] = [];
  #choice: string | null = null;

  constructor(chosen: (choice: Choice | null) => void) {
    this.#chosen = chosen;
    this.#root.prepend(this.#lines);
    this.#root.addEventListener("keydown", (event) => this.#walk(event));
    this.#root.addEventListener("click", (event) => {
      const button = event.target instanceof Element ? event.target.closest("button") : null;
      const view = [...this.#boxes.values()].find((one) => one.button === button);
      if (view !== undefined) this.choose(this.#choice === view.box.key ? null : view.box.key);
    });
  }

  choose(key: string | null): void {
    this.#choice = key;
    this.#mark();
    this.#chosen(key === null ? null : (this.#boxes.get(key)?.box.choice ?? null));
  }

  /** Tells again what is chosen, after the paths are others. */
  rechoose(): void {
    if (this.#choice !== null) this.choose(this.#choice);
  }

  show(cabling: Cabling): void {
    const columns = [
      ...COLUMNS.map((column) =>
        cabling.components.filter((component) => component.column === column).map(componentBox),
      ),
      unitBoxes(cabling.units.toSorted((a, b) => inOrder(String(a.number), String(b.number)))),
    ];
    this.#columns = columns;
    const kept = new Set(columns.flat().map(({ key }) => key));
    for (const [key, view] of this.#boxes) {
      if (kept.has(key)) continue;
      view.item.remove();
      this.#boxes.delete(key);
    }
    for (const [at, boxes] of columns.entries()) {
      const list = this.#lists[at];
      for (const [row, box] of boxes.entries()) {
        const view = this.#boxes.get(box.key) ?? new BoxView(box);
        this.#boxes.set(box.key, view);
        view.show(box);
        if (list !== undefined && list.children[row] !== view.item)
          list.insertBefore(view.item, list.children[row] ?? null);
      }
    }
    this.#draw(linesOf(cabling, columns));
    if (this.#choice !== null && !this.#boxes.has(this.#choice)) this.choose(null);
    else this.#mark();
  }

  #draw(lines: readonly Line[]): void {
    const height = Math.max(...this.#columns.map(({ length }) => middle(length) - BOX_PX / 2));
    attribute(this.#lines, "viewBox", `0 0 100 ${height}`);
    this.#lines.style.height = `${height}px`;
    this.#drawn = lines;
    const columns = this.#columns.length;
    // As in the style sheet: a box takes two thirds of its column.
    const [width, box] = [100 / columns, (100 / columns) * 0.7];
    this.#lines.replaceChildren(
      ...lines.map(({ from, to, paths, faulty }) => {
        const [x1, x2] = [from[0] * width + box, to[0] * width];
        const [y1, y2] = [middle(from[1]), middle(to[1])];
        const bend = (x2 - x1) / 2;
        const { tone } = componentMark(paths, faulty);
        return makeSvg("path", {
          d: `M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`,
          "data-tone": tone,
          "vector-effect": "non-scaling-stroke",
          class: "line",
        });
      }),
    );
  }

  /** Shows what is chosen, and gives each column one stop of the Tab key. */
  #mark(): void {
    const near = new Set<string>();
    for (const { keys } of this.#drawn) {
      if (this.#choice !== null && keys.has(this.#choice)) for (const key of keys) near.add(key);
    }
    for (const [key, { button }] of this.#boxes) {
      attribute(button, "aria-pressed", String(key === this.#choice));
      button.classList.toggle("far", this.#choice !== null && !near.has(key) && key !== this.#choice);
    }
    for (const [at, line] of [...this.#lines.children].entries()) {
      line.classList.toggle("far", this.#choice !== null && this.#drawn[at]?.keys.has(this.#choice) !== true);
    }
    for (const boxes of this.#columns) {
      const current = boxes.find(({ key }) => key === this.#choice) ?? boxes[0];
      for (const { key } of boxes) {
        const view = this.#boxes.get(key);
        if (view !== undefined) view.button.tabIndex = key === current?.key ? 0 : -1;
      }
    }
  }

  /** Arrow keys walk up and down a column, and over to the next one. */
  #walk(event: KeyboardEvent): void {
    const column = this.#columns.findIndex((boxes) =>
      boxes.some(({ key }) => this.#boxes.get(key)?.button === document.activeElement),
    );
    const boxes = this.#columns[column];
    if (boxes === undefined) return;
    const row = boxes.findIndex(({ key }) => this.#boxes.get(key)?.button === document.activeElement);
    const steps: Readonly<Record<string, readonly [number, number]>> = {
      ArrowUp: [column, row - 1],
      ArrowDown: [column, row + 1],
      ArrowLeft: [column - 1, row],
      ArrowRight: [column + 1, row],
      Home: [column, 0],
      End: [column, boxes.length - 1],
    };
    const step = steps[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const target = this.#columns[step[0]];
    const box = target?.[Math.max(0, Math.min(target.length - 1, step[1]))];
    const view = box === undefined ? undefined : this.#boxes.get(box.key);
    if (view === undefined) return;
    for (const other of target ?? []) {
      const one = this.#boxes.get(other.key);
      if (one !== undefined) one.button.tabIndex = one === view ? 0 : -1;
    }
    view.button.focus();
  }
}
