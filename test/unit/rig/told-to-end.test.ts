// A program that runs a guest is told to end: the guest ends first, whether the program looks for signals itself or not.

import { spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { until } from "../../until.ts";

/** A kernel that never says anything, and one of its processes. */
const KERNEL = `#!/bin/sh
sleep 1000 &
echo $$ $! >"$HOME/../pids.new"
mv "$HOME/../pids.new" "$HOME/../pids"
wait
`;

const isThere = (pid: number): boolean => {
  try {
    // What has ended and waits for its parent is gone.
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
};

for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) {
  test(`${signal} ends the guest, then the program`, async (t) => {
    const folder = mkdtempSync(join(tmpdir(), "pathmanager-told-"));
    t.teardown(() => rmSync(folder, { recursive: true, force: true }));
    writeFileSync(join(folder, "linux.uml"), KERNEL, { mode: 0o755 });
    mkdirSync(join(folder, "modules/6"), { recursive: true });
    writeFileSync(join(folder, "modules/6/modules.dep.bin"), "");
    const options = `{ project: process.cwd(), array: "none", units: 1, paths: 1, unitMib: 1, memoryMib: 256, timeLimitS: 600,
      command: ["true"], stdout: process.stdout, stderr: process.stderr }`;
    const script = `import { runMachine } from "./test/rig/machine.ts"; await runMachine(${options}); setTimeout(() => {}, 1e6);`;
    const child = spawn(process.execPath, ["--input-type=module", "--eval", script], {
      stdio: ["ignore", "ignore", "inherit"],
      env: {
        ...process.env,
        PATH: `${folder}:${process.env["PATH"] ?? ""}`,
        TMPDIR: folder,
        RIG_MODULES_FOLDER: join(folder, "modules"),
      },
    });
    t.teardown(() => child.kill("SIGKILL"));
    const ended = new Promise<string | null>((resolve) => child.once("exit", (_, by) => resolve(by)));
    await until("the guest runs", () => existsSync(join(folder, "pids")));
    const pids = readFileSync(join(folder, "pids"), "utf8").trim().split(" ").map(Number);
    t.is(pids.filter(isThere).length, 2);
    child.kill(signal);
    t.is(await ended, signal);
    await until("nothing of the guest is left", () => !pids.some(isThere));
  });
}
