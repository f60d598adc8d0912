// The inputs that are kept: one file each, named after its content, so that two developers who find the same add nothing.

import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const CORPUS = join(import.meta.dirname, "corpus");
/** Inputs that once failed, by what they showed: <target>-<what>. They are never removed. */
const FOUND = join(import.meta.dirname, "found");

const nameOf = (input: Uint8Array): string => createHash("sha1").update(input).digest("hex").slice(0, 12);

/** The kept inputs of a target, in a fixed order. */
export function kept(target: string): Uint8Array[] {
  const folder = join(CORPUS, target);
  return namesIn(folder).map((name) => readFileSync(join(folder, name)));
}

/** Inputs of a target that failed once, by name. */
export function found(target: string): [name: string, input: Uint8Array][] {
  return namesIn(FOUND)
    .filter((name) => name.startsWith(`${target}-`))
    .map((name) => [name, readFileSync(join(FOUND, name))]);
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder).toSorted();
  } catch {
    return [];
  }
}

/** Replaces the corpus of a target. */
export function keep(target: string, inputs: readonly Uint8Array[]): void {
  const folder = join(CORPUS, target);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  for (const input of inputs) writeFileSync(join(folder, nameOf(input)), input);
}

/** Writes an input that failed to where it can be looked at. */
export function keepFailure(target: string, input: Uint8Array): string {
  mkdirSync(FOUND, { recursive: true });
  const file = join(FOUND, `${target}-${nameOf(input)}`);
  writeFileSync(file, input);
  return file;
}
