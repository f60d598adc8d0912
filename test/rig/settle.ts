// What our udev rules cost where many disks appear: `npm run rig -- --array none --memory 2048 --time-limit 3600 node test/rig/settle.ts
// --paths 1024`. The same disks are announced to the real systemd-udevd again and again, in turn without our rules, with them but none of the
// disks ours, and all of them ours.

import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { median } from "../../bench/report.ts";
import { until } from "../until.ts";
import { run } from "./lib/command.ts";
import { readText } from "./lib/files.ts";
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

interface Round {
  readonly seconds: number;
  /** Ticks that the guest's processor was busy: less what other programs of the host took of the time. */
  readonly busy: number;
  /** Processes that were started, for each path. */
  readonly forks: number;
}

/** A line of /proc/stat: its name, then numbers. */
const counters = (name: string): number[] =>
  (new RegExp(`^${name} +(.*)$`, "m").exec(readText("/proc/stat"))?.[1] ?? "").split(" ").map(Number);

/** User, nice, system. */
const busyTicks = (): number =>
  counters("cpu")
    .slice(0, 3)
    .reduce((sum, ticks) => sum + ticks, 0);
const started = (): number => counters("processes")[0] ?? 0;

function round(): Round {
  const [began, busy, forks] = [performance.now(), busyTicks(), started()];
  run("udevadm", "trigger", "--action=add", "--subsystem-match=block", "--sysname-match=sd*");
  run("udevadm", "settle", "--timeout=3000");
  const seconds = (performance.now() - began) / 1000;
  return { seconds, busy: busyTicks() - busy, forks: (started() - forks) / paths };
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
const rounds: Record<string, Round[]> = {};
for (let number = 0; number < Number(values.rounds); number++) {
  for (const [name, setUp] of Object.entries(SETUPS)) {
    setUp();
    run("udevadm", "control", "--reload");
    (rounds[name] ??= []).push(round());
  }
}
const least = (all: readonly number[]): number => Math.min(...all);
const base = rounds["without our rules"] ?? [];
for (const [name, all] of Object.entries(rounds)) {
  const ratio = (of: (all: readonly number[]) => number, what: keyof Round): string =>
    (of(all.map((one) => one[what])) / of(base.map((one) => one[what]))).toFixed(2);
  console.log(
    `${name}: ${all.map((one) => one.seconds.toFixed(2)).join(" ")} s, ratio ${ratio(median, "seconds")} (of the fastest ${ratio(least, "seconds")}), ` +
      `busy ${ratio(median, "busy")}, ${median(all.map((one) => one.forks)).toFixed(2)} processes for each path`,
  );
}
