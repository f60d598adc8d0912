// What our udev rules cost where many disks appear: `npm run rig -- --array none --memory 2048 --time-limit 3600 node test/rig/settle.ts
// --paths 1024`. The same disks are announced to the real systemd-udevd again and again, in turn without our rules, with them but none of the
// disks ours, and all of them ours.

import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { until } from "../until.ts";
import { run } from "./lib/command.ts";
import { ScsiDebug } from "./lib/scsi-debug.ts";
import { installRules, settle } from "./lib/udev.ts";

const HOSTS = 4;
const TABLE = "/etc/pathmanager/units";
const RULES = "/usr/lib/udev/rules.d/59-pathmanager.rules";
const HELPER = "/usr/lib/udev/pathmanager_id";

const { values } = parseArgs({
  options: { paths: { type: "string", default: "1024" }, rounds: { type: "string", default: "3" } },
});
const paths = Number(values.paths);

/** A table as the daemon writes it; of none, if no disk is to be ours: as many units of others. */
function writeTable(identities: readonly string[]): void {
  mkdirSync("/etc/pathmanager", { recursive: true });
  const lines = identities.map((identity, unit) => `${identity}\tlu${unit}\tV\tP\t\n`);
  writeFileSync(TABLE, lines.join(""));
}

const identities = (): string[] => [
  ...new Set(
    run(HELPER, "--list")
      .split("\n")
      .flatMap((line) => line.split("\t")[1] ?? []),
  ),
];

const SETUPS: Readonly<Record<string, () => void>> = {
  "without our rules": () => rmSync(RULES, { force: true }),
  "with them, none ours": () => {
    installRules();
    writeTable(Array.from({ length: paths / HOSTS }, (_, unit) => `naa.6${String(unit).padStart(31, "0")}`));
  },
  "with them, all ours": () => {
    installRules();
    writeTable(identities());
  },
};

function timed(): number {
  const began = performance.now();
  run("udevadm", "trigger", "--action=add", "--subsystem-match=block", "--sysname-match=sd*");
  run("udevadm", "settle", "--timeout=3000");
  return (performance.now() - began) / 1000;
}

const array = ScsiDebug.create({ units: paths / HOSTS, paths: HOSTS, unitMib: 1 });
await until(
  "all disks are there",
  () =>
    Array.from({ length: paths / HOSTS }, (_, unit) => array.devices(unit).length).every((count) => count === HOSTS),
  600_000,
);
installRules();
run("/lib/systemd/systemd-udevd", "--daemon");
settle();
const seconds: Record<string, number[]> = {};
for (let round = 0; round < Number(values.rounds); round++) {
  for (const [name, setUp] of Object.entries(SETUPS)) {
    setUp();
    run("udevadm", "control", "--reload");
    (seconds[name] ??= []).push(timed());
  }
}
const median = (all: readonly number[]): number => all.toSorted((a, b) => a - b)[Math.floor(all.length / 2)] ?? 0;
const base = median(seconds["without our rules"] ?? []);
for (const [name, all] of Object.entries(seconds)) {
  const more = (median(all) / base - 1) * 100;
  console.log(
    `${name}: ${all.map((one) => one.toFixed(2)).join(" ")} s, median ${median(all).toFixed(2)} s (${more >= 0 ? "+" : ""}${more.toFixed(0)} %)`,
  );
}
