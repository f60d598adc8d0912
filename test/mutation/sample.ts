// Which mutants there are, which of them are known to be noticed by nobody, and which are taken.

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { coreFiles } from "../instrument/places.ts";
import { equivalents, type Known } from "./equivalents.ts";
import { open } from "./open.ts";
import { mutantsOf, type Mutant } from "./operators.ts";

const root = join(import.meta.dirname, "..", "..");

const sources = new Map(coreFiles().map((file) => [file, readFileSync(join(root, file), "utf8")]));

/** The line a mutant begins in. */
export const lineOf = ({ file, line }: Mutant): string => (sources.get(file) ?? "").split("\n")[line - 1]?.trim() ?? "";

export const everyMutant = (): Mutant[] => [...sources].flatMap(([file, text]) => mutantsOf(file, text));

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

/** Entries of the lists that name no mutant: the code they spoke of is gone. */
export const unknownEntries = (all: readonly Mutant[]): Known[] =>
  [...equivalents, ...open].filter((known) => !all.some((mutant) => isNamedBy(mutant, known)));

/** What a mutant is called, wherever it stands by now; `text` is its line. */
export const nameOf = ({ file, where, operator, from, to }: Mutant, text: string): string =>
  [basename(file), where, operator, from, to, text].join("\n");

/**
 * Takes `count` of them, as the seed says: those whose names come first when they are stirred. So a change of the core changes
 * what is taken of the functions it changes, and nothing else.
 */
export function sampleOf(all: readonly Mutant[], count: number, seed: number): Mutant[] {
  const stirred = all.map((mutant) => {
    return {
      mutant,
      order: createHash("sha256")
        .update(`${seed}\n${nameOf(mutant, lineOf(mutant))}`)
        .digest("hex"),
    };
  });
  return stirred
    .toSorted((a, b) => (a.order < b.order ? -1 : 1))
    .slice(0, count)
    .map(({ mutant }) => mutant);
}
