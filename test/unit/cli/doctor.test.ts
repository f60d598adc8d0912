import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

import test, { type ExecutionContext } from "ava";

import { checkDevices, checkSgLimits } from "../../../host/cli/doctor/device-findings.ts";
import type { Finding, Machine } from "../../../host/cli/doctor/finding.ts";
import {
  checkCapabilities,
  checkClock,
  checkLimits,
  checkModules,
  checkMultipathd,
  checkNode,
  checkUringSwitch,
} from "../../../host/cli/doctor/kernel.ts";
import { pathctl } from "../../../host/cli/pathctl/main.ts";
import { run } from "./server.ts";

/** A machine made of files. */
async function machine(t: ExecutionContext, files: Readonly<Record<string, string>>): Promise<Machine> {
  const root = await mkdtemp(join(tmpdir(), "pathmanager-doctor-"));
  t.teardown(() => rm(root, { recursive: true }));
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(root, name)), { recursive: true });
    await writeFile(join(root, name), text);
  }
  return { sys: join(root, "sys"), proc: join(root, "proc"), dev: join(root, "dev"), nodeVersion: "24.1.0", uid: 1000 };
}

const brief = (findings: readonly Finding[]): string[] =>
  findings.map((finding) => `${finding.level} ${finding.check}`);

test("a bare machine: modules and devices are missing, each with its remedy", async (t) => {
  const bare = await machine(t, {
    "proc/self/limits": "Max open files            1024                 1024                 files\n",
  });
  const findings = [...checkModules(bare), ...checkLimits(bare), ...checkDevices(bare), ...checkMultipathd(bare)];
  t.deepEqual(brief(findings), [
    "warning sg",
    "warning nbd",
    "note ublk",
    "note target",
    "warning limits",
    "note devices",
  ]);
  t.true(findings.every((finding) => finding.remedy !== null && finding.remedy !== ""));
});

test("an old Node, io_uring switched off, a slow clock, missing capabilities, multipathd", async (t) => {
  const clock = "sys/devices/system/clocksource/clocksource0";
  const odd = await machine(t, {
    "proc/sys/kernel/io_uring_disabled": "2\n",
    [`${clock}/current_clocksource`]: "hpet\n",
    [`${clock}/available_clocksource`]: "tsc hpet acpi_pm\n",
    "proc/self/status": "Name:\tx\nCapEff:\t0000000000000000\n",
    "proc/77/comm": "multipathd\n",
  });
  t.deepEqual(brief(checkNode({ ...odd, nodeVersion: "20.20.2" })), ["error node"]);
  t.deepEqual(brief(checkNode(odd)), ["ok node"]);
  t.deepEqual(brief(checkUringSwitch(odd)), ["warning io_uring"]);
  t.regex(checkClock(odd)[0]?.remedy ?? "", /echo tsc/);
  t.regex(checkCapabilities(odd)[0]?.text ?? "", /CAP_SYS_RAWIO .*CAP_SYS_ADMIN .*CAP_SYS_RESOURCE/);
  t.deepEqual(brief(checkMultipathd(odd)), ["warning multipathd"]);
});

test("io_uring reserved for root is no problem to root", async (t) => {
  const reserved = await machine(t, { "proc/sys/kernel/io_uring_disabled": "1\n" });
  t.is(checkUringSwitch(reserved).length, 1);
  t.is(checkUringSwitch({ ...reserved, uid: 0 }).length, 0);
});

test("SCSI disks: free, offline, mounted, without a device file", async (t) => {
  const files: Record<string, string> = {
    "proc/self/mountinfo": "36 35 8:33 / /srv rw - ext4 /dev/sdc1 rw\n",
    "proc/scsi/sg/version": "30536\n",
  };
  const disks = [
    { sg: "sg0", number: "4:0:0:0", block: "sda", state: "running" },
    { sg: "sg1", number: "4:0:0:1", block: "sdb", state: "offline" },
    { sg: "sg2", number: "4:0:0:2", block: "sdc", state: "running" },
    { sg: "sg3", number: "4:0:0:3", block: "sdd", state: "running" },
  ];
  for (const { sg, number, block, state } of disks) {
    const folder = `sys/devices/host4/${number}`;
    Object.assign(files, {
      [`${folder}/state`]: state,
      [`${folder}/type`]: "0",
      [`${folder}/vendor`]: "NEC     ",
      [`${folder}/model`]: "DISK ARRAY      ",
      [`${folder}/block/${block}/queue/max_hw_sectors_kb`]: "512",
      [`sys/block/${block}/${block}1/partition`]: "1",
      [`sys/block/${block}/${block}1/dev`]: block === "sdc" ? "8:33" : "8:99",
      ...(sg === "sg3" ? {} : { [`dev/${sg}`]: "" }),
    });
  }
  const found = await machine(t, files);
  for (const { sg, number } of disks) {
    await mkdir(join(found.sys, "class/scsi_generic", sg), { recursive: true });
    await symlink(join(found.sys, "devices/host4", number), join(found.sys, "class/scsi_generic", sg, "device"));
  }
  const findings = checkDevices(found);
  t.deepEqual(brief(findings), ["ok devices", "warning devices", "note devices", "error devices"]);
  t.regex(findings[1]?.text ?? "", /sg1 .* is offline/);
  t.regex(findings[2]?.text ?? "", /sdc1 is mounted on \/srv/);
  t.regex(findings[0]?.text ?? "", /\/dev\/sg0 \(4:0:0:0, NEC DISK ARRAY\) is free/);
  t.deepEqual(
    brief(checkSgLimits(found)),
    Array.from({ length: 4 }, () => "note sg limits"),
  );
});

test("pathctl doctor on this machine: every finding that is not ok has a remedy or says why", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "pathmanager-doctor-"));
  t.teardown(() => rm(folder, { recursive: true }));
  const file = join(folder, "pathmanager.toml");
  await writeFile(file, 'policy = "fastest"\n');
  const { status, out } = await run(pathctl, ["doctor", "--config", file, "--json"]);
  const { findings } = JSON.parse(out) as { findings: Finding[] };
  t.is(status, 1);
  const wrong = findings.find((finding) => finding.check === "configuration");
  t.is(wrong?.level, "error");
  t.true(wrong?.text.startsWith(`${file}:1: policy: `), wrong?.text);
  for (const finding of findings) {
    if (finding.level === "error" || finding.level === "warning") t.truthy(finding.remedy, finding.text);
  }
  t.true(findings.some((finding) => finding.check === "addon" && finding.level === "ok"));
  await writeFile(file, 'policy = "static"\n');
  const plain = await run(pathctl, ["doctor", "--config", file]);
  t.is(plain.status, 0);
  t.regex(plain.out, /\n0 errors, \d+ warnings\n$/);
});

test("pathctl config check: mistakes with file, line and key", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "pathmanager-check-"));
  t.teardown(() => rm(folder, { recursive: true }));
  const file = join(folder, "pathmanager.toml");
  await writeFile(file, 'failback = "active"\n\n[patrol]\ninterval_s = 0\n');
  const wrong = await run(pathctl, ["config", "check", file]);
  t.is(wrong.status, 1);
  t.true(wrong.out.startsWith(`${file}:4: patrol.interval_s: `), wrong.out);
  await writeFile(file, 'devices = "all"\nfailback = "standby"\n');
  t.deepEqual(await run(pathctl, ["config", "check", file]), { status: 0, out: `${file}: no mistake\n`, err: "" });
});
