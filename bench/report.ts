// What every suite returns, and the forms in which it is shown: a table, JSON, Markdown, a picture.

import { mkdirSync, writeFileSync } from "node:fs";
import { cpus, release } from "node:os";
import { join } from "node:path";

/** One figure, and what it is compared to. Without a peer the last three are null. */
export interface Row {
  readonly case: string;
  readonly metric: string;
  readonly unit: string;
  readonly value: number;
  readonly peer: string | null;
  readonly peerValue: number | null;
  /** Above 1: ours is better, whichever direction of the metric is better. */
  readonly ratio: number | null;
}

export interface SuiteResult {
  readonly suite: string;
  readonly rows: readonly Row[];
}

/** Median of the values; for an even number the mean of the middle two, NaN for none. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const [low, high] = [sorted[middle - 1] ?? Number.NaN, sorted[middle] ?? Number.NaN];
  return sorted.length % 2 === 1 ? high : (low + high) / 2;
}

/** Four digits are as many as a measurement is worth. */
export const rounded = (value: number): number => Number(value.toPrecision(4));

const HEADINGS = ["case", "metric", "value", "unit", "peer", "peer's value", "ratio"];

function shown(value: number | null): string {
  return value === null ? "" : String(rounded(value));
}

function cells(row: Row): string[] {
  return [
    row.case,
    row.metric,
    shown(row.value),
    row.unit,
    row.peer ?? "",
    shown(row.peerValue),
    row.ratio === null ? "" : row.ratio.toFixed(2),
  ];
}

/** A table for a terminal. */
export function textTable(rows: readonly Row[]): string {
  const lines = [HEADINGS, ...rows.map(cells)];
  const widths = HEADINGS.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  const numeric = new Set([2, 5, 6]);
  return lines
    .map((line) =>
      line
        .map((cell, column) =>
          numeric.has(column) ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0),
        )
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

function markdownLine(texts: readonly string[]): string {
  return `| ${texts.map((text) => text.replaceAll("|", "\\|")).join(" | ")} |`;
}

function markdownTable(rows: readonly Row[]): string {
  return [HEADINGS, HEADINGS.map(() => "---"), ...rows.map(cells)].map(markdownLine).join("\n");
}

const BAR_WIDTH = 420;
const LABEL_WIDTH = 430;
const BAR_HEIGHT = 14;

function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

/** A picture: for each row one bar for us and, if there is a peer, one for the peer, on a common scale. */
function picture({ suite, rows }: SuiteResult): string {
  const parts: string[] = [];
  let y = 34;
  const bar = (label: string, value: number, largest: number, unit: string, colour: string): void => {
    const width = largest > 0 ? Math.max(1, (value / largest) * BAR_WIDTH) : 1;
    parts.push(
      `<text x="${LABEL_WIDTH - 8}" y="${y + 11}" text-anchor="end">${escape(label)}</text>`,
      `<rect x="${LABEL_WIDTH}" y="${y}" width="${width.toFixed(1)}" height="${BAR_HEIGHT}" fill="${colour}"/>`,
      `<text x="${LABEL_WIDTH + width + 6}" y="${y + 11}">${Number(value.toPrecision(4))} ${escape(unit)}</text>`,
    );
    y += BAR_HEIGHT + 2;
  };
  for (const row of rows) {
    const largest = Math.max(row.value, row.peerValue ?? 0);
    bar(`${row.case}, ${row.metric}`, row.value, largest, row.unit, "#2b6cb0");
    if (row.peer !== null && row.peerValue !== null) bar(row.peer, row.peerValue, largest, row.unit, "#a0aec0");
    y += 8;
  }
  const width = LABEL_WIDTH + BAR_WIDTH + 130;
  const head = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${y + 6}" font-family="sans-serif" font-size="12">`;
  const title = `<rect width="100%" height="100%" fill="#fff"/><text x="10" y="20" font-size="15">${escape(suite)}</text>`;
  return `${head}${title}${parts.join("")}</svg>\n`;
}

/** The machine, for a report. */
function machine(): string {
  const [cpu] = cpus();
  return `${cpus().length} x ${cpu?.model.trim() ?? "unknown CPU"}, Linux ${release()}, Node ${process.version}`;
}

/** Writes table and picture of each suite, and one report over all, to bench/results. Returns the report's path. */
export function writeResults(results: readonly SuiteResult[], command: string): string {
  const folder = join(import.meta.dirname, "results");
  mkdirSync(folder, { recursive: true });
  const sections: string[] = [];
  for (const result of results) {
    const table = markdownTable(result.rows);
    writeFileSync(join(folder, `${result.suite}.md`), `# ${result.suite}\n\n${machine()}\n\n${table}\n`);
    writeFileSync(join(folder, `${result.suite}.svg`), picture(result));
    sections.push(`## ${result.suite}\n\n![${result.suite}](${result.suite}.svg)\n\n${table}\n`);
  }
  const report = join(folder, results.length === 1 ? `${results[0]?.suite ?? "report"}.md` : "report.md");
  if (results.length === 1) return report;
  const intro = `# Benches\n\n${machine()}; made by \`${command}\`.\n\nA ratio above 1 says that ours is better.\n`;
  writeFileSync(report, `${intro}\n${sections.join("\n")}`);
  return report;
}
