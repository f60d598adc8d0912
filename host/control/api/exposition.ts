// Writes metrics in the two text formats that scrapers read: OpenMetrics 1.0, and Prometheus' older one (0.0.4).
//
// Values are taken from tables that exist anyway, when somebody asks. A registry of metric objects (prom-client) would hold every
// value twice, fill itself at each scrape in one go, and could not be written in slices. With a thousand units there are hundreds of
// thousands of lines: names and labels are put together once, values go into one array for each family, and the addon writes the lines.

import { clean } from "../../liaison/clean.ts";
import { writeSamples } from "../../native/index.ts";

type Type = "counter" | "gauge" | "histogram";

/** A metric with its samples. */
export interface Family {
  /** Without `_total`. */
  readonly name: string;
  readonly type: Type;
  readonly help: string;
  /** Base unit, which is also the end of the name. */
  readonly unit?: "seconds" | "bytes";
  readonly samples: Samples;
}

/** A line that each row has. */
interface Line {
  /** What follows the family's name: `_bucket`. */
  readonly end?: string;
  /** Labels beside those of the row: `le="0.1"`. */
  readonly more?: string;
}

/** Samples in rows: each thing has the same lines. */
export interface Samples {
  /** Labels of each row, without the braces. If one row has none, no row has any. */
  readonly rows: Texts;
  /** Default: one line, of the family's name and the labels of the row. */
  readonly lines?: readonly Line[];
  /** Fills in, when the family is written, the values of the first row, then those of the next. They are NaN before; NaN leaves a line out. */
  readonly fill: (values: Float64Array) => void;
}

export const OPEN_METRICS_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8";
export const TEXT_TYPE = "text/plain; version=0.0.4; charset=utf-8";

/** Whether a scraper that sends this Accept header reads OpenMetrics. */
export const wantsOpenMetrics = (accept: string | undefined): boolean =>
  accept?.includes("application/openmetrics-text") === true;

const encoder = new TextEncoder();

/** Texts as bytes, one after the other in one piece of memory. */
export class Texts {
  bytes = new Uint8Array(1024);
  readonly #ends: number[] = [];
  #made: Uint32Array | null = null;

  static of(texts: Iterable<string>): Texts {
    const made = new Texts();
    for (const text of texts) made.add(text);
    return made;
  }

  get length(): number {
    return this.#ends.length;
  }

  get ends(): Uint32Array {
    return (this.#made ??= Uint32Array.from(this.#ends));
  }

  /** Whether no text has any length. */
  get areEmpty(): boolean {
    return (this.#ends.at(-1) ?? 0) === 0;
  }

  add(text: string): void {
    const from = this.#ends.at(-1) ?? 0;
    const most = from + 3 * text.length;
    if (most > this.bytes.length) {
      const larger = new Uint8Array(2 * most);
      larger.set(this.bytes.subarray(0, from));
      this.bytes = larger;
    }
    this.#ends.push(from + encoder.encodeInto(text, this.bytes.subarray(from)).written);
    this.#made = null;
  }
}

const escaped = (text: string): string => clean(text).replaceAll("\\", "\\\\").replaceAll('"', '\\"');

/** `path="4:0:0:0",unit="0"`; what is null is left out. Names are ours, values are anybody's. */
export function labels(values: Readonly<Record<string, string | number | null>>): string {
  const given = Object.entries(values).filter(([, value]) => value !== null);
  return given.map(([name, value]) => `${name}="${escaped(String(value))}"`).join(",");
}

/** A bound of a histogram as both formats spell it. */
export const boundText = (value: number): string => (value === Infinity ? "+Inf" : String(value));

export type Sample = readonly [value: number, labels: Readonly<Record<string, string | number | null>>];

/** A few samples, with labels that are made on the spot. */
export const few = (samples: readonly Sample[]): Samples => ({
  rows: Texts.of(samples.map(([, given]) => labels(given))),
  fill: (values) => {
    for (const [index, [value]] of samples.entries()) values[index] = value;
  },
});

export const NO_LABELS = Texts.of([""]);

export const one = (value: number): Samples => ({ rows: NO_LABELS, fill: (values) => values.fill(value) });

/** Bytes in a piece: few enough to be made in a fraction of a millisecond. */
const PIECE_BYTES = 128 * 1024;
/** Longer than the title of any family. */
const TITLE_BYTES_MAX = 4096;

/**
 * The memory of a scrape. It is written into two pieces in turn: while one is being sent, the next one is made. What is kept from one
 * scrape to the next need not be collected.
 */
class Pieces {
  #bytes = new Uint8Array(PIECE_BYTES);
  #other = new Uint8Array(PIECE_BYTES);
  #values = new Float64Array(0);
  #at = 0;
  /** Whether nothing was taken yet. */
  isFirst = true;

  get isFull(): boolean {
    return this.#at > this.#bytes.length - TITLE_BYTES_MAX;
  }

  /** Room for the values of a family. */
  values(count: number): Float64Array {
    if (count > this.#values.length) this.#values = new Float64Array(2 * count);
    return this.#values.subarray(0, count).fill(NaN);
  }

  take(): Uint8Array {
    const taken = this.#bytes.subarray(0, this.#at);
    [this.#bytes, this.#other] = [this.#other, this.#bytes];
    this.#at = 0;
    this.isFirst = false;
    return taken;
  }

  title(text: string): void {
    this.#at += encoder.encodeInto(text, this.#bytes.subarray(this.#at)).written;
  }

  /** Writes values from the given one on as far as there is room; returns the first that is not written. */
  samples(heads: Texts, rows: Texts, tails: Texts, values: Float64Array, first: number): number {
    const { next, at } = writeSamples(
      this.#bytes,
      this.#at,
      heads.bytes,
      heads.ends,
      rows.bytes,
      rows.ends,
      tails.bytes,
      tails.ends,
      values,
      first,
    );
    if (next === first && this.#at === 0) {
      // A line that is longer than a piece makes the piece longer.
      this.#bytes = new Uint8Array(2 * this.#bytes.length);
      return this.samples(heads, rows, tails, values, first);
    }
    this.#at = at;
    return next;
  }
}

const NOTHING = new Uint8Array(0);
const ONE_LINE: readonly Line[] = [{}];

/** Of scrapes that have ended. There is rarely more than one at a time. */
const spare: Pieces[] = [];

/** The text, piece by piece. A piece is good until the next but one is asked for; one that is the only one, until the end is. */
export function* expose(families: Iterable<Family>, isOpenMetrics: boolean): Generator<Uint8Array> {
  const pieces = spare.pop() ?? new Pieces();
  for (const family of families) {
    if (pieces.isFull) yield pieces.take();
    yield* exposeFamily(pieces, family, isOpenMetrics);
  }
  if (pieces.isFull) yield pieces.take();
  if (isOpenMetrics) pieces.title("# EOF\n");
  const isShort = pieces.isFirst;
  yield pieces.take();
  // Whoever asks once more has sent the piece before the last one: here that has to be the last.
  if (!isShort) yield NOTHING;
  pieces.isFirst = true;
  if (spare.length === 0) spare.push(pieces);
}

function* exposeFamily(
  pieces: Pieces,
  { name, type, help, unit, samples }: Family,
  isOpenMetrics: boolean,
): Generator<Uint8Array> {
  const total = type === "counter" ? "_total" : "";
  const title = isOpenMetrics ? name : `${name}${total}`;
  const unitLine = isOpenMetrics && unit !== undefined ? `# UNIT ${title} ${unit}\n` : "";
  pieces.title(`# HELP ${title} ${help}\n# TYPE ${title} ${type}\n${unitLine}`);
  const { rows, lines = ONE_LINE, fill } = samples;
  if (rows.length === 0) return;
  const open = rows.areEmpty ? "" : "{";
  const heads = Texts.of(lines.map(({ end = "" }) => `${name}${total}${end}${open}`));
  const tails = Texts.of(lines.map(({ more }) => tail(more, rows.areEmpty)));
  const values = pieces.values(rows.length * lines.length);
  fill(values);
  for (let next = 0; ; yield pieces.take()) {
    next = pieces.samples(heads, rows, tails, values, next);
    if (next === values.length) return;
  }
}

function tail(more: string | undefined, isAlone: boolean): string {
  if (more === undefined) return isAlone ? " " : "} ";
  return isAlone ? `{${more}} ` : `,${more}} `;
}
