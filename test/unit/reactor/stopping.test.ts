// Stopping works within 5 s whatever hangs, and a reactor that crashes says so.

import { execFileSync } from "node:child_process";
import { closeSync, fstatSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { ReactorClient } from "../../../host/reactor/reactor-client.ts";
import { UNIT_SET_BLOCKS } from "../../../host/abi.ts";
import { CoreAborted, isFatal, ReactorError } from "../../../host/reactor/reactor-errors.ts";
import { until } from "../../until.ts";
import { connect, startRig } from "./fixture.ts";

/** The promise of the product: no state is unkillable. */
const STOP_MS_MAX = 5000;

test("with every path a black hole and requests in flight, stopping takes less than 5 s", async (t) => {
  const rig = await startRig();
  const client = await connect(rig);
  t.is((await client.read(0, 4096)).error, 0);
  await rig.reactor.addFault({ fault: { kind: "no-answer", giveUp: false, resetMs: 60_000 } });
  for (let i = 0; i < 16; i++) {
    void client.read(i * 4096, 4096);
    void client.write(i * 4096, Buffer.alloc(4096));
  }
  // The reactor has taken them when it says so.
  await until("all are taken", async () => ((await rig.reactor.snapshot()).units[0]?.requests ?? 0) >= 32);
  const started = performance.now();
  t.is(await rig.reactor.stop(), "stopped");
  t.true(performance.now() - started < STOP_MS_MAX);
  await client.closed;
});

test("snapshots are answered while every path is a black hole", async (t) => {
  const rig = await startRig();
  const client = await connect(rig);
  await rig.reactor.addFault({ fault: { kind: "no-answer", giveUp: false } });
  void client.read(0, 4096);
  for (let i = 0; i < 50; i++) t.is((await rig.reactor.snapshot()).paths.length, 4);
  client.end();
  await rig.reactor.stop();
});

test("calls after stopping are refused; stopping twice does no harm", async (t) => {
  const { reactor } = await startRig();
  const stopped = reactor.stop();
  await t.throwsAsync(reactor.snapshot(), { code: "REACTOR_STOPPED" });
  t.is(await stopped, "stopped");
  t.is(await reactor.stop(), "stopped");
  await t.throwsAsync(reactor.unitAdd(), { code: "REACTOR_STOPPED" });
});

/** A core that starts like the real one and traps in its tenth turn. */
const BROKEN_CORE = `
const control: usize = memory.data(128, 64);
const rings: usize = memory.data(4096, 64);
let turns: u32 = 0;
export function abiVersion(): u32 { return 1; }
export function controlBlock(): u32 { return <u32>control; }
export function init(a: u32, b: u32, c: u32, d: u32, e: u32, f: u32, g: u32, h: u32): i32 {
  for (let ring: usize = 32; ring <= 80; ring += 16) {
    store<u32>(control + ring, <u32>rings + <u32>(ring - 32) * 64);
    store<u32>(control + ring, 16, 4);
  }
  store<u64>(control, u64.MAX_VALUE, 8);
  return 0;
}
export function run(): void { if (++turns === 10) unreachable(); }
export function scratch(): u32 { return <u32>rings; }
export function pathTable(): u32 { return <u32>rings; }
export function unitTable(): u32 { return <u32>rings; }
export function unitAdd(): i32 { return 0; }
export function unitSet(unit: u32, property: u32, value: i64): i32 { return 0; }
`;

/** The same, but what goes wrong is a call of control's. */
const brokenCall = (before: string, after: string): string =>
  BROKEN_CORE.replace("if (++turns === 10) unreachable();", "").replace(before, after);

function compile(source: string): Uint8Array {
  const folder = mkdtempSync(join(tmpdir(), "pm-broken-core-"));
  const asc = join(import.meta.dirname, "..", "..", "..", "node_modules", "assemblyscript", "bin", "asc.js");
  const options = ["--outFile", "broken.wasm", "--runtime", "stub", "--exportStart", "start", "--optimizeLevel", "1"];
  writeFileSync(join(folder, "broken.ts"), source);
  try {
    execFileSync(process.execPath, [asc, "broken.ts", ...options], { cwd: folder });
    return readFileSync(join(folder, "broken.wasm"));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test("a reactor that crashes rejects what waits for it, and tells its listeners once", async (t) => {
  const reactor = await ReactorClient.start({ core: compile(BROKEN_CORE) });
  const failures: ReactorError[] = [];
  const failed = new Promise<void>((resolve) => {
    reactor.onFailure((error) => {
      failures.push(error);
      resolve();
    });
  });
  // Only so many calls are answered between two turns, so one of these is never answered.
  const error = await t.throwsAsync(async () => {
    for (let call = 0; call < 1000; call++) await reactor.unitAdd();
  });
  t.like(error, { code: "REACTOR_CRASHED" });
  await failed;
  await t.throwsAsync(reactor.unitAdd(), { code: "REACTOR_CRASHED", message: /unreachable/ });
  t.is(await reactor.stop(), "stopped");
  t.is(failures.length, 1);
});

const BROKEN_CALLS = {
  "traps in a call": {
    core: brokenCall("unitAdd(): i32 { return 0; }", "unitAdd(): i32 { return unreachable(); }"),
    call: (reactor: ReactorClient) => reactor.unitAdd(),
  },
  "finds an assertion false in a call": {
    core: brokenCall(
      "unitAdd(): i32 { return 0; }",
      'unitAdd(): i32 { assert(false, "the lists are whole"); return 0; }',
    ),
    call: (reactor: ReactorClient) => reactor.unitAdd(),
  },
  "finds an assertion false in one of many settings": {
    core: brokenCall("value: i64): i32 { return 0; }", "value: i64): i32 { assert(false); return 0; }"),
    call: (reactor: ReactorClient) =>
      reactor.settings([{ name: "unitSet", handle: 0, property: UNIT_SET_BLOCKS, value: 1 }]),
  },
  "finds an assertion false while units are added": {
    core: brokenCall("unitAdd(): i32 { return 0; }", "unitAdd(): i32 { assert(false); return 0; }"),
    call: (reactor: ReactorClient) => reactor.addUnits([{ handle: null, settings: [], paths: [] }]),
  },
};
for (const [title, { core, call }] of Object.entries(BROKEN_CALLS)) {
  test(`a core that ${title} is a crash, not a refusal: nothing goes on with its half-changed tables`, async (t) => {
    const reactor = await ReactorClient.start({ core: compile(core) });
    const failures: string[] = [];
    reactor.onFailure((error) => failures.push(error.code));
    await t.throwsAsync(call(reactor), { code: "REACTOR_CRASHED" });
    await t.throwsAsync(reactor.snapshot(), { code: "REACTOR_CRASHED" });
    t.deepEqual(failures, ["REACTOR_CRASHED"]);
    t.is(await reactor.stop(), "stopped");
  });
}

test("a call after a crash that control has not heard of yet writes into nobody's file", async (t) => {
  const { core } = BROKEN_CALLS["traps in a call"];
  const reactor = await ReactorClient.start({ core: compile(core) });
  const folder = mkdtempSync(join(tmpdir(), "pm-stray-"));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const crash = t.throwsAsync(reactor.unitAdd(), { code: "REACTOR_CRASHED" });
  // The reactor's thread ends and closes what it had, while this one is busy.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1000);
  const files = Array.from({ length: 64 }, (_, index) => openSync(join(folder, `${index}`), "w+"));
  t.teardown(() => files.forEach((file) => closeSync(file)));
  const call = t.throwsAsync(reactor.snapshot(), { code: "REACTOR_CRASHED" });
  t.is(await reactor.stop(), "stopped");
  await Promise.all([crash, call]);
  t.true(files.every((file) => fstatSync(file).size === 0));
});

test("what leaves the core or the addon half-way is fatal, what they refuse is not", (t) => {
  t.true(isFatal(new CoreAborted("core: an assertion")));
  t.true(isFatal(Object.assign(new Error("unreachable"), { name: "RuntimeError" })));
  t.true(isFatal(new RangeError("Maximum call stack size exceeded")));
  // How the addon's generated code passes a panic on.
  t.true(isFatal(Object.assign(new Error("index out of bounds"), { code: "GenericFailure" })));
  t.false(isFatal(new ReactorError("CORE_HANDLE", "the handle is not in use")));
  t.false(isFatal(Object.assign(new Error("no port has the handle"), { code: "ERR_NATIVE_HANDLE" })));
  t.false(isFatal(new RangeError("The number 1.5 cannot be converted to a BigInt")));
});
