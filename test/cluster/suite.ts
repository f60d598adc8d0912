// npm run test:cluster [-- --rounds N] [--only PHASES]: two nodes with corosync and pacemaker in a guest of the rig, which share a unit. Takes long; before a
// release.

import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { runMachine } from "../rig/machine.ts";
import { ensurePackages, missingSentence, TEST_PACKAGES, type DebianPackage } from "../rig/packages.ts";
import { PHASES } from "./phases.ts";

const PACKAGES: readonly DebianPackage[] = [
  ...TEST_PACKAGES,
  { package: "corosync", program: "corosync" },
  { package: "pacemaker", program: "pacemakerd" },
  { package: "iproute2", program: "ip" },
];
const TIME_LIMIT_S = 4 * 3600;

const { values } = parseArgs({
  options: { rounds: { type: "string", default: "3" }, only: { type: "string", default: PHASES.join(",") } },
});
const unknown = values.only.split(",").filter((name) => !PHASES.some((phase) => phase === name));
if (unknown.length > 0 || !/^[1-9]\d*$/.test(values.rounds)) {
  console.error(`usage: npm run test:cluster -- [--rounds N] [--only NAMES]; NAMES are some of ${PHASES.join(",")}`);
  process.exit(2);
}
const missing = ensurePackages(PACKAGES);
if (missing.length > 0) {
  console.error(missingSentence(missing, "test:cluster"));
  process.exit(2);
}
const result = await runMachine({
  project: fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, ""),
  array: "lio",
  units: 1,
  paths: 4,
  unitMib: 16,
  memoryMib: 2048,
  timeLimitS: TIME_LIMIT_S,
  command: [
    "env",
    `CLUSTER_ROUNDS=${values.rounds}`,
    `CLUSTER_PHASES=${values.only}`,
    "node",
    "test/rig/guest.ts",
    "test/cluster/failover.ts",
  ],
  stdout: process.stdout,
  stderr: process.stderr,
});
if (result.kind !== "exited") console.error(`the guest: ${JSON.stringify(result)}`);
process.exit(result.kind === "exited" ? result.status : 1);
