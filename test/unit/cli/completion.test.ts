import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

import test from "ava";

import { completionScript } from "../../../host/cli/pathctl/completion-scripts.ts";
import { pathctl } from "../../../host/cli/pathctl/main.ts";
import { SYNOPSIS } from "../../../host/cli/spscmd/command-line.ts";
import { recordedServer, run } from "./server.ts";
import { STATUS_OF_TWO } from "./status-views.ts";
import { REFERENCE_UNITS } from "./views.ts";

const answers = {
  "GET /v1/status": STATUS_OF_TWO,
  "GET /v1/units": { units: REFERENCE_UNITS },
  "GET /v1/paths": { paths: REFERENCE_UNITS.flatMap((unit) => unit.paths) },
};

async function candidates(socket: string, ...words: string[]): Promise<string[]> {
  const { status, out, err } = await run(pathctl, ["__complete", "--", ...words], socket);
  if (status !== 0 || err !== "") throw new Error(`status ${status}: ${err}`);
  return out.split("\n").filter((line) => line !== "");
}

test("commands, arguments, options and their values are completed", async (t) => {
  await using server = await recordedServer(answers);
  const complete = (...words: string[]): Promise<string[]> => candidates(server.socket, ...words);
  t.deepEqual(await complete("pa"), ["path", "patrol", "page"]);
  t.deepEqual(await complete("path", "f"), ["failback", "forget"]);
  t.deepEqual(await complete("path", "enable", "4:"), ["4:0:0:0", "4:0:0:1", "4:0:0:2"]);
  t.deepEqual(await complete("path", "swap", "4:0:0:0", "5:0:1:0"), ["5:0:1:0"]);
  t.deepEqual(await complete("unit", "policy", "l"), ["lu0", "lu1", "lu2"]);
  t.deepEqual(await complete("unit", "policy", "0", "least-"), ["least-sectors", "least-in-flight"]);
  t.deepEqual(await complete("unit", "move", "lu0", ""), ["0", "1"]);
  t.deepEqual(await complete("unit", "move", "0", "1"), ["1"]);
  t.deepEqual(await complete("show", "--j"), ["--json"]);
  t.deepEqual(await complete("mode", "--failback", ""), ["active", "standby"]);
  t.deepEqual(await complete("show", "p"), ["paths"]);
  t.deepEqual(await complete("array", "fault", "add", "p"), ["port-down", "power-loss"]);
  t.deepEqual(await complete("array", "fault", "add", "slow", "--path", "5:0:1:2"), ["5:0:1:2"]);
  t.deepEqual(await complete("completion", "b"), ["bash"]);
  for (const words of [
    ["config", "check", ""],
    ["config", "check", "/etc/pa"],
    ["import", "multipath.conf", "/etc/m"],
    ["doctor", "--config", ""],
    ["show", "--socket", "/run"],
  ]) {
    t.deepEqual(await complete(...words), [":files"], words.join(" "));
  }
  t.deepEqual(await complete("config", "check", "--j"), ["--json"]);
  const devices = await complete("attach", "0", "/dev/");
  t.deepEqual(
    devices.toSorted(),
    (await readdir("/dev"))
      .filter((name) => /^(nbd|ublkb)\d+$/.test(name))
      .map((name) => `/dev/${name}`)
      .toSorted(),
  );
  t.true((await complete("")).includes("doctor"));
  t.false((await complete("")).includes("__complete"));
});

test("without a daemon, what needs it is not completed, and nothing is said", async (t) => {
  t.deepEqual(await candidates("/nonexistent.sock", "path", "enable", ""), []);
  t.deepEqual(await candidates("/nonexistent.sock", "path", "en"), ["enable"]);
});

test("every option of spscmd is in its completion", (t) => {
  const options = new Set(SYNOPSIS.match(/(?<=spscmd )-\w+/g));
  t.is(options.size, 18);
  for (const shell of ["bash", "zsh", "fish"] as const) {
    const words = new Set(completionScript(shell).match(/-?\w+/g));
    const missing = [...options].filter((option) => !words.has(option));
    t.deepEqual(missing, [], shell);
  }
});

test("bash: what the keys TAB TAB would offer", async (t) => {
  await using server = await recordedServer(answers);
  const folder = await mkdtemp(join(tmpdir(), "pathmanager-completion-"));
  t.teardown(() => rm(folder, { recursive: true }));
  const program = new URL("../../../host/cli/bin/pathctl.js", import.meta.url).pathname;
  await symlink(process.execPath, join(folder, "node"));
  await writeFile(join(folder, "pathctl"), `#!/bin/sh\nexec "${process.execPath}" "${program}" "$@"\n`, {
    mode: 0o755,
  });
  const script = `
source <(pathctl completion bash)
offer() {
  COMP_LINE=$1 COMP_POINT=\${#1} COMP_WORDBREAKS=$' \\t\\n"\\'><=;|&(:'
  $2
  echo "\${COMPREPLY[*]}"
}
offer "pathctl path en" _pathctl
offer "pathctl path enable 4:0:0" _pathctl
offer "pathctl path enable 5" _pathctl
offer "pathctl show " _pathctl
offer "spscmd -getf" _spscmd
offer "spscmd -SETFB" _spscmd
offer "spscmd -getlun -s" _spscmd
offer "spscmd -avail 5:0:1:" _spscmd
offer "spscmd -lbmode 5:0:1:1 " _spscmd
offer "spscmd -swap 5:0:1:1 5:0:1:" _spscmd
offer "spscmd -priority 5:0:1:1 " _spscmd
complete -p pathctl spscmd
`;
  const { stdout, stderr } = await promisify(execFile)("bash", ["--norc", "-c", script], {
    env: { PATH: `${folder}:${process.env["PATH"]}`, PATHMANAGER_SOCKET: server.socket },
  });
  t.is(stderr, "");
  t.deepEqual(stdout.trimEnd().split("\n"), [
    "enable",
    // What follows the last colon of the word: readline keeps the rest.
    "0:0 0:1 0:2",
    "5:0:1:0 5:0:1:1 5:0:1:2",
    "units paths arrays 0 lu0 1 lu1 2 lu2",
    "-getfbmode",
    "-setfbmode",
    "-s0 -s1 -s2",
    "0 1 2",
    "0 1 2 3",
    "0 1 2",
    "",
    "complete -F _pathctl pathctl",
    "complete -F _spscmd spscmd",
  ]);
});

test("bash: TAB completes a file where a file is wanted, and nowhere else", async (t) => {
  await using server = await recordedServer(answers);
  const folder = await mkdtemp(join(tmpdir(), "pathmanager-completion-"));
  t.teardown(() => rm(folder, { recursive: true }));
  const program = new URL("../../../host/cli/bin/pathctl.js", import.meta.url).pathname;
  await writeFile(join(folder, "pathctl"), `#!/bin/sh\nexec "${process.execPath}" "${program}" "$@"\n`, {
    mode: 0o755,
  });
  await writeFile(join(folder, "unlikely file.toml"), "");
  // `script` (util-linux) gives bash a terminal, so that readline works: it is the key TAB that is tried. Ctrl-A puts `echo` in
  // front afterwards, so that the line prints what was completed.
  const keys = [
    "source <(pathctl completion bash)",
    "pathctl config check unlik\t\u0001echo A ",
    "pathctl path enable unlik\t\u0001echo B ",
    "pathctl doctor --config ./unlik\t\u0001echo C ",
    "exit",
  ];
  const child = execFile("script", ["-qec", "bash --norc --noprofile -i", "/dev/null"], {
    cwd: folder,
    env: { PATH: `${folder}:${process.env["PATH"]}`, PATHMANAGER_SOCKET: server.socket, TERM: "dumb", HOME: folder },
  });
  child.stdin?.end(keys.map((line) => `${line}\n`).join(""));
  let printed = "";
  child.stdout?.on("data", (text: string) => (printed += text));
  await once(child, "close");
  const lines = printed.split(/\r?\n/);
  t.true(lines.includes("A pathctl config check unlikely file.toml"), printed);
  t.true(lines.includes("B pathctl path enable unlik"), printed);
  t.true(lines.includes("C pathctl doctor --config ./unlikely file.toml"), printed);
});
