// npm run soak -- [--minutes M] [--seed S]
//
// Runs a daemon of its own on the emulated array for M minutes (default 20) under mixed load, faults, changes of settings and
// rude clients, all at once, and looks whether it keeps what it needs: memory, descriptors, threads and state must not grow
// from the second quarter of the time to the last, nothing may be read that was not written, and no client may see an
// error, since at least one path of each unit is spared. Ends with status 1 when one of this does not hold.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { TestDaemon } from "../unit/control/fixtures/daemon.ts";
import { spawnDaemon } from "../unit/control/fixtures/process.ts";
import { Load } from "./load.ts";
import { Meter } from "./meter.ts";
import { changeSettings, raiseFaults, visitRudely } from "./weather.ts";

const UNITS = 4;
const CLIENTS = 8;
const CONFIGURATION = `
policy = 'adaptive'
patrol = { interval_s = 2, threshold_s = 2, timeout_s = 2 }
[array]
units = ${UNITS}
paths = 4
unit_mib = 64
write_cache = true
[limits]
connections = 64
requests = 256
commands = 512
pool_mib = 64
`;

function whole(name: string, text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= 1) return value;
  console.error(`soak: --${name}: "${text}" is not a whole number from 1 on`);
  process.exit(2);
}

const { values } = parseArgs({
  options: { minutes: { type: "string", default: "20" }, seed: { type: "string", default: "1" } },
});
const minutes = whole("minutes", values.minutes);
const seed = whole("seed", values.seed);

const folder = mkdtempSync(join(tmpdir(), "pathmanager-soak-"));
TestDaemon.configure(folder, CONFIGURATION);
const daemon = await spawnDaemon(folder, [], "ignore");
process.on("exit", () => daemon.kill("SIGKILL"));
const stop = new AbortController();
for (const name of ["SIGINT", "SIGTERM"] as const) process.on(name, () => stop.abort());
daemon.once("exit", (status) => {
  if (!stop.signal.aborted) console.error(`soak: the daemon ended with status ${status}`);
  stop.abort();
});

const places = { folder, seed, signal: stop.signal };
const loads = Array.from({ length: CLIENTS }, (_, index) => new Load(places, index, UNITS));
const meter = new Meter(daemon.pid ?? 0, folder);
const end = setTimeout(() => stop.abort(), minutes * 60_000);
const work = Promise.all([
  ...loads.map((load) => load.run()),
  raiseFaults(places, UNITS),
  changeSettings(places, UNITS),
  visitRudely(places),
  meter.run(stop.signal, (line) => console.log(`${line}, ${loads.reduce((sum, { ios }) => sum + ios, 0)} steps`)),
]);
await work;
clearTimeout(end);

const problems = [...loads.flatMap(({ problems: found }) => found), ...meter.problems()];
if (daemon.exitCode !== null) problems.push(`the daemon ended with status ${daemon.exitCode}`);
for (const problem of problems.slice(0, 20)) console.error(`soak: ${problem}`);
const ios = loads.reduce((sum, load) => sum + load.ios, 0);
console.log(
  `${minutes} minutes, seed ${seed}: ${ios} steps of ${CLIENTS} clients, ${problems.length} problems; ${meter.summary()}`,
);
daemon.removeAllListeners("exit");
daemon.kill("SIGTERM");
await new Promise((resolve) => daemon.once("exit", resolve));
rmSync(folder, { recursive: true, force: true });
process.exit(problems.length === 0 ? 0 : 1);
