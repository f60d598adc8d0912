// Reading the small files of sysfs and procfs. What is not there is no error: devices come and go.

import { readdirSync, readFileSync } from "node:fs";

/** Reads a small file; null when it is not there or cannot be read. */
export function readText(path: string): string | null {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    return null;
  }
}

/** Names in a folder; none when there is no such folder. */
export function readNames(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

/** Reads a whole number; null when there is none. */
export function readNumber(path: string): number | null {
  const text = readText(path);
  return text === null || !/^\d+$/.test(text) ? null : Number(text);
}
