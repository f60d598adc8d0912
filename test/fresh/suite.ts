// `npm run test:fresh`: the first commands of a newcomer. The committed state is cloned into an empty folder, where `npm start`
// finds no node_modules, and on PATH nothing but the machine's own Node, under each shell that may be /bin/sh. It has to
// serve; what a machine may lack gets one sentence each. Then `npm test` runs in that clone. What it has built is kept for the
// suites that follow.

import { spawnSync } from "node:child_process";
import { appendFileSync, cpSync, existsSync, mkdtempSync, readdirSync, renameSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ensurePackages, findProgram, missingSentence, type DebianPackage } from "../rig/packages.ts";
import { Machine } from "./machine.ts";
import { isolate } from "./isolate.ts";
import { startAndRead } from "./start.ts";

const PROGRAMS: readonly DebianPackage[] = [
  { package: "git", program: "git" },
  { package: "dash", program: "dash" },
  { package: "bash", program: "bash" },
  { package: "busybox", program: "busybox" },
  { package: "util-linux", program: "unshare" },
  { package: "libnbd-bin", program: "nbdinfo" },
];

const root = join(import.meta.dirname, "..", "..");

const missing = ensurePackages(PROGRAMS);
if (missing.length > 0) {
  console.error(missingSentence(missing, "test:fresh"));
  process.exit(2);
}
isolate();

/** Runs a program to its end and answers what it wrote; throws when it fails. */
function call(command: string, args: readonly string[], cwd: string): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd, encoding: "utf8" });
  if (error !== undefined) throw error;
  if (status !== 0) throw new Error(`${command} ${args.join(" ")}: status ${status}: ${stderr}`);
  return stdout;
}

const changed = call("git", ["status", "--porcelain", "--untracked-files=no"], root);
if (changed !== "") {
  console.error(`test:fresh: a clone holds what is committed; commit first:\n${changed}`);
  process.exit(2);
}

const folder = mkdtempSync(join(tmpdir(), "pathmanager-fresh-"));
const clone = join(folder, "clone");
const ash = join(folder, "ash");
symlinkSync(findProgram("busybox") ?? "busybox", ash);
const machine = new Machine(folder, clone);

async function step(name: string, work: () => Promise<void> | void): Promise<void> {
  const begin = performance.now();
  await work();
  console.log(`  passed  ${name} (${Math.round((performance.now() - begin) / 1000)} s)`);
}

/** `npm run build` has to fail with `sentence` as its last word of PathManager's. */
function refuses(environment: NodeJS.ProcessEnv, sentence: RegExp): void {
  const { status, stdout, stderr } = machine.npm(["run", "--silent", "build"], environment);
  const said = stderr.trimEnd().split("\n");
  const last = said.at(-1) ?? "";
  if (status !== 1 || !sentence.test(last)) {
    throw new Error(`status ${status}, last line is not ${sentence}:\n${stdout}\n${said.join("\n")}`);
  }
  const sentences = said.filter((line) => /^pathmanager: .* failed: /.test(line));
  if (sentences.length !== 1) throw new Error(`it says it ${sentences.length} times:\n${sentences.join("\n")}`);
}

/** Changes a file, which then has to be built anew, for the time of `work`. */
function withText(file: string, text: string, work: () => void): void {
  appendFileSync(join(clone, file), text);
  work();
  call("git", ["checkout", "--quiet", "--", file], clone);
}

/** The addon and what cargo has made of it are away for the time of `work`: all else is built, and stays. */
function withoutAddon(work: () => void): void {
  const products = ["native", "cargo-target"].map((name) => ({
    at: join(clone, "build", name),
    kept: join(folder, name),
  }));
  for (const { at, kept } of products) renameSync(at, kept);
  work();
  for (const { at, kept } of products) {
    rmSync(at, { recursive: true, force: true });
    renameSync(kept, at);
  }
}

/** What the clone has built is brought into this tree where it has nothing yet: its sources are the same, and digests say so. */
function keepBuild(): void {
  if (existsSync(join(root, "build", "stamps", "native"))) return;
  const from = join(clone, "build");
  for (const name of readdirSync(from).filter((entry) => !entry.startsWith("cargo-"))) {
    cpSync(join(from, name), join(root, "build", name), { recursive: true });
  }
}

try {
  await step("cloned into an empty folder", () => {
    call("git", ["clone", "--quiet", "--no-hardlinks", root, clone], folder);
    if (existsSync(join(clone, "node_modules"))) throw new Error("node_modules is committed");
    console.log(`  Node ${machine.nodeVersion}, npm ${machine.npmVersion}, in ${clone}`);
  });
  await step("npx pathctl before anything is built: what to do first", () => {
    const { status, stderr } = machine.npx(["pathctl", "--version"]);
    const sentence = /^pathctl: Node [\d.]+ is too old: Node 24 or later is needed \(run `npm run build` once, /;
    if (status !== 1 || !sentence.test(stderr)) throw new Error(`status ${status}: ${stderr}`);
  });
  await step("no network: one sentence", () => {
    const nowhere = { npm_config_registry: "http://127.0.0.1:9/", npm_config_cache: join(folder, "empty-cache") };
    refuses(
      nowhere,
      /^pathmanager: installing the dependencies failed: npm cannot reach its registry \(ECONNREFUSED\); connect /,
    );
  });
  await step("npm start under dash, from nothing, serves and ends by Ctrl-C", () => {
    rmSync(join(clone, "node_modules"), { recursive: true, force: true });
    return startAndRead(machine, findProgram("dash") ?? "dash", "group");
  });
  await step("the crates cannot be fetched: one sentence", () =>
    withoutAddon(() =>
      refuses(
        { CARGO_HOME: join(folder, "empty-cargo"), CARGO_HTTP_PROXY: "http://127.0.0.1:9" },
        /^pathmanager: building the native addon failed: cargo cannot fetch the crates \(could not connect to server\); connect /,
      ),
    ),
  );
  await step("npm start under bash serves and ends by SIGINT", () =>
    startAndRead(machine, findProgram("bash") ?? "bash", "npm"),
  );
  await step("npm start under busybox's ash, without node_modules, serves and ends by SIGINT", () => {
    rmSync(join(clone, "node_modules"), { recursive: true });
    return startAndRead(machine, ash, "npm");
  });
  await step("npx pathctl warns of nothing", () => {
    const { status, stdout, stderr } = machine.npx(["pathctl", "--version"]);
    if (status !== 0 || stderr !== "") throw new Error(`status ${status}: ${stdout}${stderr}`);
  });
  await step("no cargo: one sentence", () =>
    withText("host/native/src/lib.rs", "// \n", () =>
      refuses(
        { PATH: machine.pathWithout(["cargo", "rustc"]) },
        /^pathmanager: building the native addon failed: cargo is not on PATH; install Rust .*rustup\.rs/,
      ),
    ),
  );
  await step("no C compiler: one sentence", () =>
    withText("host/native/src/lib.rs", "// \n", () =>
      refuses(
        { PATH: machine.pathWithout(["cc"]) },
        /^pathmanager: building the native addon failed: the C compiler `cc`, which links, is not on PATH; install /,
      ),
    ),
  );
  await step("Rust that does not compile: one sentence with its place", () =>
    withText("host/native/src/lib.rs", "fn broken() -> u32 { nothing }\n", () =>
      refuses({}, /^pathmanager: .*: the native addon does not compile: .*src\/lib\.rs:\d+:\d+: cannot find value/),
    ),
  );
  await step("AssemblyScript that does not compile: one sentence with its place", () =>
    withText("assembly/index.ts", "export function broken(): u32 { return nothing; }\n", () =>
      refuses({}, /^pathmanager: .*: the core does not compile: assembly\/index\.ts\(\d+,\d+\): Cannot find name/),
    ),
  );
  await step("nothing of all that changed a tracked file", () => {
    const status = call("git", ["status", "--porcelain"], clone);
    if (status !== "") throw new Error(status);
  });
  if (!process.argv.includes("--without-tests")) {
    console.log("=== npm test, in that clone");
    await step("npm test", () => machine.test());
  }
  keepBuild();
  rmSync(folder, { recursive: true });
} catch (error) {
  console.error(`  FAILED  ${error instanceof Error ? error.message : String(error)}\n  everything lies in ${folder}`);
  process.exitCode = 1;
}
