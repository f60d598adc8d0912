// npm run coverage -- [--seeds N] [--first S] [--workers N] [--json FILE]
//
// Which lines, branches and rows of the table of outcomes the core's unit tests and N worlds come to, and which cells of path
// state x event x outcome; the worlds alone, and both together. A branch is one outcome of one condition, also within && and ||.
// Ends with status 1 when a branch that nobody comes to is not listed in unreached.ts, or one that is listed is reached.

import { writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { reachOnce, type Reached } from "../instrument/reach.ts";
import { Runner } from "../instrument/run.ts";
import { judgeUnreached, measure, rowOf, union } from "./measure.ts";

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "1000" },
    first: { type: "string", default: "1" },
    workers: { type: "string", default: String(availableParallelism()) },
    json: { type: "string" },
  },
});

function whole(name: string, text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= 1) return value;
  console.error(`coverage: --${name}: "${text}" is not a whole number from 1 on`);
  process.exit(2);
}

function print(reached: Reached): void {
  const worlds = union(reached, ({ piece }) => "seed" in piece);
  const tests = union(reached, ({ piece }) => "test" in piece);
  const both = union(reached, () => true);
  const files = [...new Set(reached.places.map(({ file }) => file))];
  console.log("| file | lines, worlds | branches, worlds | lines, all | branches, all |");
  console.log("| --- | --: | --: | --: | --: |");
  for (const file of [...files, null]) {
    const [some, all] = [measure(reached, worlds, file), measure(reached, both, file)];
    console.log(
      `| ${[file === null ? "all" : `\`${file}\``, rowOf(some.lines), rowOf(some.branches), rowOf(all.lines), rowOf(all.branches)].join(" | ")} |`,
    );
  }
  for (const [name, seen] of [
    ["worlds", worlds],
    ["unit tests", tests],
    ["both", both],
  ] as const) {
    const { rows, cells } = measure(reached, seen, null);
    console.log(
      `${name}: rows of the table of outcomes ${rowOf(rows)}, cells of state x event x outcome ${cells.reached}`,
    );
  }
}

const began = performance.now();
const runners = Array.from({ length: whole("workers", values.workers) }, () => new Runner());
const reached = await reachOnce(runners, { seeds: whole("seeds", values.seeds), first: whole("first", values.first) });
for (const runner of runners) runner.end();
print(reached);
const both = union(reached, () => true);
const worlds = union(reached, ({ piece }) => "seed" in piece);
const complaints = judgeUnreached(reached, both);
for (const complaint of complaints) console.error(`coverage: ${complaint}`);
if (values.json !== undefined) {
  const missed = reached.places.filter(
    (_, index) => worlds[index] === 0 && reached.places[index]?.kind !== "statement",
  );
  writeFileSync(values.json, JSON.stringify(missed, undefined, 1));
}
console.log(`${reached.reaches.length} tests and worlds, ${Math.round((performance.now() - began) / 1000)} s`);
process.exit(complaints.length > 0 ? 1 : 0);
