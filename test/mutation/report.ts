// What is told of the mutants that were judged.

import type { Verdict } from "./judge.ts";
import type { Mutant } from "./operators.ts";

export interface Result {
  readonly mutant: Mutant;
  /** The line it stands in. */
  readonly text: string;
  readonly verdict: Verdict | { readonly kind: "equivalent" | "open"; readonly why: string };
  /** A digest of the tests that were asked. */
  readonly tests: string;
}

const KINDS = ["unit tests", "simulation", "survived", "unreached", "open", "equivalent", "same", "invalid"] as const;

/** A line for a mutant; of a survivor also where it stands, as the list of equivalents would name it. */
export function tell({ mutant, text, verdict }: Result): void {
  const { file, line, where, operator, from, to } = mutant;
  const how = "how" in verdict ? `: ${verdict.how}` : "why" in verdict ? `: ${verdict.why}` : "";
  console.log(`${verdict.kind.padEnd(10)} ${file}:${line} ${where}: ${operator}: ${from} -> ${to || "nothing"}${how}`);
  if (verdict.kind !== "survived" && verdict.kind !== "unreached") return;
  console.log(`  ${JSON.stringify({ file: file.replace("assembly/", ""), where, operator, from, text })}`);
}

const of = (results: readonly Result[], ...kinds: readonly Result["verdict"]["kind"][]): number =>
  results.filter(({ verdict }) => kinds.includes(verdict.kind)).length;

/** How many of those that are mistakes were noticed, in percent; null when none is one. */
export function scoreOf(results: readonly Result[]): number | null {
  const noticed = of(results, "unit tests", "simulation");
  const all = noticed + of(results, "survived", "unreached", "open");
  return all === 0 ? null : (100 * noticed) / all;
}

/** A row per file and one for all: who noticed how many. The score leaves out what is no mistake. */
export function table(results: readonly Result[]): string {
  const row = (name: string, some: readonly Result[]): string => {
    const score = scoreOf(some);
    const counts = KINDS.map((kind) => of(some, kind));
    return `| ${[name, ...counts, score === null ? "" : `${score.toFixed(0)} %`].join(" | ")} |`;
  };
  const byFile = Map.groupBy(results, ({ mutant }) => mutant.file);
  return [
    `| file | ${KINDS.join(" | ")} | noticed |`,
    `| --- | ${KINDS.map(() => "--:").join(" | ")} | --: |`,
    ...[...byFile].toSorted(([a], [b]) => a.localeCompare(b)).map(([file, some]) => row(`\`${file}\``, some)),
    row("all", results),
  ].join("\n");
}

/** Whether something was not noticed that should have been. */
export const hasSurvivor = (results: readonly Result[]): boolean => of(results, "survived", "unreached") > 0;
