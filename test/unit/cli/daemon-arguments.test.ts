// What pathmanagerd says to its arguments: help, version and mistakes need neither a configuration nor the native addon.

import { spawnSync } from "node:child_process";
import test from "ava";
import { readArguments } from "../../../host/control/settings/arguments.ts";

function called(...args: readonly string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, ["host/cli/pathmanagerd.ts", ...args], {
    encoding: "utf8",
    timeout: 60_000,
  });
  return { status, stdout, stderr };
}

test("the configuration file and the log level, short and long", (t) => {
  const run = { kind: "run", config: undefined, level: undefined } as const;
  t.deepEqual(readArguments([]), run);
  for (const args of [["-c", "x.toml"], ["--config", "x.toml"], ["--config=x.toml"]]) {
    t.deepEqual(readArguments(args), { ...run, config: "x.toml" });
  }
  t.deepEqual(readArguments(["--log-level", "debug"]), { ...run, level: "debug" });
});

test("devices are given up without a configuration", (t) => {
  t.deepEqual(readArguments(["--give-up-devices"]), { kind: "give up devices" });
  const mistake = readArguments(["--give-up-devices", "--config", "x.toml"]);
  t.true(mistake.kind === "mistake" && mistake.text.startsWith("--give-up-devices: takes no other option"));
});

test("help and version, short and long, whatever else there is", (t) => {
  for (const args of [["-h"], ["--help", "--version"], ["--config", "/none", "--help"]]) {
    t.deepEqual(readArguments(args), { kind: "help" });
  }
  for (const args of [["-V"], ["--version"]]) t.deepEqual(readArguments(args), { kind: "version" });
  const help = called("--help");
  t.is(help.status, 0);
  t.regex(help.stdout, /^usage: pathmanagerd .*\n/);
  t.regex(called("-V").stdout, /^\d+\.\d+\.\d+\n$/);
});

const mistakes: readonly (readonly [string, RegExp])[] = [
  ["--log-level loud", /--log-level: loud is none of error, warning, info, debug/],
  ["--conf x", /--conf/],
  ["x.toml", /x\.toml/],
  ["--config", /--config/],
];

for (const [line, reason] of mistakes) {
  test(`wrong usage: pathmanagerd ${line}`, (t) => {
    const { status, stdout, stderr } = called(...line.split(" "));
    t.is(status, 2);
    t.is(stdout, "");
    t.regex(stderr.split("\n")[0] ?? "", /^pathmanagerd: /);
    t.regex(stderr.split("\n")[0] ?? "", reason);
    t.regex(stderr, /\nusage: pathmanagerd /);
  });
}
