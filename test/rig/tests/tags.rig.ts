// Units of a host adapter share its tags, and a command without one sleeps in the kernel. However many paths are silent,
// the reactor never does.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { listSgDevices, type SgDevice } from "../../../host/discovery/sysfs.ts";
import { until } from "../../until.ts";
import { run } from "../lib/command.ts";
import { readText, writeText } from "../lib/files.ts";
import { Daemon, mustPathctl, pathctl } from "../lib/pathmanager.ts";
import { Initiator, read } from "../lib/ports.ts";
import { OPTS, ScsiDebug } from "../lib/scsi-debug.ts";
import { afterwards, test, type Rig } from "../lib/test.ts";

export const rig: Rig = { array: "none", timeLimitS: 240 };

const UNITS = 4;
const TAGS = 32;
/** What sysfs gives each of them, one of them in reserve. */
const PART = 5;
/** So slow that a path has as many commands under way as it gets. */
const SLOW_JIFFIES = 10;
const SILENT_MS = 3000;
/** A turn that does not sleep takes a few ms, even here. */
const TURN_MS_MAX = 500;
const CONFIGURATION = 'devices = "all"\npolicy = "static"\ntimeouts.command_ms = 8000\ntimeouts.no_path_ms = 60000\n';

let array: ScsiDebug | null = null;

async function devices(): Promise<readonly SgDevice[]> {
  array ??= ScsiDebug.create({ units: UNITS, paths: 2, unitMib: 8, tags: TAGS });
  return until("the disks are there", () => {
    const found = listSgDevices().filter((device) => device.blockDevice !== null);
    return found.length === 2 * UNITS ? found : undefined;
  });
}

const queueOf = ({ number, blockDevice }: SgDevice): string =>
  `/sys/class/scsi_device/${number}/device/block/${blockDevice}/queue`;
const schedulers = (found: readonly SgDevice[]): string[] =>
  found.map((device) => /\[(.*)\]/.exec(readText(`${queueOf(device)}/scheduler`))?.[1] ?? "?");

/** As adapters with several queues have it from the start. */
function withoutSchedulers(found: readonly SgDevice[]): void {
  for (const device of found) writeText(`${queueOf(device)}/scheduler`, "none");
}

function silence(): void {
  array?.set("opts", OPTS.timeout);
  array?.set("every_nth", -1);
}

function answer(): void {
  array?.set("every_nth", 0);
  array?.set("opts", OPTS.none);
  array?.set("delay", 0);
}

/** Sends `count` reads to every port while nothing answers; the longest turn, in ms. */
function turnMsMax(ports: readonly Initiator[], count: number): number {
  silence();
  let longestMs = 0;
  for (let slot = 0; slot < count; slot++) {
    for (const port of ports) {
      port.queue(slot, { ...read(slot * 8, 8), timeoutMs: SILENT_MS });
      const beginMs = performance.now();
      port.bench.ring.enter(0);
      longestMs = Math.max(longestMs, performance.now() - beginMs);
    }
  }
  answer();
  for (const port of ports) port.wait(count);
  return longestMs;
}

function open(found: readonly SgDevice[], depthOf: (device: SgDevice) => number): readonly Initiator[] {
  const ports = found.map((device) => new Initiator("io_uring", device.device, depthOf(device)));
  afterwards(() => {
    answer();
    for (const port of ports) port.close();
  });
  for (const port of ports) port.settle();
  return ports;
}

test("without a scheduler, a write beyond a unit's part of the tags sleeps until a command comes back", async () => {
  const found = await devices();
  withoutSchedulers(found);
  const ports = open(found, () => 64);
  const [first] = ports;
  assert.ok(first !== undefined);
  for (const port of ports) port.run(read(0, 8));
  assert.ok(turnMsMax([first], TAGS) > TURN_MS_MAX);
});

test("with the depth that sysfs gives, no turn sleeps, though every unit of the host is silent", async () => {
  withoutSchedulers(await devices());
  const found = (await devices()).filter((device) => device.number.startsWith("0:"));
  const depths = found.map(({ commandsMax }) => commandsMax ?? 0);
  assert.deepEqual(depths, [PART, PART, PART, PART]);
  const ports = open(found, (device) => device.commandsMax ?? 0);
  assert.ok(turnMsMax(ports, 9) < TURN_MS_MAX);
});

/** Commands that the kernel has sent to each device and that have not come back. */
const underWay = (found: readonly SgDevice[]): number[] =>
  found.map(({ number }) => Number(readText(`/sys/class/scsi_device/${number}/device/device_busy`)));

/** Has more asked of a unit than its path can have under way, and the path become silent; the daemon must answer all the time. */
async function holdsUpNothing(found: readonly SgDevice[]): Promise<void> {
  const begin = mustPathctl("attach", "0");
  const device = /\/dev\/nbd\d+/.exec(begin)?.[0] ?? assert.fail(begin);
  afterwards(() => void pathctl("detach", "0"));
  array?.set("delay", SLOW_JIFFIES);
  const job = ["--name=deep", `--filename=${device}`, "--ioengine=io_uring", "--direct=1", "--rw=randread", "--bs=4k"];
  const fio = spawn("fio", [...job, "--iodepth=64", "--time_based", "--runtime=20"], { stdio: "ignore" });
  const ended = once(fio, "exit");
  await until("a path has its part of the tags", () => Math.max(...underWay(found)) >= PART, 30_000);
  silence();
  // Not longer than a silent command takes: what sleeps is asleep by now, and has not woken up yet.
  for (let second = 0; second < 3; second++) {
    await sleep(1000);
    const { reactor } = JSON.parse(pathctl("status", "--json").stdout) as { reactor: { answering: boolean } };
    assert.ok(reactor.answering, `not after ${second + 1} s`);
  }
  answer();
  await ended;
}

test("the daemon gives the queues of its paths tags of their own, and takes them back when it stops", async () => {
  const found = await devices();
  withoutSchedulers(found);
  const daemon = await Daemon.start(CONFIGURATION);
  afterwards(() => answer());
  afterwards(async () => void (await daemon.stop()));
  assert.deepEqual(new Set(schedulers(found)), new Set(["mq-deadline"]));
  await holdsUpNothing(found);
  pathctl("detach", "0");
  await until("every command has come back", () => Math.max(...underWay(found)) === 0);
  await daemon.stop();
  assert.deepEqual(new Set(schedulers(found)), new Set(["none"]));
});

test("where the queues cannot be written, paths get fewer commands, nothing sleeps either, and doctor says so", async () => {
  const found = await devices();
  withoutSchedulers(found);
  for (const device of found) {
    const queue = queueOf(device);
    run("mount", "--bind", queue, queue);
    run("mount", "-o", "remount,bind,ro", queue);
    afterwards(() => void run("umount", queue));
  }
  const daemon = await Daemon.start(CONFIGURATION);
  afterwards(() => answer());
  afterwards(async () => void (await daemon.stop()));
  assert.deepEqual(new Set(schedulers(found)), new Set(["none"]));
  assert.match(pathctl("doctor").stdout, /sg0 \(0:0:0:0\) gets at most 5 commands at once/);
  await holdsUpNothing(found);
});
