// Rows of metrics: the paths and units in order, with their labels as bytes and the places of their records in the newest copy.

import type { Snapshot, Table } from "../core/snapshot.ts";
import { inSlices } from "../ground/answer-pieces.ts";
import { isShown, type Inventory, type Path, type Unit } from "../inventory/inventory.ts";
import { labels, Texts } from "./exposition.ts";

/** Paths or units: everything of them that changes only with what is there. */
interface Rows<Thing> {
  readonly things: readonly Thing[];
  /** Of each metric: `path="4:0:0:0",unit="0"`. */
  readonly labels: Texts;
  /** Of `_info`: the same and what else is known. */
  readonly info: Texts;
}

/** Rows with the copy of their records. */
export interface Recorded<Thing> extends Rows<Thing> {
  readonly records: DataView;
  /** Where the record of each begins; -1 when there is none. */
  readonly places: Int32Array;
}

export interface Tables {
  readonly paths: Recorded<Path>;
  readonly units: Recorded<Unit>;
  readonly snapshot: Snapshot;
}

/** Facts of a thing that are never changed, but replaced. */
type Facts<Thing> = readonly ((thing: Thing) => unknown)[];

/** Keeps the rows until a thing comes, goes, or has other facts. */
class Keeper<Thing> {
  readonly #facts: Facts<Thing>;
  readonly #own: (thing: Thing) => string;
  readonly #more: (thing: Thing) => string;
  #rows: Rows<Thing> = { things: [], labels: Texts.of([]), info: Texts.of([]) };
  /** What the rows were made of, fact by fact. */
  #made: readonly unknown[] = [];

  constructor(facts: Facts<Thing>, own: (thing: Thing) => string, more: (thing: Thing) => string) {
    this.#facts = facts;
    this.#own = own;
    this.#more = more;
  }

  /** Made in slices: there may be thousands. */
  async rows(things: readonly Thing[]): Promise<Rows<Thing>> {
    if (this.#isCurrent(things)) return this.#rows;
    const made = { things: [...things], labels: new Texts(), info: new Texts() };
    const facts: unknown[] = [];
    await inSlices(made.things, (thing) => {
      const own = this.#own(thing);
      made.labels.add(own);
      made.info.add(`${own},${this.#more(thing)}`);
      for (const fact of this.#facts) facts.push(fact(thing));
    });
    this.#made = facts;
    this.#rows = made;
    return made;
  }

  #isCurrent(things: readonly Thing[]): boolean {
    const before = this.#rows.things;
    if (before.length !== things.length) return false;
    let at = 0;
    for (let index = 0; index < before.length; index++) {
      const thing = things[index] as Thing;
      if (before[index] !== thing) return false;
      for (const fact of this.#facts) if (this.#made[at++] !== fact(thing)) return false;
    }
    return true;
  }
}

const pathKeeper = (): Keeper<Path> =>
  new Keeper<Path>(
    [(path) => path.number, (path) => path.unit.number, (path) => path.found],
    ({ number, unit }) => labels({ path: number, unit: unit.number }),
    ({ found }) =>
      labels({
        device: found?.device ?? "",
        initiator_port: found?.initiatorPort ?? "",
        target_port: found?.probe?.targetPort ?? "",
        initiator_name: found?.ports.initiator ?? null,
        target_name: found?.ports.target ?? null,
        portal: found?.ports.via ?? null,
        adapter: found?.adapter ?? null,
        group: found?.probe?.alua?.group ?? "",
      }),
  );

const unitKeeper = (): Keeper<Unit> =>
  new Keeper<Unit>(
    [(unit) => unit.number, (unit) => unit.name, (unit) => unit.identity, (unit) => unit.facts],
    ({ number }) => labels({ unit: number }),
    ({ name, identity, facts }) =>
      labels({ name, identity: identity.text, vendor: facts.vendor, product: facts.product }),
  );

interface Handled {
  readonly handle: number | null;
}

function recorded<Thing extends Handled>(rows: Rows<Thing>, table: Table<unknown>): Recorded<Thing> {
  const places = new Int32Array(rows.things.length);
  for (const [index, { handle }] of rows.things.entries()) {
    places[index] = handle === null ? -1 : (table.find(handle) ?? -1);
  }
  return { ...rows, records: table.view, places };
}

/** Makes the rows of scrapes. */
export class Tabulator {
  readonly #paths = pathKeeper();
  readonly #units = unitKeeper();

  async tables(inventory: Inventory, snapshot: Snapshot): Promise<Tables> {
    const paths = await this.#paths.rows(inventory.paths().filter(isShown));
    const units = await this.#units.rows(inventory.units());
    return { paths: recorded(paths, snapshot.paths), units: recorded(units, snapshot.units), snapshot };
  }
}
