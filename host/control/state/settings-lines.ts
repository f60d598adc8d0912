// The lines of all rows that are set, and their digest. A change affects one row: lines are kept in groups, and the digest of a
// group is reused until one of its rows changes.

import { hash } from "node:crypto";
import { keyOf, lineOf, rowKey, type Cell, type SettingsRow, type SettingsTable } from "./settings-rows.ts";

/** Rows of one table with consecutive keys. */
const GROUP_ROWS = 64;

interface Group {
  readonly lines: Map<string, string>;
  /** Null after one of its rows has changed. */
  made: { readonly text: string; readonly digest: string } | null;
}

const groupOf = (table: SettingsTable, key: Cell | undefined): string =>
  typeof key === "number" ? `${table}/${Math.floor(key / GROUP_ROWS)}` : table;

function make({ lines }: Group): { text: string; digest: string } {
  const text = [...lines.keys()]
    .toSorted()
    .map((key) => `${lines.get(key) ?? ""}\n`)
    .join("");
  return { text, digest: hash("sha256", text) };
}

export class SettingsLines {
  readonly #groups = new Map<string, Group>();

  constructor(rows: readonly SettingsRow[]) {
    for (const row of rows) this.#group(row.table, row.cells[0]).lines.set(keyOf(row), lineOf(row));
  }

  #group(table: SettingsTable, key: Cell | undefined): Group {
    const name = groupOf(table, key);
    const group = this.#groups.get(name) ?? { lines: new Map<string, string>(), made: null };
    this.#groups.set(name, group);
    group.made = null;
    return group;
  }

  /** @param row null when the key has no row any more */
  put(table: SettingsTable, key: Cell, row: SettingsRow | null): void {
    const { lines } = this.#group(table, key);
    if (row === null) lines.delete(rowKey(table, key));
    else lines.set(rowKey(table, key), lineOf(row));
  }

  /** In an order that depends only on the content. */
  get #made(): { text: string; digest: string }[] {
    const names = [...this.#groups.keys()].toSorted();
    const groups = names.map((name) => this.#groups.get(name)).filter((group) => group !== undefined);
    return groups.filter(({ lines }) => lines.size > 0).map((group) => (group.made ??= make(group)));
  }

  get body(): string {
    return this.#made.map(({ text }) => text).join("");
  }

  get digest(): string {
    return hash("sha256", this.#made.map(({ digest }) => digest).join());
  }
}
