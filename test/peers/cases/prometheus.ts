// Prometheus' own tool on what the daemon answers, and on the alert rules of the package.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { type Case, check } from "../case.ts";
import { run } from "../run.ts";

const file = (name: string): string => new URL(`../../../${name}`, import.meta.url).pathname;
const ALERTS = file("host/cli/packaging/pathmanager-alerts.yml");

export const cases: readonly Case[] = [
  {
    name: "promtool finds nothing wrong with the metrics",
    run: async ({ daemon }) => {
      const { stdout: text } = await run("curl", [
        "-sS",
        "--unix-socket",
        daemon.apiSocket,
        "http://pathmanager/metrics",
      ]);
      check(text.includes("pathmanager_path_ios_total"), text.slice(0, 500));
      const { stdout, stderr } = await run("promtool", ["check", "metrics"], { input: text });
      check(stdout + stderr === "", stdout + stderr);
    },
  },
  {
    name: "promtool takes the alert rules, and they fire when they should",
    run: async ({ folder }) => {
      await run("promtool", ["check", "rules", ALERTS]);
      const tests = join(folder, "alerts.test.yml");
      writeFileSync(
        tests,
        readFileSync(file("test/peers/pathmanager-alerts.test.yml"), "utf8").replace("RULES", ALERTS),
      );
      await run("promtool", ["test", "rules", tests]);
    },
  },
];
