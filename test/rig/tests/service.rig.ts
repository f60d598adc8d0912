// The systemd unit of an installation, live: with all it forbids the daemon, on real devices.

import assert from "node:assert/strict";
import { mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { until } from "../../until.ts";
import { run } from "../lib/command.ts";
import { getlun, mustPathctl } from "../lib/pathmanager.ts";
import { insideBeside, journal, processesOf, startSystemd, systemctl } from "../lib/systemd.ts";
import { verifiedLoad } from "../lib/fio.ts";
import { scsiDevices } from "../lib/scsi.ts";
import { afterwards, test, type Rig } from "../lib/test.ts";
import { carriersOf, threadsOf } from "../lib/threads.ts";

export const rig: Rig = { array: "lio", units: 2, paths: 4, memoryMib: 1024, timeLimitS: 300 };

const SERVICE = "pathmanagerd.service";
/** Where an installation lies; the unit hides home and temporary folders from the daemon. */
const INSTALLED = "/usr/local/lib/pathmanager";
const DEVICE = "/dev/nbd0";

function install(): void {
  mkdirSync(INSTALLED, { recursive: true });
  run("mount", "--bind", process.cwd(), INSTALLED);
  const unit = readFileSync(join("host", "cli", "packaging", SERVICE), "utf8");
  const command = `${INSTALLED}/node_modules/.bin/node ${INSTALLED}/host/cli/bin/pathmanagerd.js`;
  const adjusted = unit.replace("ExecStart=/usr/sbin/pathmanagerd ", `ExecStart=${command} `);
  assert.notEqual(adjusted, unit);
  writeFileSync(`/etc/systemd/system/${SERVICE}`, adjusted);
  writeFileSync("/etc/pathmanager/pathmanager.toml", 'devices = "all"\n');
  run("groupadd", "--force", "--system", "pathmanager");
  // As the installation's file in /etc/modules-load.d does at a boot.
  run("modprobe", "-a", "nbd", "target_core_user");
  mkdirSync("/var/target/pr", { recursive: true });
}

function mustSystemctl(...args: readonly string[]): string {
  const { status, stdout, stderr } = systemctl(...args);
  assert.equal(status, 0, `systemctl ${args.join(" ")}: ${stderr}${stdout}\n${journal(SERVICE)}`);
  return stdout;
}

const property = (name: string): string => mustSystemctl("show", "--value", `--property=${name}`, SERVICE).trim();

/** The daemon's process. */
function daemon(): number {
  const [pid] = processesOf(SERVICE);
  assert.ok(pid !== undefined);
  return pid;
}

test("the unit starts: systemd hears that it is ready, and what it found", async () => {
  install();
  await startSystemd();
  mustSystemctl("start", SERVICE);
  assert.equal(property("ActiveState"), "active");
  assert.match(property("StatusText"), /2 logical units, 8 paths/);
  assert.equal(getlun().match(/PathNumber=/g)?.length, 8);
});

test("its sockets are the group's that may use them, though it may give no file away", () => {
  for (const socket of ["api.sock", "nbd.sock"]) {
    assert.equal(run("stat", "--format=%G %a", `/run/pathmanager/${socket}`).trim(), "pathmanager 660");
  }
  const { mode } = statSync("/var/lib/pathmanager/state.sqlite");
  assert.equal(mode & 0o777, 0o640);
});

test("its threads flush I/O, go before others, and are never paged out", () => {
  const threads = threadsOf(daemon());
  const carriers = carriersOf(daemon());
  assert.ok(
    carriers.every(({ isIoFlusher }) => isIoFlusher),
    JSON.stringify(carriers),
  );
  assert.ok(
    threads.every(({ nice }) => nice === -10),
    JSON.stringify(threads),
  );
  assert.equal(property("MemorySwapMax"), "0");
  assert.doesNotMatch(journal(SERVICE), /warning/);
});

test("nothing it needs is forbidden: a block device is attached, written and read", () => {
  mustPathctl("attach", "#0", DEVICE);
  run("dd", "if=/dev/urandom", "of=/tmp/data", "bs=1M", "count=4");
  run("dd", "if=/tmp/data", `of=${DEVICE}`, "oflag=direct", "bs=1M");
  run("dd", `if=${DEVICE}`, "iflag=direct", "of=/tmp/copy", "bs=1M", "count=4");
  run("cmp", "/tmp/data", "/tmp/copy");
});

test("killed, it is started anew, and the block device goes on", async () => {
  const before = daemon();
  process.kill(before, "SIGKILL");
  run("dd", `if=${DEVICE}`, "iflag=direct", "of=/tmp/copy", "bs=1M", "count=4");
  run("cmp", "/tmp/data", "/tmp/copy");
  assert.notEqual(daemon(), before);
  await until("systemd counts the restart", () => property("NRestarts") === "1");
});

/** Writes that a block device has completed. */
const written = (device: string): number =>
  Number(
    readFileSync(join("/sys/block", device, "stat"), "utf8")
      .trim()
      .split(/\s+/)[4],
  );

test("restarted under verified I/O on file systems, over nbd and over a SCSI device: no error", async () => {
  mustPathctl("attach", "#1", "--scsi");
  afterwards(() => void mustPathctl("detach", "#1"));
  const disk = scsiDevices().find(({ host }) => host > 3)?.sd ?? "";
  const devices = [DEVICE, disk];
  const loads = devices.map((device) => {
    const folder = join("/mnt", basename(device));
    mkdirSync(folder, { recursive: true });
    run("mkfs.ext4", "-q", "-F", device);
    run("mount", device, folder);
    afterwards(() => {
      run("umount", folder);
      run("fsck.ext4", "-f", "-n", device);
    });
    return verifiedLoad(join(folder, "file"), 20);
  });
  await until("both are written", () => devices.every((device) => written(basename(device)) > 100));
  const before = daemon();
  const then = devices.map((device) => written(basename(device)));
  assert.equal((await insideBeside("systemctl", "restart", SERVICE)).status, 0, journal(SERVICE));
  assert.notEqual(daemon(), before);
  await until("both go on", () => devices.every((device, at) => written(basename(device)) > (then[at] ?? 0) + 100));
  for (const { status, errors, complaint } of await Promise.all(loads))
    assert.deepEqual([status, errors], [0, 0], complaint);
});

test("a reload reads the configuration again", () => {
  writeFileSync("/etc/pathmanager/pathmanager.toml", 'devices = "all"\nfailback = "standby"\n');
  mustSystemctl("reload", SERVICE);
  assert.equal(property("ActiveState"), "active");
  assert.match(mustPathctl("mode"), /failback  standby/);
});

test("it stops in time, and as intended", () => {
  mustPathctl("detach", DEVICE);
  const begin = performance.now();
  mustSystemctl("stop", SERVICE);
  assert.ok(performance.now() - begin < 10_000);
  assert.equal(property("ActiveState"), "inactive");
  assert.equal(property("Result"), "success");
});
