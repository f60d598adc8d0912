// Writes metrics in the two text formats that scrapers read: OpenMetrics 1.0, and Prometheus' older one (0.0.4).
//
// Values are taken from tables that exist anyway, when somebody asks. A registry of metric objects (prom-client) would hold every
// value twice, fill itself at each scrape in one go, and could not be written in slices.

import { clean } from "./clean.ts";

type Type = "counter" | "gauge" | "histogram";

/** A metric with its samples: each the part of a line that follows the name, like `{path="4:0:0:0"} 7`. */
export interface Family {
  /** Without `_total`. */
  readonly name: string;
  readonly type: Type;
  readonly help: string;
  /** Base unit, which is also the end of the name. */
  readonly unit?: "seconds" | "bytes";
  /** For a histogram with `_bucket`, `_sum` or `_count` before the labels. */
  readonly samples: Iterable<string>;
}

export const OPEN_METRICS_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8";
export const TEXT_TYPE = "text/plain; version=0.0.4; charset=utf-8";

/** Whether a scraper that sends this Accept header reads OpenMetrics. */
export const wantsOpenMetrics = (accept: string | undefined): boolean =>
  accept?.includes("application/openmetrics-text") === true;

const escaped = (text: string): string => clean(text).replaceAll("\\", "\\\\").replaceAll('"', '\\"');

/** `path="4:0:0:0",unit="0"`; what is null is left out. Names are ours, values are anybody's. */
export function labels(values: Readonly<Record<string, string | number | null>>): string {
  const given = Object.entries(values).filter(([, value]) => value !== null);
  return given.map(([name, value]) => `${name}="${escaped(String(value))}"`).join(",");
}

/** A value as both formats spell it. */
export const number = (value: number): string =>
  value === Infinity ? "+Inf" : value === -Infinity ? "-Inf" : String(value);

/** One sample. */
export const sample = (value: number, labelText = ""): string =>
  `${labelText === "" ? "" : `{${labelText}}`} ${number(value)}`;

/** Characters in a piece: few enough to be made in a fraction of a millisecond. */
const PIECE_CHARS = 8192;

/** The text, piece by piece. */
export function* expose(families: Iterable<Family>, isOpenMetrics: boolean): Generator<string> {
  let text = "";
  for (const { name, type, help, unit, samples } of families) {
    const total = type === "counter" ? "_total" : "";
    const title = isOpenMetrics ? name : `${name}${total}`;
    const unitLine = isOpenMetrics && unit !== undefined ? `# UNIT ${title} ${unit}\n` : "";
    text += `# HELP ${title} ${help}\n# TYPE ${title} ${type}\n${unitLine}`;
    const prefix = `${name}${total}`;
    for (const line of samples) {
      text += `${prefix}${line}\n`;
      if (text.length < PIECE_CHARS) continue;
      yield text;
      text = "";
    }
  }
  yield isOpenMetrics ? `${text}# EOF\n` : text;
}
