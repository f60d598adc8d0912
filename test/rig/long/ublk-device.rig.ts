// A ublk device in the hands of others: the module, the driver's limits, another daemon, an earlier version, an operator who removes it.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { ownerOf } from "../../../host/export/ublk.ts";
import { until } from "../../until.ts";
import { attempt, run, start, type Outcome } from "../lib/command.ts";
import { writeText } from "../lib/files.ts";
import { test, type Rig } from "../lib/test.ts";
import { MS_MAX, nothingIsLeft, readOne, UBLK_DEVICE, UblkProcess, verified, written } from "../lib/ublk-process.ts";

export const rig: Rig = { kernel: "ublk", array: "scsi_debug", units: 1, paths: 4, unitMib: 64, timeLimitS: 7200 };

const MINORS = "/sys/module/ublk_drv/parameters/ublks_max";

const withNative = (statements: string): string[] => {
  const program = `import * as native from "${process.cwd()}/host/native/index.ts"; ${statements}`;
  return ["node", "--input-type=module", "-e", program];
};

/** Runs statements with the addon. */
const withAddon = (statements: string, ...before: readonly string[]): Outcome =>
  attempt("env", [...before, ...withNative(statements)]);

/** The same while this process goes on. */
const withAddonBeside = (statements: string): Promise<Outcome> => start("env", ...withNative(statements));

test("without the module and without the right: each is said; ublks_max does not limit us", () => {
  attempt("modprobe", ["-r", "ublk_drv"]);
  const check = "await native.ublkCheck()";
  assert.match(withAddon(check).stderr, /the kernel's ublk driver is not loaded; run `modprobe ublk_drv` as root/);
  run("modprobe", "ublk_drv");
  const before = readFileSync(MINORS, "utf8").trim();
  const add =
    "await native.ublkAdd({ index: -1, depth: 1, bytesMax: 4096, owner: 1, deadConnectionTimeoutSeconds: 1 })";
  const powerless = withAddon(add, "setpriv", "--bounding-set=-all");
  assert.match(powerless.stderr, /the ublk driver refuses this process: root is needed \(CAP_SYS_ADMIN\)/);
  // Drivers of this age let it limit others' devices only.
  writeText(MINORS, 1);
  const { status, stderr } = withAddon(`${add}; ${add}; await native.ublkDelete(0); await native.ublkDelete(1)`);
  writeText(MINORS, before);
  assert.equal(status, 0, stderr);
});

test("a dead device of our own is replaced, a second daemon is refused, the unit grows while it is attached", async () => {
  const add = `await native.ublkAdd({ index: 0, depth: 1, bytesMax: 4096, owner: ${ownerOf({ identity: "naa.1", number: 0 })}, deadConnectionTimeoutSeconds: 1 })`;
  assert.equal(withAddon(add).status, 0);
  const server = await UblkProcess.serving([], 32);
  const second = new UblkProcess(["--resume"]);
  await second.ended;
  assert.match(second.said, /is served by another process that lives/);
  assert.equal(run("blockdev", "--getsize64", UBLK_DEVICE).trim(), String(32 << 20));
  server.child.kill("SIGUSR1");
  await until("the server answers", () => /has (not )?grown/.test(server.said), MS_MAX);
  assert.match(server.said, /has grown/);
  assert.equal(run("blockdev", "--getsize64", UBLK_DEVICE).trim(), String(64 << 20));
  const beyond = attempt("dd", [`if=${UBLK_DEVICE}`, "of=/dev/null", "bs=4k", "count=1", "skip=12288", "iflag=direct"]);
  assert.equal(beyond.status, 0, beyond.stderr);
  await server.detach();
  nothingIsLeft();
});

test("somebody else removes the device under I/O: it fails, the server says so and can attach it anew", async () => {
  const server = await UblkProcess.serving();
  const loaded = verified(UBLK_DEVICE, 64);
  const before = written();
  await until("it writes", () => written() > before + 20 || undefined, MS_MAX);
  assert.equal(withAddon("await native.ublkDelete(0)").status, 0);
  assert.notEqual((await loaded).status, 0);
  await server.says("was removed by somebody else");
  await server.end("SIGTERM");
  nothingIsLeft();
});

test("devices are added and deleted beside one under verified load, which notices nothing; detached under I/O, its I/O ends", async () => {
  const server = await UblkProcess.serving();
  const other = "{ index: -1, depth: 128, bytesMax: 1048576, owner: 1, deadConnectionTimeoutSeconds: 1 }";
  const comeAndGo = `for (let round = 0; round < 100; round++) await native.ublkDelete(await native.ublkAdd(${other}))`;
  let isOver = false;
  const others = withAddonBeside(comeAndGo).finally(() => (isOver = true));
  const verifiedOnce = async (): Promise<boolean> => {
    const { status, errors, complaint } = await verified(UBLK_DEVICE, 8);
    assert.deepEqual([status, errors], [0, 0], complaint);
    return isOver;
  };
  await until("the others have come and gone", verifiedOnce, MS_MAX);
  const { status, stderr } = await others;
  assert.equal(status, 0, stderr);
  const cut = verified(UBLK_DEVICE, 64);
  const meanwhile = written();
  await until("it writes", () => written() > meanwhile + 20 || undefined, MS_MAX);
  await server.detach();
  assert.notEqual((await cut).status, 0, "the load was cut off");
  nothingIsLeft();
  const again = await UblkProcess.serving();
  await again.detach();
});

test("killed and removed: what waited fails at once", async () => {
  const server = await UblkProcess.serving();
  await server.end("SIGKILL");
  const waiting = readOne();
  assert.equal(withAddon("await native.ublkDelete(0)").status, 0);
  assert.notEqual((await waiting).status, 0);
  nothingIsLeft();
});

test("a device made by an earlier version is taken over; reads of up to 1 MiB come from several places", async () => {
  const server = await UblkProcess.serving(["--user-copy"]);
  assert.deepEqual((await verified(UBLK_DEVICE, 8, "1m")).errors, 0);
  await server.end("SIGKILL");
  const next = await UblkProcess.serving(["--resume"]);
  assert.deepEqual((await verified(UBLK_DEVICE, 8, "1m")).errors, 0);
  await next.detach();
  const newer = await UblkProcess.serving();
  assert.deepEqual((await verified(UBLK_DEVICE, 16, "1m")).errors, 0);
  await newer.detach();
  nothingIsLeft();
});
