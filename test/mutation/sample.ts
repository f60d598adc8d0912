// Which mutants there are, which of them are known to be noticed by nobody, and which are taken.

import { createHash } from "node:crypto";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { coreFiles } from "../instrument/places.ts";
import { equivalents } from "./equivalents.ts";
import type { Known } from "./known.ts";
import { open } from "./open.ts";
import { mutantsOf, type Mutant } from "./operators.ts";

const root = join(import.meta.dirname, "..", "..");

const sources = new Map(coreFiles().map((file) => [file, readFileSync(join(root, file), "utf8")]));

/** Of all that modules are made of: the core, what benches add to it, and what is woven in. */
export function sourceDigest(): string {
  const hash = createHash("sha256");
  for (const [file, text] of sources) hash.update(file).update(text);
  for (const file of globSync(["bench/core/*.ts", "assembly/abi.ts", "test/instrument/*.ts"], {
    cwd: root,
  }).toSorted()) {
    hash.update(readFileSync(join(root, file)));
  }
  return hash.digest("hex");
}

/** The line a mutant begins in. */
export const lineOf = ({ file, line }: Mutant): string => (sources.get(file) ?? "").split("\n")[line - 1]?.trim() ?? "";

/** All of them. Those of functions that have the same name in several files, and say the same, are told apart by their order. */
export function everyMutant(): Mutant[] {
  const counts = new Map<string, number>();
  const all: Mutant[] = [];
  for (const [file, text] of sources) {
    for (const mutant of mutantsOf(file, text)) {
      const count = (counts.get(mutant.identity) ?? 0) + 1;
      counts.set(mutant.identity, count);
      all.push(count === 1 ? mutant : { ...mutant, identity: `${mutant.identity} (${count})` });
    }
  }
  return all;
}

const isNamedBy = (mutant: Mutant, { file, where, operator, from, text }: Known): boolean =>
  `/${mutant.file}`.endsWith(`/${file}`) &&
  where === mutant.where &&
  operator === mutant.operator &&
  from === mutant.from &&
  text === lineOf(mutant);

/** Why nobody can notice a mutant; undefined when somebody should. */
export const equivalentOf = (mutant: Mutant): Known | undefined =>
  equivalents.find((known) => isNamedBy(mutant, known));

/** What is known of a mutant that nobody notices though somebody could. */
export const openOf = (mutant: Mutant): Known | undefined => open.find((known) => isNamedBy(mutant, known));

const told = ({ file, where, operator, from, text }: Known): string =>
  `${file}, ${where}: ${operator}: ${from} in: ${text}`;

/** What is wrong with the lists: an entry that names no mutant, since the code it spoke of is gone, or more than it says. */
export function wrongEntries(all: readonly Mutant[]): string[] {
  const listed = [...equivalents, ...open];
  const wrong = listed.flatMap((known) => {
    const count = all.filter((mutant) => isNamedBy(mutant, known)).length;
    const times = known.times ?? 1;
    return count === times ? [] : [`an entry names ${count} mutants instead of ${times}: ${told(known)}`];
  });
  const names = listed.map(told);
  return [...wrong, ...names.filter((name, at) => names.indexOf(name) !== at).map((name) => `listed twice: ${name}`)];
}

/**
 * Takes `count` of them, as the seed says: those whose identities come first when they are stirred. So a change of the core
 * changes what is taken of the expressions and statements it changes, and nothing else.
 */
export function sampleOf(all: readonly Mutant[], count: number, seed: number): Mutant[] {
  const stirred = all.map((mutant) => {
    return { mutant, order: createHash("sha256").update(`${seed}\n${mutant.identity}`).digest("hex") };
  });
  return stirred
    .toSorted((a, b) => (a.order < b.order ? -1 : 1))
    .slice(0, count)
    .map(({ mutant }) => mutant);
}
