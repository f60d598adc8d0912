// A module that holds many mutants as choices does what each of them does when it is compiled alone; one that counts does what
// the source does, and says where it was.

import test from "ava";
import { RUNTIME_FILE, compile, type Module } from "../../instrument/compile.ts";
import { markText } from "../../instrument/places.ts";
import { countingSource, runtimeSource, type InstrumentExports } from "../../instrument/runtime.ts";
import { compileSwitches } from "../../instrument/switches.ts";
import { mutantsOf, mutated } from "../../mutation/operators.ts";

const FILE = "assembly/sample-of-a-test.ts";
const TARGET: Module = { built: "sample.wasm", entry: FILE, start: "start" };
const SOURCE = `
const LIMIT: u32 = 7;
let sum: u32 = 0;

function note(place: u32, value: u32): void {
  sum += place * 3 + value;
}

function done(): void {
  sum ^= 5;
}

export function step(a: u32, b: u32): u32 {
  sum = 0;
  if (a === 3) return 40;
  else if (b === 3) note(a, b);
  else done();
  let c = <u16>(a * b);
  for (let i: u32 = 0; i < b; i++) {
    if (i > LIMIT && c !== 0) break;
    if (i === 2) continue;
    note(i, max<u32>(c, b));
  }
  while (c > 300 || (c & 1) !== 0) c = c / 2;
  return finish(a > b ? <u8>c : a, b);
}

function finish(value: u32, b: u32): u32 {
  if (b === 9) return note2(value, b);
  do b += 2;
  while (b < 6);
  return value + sum + b;
}

function note2(value: u32, b: u32): u32 {
  note(value, b);
  return sum + inside(value);
}

@unmanaged
class Box {
  value: u32;
}

const box = changetype<Box>(memory.data(8, 8));

function boxed(value: u32): Box | null {
  return value > 4 ? box : null;
}

function inside(value: u32): u32 {
  const found = boxed(value);
  if (found === null) return 3;
  found.value = value;
  return found.value;
}
`;
/** Mutants of each operator that are compiled alone. */
const COMPARED = 2;
const INPUTS = [0, 1, 2, 3, 5, 9, 300, 65535, 65536];

interface Sample extends InstrumentExports {
  step(a: number, b: number): number;
}

function outOfSteps(): never {
  throw new Error("too many steps");
}

function instantiate(wasm: Uint8Array): Sample {
  const env = { abort: () => undefined, outOfSteps };
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(wasm), { env });
  return exports as unknown as Sample;
}

/** What it answers to all inputs; null when it traps. */
function behaviour({ step }: Sample): string | null {
  try {
    return INPUTS.flatMap((a) => INPUTS.map((b) => step(a, Math.min(b, 12)) >>> 0)).join(" ");
  } catch {
    return null;
  }
}

test("each choice is the mutant it stands for, and none of them is the source", async (t) => {
  const mutants = mutantsOf(FILE, SOURCE);
  const batch = await compileSwitches(mutants, [TARGET], () => SOURCE);
  const wasm = batch.modules.get(TARGET.built);
  if (wasm === undefined) return t.fail("it does not compile");
  t.true(batch.left.length < mutants.length / 20, `${batch.left.length} of ${mutants.length} are left`);
  const alone = async (text: string): Promise<string | null> => {
    const { wasm: own } = await compile(TARGET, new Map([[FILE, text]]), 0);
    return own === null ? null : behaviour(instantiate(own));
  };
  t.is(behaviour(instantiate(wasm)), await alone(SOURCE));
  const compared = new Map<string, number>();
  for (const [index, mutant] of mutants.entries()) {
    const count = compared.get(mutant.operator) ?? 0;
    if (batch.left.includes(index + 1) || count === COMPARED) continue;
    const chosen = instantiate(wasm);
    chosen.mutant.value = index + 1;
    // What never ends runs out of fuel here, and would hang there.
    const mine = behaviour(chosen);
    if (mine === null) continue;
    compared.set(mutant.operator, count + 1);
    const { line, operator, from, to } = mutant;
    const other = await alone(mutated(SOURCE, mutant));
    t.true(mine === other, `${line} ${operator}: ${from} -> ${to}: ${mine}, alone ${other}`);
  }
});

/** The sample with marks, and what its marks of a kind in a line say. */
async function marked(runtime: (places: number) => string) {
  const { text, places } = markText(FILE, SOURCE);
  const changed = new Map([
    [FILE, text],
    [RUNTIME_FILE, runtime(places.length)],
  ]);
  const { wasm, complaints } = await compile(TARGET, changed, 0);
  if (wasm === null) throw new Error(complaints[0]?.message);
  const sample = instantiate(wasm);
  const seen = (line: number, kind: string): number[] => {
    const bytes = new Uint8Array(sample.memory.buffer, sample.placesAt(), places.length);
    return places.flatMap((place, at) => (place.line === line && place.kind === kind ? [bytes[at] ?? 0] : []));
  };
  return { sample, seen };
}

test("the fuzzer's core does the same, counts up to 255, and stops what never ends", async (t) => {
  const { sample, seen } = await marked(countingSource);
  for (let i = 0; i < 3; i++) sample.step(3, 1);
  t.deepEqual([seen(15, "true"), seen(15, "false")], [[3], [0]]);
  for (let i = 0; i < 300; i++) sample.step(3, 1);
  t.deepEqual(seen(15, "true"), [255]);
  sample.refuel();
  t.throws(() => sample.step(0, 0x7fff_ffff), { message: "too many steps" });
  sample.refuel();
  const plain = await compile(TARGET, new Map([[FILE, SOURCE]]), 0);
  t.is(behaviour(sample), plain.wasm === null ? null : behaviour(instantiate(plain.wasm)));
});

test("a core that notes does the same, and says where it was", async (t) => {
  const plain = await compile(TARGET, new Map([[FILE, SOURCE]]), 0);
  const { sample: counting, seen } = await marked(runtimeSource);
  counting.step(3, 1);
  t.deepEqual(seen(15, "statement"), [1, 1]);
  t.deepEqual([seen(15, "true"), seen(15, "false")], [[1], [0]]);
  t.deepEqual(seen(18, "statement"), [0]);
  counting.step(1, 9);
  t.deepEqual([seen(15, "false"), seen(16, "true"), seen(16, "false")], [[1], [0], [1]]);
  // Both operands of a condition, and the whole of it.
  t.deepEqual(
    [seen(20, "true"), seen(20, "false")],
    [
      [1, 1],
      [1, 1],
    ],
  );
  t.is(behaviour(counting), plain.wasm === null ? null : behaviour(instantiate(plain.wasm)));
});
