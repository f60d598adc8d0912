// Writes metrics in the two text formats that scrapers read: OpenMetrics 1.0, and Prometheus' older one (0.0.4).
//
// Values are taken from tables that exist anyway, when somebody asks. A registry of metric objects (prom-client) would hold every
// value twice, fill itself at each scrape in one go, and could not be written in slices. Lines are put together as bytes: with a
// thousand units there are hundreds of thousands of them, and strings would cost several times as much.

import { clean } from "./clean.ts";

type Type = "counter" | "gauge" | "histogram";

/** A metric with its samples. */
export interface Family {
  /** Without `_total`. */
  readonly name: string;
  readonly type: Type;
  readonly help: string;
  /** Base unit, which is also the end of the name. */
  readonly unit?: "seconds" | "bytes";
  /** Number of things that have samples. */
  readonly rows: number;
  /** Writes the samples of one of them: none, one, or a few. */
  readonly write: (row: number, lines: Lines) => void;
}

export const OPEN_METRICS_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8";
export const TEXT_TYPE = "text/plain; version=0.0.4; charset=utf-8";

/** Whether a scraper that sends this Accept header reads OpenMetrics. */
export const wantsOpenMetrics = (accept: string | undefined): boolean =>
  accept?.includes("application/openmetrics-text") === true;

const encoder = new TextEncoder();

/** Text as bytes, for what is written again and again. */
export const bytesOf = (text: string): Uint8Array => encoder.encode(text);

const escaped = (text: string): string => clean(text).replaceAll("\\", "\\\\").replaceAll('"', '\\"');

/** `path="4:0:0:0",unit="0"`; what is null is left out. Names are ours, values are anybody's. */
export function labels(values: Readonly<Record<string, string | number | null>>): string {
  const given = Object.entries(values).filter(([, value]) => value !== null);
  return given.map(([name, value]) => `${name}="${escaped(String(value))}"`).join(",");
}

/** A value as both formats spell it. */
export const number = (value: number): string =>
  value === Infinity ? "+Inf" : value === -Infinity ? "-Inf" : String(value);

/** Bytes in a piece: few enough to be made in a fraction of a millisecond. */
const PIECE_BYTES = 64 * 1024;
/** Beyond it a piece is full. A row of samples may go on. */
const FULL_BYTES = PIECE_BYTES - 8192;
/** Longest text of a value, with what stands around it. */
const VALUE_BYTES_MAX = 40;
/** Whole numbers below it are written digit by digit. */
const DIGITS_BELOW = 2 ** 31;

const EMPTY = new Uint8Array(0);
const OPEN = 0x7b;
const CLOSE = 0x7d;
const COMMA = 0x2c;
const SPACE = 0x20;
const NEWLINE = 0x0a;
const ZERO = 0x30;

/** Writes a value where there is room for it; returns where it ends. */
function valueInto(bytes: Uint8Array, start: number, value: number): number {
  if (value < 0 || value >= DIGITS_BELOW || value !== (value | 0)) {
    const text = number(value);
    for (let index = 0; index < text.length; index++) bytes[start + index] = text.charCodeAt(index);
    return start + text.length;
  }
  let end = start + 1;
  for (let rest = value; rest >= 10; rest = (rest / 10) | 0) end++;
  let rest = value;
  for (let at = end - 1; at >= start; at--) {
    const next = (rest / 10) | 0;
    bytes[at] = ZERO + rest - next * 10;
    rest = next;
  }
  return end;
}

/** Samples of one family after the other, as bytes. */
export class Lines {
  #bytes = new Uint8Array(PIECE_BYTES);
  #at = 0;
  #name: Uint8Array = EMPTY;

  get isFull(): boolean {
    return this.#at >= FULL_BYTES;
  }

  /** What was written since the last time. */
  take(): Uint8Array {
    const taken = this.#bytes.subarray(0, this.#at);
    this.#bytes = new Uint8Array(PIECE_BYTES);
    this.#at = 0;
    return taken;
  }

  /** Begins a family. */
  title(name: Uint8Array, head: string): void {
    this.#name = name;
    this.#put(bytesOf(head));
  }

  /**
   * One sample.
   * @param own labels, without the braces
   * @param more further labels
   * @param end what follows the family's name: `_bucket`
   */
  sample(value: number, own: Uint8Array = EMPTY, more: Uint8Array = EMPTY, end: Uint8Array = EMPTY): void {
    const name = this.#name;
    this.#reserve(name.length + end.length + own.length + more.length + VALUE_BYTES_MAX);
    const bytes = this.#bytes;
    let at = this.#at;
    bytes.set(name, at);
    at += name.length;
    if (end.length > 0) bytes.set(end, at);
    at += end.length;
    if (own.length > 0 || more.length > 0) {
      bytes[at++] = OPEN;
      bytes.set(own, at);
      at += own.length;
      if (own.length > 0 && more.length > 0) bytes[at++] = COMMA;
      if (more.length > 0) bytes.set(more, at);
      at += more.length;
      bytes[at++] = CLOSE;
    }
    bytes[at++] = SPACE;
    at = valueInto(bytes, at, value);
    bytes[at++] = NEWLINE;
    this.#at = at;
  }

  #put(text: Uint8Array): void {
    this.#reserve(text.length);
    this.#bytes.set(text, this.#at);
    this.#at += text.length;
  }

  /** A row that is longer than a piece has room makes the piece longer. */
  #reserve(length: number): void {
    if (this.#at + length <= this.#bytes.length) return;
    const longer = new Uint8Array(2 * (this.#at + length));
    longer.set(this.#bytes.subarray(0, this.#at));
    this.#bytes = longer;
  }
}

/** The text, piece by piece. */
export function* expose(families: Iterable<Family>, isOpenMetrics: boolean): Generator<Uint8Array> {
  const lines = new Lines();
  for (const { name, type, help, unit, rows, write } of families) {
    const total = type === "counter" ? "_total" : "";
    const title = isOpenMetrics ? name : `${name}${total}`;
    const unitLine = isOpenMetrics && unit !== undefined ? `# UNIT ${title} ${unit}\n` : "";
    lines.title(bytesOf(`${name}${total}`), `# HELP ${title} ${help}\n# TYPE ${title} ${type}\n${unitLine}`);
    for (let row = 0; row < rows; row++) {
      write(row, lines);
      if (lines.isFull) yield lines.take();
    }
  }
  if (isOpenMetrics) lines.title(EMPTY, "# EOF\n");
  yield lines.take();
}
