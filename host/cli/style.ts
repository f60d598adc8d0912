// Colours and tables. Colours only on a terminal, and never with NO_COLOR (https://no-color.org/) or TERM=dumb.

import type { Io } from "./io.ts";

export type Paint = (text: string) => string;

/** The few colours in use; each has one meaning everywhere. */
export interface Style {
  /** In use, healthy. */
  readonly good: Paint;
  /** Needs an operator's attention. */
  readonly warn: Paint;
  /** Failed. */
  readonly bad: Paint;
  readonly strong: Paint;
  readonly faint: Paint;
}

/** Text without colour. */
export const unpainted: Paint = (text) => text;
const ansi =
  (code: number, end: number): Paint =>
  (text) =>
    text === "" ? "" : `\u001B[${code}m${text}\u001B[${end}m`;

export function styleFor(io: Pick<Io, "terminal" | "env">): Style {
  const noColor = io.env["NO_COLOR"];
  if (!io.terminal || (noColor !== undefined && noColor !== "") || io.env["TERM"] === "dumb") {
    return { good: unpainted, warn: unpainted, bad: unpainted, strong: unpainted, faint: unpainted };
  }
  return { good: ansi(32, 39), warn: ansi(33, 39), bad: ansi(31, 39), strong: ansi(1, 22), faint: ansi(2, 22) };
}

/** A cell: text, and the colour to apply once the column's width is known. */
export type Cell = string | { readonly text: string; readonly paint: Paint };

const textOf = (cell: Cell): string => (typeof cell === "string" ? cell : cell.text);

/** Counts code points; these displays have no wide or combining characters. */
const widthOf = (text: string): number => [...text].length;

/** Columns whose title starts with `>` are right-aligned (numbers); the `>` itself is not shown. */
export function tableWidths(titles: readonly string[], rows: readonly (readonly Cell[])[]): number[] {
  return titles.map((title, index) =>
    Math.max(widthOf(title.replace(/^>/, "")), ...rows.map((row) => widthOf(textOf(row[index] ?? "")))),
  );
}

function line(titles: readonly string[], row: readonly Cell[], widths: readonly number[]): string {
  return row
    .map((cell, index) => {
      const text = textOf(cell);
      const padding = " ".repeat(Math.max(0, (widths[index] ?? 0) - widthOf(text)));
      const painted = typeof cell === "string" ? text : cell.paint(text);
      return titles[index]?.startsWith(">") === true ? padding + painted : painted + padding;
    })
    .join("  ")
    .trimEnd();
}

/** The header line of a table. */
export function tableHead(titles: readonly string[], widths: readonly number[], style: Style): string {
  return line(
    titles,
    titles.map((title) => ({ text: title.replace(/^>/, ""), paint: style.faint })),
    widths,
  );
}

/** The rows of a table, without its header. */
export function tableRows(
  titles: readonly string[],
  rows: readonly (readonly Cell[])[],
  widths: readonly number[] = tableWidths(titles, rows),
): string[] {
  return rows.map((row) => line(titles, row, widths));
}

/** A whole table as text, one line per row. */
export function table(titles: readonly string[], rows: readonly (readonly Cell[])[], style: Style): string {
  const widths = tableWidths(titles, rows);
  return [tableHead(titles, widths, style), ...tableRows(titles, rows, widths)].map((text) => `${text}\n`).join("");
}

/** Blanks between two columns. */
const GAP = 2;

/**
 * Chooses the columns to keep so that a row fits into `columns` characters: those in `droppable` are dropped first, in that
 * order. Returns their indexes: all if there is room, and the rest when no more may be dropped.
 */
export function columnsThatFit(
  titles: readonly string[],
  widths: readonly number[],
  columns: number,
  droppable: readonly string[],
): number[] {
  const kept = new Set(titles.keys());
  const total = (): number => [...kept].reduce((sum, index) => sum + (widths[index] ?? 0) + GAP, -GAP);
  for (const title of droppable) {
    if (total() <= columns) break;
    kept.delete(titles.indexOf(title));
  }
  return [...kept];
}
