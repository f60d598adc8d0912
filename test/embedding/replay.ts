// npm run replay:embedding -- [--worlds N] [--first S] [--tests] [--targets NAME,...] [--record FILE]
//
// Records worlds (default: 1000 from seed 1) and the core's unit tests, and plays each recording to each build of the embedding
// kit: every answer has to be the same, byte by byte. A difference is told with its call. --record keeps what was recorded in
// a file, for compilers and machines that are not here: `replay FILE` of the tarball plays it. Ends with status 1 when one differs.

import { spawn } from "node:child_process";
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { buildKit, forEach } from "../../host/embedding/build.ts";
import { TARGETS, targetsNamed, type Target } from "../../host/embedding/targets.ts";
import { RecordingFile, recordTests, recordWorld } from "./record.ts";

const output = join(import.meta.dirname, "..", "..", "build", "embedding");
/** Recordings are played when they are so many bytes. */
const BATCH_BYTES = 256 << 20;

interface Played {
  readonly target: string;
  readonly ok: boolean;
  readonly said: string;
}

/** Plays a file to one build. */
export function play(target: Target, folder: string, file: string): Promise<Played> {
  const [command = "", ...args] = [...target.runner, join(folder, target.name, "replay"), file];
  return new Promise((resolve) => {
    const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] });
    let said = "";
    const hear = (bytes: Buffer): void => void (said += bytes.toString());
    child.stdout.on("data", hear);
    child.stderr.on("data", hear);
    child.on("error", (error) => resolve({ target: target.name, ok: false, said: error.message }));
    child.on("close", (status) => resolve({ target: target.name, ok: status === 0, said: said.trim() }));
  });
}

/** Plays a file to all builds. */
export async function playAll(targets: readonly Target[], folder: string, file: string): Promise<Played[]> {
  const played: Played[] = [];
  await forEach(targets, async (target) => void played.push(await play(target, folder, file)));
  return played;
}

class Batches {
  readonly #targets: readonly Target[];
  readonly #keep: string | undefined;
  #file: RecordingFile;
  #number = 0;
  bytes = 0;
  instances = 0;
  differences = 0;

  constructor(targets: readonly Target[], keep: string | undefined) {
    this.#targets = targets;
    this.#keep = keep;
    this.#file = this.#next();
  }

  get file(): RecordingFile {
    return this.#file;
  }

  #next(): RecordingFile {
    const folder = join(output, "recordings");
    mkdirSync(folder, { recursive: true });
    return new RecordingFile(this.#keep ?? join(folder, `batch-${++this.#number}.replay`));
  }

  async step(what: string): Promise<void> {
    if (this.#keep === undefined && this.#file.bytes > BATCH_BYTES) await this.end(what);
  }

  /** Plays what there is. */
  async end(what: string): Promise<void> {
    this.#file.flush();
    for (const { target, ok, said } of await playAll(this.#targets, output, this.#file.path)) {
      if (!ok) this.differences++;
      if (!ok) console.error(`${target}: differs in ${what}: ${said}`);
      else console.log(`${target}: ${what}: ${said}`);
    }
    this.bytes += this.#file.bytes;
    this.instances += this.#file.instances;
    if (this.#keep !== undefined) return;
    rmSync(this.#file.path);
    this.#file = this.#next();
  }
}

function whole(name: string, text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= 0) return value;
  throw new Error(`--${name}: "${text}" is not a whole number`);
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      worlds: { type: "string", default: "1000" },
      first: { type: "string", default: "1" },
      tests: { type: "boolean", default: false },
      targets: { type: "string" },
      record: { type: "string" },
    },
  });
  const worlds = whole("worlds", values.worlds);
  const first = whole("first", values.first);
  const targets = values.targets === undefined ? TARGETS : targetsNamed(values.targets.split(","));
  await buildKit(output, targets);
  const batches = new Batches(targets, values.record);
  const began = performance.now();
  let since = first;
  for (let seed = first; seed < first + worlds; seed++) {
    await recordWorld(seed, batches.file);
    const before = batches.instances;
    await batches.step(`worlds ${since} to ${seed}`);
    if (batches.instances !== before) since = seed + 1;
  }
  if (worlds > 0 && batches.file.instances > 0) await batches.end(`worlds ${since} to ${first + worlds - 1}`);
  if (values.tests || values.worlds === "1000") {
    const { tests, failed } = await recordTests(batches.file);
    for (const failure of failed) console.error(failure);
    if (failed.length > 0) process.exitCode = 1;
    await batches.end(`${tests} unit tests`);
  }
  const seconds = ((performance.now() - began) / 1000).toFixed(0);
  console.log(`${batches.instances} instances, ${batches.bytes} bytes, ${targets.length} builds, ${seconds} s`);
  console.log(`${batches.differences === 0 ? "all alike" : `${batches.differences} differences`}`);
  if (batches.differences > 0) process.exitCode = 1;
}

if (import.meta.main) {
  try {
    await main();
  } catch (error) {
    console.error(`replay:embedding: ${error instanceof Error ? error.message : String(error)}`);
    process.exitCode = 1;
  }
}
