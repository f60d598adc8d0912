// What a lane of the simulator has answered in the last moments: rates and percentiles, by its own clock.

/** Classes per power of two, from 1 us on. */
const PER_OCTAVE = 8;
const OCTAVES = 27;
const CLASSES = PER_OCTAVE * OCTAVES;
/** Length of one column of the chart. */
export const COLUMN_NS = 250_000_000;
/** Columns that are kept: half a minute. */
export const COLUMNS_KEPT = 120;
/** Columns from which the figures are made: two seconds. */
const FIGURES = 8;

const classOf = (ns: number): number =>
  Math.max(0, Math.min(CLASSES - 1, Math.floor(Math.log2(Math.max(1, ns / 1000)) * PER_OCTAVE)));

/** The upper end of a class, us. */
const endUs = (at: number): number => 2 ** ((at + 1) / PER_OCTAVE);

interface Column {
  readonly counts: Uint32Array;
  answers: number;
  failed: number;
}

const emptyColumn = (): Column => ({ counts: new Uint32Array(CLASSES), answers: 0, failed: 0 });

function percentileUs(columns: readonly Column[], part: number): number | null {
  const total = columns.reduce((sum, { answers }) => sum + answers, 0);
  if (total === 0) return null;
  let seen = 0;
  for (let at = 0; at < CLASSES; at++) {
    for (const { counts } of columns) seen += counts[at] ?? 0;
    if (seen >= part * total) return endUs(at);
  }
  return endUs(CLASSES - 1);
}

export interface Figures {
  readonly perSecond: number;
  readonly p50Us: number | null;
  readonly p99Us: number | null;
  readonly maxUs: number | null;
  readonly failed: number;
}

export class Tally {
  #columns: Column[] = [emptyColumn()];
  #beginNs: number;
  #failed = 0;

  constructor(nowNs: number) {
    this.#beginNs = nowNs;
  }

  add(latencyNs: number, isGood: boolean): void {
    const column = this.#columns.at(-1);
    if (column === undefined) return;
    const at = classOf(latencyNs);
    column.counts[at] = (column.counts[at] ?? 0) + 1;
    column.answers++;
    if (isGood) return;
    column.failed++;
    this.#failed++;
  }

  /** Begins new columns until they reach `nowNs`; a column without answers says that nothing was answered. */
  reach(nowNs: number): void {
    while (nowNs - this.#beginNs >= COLUMN_NS) {
      this.#beginNs += COLUMN_NS;
      this.#columns.push(emptyColumn());
      if (this.#columns.length > COLUMNS_KEPT + 1) this.#columns.shift();
    }
  }

  /** Of the last two seconds, without the column that is not full yet. */
  get figures(): Figures {
    const last = this.#columns.slice(0, -1).slice(-FIGURES);
    const seconds = (last.length * COLUMN_NS) / 1e9;
    const answers = last.reduce((sum, column) => sum + column.answers, 0);
    return {
      perSecond: seconds === 0 ? 0 : answers / seconds,
      p50Us: percentileUs(last, 0.5),
      p99Us: percentileUs(last, 0.99),
      maxUs: percentileUs(last, 1),
      failed: this.#failed,
    };
  }

  /** The p99 of each full column, us; null where nothing was answered. */
  get history(): (number | null)[] {
    return this.#columns.slice(0, -1).map((column) => percentileUs([column], 0.99));
  }
}
