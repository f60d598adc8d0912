// The packages in a root of their own, with the real dpkg and rpm but without a service manager: they install, the program serves, a newer
// version takes their place and leaves what was edited, and they go. Part of test:packages.

import assert from "node:assert/strict";
import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { appendFileSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { until } from "../until.ts";
import { NEWER, packageFile, project } from "./build.ts";
import { enterOverlay, ENVIRONMENT, run } from "./overlay.ts";

const FILE = "/etc/pathmanager/pathmanager.toml";
const EDITED = "emulated = true\n";
const SOCKET = "/run/pathmanager/api.sock";
const LASTING = "/var/lib/pathmanager/state.sqlite";

/** The program as it is installed, with its own Node. */
async function serves(): Promise<void> {
  const daemon: ChildProcess = spawn("/usr/sbin/pathmanagerd", ["--config", FILE], {
    env: ENVIRONMENT,
    stdio: ["ignore", "ignore", "inherit"],
  });
  const ended = new Promise((resolve) => daemon.once("exit", resolve));
  try {
    await until("the daemon serves", () => daemon.exitCode !== null || existsSync(SOCKET), 120_000);
    assert.equal(daemon.exitCode, null, "the daemon runs");
    assert.match(run("/usr/bin/pathctl", "status"), /units?, /);
    for (const agent of ["/usr/sbin/fence_pathmanager", "/usr/lib/ocf/resource.d/pathmanager/Unit"]) {
      assert.equal(statSync(agent).mode & 0o111, 0o111, agent);
    }
    assert.equal(existsSync("/usr/lib/pathmanager/cluster/pathmanager_api.py"), true);
    assert.equal(readFileSync(`/proc/${daemon.pid}/maps`, "utf8").includes("/usr/lib/pathmanager/bin/node"), true);
  } finally {
    daemon.kill("SIGTERM");
    await ended;
  }
}

function isGone(): void {
  for (const file of [
    "/usr/bin/pathctl",
    "/usr/lib/udev/rules.d/59-pathmanager.rules",
    "/usr/lib/pathmanager",
    "/usr/sbin/fence_pathmanager",
  ]) {
    assert.equal(existsSync(file), false, file);
  }
}

/** A device that the kernel's driver serves for us, as sysfs shows it: this root has an empty one of its own. */
const ATTACHED = "/sys/block/nbd0";
const BACKEND = `${ATTACHED}/backend`;

/** While a unit is attached the package stays, whoever removes it: I/O to its device would fail. */
function staysWhileAttached(program: string, ...args: readonly string[]): void {
  mkdirSync(ATTACHED, { recursive: true });
  writeFileSync(BACKEND, "pathmanager naa.600140500000000000000000000050a1\n");
  const refused = spawnSync(program, args, { encoding: "utf8", env: ENVIRONMENT });
  assert.notEqual(refused.status, 0, refused.stdout);
  assert.match(refused.stdout + refused.stderr, /\/dev\/nbd0 is still attached; unmount it, then: pathctl detach/);
  assert.match(run("/usr/bin/pathctl", "--version"), /\d/);
  // Somebody else's device does not hold it back.
  writeFileSync(BACKEND, "somebody else\n");
}

const install = (which: "own" | "newer"): string =>
  run("dpkg", "--force-unsafe-io", "--force-depends", "--install", packageFile("deb", which));

async function debian(): Promise<void> {
  install("own");
  assert.match(run("getent", "group", "pathmanager"), /^pathmanager:/);
  assert.equal(run("dpkg", "--verify", "pathmanager"), "", "every file is as packed");
  appendFileSync(FILE, EDITED);
  await serves();
  install("newer");
  assert.equal(run("dpkg-query", "--show", "--showformat=${Version}", "pathmanager"), NEWER);
  assert.ok(readFileSync(FILE, "utf8").endsWith(EDITED), "what was edited stays");
  await serves();
  staysWhileAttached("dpkg", "--remove", "pathmanager");
  const said = run("dpkg", "--remove", "pathmanager");
  rmSync(ATTACHED, { recursive: true });
  assert.match(said, /\/var\/lib\/pathmanager \(settings, events\).* stay/);
  isGone();
  assert.equal(existsSync(LASTING), true);
  assert.equal(existsSync(FILE), true);
  run("dpkg", "--purge", "pathmanager");
  assert.equal(existsSync(FILE), false);
  assert.equal(existsSync(LASTING), false);
}

// On Debian rpm has no packages that could be depended on, and wants to be told that this is meant.
const RPM = ["--force-debian", "--nodeps"];
const change = (how: string, ...args: readonly string[]): string => run("rpm", ...RPM, how, ...args);

async function rpm(): Promise<void> {
  change("--install", packageFile("rpm", "own"));
  assert.match(run("getent", "group", "pathmanager"), /^pathmanager:/);
  assert.equal(run("rpm", "--verify", "--nodeps", "pathmanager"), "", "every file is as packed");
  appendFileSync(FILE, EDITED);
  await serves();
  change("--upgrade", packageFile("rpm", "newer"));
  assert.equal(run("rpm", "--query", "--queryformat", "%{VERSION}", "pathmanager"), NEWER);
  assert.ok(readFileSync(FILE, "utf8").endsWith(EDITED), "what was edited stays");
  await serves();
  staysWhileAttached("rpm", ...RPM, "--erase", "pathmanager");
  const said = change("--erase", "pathmanager");
  assert.match(said, /\/var\/lib\/pathmanager \(settings, events\).* stay/);
  isGone();
  assert.equal(existsSync(LASTING), true);
}

enterOverlay(project);
for (const [name, test] of Object.entries({ "Debian's package": debian, "the package for rpm": rpm })) {
  const began = performance.now();
  await test();
  const seconds = ((performance.now() - began) / 1000).toFixed(1);
  console.log(
    `ok - ${name}: installed, serves, a newer one serves with the edited file, stays while a device is attached, removed (${seconds} s)`,
  );
}
process.exit(0);
