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

/** Whether something failed because what was to be looked at is not there. */
export const isAbsent = (thrown: unknown): boolean =>
  thrown instanceof Error && "code" in thrown && (thrown.code === "ENOENT" || thrown.code === "ENODEV");

/**
 * Names in a folder; none when it is not there.
 * @throws when it is there and cannot be read: nobody may take that for an empty folder
 */
export function readNames(path: string): string[] {
  try {
    return readdirSync(path);
  } catch (thrown) {
    if (isAbsent(thrown)) return [];
    throw thrown;
  }
}

/** Reads a whole number; null when there is none. */
export function readNumber(path: string): number | null {
  const text = readText(path);
  return text === null || !/^\d+$/.test(text) ? null : Number(text);
}
