// A request takes the steps that docs/architecture.md draws (host/build/request-life.ts), and no others: worlds run with a core that
// notes which place takes a request from which state to which. Worlds lack one step, which a client of its own takes.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { ASSIGNMENT, LIFE, places } from "../../../host/build/request-life.ts";
import { compile, modules } from "../../instrument/compile.ts";
import { World } from "../../simulation/world.ts";
import { Host } from "../core/fixtures/harness.ts";
import { WRITE, request } from "../core/fixtures/nbd-client.ts";

const root = join(import.meta.dirname, "..", "..", "..");
const RECORDS = "assembly/memory/records.ts";
const INDEX = "assembly/index.ts";
const STATES = 16;

const read = (file: string): string => readFileSync(join(root, file), "utf8");
const found = places();

/** The core's sources with a note at each change of a request's state: a byte for each place, former and new state. */
function noting(): Map<string, string> {
  const bytes = found.length * STATES * STATES;
  const sources = new Map<string, string>();
  let place = 0;
  for (const file of new Set(found.map((one) => one.file))) {
    const woven = read(file).replaceAll(ASSIGNMENT, (assignment) => {
      const value = assignment.replace("request.state = ", "").replace(";", "");
      return `lifeNote(${place++}, request, ${value}); ${assignment}`;
    });
    const up = "../".repeat(file.split("/").length - 2);
    sources.set(file, `import { lifeNote } from "${up}memory/records";\n${woven}`);
  }
  sources.set(
    RECORDS,
    `${read(RECORDS)}
const life: usize = memory.data(${bytes}, 8);
export function lifeAt(): usize { return life; }
export function lifeNote(place: u32, request: Request, to: u8): void {
  store<u8>(life + (<usize>place * ${STATES} + <usize>request.state) * ${STATES} + <usize>to, 1);
}
`,
  );
  sources.set(INDEX, `${read(INDEX)}\nexport { lifeAt } from "./memory/records";\n`);
  return sources;
}

/** The names of the states, by number. */
const names = new Map(
  [...read(RECORDS).matchAll(/export const REQUEST_([A-Z]+): u8 = (\d+);/g)].map(([, name = "", number]) => [
    Number(number),
    name,
  ]),
);

const WORLDS = 20;

test.serial("worlds take each step of a request's life, and no other", async (t) => {
  const [core] = modules;
  if (core === undefined) throw new Error("there is no core to compile");
  const { wasm, complaints } = await compile(core, noting(), 1);
  if (wasm === null) throw new Error(complaints[0]?.message);
  const module = new WebAssembly.Module(new Uint8Array(wasm));
  const instances: WebAssembly.Instance[] = [];
  const { Instance } = WebAssembly;
  // Whoever makes an instance of the core gets one that notes.
  WebAssembly.Instance = class extends Instance {
    constructor(_: WebAssembly.Module, imports: Record<string, Record<string, unknown>>) {
      super(module, imports);
      instances.push(this);
    }
  };
  t.teardown(() => {
    WebAssembly.Instance = Instance;
  });
  const seen = new Set<string>();
  const noteAll = (): void => {
    for (const { exports } of instances.splice(0)) note(exports as unknown as Noted, seen);
  };
  for (let seed = 1; seed <= WORLDS; seed++) {
    t.deepEqual(new World(seed, module).run().violations, [], `seed ${seed}`);
    noteAll();
  }
  hangUpInPayload();
  noteAll();
  const steps = LIFE.map(({ from, to, file, by }) => `${from} ${to} ${file} ${by}`);
  t.deepEqual([...seen].toSorted(), steps.toSorted());
});

/** No client of a world does that. A smaller payload would wait in the receive buffer, without a request. */
function hangUpInPayload(): void {
  const host = new Host({ connections: 1 });
  const { unit } = host.unit();
  const client = host.connect(unit);
  client.send(Buffer.concat([request(WRITE, 1n, 0n, 65_536), Buffer.alloc(1000)]));
  host.settle();
  host.must(host.core.connectionClose(client.handle));
  host.settle();
}

interface Noted {
  readonly memory: WebAssembly.Memory;
  lifeAt(): number;
}

function note({ memory, lifeAt }: Noted, seen: Set<string>): void {
  const life = new Uint8Array(memory.buffer, lifeAt(), found.length * STATES * STATES);
  for (const [at, byte] of life.entries()) {
    if (byte === 0) continue;
    const { file, by } = found[Math.floor(at / STATES / STATES)] ?? { file: "", by: "" };
    seen.add(`${names.get(Math.floor(at / STATES) % STATES)} ${names.get(at % STATES)} ${file} ${by}`);
  }
}
