// One target, for so many milliseconds, loading included: worker.ts TARGET MS SEED [keep]. All that is kept runs in any case.

import { found, keep, keepFailure, kept } from "./corpus.ts";
import { Engine, Failure } from "./engine.ts";
import { instrumentModules, words } from "./instrument.ts";
import { Random, seedOf } from "./random.ts";
import { TARGETS } from "./targets.ts";

const RESIDENT_MIB_MAX = 512;

const [name = "", ms = "1000", seed = "1", mode] = process.argv.slice(2);
const kind = TARGETS[name];
if (kind === undefined) throw new Error(`there is no target ${name}`);
instrumentModules((path) => kind.code.some((part) => path.includes(`/${part}`)));
const target = await kind.make();

const asBytes = (word: string | Uint8Array): Uint8Array => (typeof word === "string" ? Buffer.from(word) : word);
const engine = new Engine(
  target,
  new Random(seedOf(name) ^ Number(seed)),
  [...words, ...(target.words ?? [])].map(asBytes),
);

const residentMib = (): number => process.memoryUsage.rss() >> 20;

async function fuzz(): Promise<void> {
  for (const input of [...kept(name), ...found(name).map(([, bytes]) => bytes), ...target.seeds])
    await engine.run(input);
  const before = residentMib();
  while (performance.now() < Number(ms)) {
    for (let i = 0; i < 32; i++) await engine.turn();
    const grown = residentMib() - before;
    if (grown > RESIDENT_MIB_MAX) throw new Error(`memory grew by ${grown} MiB in ${engine.runs} runs`);
  }
}

try {
  await fuzz();
  if (mode === "keep") keep(name, engine.minimal());
  console.log(`fuzz: ${name}: ${engine.runs} inputs, ${engine.count} kept, ${engine.branches} branches`);
} catch (error) {
  if (!(error instanceof Failure)) throw error;
  const smallest = await engine.smaller(error);
  const file = keepFailure(name, smallest.input);
  console.error(`fuzz: ${name}: ${smallest.message}`);
  console.error(
    `fuzz: ${name}: ${smallest.input.length} bytes, kept as ${file}: ${Buffer.from(smallest.input.subarray(0, 200)).toString("hex")}`,
  );
  process.exitCode = 1;
} finally {
  await target.end?.();
}
