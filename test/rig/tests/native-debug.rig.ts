// The native ring's ports against scsi_debug: devices that are slow, that never answer, and whose commands are reset.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import * as abi from "../../../host/abi.ts";
import { leftCommands } from "../../../host/native/index.ts";
import { until } from "../../until.ts";
import { BACKENDS, type Backend } from "../../unit/native/harness.ts";
import { Initiator, read, TEST_UNIT_READY } from "../lib/ports.ts";
import { run } from "../lib/command.ts";
import { OPTS, ScsiDebug } from "../lib/scsi-debug.ts";
import { afterwards, test, type Rig } from "../lib/test.ts";

export const rig: Rig = { array: "scsi_debug", units: 1, paths: 2, timeLimitS: 120, isEssential: true };

const DID_TIME_OUT = 3;

const array = new ScsiDebug();

function open(backend: Backend, depth: number): Initiator {
  const device = array.devices(0)[0] ?? assert.fail("scsi_debug shows no device");
  const initiator = new Initiator(backend, device.sg, depth);
  afterwards(() => {
    initiator.close();
    array.set("every_nth", 0);
    array.set("opts", OPTS.none);
    array.set("delay", 0);
  });
  initiator.settle();
  return initiator;
}

/** Where a descriptor of this process leads. */
function leads(number: string): string {
  try {
    return readlinkSync(`/proc/self/fd/${number}`);
  } catch {
    // That of the folder itself.
    return "";
  }
}

/** The numbers of this process's open descriptors, and how many of them are sg devices'. */
function descriptors(): { readonly highest: number; readonly sg: number } {
  const all = readdirSync("/proc/self/fd").map((number) => ({ number: Number(number), to: leads(number) }));
  const sg = all.filter(({ to }) => to.startsWith("/dev/sg")).length;
  return { highest: Math.max(...all.map(({ number }) => number)), sg };
}

/** The arguments of prlimit for a limit of files of this process. */
const limit = (count: string | number): string[] => ["--pid", String(process.pid), `--nofile=${count}:`];

/** Runs `step` while this process may have no more descriptors than it has. */
async function withoutMore(step: () => void): Promise<void> {
  const before =
    /Max open files\s+(\d+)/.exec(readFileSync("/proc/self/limits", "utf8"))?.[1] ?? assert.fail("no limit");
  // Started before: nothing can be started then.
  const later = spawn("sh", ["-c", `read line; prlimit ${limit(before).join(" ")}`], {
    stdio: ["pipe", "ignore", "inherit"],
  });
  const ended = once(later, "exit");
  run("prlimit", ...limit(descriptors().highest + 1));
  try {
    step();
  } finally {
    later.stdin.end();
    await ended;
  }
}

/** So slow that nothing is answered while commands are started. */
const SLOW_JIFFIES = 300;
/** A turn opens only some descriptors, however many commands it has. */
const PER_TURN = 20;

/** Starts `count` reads in turns that do not wait. */
function start(port: Initiator, count: number): void {
  for (let slot = 0; slot < count; slot++) {
    port.queue(slot, read(slot * 8, 8));
    if ((slot + 1) % PER_TURN === 0) port.bench.ring.enter(0);
  }
}

function ends(port: Initiator, count: number): void {
  const outcomes = port.wait(count);
  assert.equal(outcomes.size, count);
  for (const { result, status } of outcomes.values()) assert.deepEqual([result, status], [0, 0]);
}

for (const backend of BACKENDS) {
  test(`${backend}: a descriptor is opened when a command needs it, and all are closed with the port`, () => {
    const before = descriptors().sg;
    const port = open(backend, 48);
    assert.equal(descriptors().sg - before, 1, "one for one command after the other");
    array.set("delay", SLOW_JIFFIES);
    start(port, 20);
    assert.equal(descriptors().sg - before, 20);
    ends(port, 20);
    start(port, 60);
    assert.equal(descriptors().sg - before, 48, "no more than the depth");
    port.bench.ring.closePort(port.port);
    const outcomes = port.wait(60);
    assert.equal([...outcomes.values()].filter(({ result }) => result === 0).length, 48);
    assert.equal(descriptors().sg, before);
    port.close();
  });

  test(`${backend}: where the process may open no more, commands share; when it may, they no longer do`, async () => {
    const port = open(backend, 64);
    array.set("delay", SLOW_JIFFIES);
    const { ring } = port.bench;
    assert.equal(ring.descriptorRefusals, 0);
    const before = descriptors().sg;
    await withoutMore(() => start(port, 40));
    const more = descriptors().sg - before;
    assert.ok(more < 16, `${more} were opened`);
    assert.ok(ring.descriptorRefusals > 0);
    ends(port, 40);
    // A refusal counts for a second.
    const untilMs = performance.now() + 1100;
    while (performance.now() < untilMs) ring.enter(20_000);
    start(port, 40);
    assert.equal(descriptors().sg - before, 39, "one for each of 40, with the first");
    ends(port, 40);
  });

  test(`${backend}: a slow device gets 17 and more at once, beyond what one descriptor takes`, () => {
    const port = open(backend, 64);
    array.set("delay", 10);
    for (let slot = 0; slot < 200; slot++) port.queue(slot, read(slot * 8, 8));
    const outcomes = port.wait(200);
    assert.equal(outcomes.size, 200);
    for (const { result, status } of outcomes.values()) assert.deepEqual([result, status], [0, 0]);
  });

  test(`${backend}: what a ring that is closed leaves at the device is known until the last of it has ended`, async () => {
    assert.deepEqual(leftCommands(), []);
    const before = descriptors().sg;
    const [device] = array.devices(0);
    const port = open(backend, PER_TURN);
    array.set("delay", SLOW_JIFFIES);
    start(port, PER_TURN);
    port.close();
    const left = leftCommands();
    assert.deepEqual(
      left.map(({ path, commands }) => [path, commands]),
      Array.from({ length: PER_TURN }, () => [device?.pathNumber, 1]),
    );
    await until("all have ended", () => leftCommands().length === 0 || undefined, 60_000);
    assert.equal(descriptors().sg, before, "nothing is kept");
  });

  test(`${backend}: a command that is never answered times out, the others do not`, () => {
    const port = open(backend, 16);
    array.set("opts", OPTS.timeout);
    array.set("every_nth", -1);
    port.queue(0, { ...read(0, 8), timeoutMs: 500 });
    port.bench.ring.enter(0);
    array.set("every_nth", 0);
    array.set("opts", OPTS.none);
    for (let slot = 1; slot < 8; slot++) port.queue(slot, read(slot * 8, 8));
    const outcomes = port.wait(8);
    assert.equal(outcomes.get(0)?.hostStatus, DID_TIME_OUT);
    for (let slot = 1; slot < 8; slot++) assert.equal(outcomes.get(slot)?.result, 0);
    port.settle();
  });

  test(`${backend}: a reset is carried out beside a stuck command, and the ring goes on meanwhile`, () => {
    const port = open(backend, 16);
    array.set("opts", OPTS.timeout);
    array.set("every_nth", -1);
    port.queue(0, { ...read(0, 8), timeoutMs: 2000 });
    port.bench.ring.enter(0);
    array.set("every_nth", 0);
    array.set("opts", OPTS.none);
    port.queue(1, TEST_UNIT_READY);
    assert.equal(port.wait(1).get(1)?.result, 0);
    port.bench.submit({ op: abi.OP_RESET, tag: 2, handle: port.port, length: abi.RESET_DEVICE });
    const reset = port.bench.until(1)[0];
    assert.deepEqual([reset?.tag, reset?.result], [2, 0]);
    // scsi_debug has forgotten the stuck command, so what ends it is its timeout.
    assert.equal(port.wait(1).get(0)?.hostStatus, DID_TIME_OUT);
    port.settle();
  });
}
