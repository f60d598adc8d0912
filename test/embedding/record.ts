// Records what unit tests and worlds do to the core, in this process: whoever makes an instance of build/core.wasm gets one
// that is listened to.

import { appendFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readExports } from "../../host/build/core-exports.ts";
import { replayTable } from "../../host/embedding/glue.ts";
import { failureOf, loadTests } from "../instrument/unit-tests.ts";
import { World } from "../simulation/world.ts";
import { Recording, recordingHeader, type Place } from "./recording.ts";

const root = join(import.meta.dirname, "..", "..");
const wasm = readFileSync(join(root, "build", "core.wasm"));
const rows = replayTable(readExports());
/** Finished recordings that wait in memory are written when they are so many bytes. */
const KEPT_BYTES_MAX = 64 << 20;

type Imports = Record<string, Record<string, (...values: number[]) => unknown>>;
type CoreExports = ConstructorParameters<typeof Recording>[0];

/** Instances that are recorded now; null: none is. */
let live: Recording[] | null = null;
const { Instance, Module } = WebAssembly;
const recorded = new WeakSet<WebAssembly.Module>();

class NotedModule extends (Module as unknown as new (bytes: Uint8Array) => WebAssembly.Module) {
  constructor(bytes: Uint8Array) {
    super(bytes);
    if (wasm.equals(bytes)) recorded.add(this);
  }
}

class RecordedInstance extends Instance {
  declare readonly exports: Record<string, unknown>;

  constructor(module: WebAssembly.Module, imports: Imports) {
    const place: Place = { line: 0, column: 0 };
    const abort = imports["env"]?.["abort"];
    const noted = (...values: number[]): unknown => {
      [place.line, place.column] = [values[2] ?? 0, values[3] ?? 0];
      return abort?.(...values);
    };
    super(module, { ...imports, env: { ...imports["env"], abort: noted } });
    if (live === null || !recorded.has(module)) return;
    const recording = new Recording(this.exports as unknown as CoreExports, rows, place);
    live.push(recording);
    Object.defineProperty(this, "exports", { value: recording.exports });
  }
}

function install(): void {
  Object.assign(NotedModule, { imports: Module.imports, exports: Module.exports });
  Object.assign(WebAssembly, { Module: NotedModule, Instance: RecordedInstance });
}

install();

/** A file of recordings that grows. */
export class RecordingFile {
  readonly path: string;
  #parts: Buffer[] = [];
  #kept = 0;
  bytes = 0;
  instances = 0;

  constructor(path: string) {
    this.path = path;
    writeFileSync(path, recordingHeader(rows));
  }

  add(recordings: readonly Recording[]): void {
    for (const recording of recordings) {
      for (const bytes of recording.finish()) {
        this.#parts.push(bytes);
        this.#kept += bytes.length;
        this.bytes += bytes.length;
        if (this.#kept > KEPT_BYTES_MAX) this.flush();
      }
      this.instances++;
    }
  }

  flush(): void {
    for (const part of this.#parts.splice(0)) appendFileSync(this.path, part);
    this.#kept = 0;
  }
}

async function whileRecorded(body: () => void | Promise<void>): Promise<Recording[]> {
  const recordings: Recording[] = [];
  live = recordings;
  try {
    await body();
  } finally {
    live = null;
  }
  return recordings;
}

let core: WebAssembly.Module | undefined;

/** Records one world. @throws Error when the world fails */
export async function recordWorld(seed: number, file: RecordingFile): Promise<void> {
  core ??= new WebAssembly.Module(wasm);
  const module = core;
  const recordings = await whileRecorded(() => {
    const { violations } = new World(seed, module).run();
    if (violations.length > 0) throw new Error(`seed ${seed} fails: ${violations[0]}`);
  });
  file.add(recordings);
}

/** Records the core's unit tests. Answers how many, and which failed. */
export async function recordTests(
  file: RecordingFile,
  wanted: (name: string) => boolean = () => true,
  begins: (name: string) => void = () => undefined,
): Promise<{ readonly tests: number; readonly failed: readonly string[] }> {
  const all = (await loadTests()).filter((one) => wanted(`${one.file}: ${one.test.title}`));
  const failed: string[] = [];
  for (const { file: where, test } of all) {
    let failure: string | null = null;
    begins(`${where}: ${test.title}`);
    file.add(
      await whileRecorded(async () => {
        failure = await failureOf(test);
      }),
    );
    if (failure !== null) failed.push(`${where}: ${test.title}: ${String(failure)}`);
  }
  return { tests: all.length, failed };
}
