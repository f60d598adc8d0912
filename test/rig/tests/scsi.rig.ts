// Units as SCSI devices through the kernel's target: identity, reservations by the stock programs, iscsi-test-cu against the bare path,
// ext4 while paths die, kill -9 with takeover, and that discovery never takes such a device for a path.

import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { basename } from "node:path";
import { QUICK_PATROL } from "../../quick-patrol.ts";
import { until } from "../../until.ts";
import { Client } from "../../../host/cli/api-client.ts";
import { attempt, run, start, type Outcome } from "../lib/command.ts";
import { verifiedLoad } from "../lib/fio.ts";
import { LioArray } from "../lib/lio.ts";
import { Daemon } from "../lib/pathmanager.ts";
import { scsiDevices, type ScsiDevice } from "../lib/scsi.ts";
import { test, type Rig } from "../lib/test.ts";

export const rig: Rig = { array: "lio", paths: 4, timeLimitS: 900 };

const FOLDER = "/mnt/scsi";
const CONFIGURATION = `
devices = "all"
policy = "round-robin"
${QUICK_PATROL}`;
const array = new LioArray();
const client = new Client("/run/pathmanager/api.sock");

/** Tests of iscsi-test-cu that fail, with the reason. (On the bare path 13 do: it does not compare in VERIFY.) */
const FAIL_HERE: Readonly<Record<string, string>> = {
  test_prout_clear_simple: "a registration is made on each of the paths, so PRGENERATION grows by more than one",
};

function own(): ScsiDevice & { readonly sd: string } {
  const found = scsiDevices().find(({ host }) => host > 3);
  if (found?.sd === undefined) throw new Error("the unit has no SCSI device");
  return { ...found, sd: found.sd };
}

function must({ status, stdout, stderr }: Outcome): string {
  assert.equal(status, 0, stderr + stdout);
  return stdout;
}

interface Attachments {
  readonly attachments: readonly { readonly device: string }[];
}

const attach = (): Promise<{ device: string }> => client.call("POST", "/v1/units/0/attach", { driver: "scsi" });
const detach = (): Promise<Attachments> => client.call("POST", "/v1/units/0/detach", {});

async function paths(): Promise<string[]> {
  const all = await client.call<{ paths: { number: string; state: string }[] }>("GET", "/v1/paths");
  return all.paths.map(({ number, state }) => `${number} ${state}`);
}

/** The designators of the unit itself. */
const unit = (of: string): string[] => {
  const text = run("sg_vpd", "-p", "di_lu", "-q", of).trim().split("\n");
  return text.map((line) => line.trim());
};

const names = (of: string): string[] =>
  run("sg_inq", "-u", of)
    .split("\n")
    .filter((line) => /^SCSI_(VENDOR|MODEL|REVISION|IDENT_SERIAL)=/.test(line));

/** What the kernel's target has of us. */
const stores = (): string[] => readdirSync("/sys/kernel/config/target/core").filter((name) => name.startsWith("user_"));

/** Names of the source files whose assertions failed, and how many tests passed. */
function verdicts({ stdout }: Outcome): { readonly failed: string[]; readonly passed: number } {
  const failed = new Set([...stdout.matchAll(/^ +\d+\. (\w+)\.c:\d+/gm)].map(([, name = ""]) => name));
  const passed = /^ +tests +\d+ +\d+ +(\d+)/m.exec(stdout)?.[1];
  assert.notEqual(passed, undefined, stdout.slice(-2000));
  return { failed: [...failed].toSorted(), passed: Number(passed) };
}

/** Verified load on the file system, from the time when it writes. */
async function writing(sd: string, seconds: number): Promise<{ faultless: () => Promise<void> }> {
  // Writes that the disk has completed.
  const written = (): number =>
    Number(
      readFileSync(`/sys/block/${basename(sd)}/stat`, "utf8")
        .trim()
        .split(/\s+/)[4],
    );
  const before = written();
  const loaded = verifiedLoad(`${FOLDER}/file`, seconds);
  await until("the load writes", () => written() > before + 50 || undefined, 60_000);
  return {
    faultless: async () => {
      const { status, errors, complaint } = await loaded;
      assert.deepEqual([status, errors], [0, 0], complaint);
    },
  };
}

const judge = (sg: string): Promise<Outcome> =>
  start("timeout", "200", "iscsi-test-cu", "--dataloss", "--normal", "--test=ALL", sg);

/** A command of six bytes without data. */
const raw = (device: string, opcode: string): Outcome => attempt("sg_raw", [device, opcode, "0", "0", "0", "0", "0"]);

let daemon: Daemon;

test("a unit becomes a SCSI device with the array's identity, and is no path of itself", async () => {
  run("modprobe", "target_core_user");
  mkdirSync("/var/target/pr", { recursive: true });
  daemon = await Daemon.start(CONFIGURATION);
  const { device } = await attach();
  const { sd, sg } = own();
  assert.equal(device, sd);
  const path = scsiDevices()[0]?.sg ?? "";
  assert.deepEqual(unit(sg), unit(path));
  assert.ok(names(sg).length >= 3, run("sg_inq", "-u", sg));
  assert.deepEqual(names(sg), names(path));
  assert.doesNotMatch(run("sg_vpd", "-p", "di", sg), /target port/i, "no port of the array's");
  await client.call("POST", "/v1/rescan");
  assert.equal((await paths()).length, 4, "discovery leaves it alone");
  assert.deepEqual(await attach(), await attach(), "asked for again, it is the answer");
});

test("iscsi-test-cu finds nothing wrong but what is listed", async () => {
  const { failed, passed } = verdicts(await judge(own().sg));
  assert.deepEqual(failed, Object.keys(FAIL_HERE));
  assert.ok(passed >= 200, `${passed} passed`);
});

test("sg_persist and fence_scsi, unmodified, reserve the unit on all of its paths", async () => {
  const { sd } = own();
  const persist = (...args: readonly string[]): Outcome => attempt("sg_persist", ["-n", ...args, sd]);
  must(persist("-o", "-G", "-S", "a1"));
  assert.equal([...must(persist("-i", "-k")).matchAll(/0xa1/g)].length, 4);
  must(persist("-o", "-R", "-T", "5", "-K", "a1"));
  assert.match(must(persist("-i", "-r")), /Write Exclusive, registrants only/);
  assert.equal(persist("-o", "-R", "-T", "5", "-K", "b2").status, 24, "another key: reservation conflict");
  must(persist("-o", "-C", "-K", "a1"));
  const fence = (action: string): Outcome =>
    attempt("fence_scsi", [
      `--action=${action}`,
      `--key=c3`,
      `--devices=${sd}`,
      "--power-timeout=60",
      "--shell-timeout=60",
    ]);
  must(fence("on"));
  must(fence("status"));
  assert.equal([...must(persist("-i", "-k")).matchAll(/0xc3/g)].length, 4);
  must(persist("-o", "-C", "-K", "c3"));
});

test("RESERVE of SPC-2 passes to one path in cluster mode, keeps the others out, and its loss is told", async () => {
  const { sg } = own();
  assert.equal(raw(sg, "16").status, 9, "refused as an invalid operation without cluster mode");
  await client.call("PATCH", "/v1/mode", { cluster: true });
  try {
    must(raw(sg, "16"));
    const bare = scsiDevices().slice(0, 4);
    const answers = bare.map((path) => raw(path.sg, "16").status);
    assert.deepEqual(answers.toSorted(), [0, 24, 24, 24], "who holds it may reserve it again, and nobody else");
    const { passed, failed } = verdicts(
      await start("timeout", "100", "iscsi-test-cu", "--dataloss", "--normal", "--test=ALL.Reserve6", sg),
    );
    assert.deepEqual(failed, []);
    assert.ok(passed >= 1, `${passed} passed`);
    must(raw(sg, "16"));
    run("sg_reset", "--device", sg);
    const other = bare[answers.indexOf(24)] ?? assert.fail("every path holds it");
    await until("a reset of the device has released it", () => raw(other.sg, "16").status === 0 || undefined);
    must(raw(other.sg, "17"));
    assert.match(
      attempt("sg_turs", ["-v", sg]).stderr,
      /Bus device reset function occurred/,
      "the kernel tells the reset",
    );
    must(raw(sg, "16"));
    const used = (await paths()).find((one) => one.endsWith("in use")) ?? "";
    array.setPath(Number(used.split(":")[0]), false);
    await until(
      "the initiator is told once",
      () => /Unit Attention/.test(attempt("sg_turs", ["-v", sg]).stderr) || undefined,
    );
    await until("it is an event", async () => {
      const { events } = await client.call<{ events: { kind: string }[] }>("GET", "/v1/events?limit=200");
      return events.some(({ kind }) => kind === "legacy-reservation-lost") || undefined;
    });
    array.setPath(Number(used.split(":")[0]), true);
    // The array still keeps it for the path that has died: nobody but that path can release it.
    for (const { sg: path } of bare) {
      await until("the path has released what it held", () => raw(path, "17").status === 0 || undefined);
    }
  } finally {
    await client.call("PATCH", "/v1/mode", { cluster: false });
  }
});

test("ext4 under verified load: two of four paths die and return, the daemon is killed and another takes over, 0 errors", async () => {
  const { sd } = own();
  run("mkfs.ext4", "-q", "-E", "lazy_itable_init=0,nodiscard", sd);
  run("mkdir", "-p", FOLDER);
  run("mount", sd, FOLDER);
  const first = await writing(sd, 15);
  for (const path of [0, 1]) array.setPath(path, false);
  await until(
    "two paths have failed",
    async () => (await paths()).filter((one) => one.endsWith("failed")).length === 2,
  );
  for (const path of [0, 1]) array.setPath(path, true);
  await until("they are back", async () => !(await paths()).some((one) => one.endsWith("failed")));
  await first.faultless();
  const second = await writing(sd, 15);
  await daemon.kill();
  daemon = await Daemon.start(CONFIGURATION);
  await second.faultless();
  assert.equal(own().sd, sd, "it is the same device");
  run("umount", FOLDER);
  run("fsck.ext4", "-f", "-n", sd);
});

test("detached, nothing is left; what a killed daemon has left can be detached by the next", async () => {
  await detach();
  assert.deepEqual(stores(), []);
  assert.equal(scsiDevices().length, 4);
  await attach();
  await daemon.kill();
  assert.deepEqual(stores().length, 1);
  daemon = await Daemon.start(CONFIGURATION);
  await until("it is served again", () => attempt("sg_turs", [own().sg]).status === 0 || undefined);
  await detach();
  assert.deepEqual(stores(), []);
  assert.ok(!existsSync("/sys/kernel/config/target/loopback/naa.5001405504d00000"));
  await daemon.stop();
});
