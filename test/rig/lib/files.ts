// Kernel interfaces that are files: configfs and sysfs. Errors name the file and the value that was written.

import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";

/** The content of a kernel file without the trailing newline. */
export function readText(path: string): string {
  return readFileSync(path, "utf8").trimEnd();
}

/** Writes one value; if the kernel refuses it, the error names the file and the value. */
export function writeText(path: string, value: string | number): void {
  try {
    writeFileSync(path, `${value}\n`);
  } catch (error) {
    throw new Error(`cannot write "${value}" to ${path}: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  }
}

/** Names in a folder that start with `prefix`, sorted by the number after it; none when the folder does not exist. */
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
