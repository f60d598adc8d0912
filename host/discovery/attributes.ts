// Reads the small files of sysfs and procfs. A missing file is no error: devices come and go.

import { readdirSync, readFileSync } from "node:fs";

/** Reads a small file; null when it is missing or unreadable. */
export function readText(path: string): string | null {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    return null;
  }
}

/** Whether an error means that the file or folder is missing. */
export const isAbsent = (thrown: unknown): boolean =>
  thrown instanceof Error && "code" in thrown && (thrown.code === "ENOENT" || thrown.code === "ENODEV");

/**
 * Names in a folder; none when it is missing.
 * @throws when it exists but cannot be read: that must not look like an empty folder
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
