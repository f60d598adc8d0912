// `pathctl top`: the activity of the paths. On a terminal it redraws in place; elsewhere each sample is a block of plain
// lines.

import { cleanJson } from "../../liaison/clean.ts";
import type { StatisticsView } from "../../control/schemas/status-schema.ts";
import { columnsThatFit, table, tableWidths, unpainted, type Cell, type Paint, type Style } from "../style.ts";
import { latencyText, pluralText, rateText } from "../text.ts";
import { timeText } from "./events.ts";
import type { Context } from "./context.ts";

/** Rates of one path between two samples, per second; throughput in bytes. */
interface PathRates {
  readonly number: string;
  readonly unit: number;
  readonly symbol: string;
  readonly iops: number;
  readonly readBytes: number;
  readonly writtenBytes: number;
  readonly errors: number;
  readonly retries: number;
  readonly inFlight: number;
  readonly serviceUs: number;
  readonly p50Us: number | null;
  readonly p99Us: number | null;
}

export interface Sample {
  /** Milliseconds since 1970. */
  readonly time: number;
  /** Length of the sample in seconds. */
  readonly seconds: number;
  readonly units: number;
  readonly requests: number;
  readonly waiting: number;
  readonly paths: readonly PathRates[];
}

/** The rates between two answers of the daemon. A counter that went back (after a restart) counts from zero. */
export function sampleBetween(before: StatisticsView, after: StatisticsView): Sample {
  const isRestarted = after.runningMs < before.runningMs;
  const seconds = Math.max(0.001, (after.runningMs - (isRestarted ? 0 : before.runningMs)) / 1000);
  const earlier = new Map(before.paths.map((path) => [`${path.unit} ${path.number}`, path]));
  const rate = (now: number, then: number | undefined): number =>
    (now - (then === undefined || then > now ? 0 : then)) / seconds;
  return {
    time: after.time,
    seconds,
    units: after.units.length,
    requests: after.units.reduce((sum, unit) => sum + unit.requests, 0),
    waiting: after.units.reduce((sum, unit) => sum + unit.waiting, 0),
    paths: after.paths.map((path) => {
      const then = earlier.get(`${path.unit} ${path.number}`);
      return {
        number: path.number,
        unit: path.unit,
        symbol: path.symbol,
        iops: rate(path.ios, then?.ios),
        readBytes: rate(path.bytesRead, then?.bytesRead),
        writtenBytes: rate(path.bytesWritten, then?.bytesWritten),
        errors: rate(path.errors, then?.errors),
        retries: rate(path.retries, then?.retries),
        inFlight: path.inFlight,
        serviceUs: path.serviceUs,
        p50Us: path.p50Us,
        p99Us: path.p99Us,
      };
    }),
  };
}

const megabytes = (bytes: number): string => {
  const value = bytes / 1e6;
  return value < 100 ? value.toFixed(1) : String(Math.round(value));
};

const TITLES = [
  "",
  "PATH",
  ">LU",
  ">IOPS",
  ">READ MB/S",
  ">WRITE MB/S",
  ">P50",
  ">P99",
  ">SERVICE",
  ">IN FLIGHT",
  ">ERRORS/S",
  ">RETRIES/S",
];

function cells(path: PathRates, style: Style): Cell[] {
  const paint = path.symbol === "X" ? style.bad : path.symbol === ">" ? style.good : unpainted;
  const alarm = (value: number): Cell => ({ text: rateText(value), paint: value > 0 ? style.bad : unpainted });
  return [
    { text: path.symbol, paint },
    path.number,
    `#${path.unit}`,
    rateText(path.iops),
    megabytes(path.readBytes),
    megabytes(path.writtenBytes),
    latencyText(path.p50Us),
    latencyText(path.p99Us),
    path.serviceUs === 0 ? "-" : latencyText(path.serviceUs),
    String(path.inFlight),
    alarm(path.errors),
    alarm(path.retries),
  ];
}

/** Columns dropped first on a narrow terminal. */
const DROPPABLE = [">RETRIES/S", ">SERVICE", ">P50", ">IN FLIGHT", ">ERRORS/S", ">P99", ">WRITE MB/S", ">READ MB/S"];

/** Lines of a sample besides the paths: summary, blank, titles. */
const LINES_AROUND = 3;

interface Screen {
  readonly rows: number;
  readonly columns: number;
}

const UNLIMITED: Screen = { rows: Number.POSITIVE_INFINITY, columns: Number.POSITIVE_INFINITY };

/** As many of the parts as fit, the first ones first. */
function fitting(parts: readonly (readonly [text: string, paint: Paint])[], columns: number): string {
  const kept: string[] = [];
  let width = 0;
  for (const [text, paint] of parts) {
    width += text.length + (kept.length > 0 ? GAP.length : 0);
    if (width > columns) break;
    kept.push(paint(text));
  }
  return kept.join(GAP);
}

const GAP = "  ";

function summaryText(sample: Sample, style: Style, columns: number): string {
  const sum = (value: (path: PathRates) => number): number =>
    sample.paths.reduce((total, path) => total + value(path), 0);
  const parts: (readonly [string, Paint])[] = [
    [timeText(sample.time).slice(11), unpainted],
    ...(sample.waiting > 0 ? [[`${sample.waiting} waiting for a path`, style.bad] as const] : []),
    [`${pluralText(sample.units, "unit")}, ${pluralText(sample.paths.length, "path")}`, unpainted],
    [`${rateText(sum((path) => path.iops))} IOPS`, style.strong],
    [`read ${megabytes(sum((path) => path.readBytes))} MB/s`, unpainted],
    [`write ${megabytes(sum((path) => path.writtenBytes))} MB/s`, unpainted],
    [`${sum((path) => path.inFlight)} in flight`, unpainted],
  ];
  return fitting(parts, columns);
}

/** One sample as text; only the busiest paths when there are more than fit into the screen, and the columns that fit. */
export function sampleText(sample: Sample, style: Style, { rows, columns }: Screen = UNLIMITED): string {
  const room = Math.max(1, rows - LINES_AROUND - 1);
  const tooMany = sample.paths.length > room;
  const shown = tooMany ? sample.paths.toSorted((a, b) => b.iops - a.iops).slice(0, room) : sample.paths;
  const lines = shown.map((path) => cells(path, style));
  const kept = columnsThatFit(TITLES, tableWidths(TITLES, lines), columns, DROPPABLE);
  const only = <Item>(items: readonly Item[]): Item[] => items.filter((_, index) => kept.includes(index));
  const body = table(only(TITLES), lines.map(only), style);
  const more = tooMany ? style.faint(`and ${pluralText(sample.paths.length - shown.length, "quieter path")}\n`) : "";
  return `${summaryText(sample, style, columns)}\n\n${body}${more}`;
}

/** Screen control: the alternate screen without a cursor, and back. */
const ENTER = "\u001B[?1049h\u001B[?25l";
const LEAVE = "\u001B[?25h\u001B[?1049l";
const HOME = "\u001B[H";
const CLEAR_LINE = "\u001B[K";
const CLEAR_BELOW = "\u001B[J";

/** Ends on `q`, Ctrl-C or a signal; the returned promise resolves then. */
function untilQuit(): { readonly quit: Promise<void>; readonly dispose: () => void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  const { stdin } = process;
  const key = (bytes: Buffer): void => {
    if (bytes.includes("q") || bytes.includes(3)) resolve();
  };
  const raw = stdin.isTTY;
  if (raw) stdin.setRawMode(true).on("data", key);
  process.once("SIGINT", resolve).once("SIGTERM", resolve);
  return {
    quit: promise,
    dispose: () => {
      if (raw) stdin.setRawMode(false).off("data", key).pause();
      process.off("SIGINT", resolve).off("SIGTERM", resolve);
    },
  };
}

/** Shows samples until `count` of them were shown or the operator quits. */
export async function top(context: Context, intervalS: number, count?: number): Promise<null> {
  const { client, io, style, json } = context;
  const screen = io.terminal && !json;
  const samples = count ?? (io.terminal ? Number.POSITIVE_INFINITY : 1);
  let before = await client.call<StatisticsView>("GET", "/v1/statistics");
  const { quit, dispose } = untilQuit();
  if (screen) io.out(ENTER);
  try {
    for (let shown = 0; shown < samples; shown += 1) {
      const timer = Promise.withResolvers<"time">();
      const handle = setTimeout(timer.resolve, screen && shown === 0 ? 200 : intervalS * 1000, "time" as const);
      const ended = (await Promise.race([timer.promise, quit])) !== "time";
      clearTimeout(handle);
      if (ended) break;
      const after = await client.call<StatisticsView>("GET", "/v1/statistics");
      const sample = sampleBetween(before, after);
      before = after;
      if (json) io.out(`${cleanJson(sample)}\n`);
      else if (screen) {
        // The window may have another size by now.
        const { rows = io.rows, columns = io.columns } = process.stdout;
        const text = sampleText(sample, style, { rows, columns });
        io.out(`${HOME}${text.replaceAll("\n", `${CLEAR_LINE}\n`)}${CLEAR_BELOW}`);
      } else io.out(`${shown > 0 ? "\n" : ""}${sampleText(sample, style)}`);
    }
  } finally {
    if (screen) io.out(LEAVE);
    dispose();
  }
  return null;
}
