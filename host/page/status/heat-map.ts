// Heat maps of latencies: a strip of the recent p99 for each row of the table, and a whole map, time by latency, for the chosen path.

import { latencyText } from "../../cli/text.ts";
import { colour } from "../ground/theme.ts";
import { attribute, make } from "../ground/element.ts";
import { COLUMNS_MAX, type LatencyColumn } from "../model/recent.ts";

/** Latencies from which on a strip has its first and its last colour, us. */
const COLD_US = 32;
const HOT_US = 1_048_576;
const STEPS = 7;

let ramp: readonly string[] = [];

/** Reads the colours of the theme again. */
export function rereadColours(): void {
  ramp = Array.from({ length: STEPS }, (_, step) => colour(`heat-${step}`));
}

function heatOf(us: number): string {
  const part = Math.log(Math.max(us, COLD_US) / COLD_US) / Math.log(HOT_US / COLD_US);
  return ramp[Math.min(STEPS - 1, Math.floor(part * STEPS))] ?? "";
}

function describe(columns: readonly LatencyColumn[]): string {
  const p99s = columns.flatMap(({ p99Us }) => (p99Us === null ? [] : [p99Us]));
  const last = p99s.at(-1);
  if (last === undefined) return "no commands in the last minutes";
  return `p99 from ${latencyText(Math.min(...p99s))} to ${latencyText(Math.max(...p99s))}, last ${latencyText(last)}`;
}

function contextOf(canvas: HTMLCanvasElement): CanvasRenderingContext2D | null {
  const context = canvas.getContext("2d");
  context?.clearRect(0, 0, canvas.width, canvas.height);
  return context;
}

/** One pixel per answer, stretched by the style sheet. */
export function strip(): HTMLCanvasElement {
  return make("canvas", { width: String(COLUMNS_MAX), height: "1", class: "strip", role: "img" });
}

export function drawStrip(canvas: HTMLCanvasElement, columns: readonly LatencyColumn[]): void {
  const context = contextOf(canvas);
  if (context === null) return;
  const begin = COLUMNS_MAX - columns.length;
  for (const [at, { p99Us }] of columns.entries()) {
    if (p99Us === null) continue;
    context.fillStyle = heatOf(p99Us);
    context.fillRect(begin + at, 0, 1, 1);
  }
  attribute(canvas, "aria-label", describe(columns));
}

/** Rows are classes of latency, the longest at the top; the colour is the class's share of its moment's commands. */
export function drawMap(
  canvas: HTMLCanvasElement,
  columns: readonly LatencyColumn[],
  boundsUs: readonly number[],
): readonly [fromUs: number, toUs: number] | null {
  const classes = boundsUs.length + 1;
  const used = Array.from({ length: classes }, (_, at) => at).filter((at) =>
    columns.some(({ counts }) => (counts[at] ?? 0) > 0),
  );
  const first = Math.max(0, (used[0] ?? 0) - 1);
  const last = Math.min(classes - 1, (used.at(-1) ?? 0) + 1);
  canvas.width = COLUMNS_MAX;
  canvas.height = last - first + 1;
  const context = contextOf(canvas);
  attribute(canvas, "aria-label", describe(columns));
  if (context === null || used.length === 0) return null;
  const begin = COLUMNS_MAX - columns.length;
  for (const [at, { counts }] of columns.entries()) {
    const total = counts.reduce((sum, count) => sum + count, 0);
    for (let one = first; one <= last; one++) {
      const count = counts[one] ?? 0;
      if (count === 0) continue;
      // The rare ones are what one looks for: a hundredth is half way to all.
      const share = 1 + Math.log10(count / total) / 4;
      context.fillStyle = ramp[Math.max(0, Math.min(STEPS - 1, Math.floor(share * STEPS)))] ?? "";
      context.fillRect(begin + at, last - one, 1, 1);
    }
  }
  return [first === 0 ? 0 : (boundsUs[first - 1] ?? 0), boundsUs[last] ?? (boundsUs.at(-1) ?? 0) * 2];
}
