// The verdicts of libiscsi's test suite on a target: its output, test by test, and the table of expected verdicts.

import { readFileSync } from "node:fs";

/** `skipped` with the suite's reason: the suite has not judged anything then. */
export type Verdict = "passed" | "failed" | `skipped: ${string}`;

/** The verdict on a test, from the lines between its name and the next one. */
function verdictOf(lines: readonly string[]): Verdict {
  if (lines.some((line) => line.trimEnd().endsWith("FAILED") && !line.includes("["))) return "failed";
  const said = lines
    .map((line) => /\[SKIPPED\]\s*(.*?)\.?$/.exec(line.trimEnd())?.[1])
    .filter((text) => text !== undefined);
  const reason = said.at(-1);
  if (reason !== undefined) return `skipped: ${reason}`;
  return lines.some((line) => line.trimEnd().endsWith("passed")) ? "passed" : "failed";
}

/** Parses the suite's output: verdicts by `Suite.Test`. */
export function parseOutput(output: string): Map<string, Verdict> {
  const verdicts = new Map<string, Verdict>();
  let suite = "";
  let test = "";
  let lines: string[] = [];
  const finish = (): void => {
    if (test !== "") verdicts.set(`${suite}.${test}`, verdictOf(lines));
    test = "";
  };
  for (const line of output.split("\n")) {
    const begins = /^Suite: (\S+)/.exec(line)?.[1];
    const named = /^ {2}Test: (\S+) \.\.\.(.*)$/.exec(line);
    if (begins !== undefined || named !== null || line.startsWith("Run Summary")) finish();
    if (begins !== undefined) suite = begins;
    if (named !== null) [test, lines] = [named[1] ?? "", [named[2] ?? ""]];
    else lines.push(line);
  }
  finish();
  return verdicts;
}

/** The table beside this file: a name and a verdict per line; empty lines and lines with # are ignored. */
export function expectedVerdicts(): Map<string, string> {
  const text = readFileSync(new URL("expected-verdicts.txt", import.meta.url), "utf8");
  const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(lines.map((line) => [line.slice(0, line.indexOf(" ")), line.slice(line.indexOf(" ")).trim()]));
}

/** The differences, one sentence each. */
export function differences(found: ReadonlyMap<string, string>, expected: ReadonlyMap<string, string>): string[] {
  const names = [...new Set([...expected.keys(), ...found.keys()])];
  return names
    .filter((name) => found.get(name) !== expected.get(name))
    .map((name) => `${name}: ${found.get(name) ?? "did not run"}, expected: ${expected.get(name) ?? "nothing"}`);
}
