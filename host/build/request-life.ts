// A request's life as docs/architecture.md draws it: which function of which room takes a request from one state to the next.
//
//   node host/build/request-life.ts            exits with status 1 if the document shows another life, or the core has another step
//   node host/build/request-life.ts --write    draws it anew
//
// Lint compares the steps with every place in the core that changes a request's state. test/unit/simulation/request-life.test.ts runs
// worlds with a core that notes each change: together they take these steps and no others.

import { globSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { roomOf } from "./rooms.ts";

const root = join(import.meta.dirname, "..", "..");
const PAGE = "docs/architecture.md";
const BEGIN = "<!-- life: drawn by host/build/request-life.ts -->";
const END = "<!-- life end -->";

/** The function `by` in `file` takes a request from one state to another (REQUEST_* of assembly/memory/records.ts). */
export interface Step {
  readonly from: string;
  readonly to: string;
  readonly file: string;
  readonly by: string;
}

const step = (from: string, to: string, file: string, by: string): Step => ({ from, to, file: `assembly/${file}`, by });

export const LIFE: readonly Step[] = [
  step("FREE", "RECEIVING", "request/pool.ts", "requestTake"),
  step("RECEIVING", "QUEUED", "request/queue.ts", "requestQueue"),
  step("RECEIVING", "FLIGHT", "request/request.ts", "requestAccept"),
  step("QUEUED", "LINED", "request/flows.ts", "flowEnter"),
  step("QUEUED", "HELD", "request/queue.ts", "requestUnqueue"),
  step("LINED", "HELD", "request/queue.ts", "requestUnqueue"),
  step("HELD", "QUEUED", "request/queue.ts", "requestQueue"),
  step("QUEUED", "FLIGHT", "request/queue.ts", "requestUnqueue"),
  step("LINED", "FLIGHT", "request/queue.ts", "requestUnqueue"),
  step("HELD", "FLIGHT", "request/request.ts", "stopCutting"),
  step("FLIGHT", "QUEUED", "request/queue.ts", "requestQueue"),
  step("FLIGHT", "READY", "request/request.ts", "requestAnswer"),
  step("READY", "SENDING", "frontend/nbd/reply.ts", "gatherReplies"),
  step("READY", "SENDING", "frontend/block/answers.ts", "answer"),
  step("SENDING", "OVER", "request/pool.ts", "requestLeft"),
  step("READY", "OVER", "request/pool.ts", "requestLeft"),
  step("RECEIVING", "OVER", "request/pool.ts", "requestLeft"),
  step("OVER", "FREE", "request/pool.ts", "requestFreeIfOver"),
];

/** A place that changes the state of a request; without `to` the state is a parameter. */
export interface Place {
  readonly file: string;
  readonly by: string;
  readonly to: string | undefined;
}

export const ASSIGNMENT = /\brequest\.state = (?:REQUEST_([A-Z]+)|state);/g;

/** Every place of the core that changes the state of a request. */
export function places(): Place[] {
  return globSync("assembly/**/*.ts", { cwd: root })
    .toSorted()
    .flatMap((file) => {
      const text = readFileSync(join(root, file), "utf8");
      return [...text.matchAll(ASSIGNMENT)].map((match): Place => {
        const functions = [...text.slice(0, match.index).matchAll(/^(?:export )?function (\w+)/gm)];
        return { file, by: functions.at(-1)?.[1] ?? "", to: match[1] };
      });
    });
}

const takes = ({ file, by, to }: Place, other: Step): boolean =>
  file === other.file && by === other.by && (to === undefined || to === other.to);

/** What is wrong, one line each: a place that takes no step, and a step that no place takes. */
function wrong(): string[] {
  const found = places();
  return [
    ...found
      .filter((place) => !LIFE.some((one) => takes(place, one)))
      .map(({ file, by, to }) => `${by} in ${file} makes a request ${to ?? "something"}, and LIFE has no such step`),
    ...LIFE.filter((one) => !found.some((place) => takes(place, one))).map(
      ({ from, to, file, by }) => `no place in ${file} takes the step of LIFE from ${from} to ${to} (${by})`,
    ),
  ];
}

/** What records.ts says of each state. */
function meanings(): [name: string, meaning: string][] {
  const text = readFileSync(join(root, "assembly/memory/records.ts"), "utf8");
  return [...text.matchAll(/\/\*\* (.+) \*\/\nexport const REQUEST_([A-Z]+): u8 = /g)].map((match) => [
    match[2] ?? "",
    match[1] ?? "",
  ]);
}

function picture(): string {
  const steps = LIFE.map(({ from, to, file, by }) => `  ${from} --> ${to}: ${by} (${roomOf(file)})`);
  return ["```mermaid", "stateDiagram-v2", "  [*] --> FREE", ...steps, "```"].join("\n");
}

function table(): string {
  const rows = meanings().map(([name, meaning]) => [`\`${name}\``, meaning.replace(/\.$/, "")]);
  const [first = 0, second = 0] = [0, 1].map((at) => Math.max(...rows.map((row) => row[at]?.length ?? 0)));
  const line = (a: string, b: string): string => `| ${a.padEnd(first)} | ${b.padEnd(second)} |`;
  const lines = rows.map(([a = "", b = ""]) => line(a, b));
  return [line("state", "meaning"), line("-".repeat(first), "-".repeat(second)), ...lines].join("\n");
}

function main(): number {
  const lines = wrong();
  const path = join(root, PAGE);
  const text = readFileSync(path, "utf8");
  const [before = "", rest = ""] = text.split(BEGIN);
  const [, after] = rest.split(END);
  if (after === undefined) lines.push(`${PAGE} has no place for a request's life ("${BEGIN}" ... "${END}")`);
  else {
    const drawn = `${before}${BEGIN}\n\n${picture()}\n\n${table()}\n\n${END}${after}`;
    if (process.argv.includes("--write")) writeFileSync(path, drawn);
    else if (drawn !== text) lines.push(`${PAGE} shows another life of a request (npm run generate draws it)`);
  }
  for (const line of lines) console.error(`request's life: ${line}`);
  return lines.length === 0 ? 0 : 1;
}

if (process.argv[1] === import.meta.filename) process.exitCode = main();
