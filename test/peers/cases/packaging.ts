// The package's files for other programs: manual pages for man, a unit for systemd.

import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { messageId } from "../../../host/liaison/message-id.ts";
import { type Case, check, same } from "../case.ts";
import { run } from "../run.ts";

const file = (name: string): string => new URL(`../../../${name}`, import.meta.url).pathname;

const PAGES = ["pathctl.8", "spscmd.8", "pathpersist.8", "pathmanagerd.8", "pathmanager.toml.5"];

const pages: Case[] = PAGES.map((name) => ({
  name: `man renders ${name} without a warning`,
  run: async () => {
    const { stdout, stderr } = await run("man", [
      "--warnings",
      "-E",
      "UTF-8",
      "-l",
      "-Tutf8",
      file(`docs/man/${name}`),
    ]);
    same(stderr, "", "warnings");
    check(stdout.length > 1000, "the page is empty");
  },
}));

export const cases: readonly Case[] = [
  ...pages,
  {
    name: "systemd takes the units as they are, and finds them hardened",
    run: async ({ folder }) => {
      const units = ["pathmanagerd.service", "pathmanager-give-up.service"].map((name) => {
        const unit = join(folder, name);
        const text = readFileSync(file(`host/cli/packaging/${name}`), "utf8");
        // The program is wherever npm installed it; any program will do here.
        writeFileSync(unit, text.replace(/^ExecStart=\S+/m, "ExecStart=/bin/true"));
        return unit;
      });
      const { stdout, stderr } = await run("systemd-analyze", ["verify", "--man=no", ...units]);
      same(stdout + stderr, "", "complaints");
      for (const unit of units) {
        const security = await run("systemd-analyze", ["security", "--offline=true", "--threshold=25", unit]);
        check(/exposure level/.test(security.stdout), security.stdout);
      }
    },
  },
  {
    name: "journald's catalogue explains our messages",
    run: async ({ folder }) => {
      const root = join(folder, "journal");
      const catalogue = join(root, "usr/lib/systemd/catalog");
      mkdirSync(catalogue, { recursive: true });
      mkdirSync(join(root, "var/lib/systemd/catalog"), { recursive: true });
      copyFileSync(file("host/cli/packaging/pathmanager.catalog"), join(catalogue, "pathmanager.catalog"));
      const { stderr } = await run("journalctl", [`--root=${root}`, "--update-catalog"]);
      same(stderr, "", "complaints");
      const { stdout } = await run("journalctl", [`--root=${root}`, "--dump-catalog", messageId(258)]);
      check(/Subject: Failover was done/.test(stdout) && /What to do: Find out/.test(stdout), stdout);
    },
  },
];
