// The package as somebody else gets it: packed, installed into an empty folder without a network, run from there.

import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

import test from "ava";
import { until } from "../../until.ts";

const call = promisify(execFile);
const root = new URL("../../..", import.meta.url).pathname;

const folder = await mkdtemp(join(tmpdir(), "pathmanager-package-"));
test.after.always(() => rm(folder, { recursive: true }));

const installed = join(folder, "empty");
const program = (name: string): string => join(installed, "node_modules", ".bin", name);

test.serial("npm pack, and an installation that may not fetch anything", async (t) => {
  t.timeout(300_000);
  const { stdout } = await call("npm", ["pack", "--json", "--pack-destination", folder], {
    cwd: root,
    maxBuffer: 64 * 1024 * 1024,
  });
  const packed = /pathmanager-[\d.]+\.tgz/.exec(stdout)?.[0];
  t.truthy(packed, stdout.slice(0, 400));
  await mkdir(installed);
  await writeFile(join(installed, "package.json"), '{ "private": true }\n');
  // Without a compiler in sight, and without a registry: what is needed is in the package.
  const tarball = join(folder, packed ?? "");
  await call("npm", ["install", "--offline", "--no-audit", "--no-fund", tarball], {
    cwd: installed,
    env: { PATH: process.env["PATH"], HOME: folder, CARGO_HOME: "/nonexistent" },
  });
  t.regex((await call(program("pathctl"), ["--version"])).stdout, /^\d+\.\d+\.\d+\n$/);
  t.regex((await call(program("spscmd"), ["-getver"])).stdout, /^PathManager \d+\.\d+\.\d+\n$/);
  t.regex((await call(program("pathmanagerd"), ["--help"])).stdout, /^usage: pathmanagerd /);
});

/** Runs a script on a Node that says it is an old one. */
const onOldNode = (script: string, ...args: string[]) =>
  call(process.execPath, [
    "--import",
    "data:text/javascript,Object.defineProperty(process,'versions',{value:{...process.versions,node:'20.1.0'}})",
    script,
    ...args,
  ]);

test.serial("an installation under a Node that is too old says so, as does each command", async (t) => {
  const home = join(installed, "node_modules", "pathmanager");
  const sentence = /Node 20\.1\.0 is too old: .*Node 24 or later .*\(https:\/\/nodejs\.org\/\)\n$/;
  t.regex((await onOldNode(join(home, "host/cli/packaging/postinstall.mjs"))).stderr, sentence);
  const refused = await t.throwsAsync<Error & { stderr: string; code: number }>(
    onOldNode(join(home, "host/cli/bin/pathctl.js"), "--version"),
  );
  t.is(refused?.code, 1);
  t.regex(refused?.stderr ?? "", sentence);
});

test.serial("the native addon came along, and the daemon's parts load", async (t) => {
  const { stdout } = await call(program("pathctl"), ["doctor", "--json"], {
    env: { ...process.env, PATHMANAGER_SOCKET: "/nonexistent.sock" },
  });
  const { findings } = JSON.parse(stdout) as { findings: { check: string; level: string }[] };
  t.like(
    findings.find((finding) => finding.check === "addon"),
    { level: "ok" },
  );
});

test.serial("the installed daemon serves, the installed commands ask it, and it stops", async (t) => {
  t.timeout(120_000);
  const at = (name: string): string => JSON.stringify(join(folder, name));
  const configuration = join(folder, "pathmanager.toml");
  await writeFile(
    configuration,
    `emulated = true\n[sockets]\napi = ${at("api.sock")}\nnbd = ${at("nbd.sock")}\n[state]\ndirectory = ${at("state")}\n` +
      `[log]\nfile = ${at("log")}\nsystem = false\n`,
  );
  const daemon = spawn(program("pathmanagerd"), ["--config", configuration], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  let welcome = "";
  daemon.stdout.setEncoding("utf8").on("data", (text: string) => (welcome += text));
  const exit = once(daemon, "exit");
  const env = { ...process.env, PATHMANAGER_SOCKET: join(folder, "api.sock") };
  let shown = "";
  await until("the installed daemon answers", async () => {
    if (daemon.exitCode !== null) throw new Error(`it ended with status ${daemon.exitCode}`);
    shown = await call(program("spscmd"), ["-getlun"], { env }).then(
      ({ stdout }) => stdout,
      () => "",
    );
    return shown !== "";
  });
  // Outside a clone npx would run whatever has our name in the registry.
  await until("it says how to look", () => welcome.includes("pathctl show"));
  t.notRegex(welcome, /npx/);
  t.regex(shown, /^\+\+\+ LogicalUnit #0 \+\+\+ \[adaptive\]\n> {3}0: Priority=4, PathNumber=/);
  daemon.kill("SIGTERM");
  t.deepEqual(await exit, [0, null]);
});

test.serial("without an addon for the platform: the commands work, and it is said what to install", async (t) => {
  const home = join(installed, "node_modules", "pathmanager");
  const prebuilt = join(home, "dist", "host", "native", "prebuilt");
  await rename(prebuilt, `${prebuilt}.away`);
  await mkdir(prebuilt);
  await writeFile(join(prebuilt, "pathmanager.plan9-mips-none.node"), "");
  t.regex((await call(program("pathctl"), ["--version"])).stdout, /^\d/);
  const doctor = await t.throwsAsync<Error & { stdout: string }>(call(program("pathctl"), ["doctor"]));
  t.regex(doctor?.stdout ?? "", /ERROR +addon: no native addon for .*Install Rust .*npm run build/);
  const { stderr } = await call(process.execPath, [join(home, "host/cli/packaging/postinstall.mjs")]);
  t.regex(stderr, /has the native addon for plan9-mips-none, not for linux-/);
  t.regex(stderr, /install Rust .*\n.*cd .*pathmanager && npm run build/);
  await rm(prebuilt, { recursive: true });
  await rename(`${prebuilt}.away`, prebuilt);
});
