// Kernel interfaces that are files: configfs and sysfs. Their errors say which file and what was written.

import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";

/** The text of a kernel file without the newline at its end. */
export function readText(path: string): string {
  return readFileSync(path, "utf8").trimEnd();
}

/** Writes one value; what the kernel refuses is reported with the file and the value. */
export function writeText(path: string, value: string | number): void {
  try {
    writeFileSync(path, `${value}\n`);
  } catch (error) {
    throw new Error(`cannot write "${value}" to ${path}: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  }
}

/** Names in a folder that start with `prefix`, sorted by the number behind it; none when there is no such folder. */
export function numbered(
  folder: string,
  prefix: string,
): readonly { readonly name: string; readonly number: number }[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => name.startsWith(prefix) && /^\d+$/.test(name.slice(prefix.length)))
    .map((name) => ({ name, number: Number(name.slice(prefix.length)) }))
    .toSorted((a, b) => a.number - b.number);
}
