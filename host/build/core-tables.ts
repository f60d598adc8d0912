// The core's tables as documents show them: read from the sources, drawn into docs/architecture.md between two marks.
//
//   node host/build/core-tables.ts            exits with status 1 if the document shows something else
//   node host/build/core-tables.ts --write    draws them anew

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dirname, "..", "..");
const PAGE = "docs/architecture.md";

/** A table of static data. The comment above its first row has the names of its columns, with two or more spaces between them. */
export interface CoreTable {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

const TABLES: readonly { readonly name: string; readonly file: string; readonly after: string }[] = [
  { name: "outcomes", file: "assembly/scsi/meaning.ts", after: "const rows: usize = memory.data<u32>([" },
  { name: "states", file: "assembly/path/states.ts", after: "const states: usize = memory.data<u32>([" },
  { name: "notes", file: "assembly/path/states.ts", after: "const notes: usize = memory.data<u32>([" },
];

/** Reads the table that begins after `after` in `text`. @throws if it is missing, or a row has too few or too many cells */
export function readTable(text: string, after: string): CoreTable {
  const body = text.split(after)[1]?.split(/^\]/m)[0];
  if (body === undefined) throw new Error(`there is no "${after}"`);
  const [head = "", ...lines] = body.trim().split("\n");
  const columns = head
    .replace(/^\/\/ /, "")
    .trim()
    .split(/ {2,}/);
  const rows = lines
    .map((line) => line.replace(/\/\/.*$/, "").trim())
    .filter((line) => line !== "")
    .map((line) => line.split(",").flatMap((cell) => (cell.trim() === "" ? [] : [cell.trim()])));
  const odd = rows.find((row) => row.length !== columns.length);
  if (odd !== undefined) throw new Error(`the row of ${odd[0] ?? ""} has ${odd.length} cells, not ${columns.length}`);
  return { columns, rows };
}

/** The core's tables, by their names. */
export function coreTable(name: string): CoreTable {
  const table = TABLES.find((one) => one.name === name);
  if (table === undefined) throw new Error(`there is no table ${name}`);
  return readTable(readFileSync(join(root, table.file), "utf8"), table.after);
}

/** The field of a path's record in which something is noted: `NOTED_CHECK_LOST` is `checkLost`. */
export function fieldOf(noted: string): string {
  const words = noted.replace(/^NOTED_/, "").toLowerCase();
  return words.replaceAll(/_(\w)/g, (_, letter: string) => letter.toUpperCase());
}

/** A name as a reader sees it: without the prefix that all names of its column have. Flags joined by | become a list. */
function shown(cell: string, at: number): string {
  if (cell.startsWith("NOTED_")) return `\`${fieldOf(cell)}\``;
  if (at === 0) return `\`${cell.replace(/^(?:OUTCOME|PATH_FLAG)_/, "")}\``;
  if (/^(?:(?!IO_|BY_)\w+_)?(?:NONE|SAME|KEEP|SILENT)$/.test(cell) || cell === "0") return "";
  return cell
    .split("|")
    .map((name) => name.trim().replace(/^(?:BLAME|NEXT|GROUPS|LIFE|EVENT|BY|IO|SHOWN|PATH_FLAG)_/, ""))
    .map((name) => (/^E[A-Z]+$/.test(name) ? name : name.toLowerCase().replaceAll("_", " ")))
    .join(", ");
}

function draw({ columns, rows }: CoreTable): string {
  const cells = [columns, ...rows.map((row) => row.map(shown))];
  const widths = columns.map((_, at) => Math.max(3, ...cells.map((row) => row[at]?.length ?? 0)));
  const line = (row: readonly string[]): string => `| ${widths.map((w, at) => (row[at] ?? "").padEnd(w)).join(" | ")} |`;
  return [line(columns), `| ${widths.map((w) => "-".repeat(w)).join(" | ")} |`, ...cells.slice(1).map(line)].join("\n");
}

/** `page` with all tables as the sources have them. */
export function drawn(page: string): string {
  return TABLES.reduce((text, { name }) => {
    const begin = `<!-- ${name}: drawn by host/build/core-tables.ts -->`;
    const end = `<!-- ${name} end -->`;
    const [before, rest] = text.split(begin);
    const [, behind] = rest?.split(end) ?? [];
    if (before === undefined || behind === undefined) throw new Error(`${PAGE} has no place for the table ${name}`);
    return `${before}${begin}\n\n${draw(coreTable(name))}\n\n${end}${behind}`;
  }, page);
}

if (process.argv[1] === import.meta.filename) {
  const page = readFileSync(join(root, PAGE), "utf8");
  if (process.argv.includes("--write")) writeFileSync(join(root, PAGE), drawn(page));
  else if (drawn(page) !== page) {
    console.error(`${PAGE} shows other tables than the core has: node host/build/core-tables.ts --write`);
    process.exitCode = 1;
  }
}
