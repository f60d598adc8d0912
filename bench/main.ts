// Runs the benches.
//
//   npm run bench -- SUITE [--json]     one suite: a table, or with --json one object
//   npm run bench -- all [--json]       every suite, one after the other, and a report
//
// A suite is a file `bench/SUITE.ts` that exports a function of its own name: it gets a function for lines of progress and
// answers rows. Results also go to bench/results as Markdown and SVG.

import { textTable, writeResults, type Row, type SuiteResult } from "./report.ts";

const SUITES = [
  "dispatch",
  "selection",
  "balance",
  "blockdev",
  "device",
  "contended",
  "scale",
  "tls",
  "start",
  "show",
  "scrape",
] as const;

type Suite = (log: (line: string) => void) => readonly Row[] | Promise<readonly Row[]>;

async function load(name: string): Promise<Suite> {
  const module: Record<string, unknown> = await import(`./${name}.ts`);
  const suite = module[name];
  if (typeof suite !== "function") throw new Error(`bench/${name}.ts exports no function "${name}"`);
  return suite as Suite;
}

function usage(problem: string): never {
  console.error(`bench: ${problem}\nusage: npm run bench -- ${SUITES.join("|")}|all [--json]`);
  process.exit(2);
}

async function main(args: readonly string[]): Promise<void> {
  const json = args.includes("--json");
  const names = args.filter((arg) => arg !== "--json");
  const [wanted] = names;
  if (wanted === undefined || names.length > 1) usage("name one suite");
  const chosen: readonly string[] = wanted === "all" ? SUITES : SUITES.filter((suite) => suite === wanted);
  if (chosen.length === 0) usage(`there is no suite "${wanted}"`);
  const results: SuiteResult[] = [];
  for (const suite of chosen) {
    const run = await load(suite);
    results.push({ suite, rows: await run((line) => console.error(`bench ${suite}: ${line}`)) });
  }
  const report = writeResults(results, `npm run bench -- ${wanted}`);
  if (json) console.log(JSON.stringify(wanted === "all" ? results : results[0]));
  else for (const { suite, rows } of results) console.log(`${suite}\n\n${textTable(rows)}\n`);
  console.error(`bench: written to ${report}`);
}

await main(process.argv.slice(2));
