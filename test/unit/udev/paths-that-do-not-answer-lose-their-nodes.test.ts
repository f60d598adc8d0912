// When the system goes down, an open of a disk whose host adapter is being recovered would wait: our paths behind it lose their nodes,
// and nothing else does.

import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import test, { type ExecutionContext } from "ava";
import { designator, naa6, page83, standard } from "../discovery/pages.ts";

const SCRIPT = readFileSync("host/cli/packaging/system/silent", "utf8");
const HELPER = resolve("build/udev/pathmanager_id");
const identity = (last: number): string => `naa.${Buffer.from(naa6(last)).toString("hex")}`;
const DISKS = ["sda", "sdb", "sdc", "sdd"];

/** A host with two disks behind each of two adapters: sda and sdb are paths of ours, sdc and sdd others' disks; sdb has a partition. */
function host(t: ExecutionContext) {
  const folder = mkdtempSync(join(tmpdir(), "pathmanager-silent-"));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const at = (...names: readonly string[]): string => join(folder, ...names);
  const file = (text: string | Uint8Array, ...names: readonly string[]): void => {
    mkdirSync(join(at(...names), ".."), { recursive: true });
    writeFileSync(at(...names), text);
  };
  const link = (to: string, ...names: readonly string[]): void => {
    mkdirSync(join(at(...names), ".."), { recursive: true });
    symlinkSync(to, at(...names));
  };
  for (const [place, name] of DISKS.entries()) {
    const number = `${place % 2}:0:0:${place}`;
    file(standard("NEC", "DISK ARRAY"), "devices", number, "inquiry");
    file(page83(designator(3, 0, naa6(place < 2 ? 1 : 2))), "devices", number, "vpd_pg83");
    link(at("devices", number), "sys/block", name, "device");
    link(at("devices", number), `sys/class/scsi_generic/sg${place}/device`);
    file("", "dev", name);
    file("running\n", `sys/class/scsi_host/host${place % 2}/state`);
  }
  file("", "dev", "sdb1");
  file(`${identity(1)}\tdatabase\tNEC\tDISK ARRAY\t\t\n`, "units");
  const process = (pid: number, name: string, device: string): void => {
    file(`${name}\n`, `proc/${pid}/comm`);
    link(device, `proc/${pid}/fd/7`);
  };
  const ends = (): { nodes: string[]; said: string } => {
    const script = SCRIPT.replaceAll("/usr/lib/udev/pathmanager_id", `"${HELPER}"`)
      .replaceAll('"$name" 2>', `"$name" --sysfs "${at("sys")}" --table "${at("units")}" 2>`)
      .replaceAll("/dev/kmsg", at("kmsg"))
      .replaceAll(/(?<![\w"])\/(sys|proc)\//g, `${at("$1")}/`)
      .replaceAll('"/sys/', `"${at("sys")}/`)
      .replaceAll('"/dev/$', `"${at("dev")}/$`);
    const { status, stderr } = spawnSync("sh", [], { input: script, encoding: "utf8" });
    t.deepEqual([status, stderr], [0, ""]);
    const nodes = [...DISKS, "sdb1"].filter((name) => existsSync(at("dev", name)));
    return { nodes, said: existsSync(at("kmsg")) ? readFileSync(at("kmsg"), "utf8") : "" };
  };
  return { file, process, ends };
}

test("while all answer, all nodes stay", (t) => {
  const { process, ends } = host(t);
  process(1, "systemd", "/dev/null");
  process(77, "dd", "/dev/sg1");
  t.deepEqual(ends(), { nodes: [...DISKS, "sdb1"], said: "" });
});

test("a reset of the daemon's that is under way: our paths behind its adapter", (t) => {
  const { process, ends } = host(t);
  // The adapter of sda and sdc has nothing, nor is a reset of another program's our business.
  process(77, "pathmanager-res", "/run/pathmanager-boot/dev/sg3");
  process(78, "sg_reset", "/dev/sg0");
  const { nodes, said } = ends();
  t.deepEqual(nodes, ["sda", "sdc", "sdd"]);
  t.regex(said, /^<4>pathmanager: sdb does not answer: its node is removed/);
});

test("an adapter that the kernel recovers: our paths behind it", (t) => {
  const { file, ends } = host(t);
  file("recovery\n", "sys/class/scsi_host/host0/state");
  t.deepEqual(ends().nodes, ["sdb", "sdc", "sdd", "sdb1"]);
});
