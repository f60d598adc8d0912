// Kernel interfaces that are files: configfs and sysfs. Their errors say which file and what was written.

import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { setTimeout } from "node:timers/promises";

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

/** What is asked is often a program, and the guest has one processor: the pauses are for what is waited for. */
const POLL_MS = 100;

/** Waits until `found` answers something; fails with `what` after `timeoutMs`. */
export async function until<T>(
  what: string,
  found: () => T | undefined | Promise<T | undefined>,
  timeoutMs = 10_000,
): Promise<T> {
  const end = performance.now() + timeoutMs;
  for (;;) {
    const value = await found();
    if (value !== undefined) return value;
    if (performance.now() > end) throw new Error(`waited ${timeoutMs} ms in vain until ${what}`);
    await setTimeout(POLL_MS);
  }
}
