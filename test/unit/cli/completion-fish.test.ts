// fish: what the key TAB would offer. Where fish is not installed, there is nobody to ask.

import { execFile, spawnSync } from "node:child_process";
import { mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import test from "ava";
import { recordedServer } from "./server.ts";
import { STATUS_OF_TWO } from "./status-views.ts";
import { REFERENCE_UNITS } from "./views.ts";

const answers = {
  "GET /v1/status": STATUS_OF_TWO,
  "GET /v1/units": { units: REFERENCE_UNITS },
  "GET /v1/paths": { paths: REFERENCE_UNITS.flatMap((unit) => unit.paths) },
};
const hasFish = spawnSync("fish", ["--version"]).status === 0;

/** Command lines, and what is offered for the last word. */
const LINES: readonly (readonly [line: string, offered: string])[] = [
  ["pathctl path en", "enable"],
  ["pathctl path enable 4:0:0", "4:0:0:0 4:0:0:1 4:0:0:2"],
  ["pathctl unit policy 0 least-", "least-in-flight least-sectors"],
  ["pathctl config check unlik", "unlikely.toml"],
  ["pathctl path enable unlik", ""],
  ["pathpersist --param-r", "--param-rk"],
  ["spscmd -getf", "-getfbmode"],
  ["spscmd -getlun -s", "-s0 -s1 -s2"],
  ["spscmd -setfbmode S", "Standby"],
  ["spscmd -avail 5:0:1:", "5:0:1:0 5:0:1:1 5:0:1:2"],
  ["spscmd -lbmode 5:0:1:1 ", "0 1 2 3"],
  ["spscmd -swap 5:0:1:1 4:", "4:0:0:0 4:0:0:1 4:0:0:2"],
  ["spscmd -priority 5:0:1:1 ", ""],
  ["spscmd -getlog unlik", "unlikely.toml"],
  ["spscmd -setwatcher unlik", ""],
];

(hasFish ? test : test.skip)("fish offers commands, paths, values, and files where a file is wanted", async (t) => {
  await using server = await recordedServer(answers);
  const folder = await mkdtemp(join(tmpdir(), "pathmanager-completion-"));
  t.teardown(() => rm(folder, { recursive: true }));
  const program = new URL("../../../host/cli/bin/pathctl.js", import.meta.url).pathname;
  await symlink(process.execPath, join(folder, "node"));
  await writeFile(join(folder, "pathctl"), `#!/bin/sh\nexec "${process.execPath}" "${program}" "$@"\n`, {
    mode: 0o755,
  });
  await writeFile(join(folder, "unlikely.toml"), "");
  const asked = LINES.map(([line]) => `echo (complete --do-complete "${line}" | string split -f1 \\t)`);
  const script = ["pathctl completion fish | source", ...asked].join("\n");
  const { stdout, stderr } = await promisify(execFile)("fish", ["--no-config", "--command", script], {
    cwd: folder,
    env: { PATH: `${folder}:${process.env["PATH"]}`, PATHMANAGER_SOCKET: server.socket, HOME: folder },
  });
  t.is(stderr, "");
  const offered = stdout.split("\n").slice(0, LINES.length);
  const sorted = offered.map((line) => line.split(" ").toSorted().join(" "));
  t.deepEqual(
    LINES.map(([line], at) => `${line}: ${sorted[at]}`),
    LINES.map(([line, words]) => `${line}: ${words}`),
  );
});
