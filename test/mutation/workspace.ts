// A copy of the tree with a core of its own, in which the unit tests of the core run against a mutant.

import { spawn } from "node:child_process";
import { cpSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";

const root = join(import.meta.dirname, "..", "..");

/** What the tests of the core and of selection need. */
const COPIED = [
  "host",
  "test",
  "bench",
  "assembly",
  "docs",
  "package.json",
  "ava.config.js",
  "tsconfig.json",
  ".prettierrc.json",
];
const TESTS = ["test/unit/core/*.test.ts", "test/unit/selection/*.test.ts"];
const TESTS_MS_MAX = 240_000;

export class Workspace {
  readonly folder: string;
  readonly core: string;

  /** Makes the copy, anew. */
  constructor(name: string) {
    this.folder = join(root, "build", "mutation", name);
    this.core = join(this.folder, "build", "core.wasm");
    rmSync(this.folder, { recursive: true, force: true });
    mkdirSync(join(this.folder, "build"), { recursive: true });
    for (const entry of COPIED) {
      cpSync(join(root, entry), join(this.folder, entry), {
        recursive: true,
        filter: (path) => !relative(root, path).startsWith("host/native/target"),
      });
    }
    for (const part of ["native", "bench"]) symlinkSync(join(root, "build", part), join(this.folder, "build", part));
    symlinkSync(join(root, "node_modules"), join(this.folder, "node_modules"));
  }

  setCore(module: Uint8Array): void {
    writeFileSync(this.core, module);
  }

  /** Runs the unit tests; answers the first that fails, or null. */
  async firstFailure(): Promise<string | null> {
    const ava = join(root, "node_modules", "ava", "entrypoints", "cli.mjs");
    const child = spawn(process.execPath, [ava, "--fail-fast", "--concurrency", "1", "--tap", ...TESTS], {
      cwd: this.folder,
      stdio: ["ignore", "pipe", "ignore"],
      detached: true,
    });
    let text = "";
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
    const timer = setTimeout(() => process.kill(-(child.pid ?? 0), "SIGKILL"), TESTS_MS_MAX);
    const status = await new Promise<number | null>((resolve) => {
      child.once("close", resolve);
    });
    clearTimeout(timer);
    if (status === 0) return null;
    return /^not ok \d+ - (.*)$/m.exec(text)?.[1] ?? "the unit tests did not end";
  }
}
