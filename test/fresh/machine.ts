// The machine as a newcomer has it: its own Node on PATH, nothing of this project.

import { spawn, spawnSync, type ChildProcess, type SpawnSyncReturns } from "node:child_process";
import { accessSync, constants, mkdtempSync, readdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";

/** The Node that the product needs: a machine that has it already cannot show what happens without. */
const PRODUCT_NODE_MAJOR = 24;
const OLDER_NODE = "node@20";

/** What `npm run` puts into the environment, and a newcomer's shell does not have. */
const OF_NPM = /^npm_(lifecycle|package|node|exec|command|config_local_prefix)|^(NODE|INIT_CWD|NODE_COMPILE_CACHE)$/;

const isExecutable = (file: string): boolean => {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
};

function run(command: string, args: readonly string[], cwd: string, env: NodeJS.ProcessEnv): SpawnSyncReturns<string> {
  const result = spawnSync(command, args, { cwd, env, encoding: "utf8", maxBuffer: 64 * 1024 * 1024 });
  if (result.error !== undefined) throw result.error;
  return result;
}

export class Machine {
  readonly clone: string;
  readonly nodeVersion: string;
  readonly npmVersion: string;
  readonly #folder: string;
  readonly #environment: NodeJS.ProcessEnv;

  constructor(folder: string, clone: string) {
    this.#folder = folder;
    this.clone = clone;
    const path = (process.env["PATH"] ?? "").split(":").filter((part) => part !== "" && !part.includes("node_modules"));
    const own = Object.entries(process.env).filter(([name]) => !OF_NPM.test(name));
    this.#environment = { ...Object.fromEntries(own), PATH: path.join(":") };
    this.#useOlderNode();
    this.nodeVersion = run("node", ["--version"], folder, this.#environment).stdout.trim();
    this.npmVersion = run("npm", ["--version"], folder, this.#environment).stdout.trim();
  }

  /** Where the machine's Node is new enough for the product itself, an older one stands in for it. */
  #useOlderNode(): void {
    const { stdout } = run("node", ["--version"], this.#folder, this.#environment);
    if (Number(/^v(\d+)/.exec(stdout)?.[1]) < PRODUCT_NODE_MAJOR) return;
    const prefix = join(this.#folder, "older-node");
    const { status, stderr } = run("npm", ["install", "--prefix", prefix, OLDER_NODE], this.#folder, this.#environment);
    if (status !== 0) throw new Error(`npm install ${OLDER_NODE}: ${stderr}`);
    const programs = join(prefix, "node_modules", "node", "bin");
    this.#environment["PATH"] = `${programs}:${this.#environment["PATH"] ?? ""}`;
  }

  /** A PATH on which everything is but what is named. */
  pathWithout(names: readonly string[]): string {
    const programs = mkdtempSync(join(this.#folder, "path-"));
    const linked = new Set(names);
    for (const part of (this.#environment["PATH"] ?? "").split(":")) {
      let entries: string[] = [];
      try {
        entries = readdirSync(part);
      } catch {
        // A folder on PATH need not exist.
      }
      for (const name of entries) {
        if (linked.has(name) || !isExecutable(join(part, name))) continue;
        linked.add(name);
        symlinkSync(join(part, name), join(programs, name));
      }
    }
    return programs;
  }

  npm(args: readonly string[], environment: NodeJS.ProcessEnv = {}): SpawnSyncReturns<string> {
    return run("npm", args, this.clone, { ...this.#environment, ...environment });
  }

  npx(args: readonly string[]): SpawnSyncReturns<string> {
    return run("npx", args, this.clone, this.#environment);
  }

  /** `npm start` in the foreground of a terminal of its own: a process group that Ctrl-C reaches as a whole. */
  start(shell: string): ChildProcess {
    return spawn("npm", ["start"], {
      cwd: this.clone,
      env: { ...this.#environment, npm_config_script_shell: shell },
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
    });
  }

  /** `npm test`, seen by whoever watches. */
  test(): void {
    const { status } = spawnSync("npm", ["test"], { cwd: this.clone, env: this.#environment, stdio: "inherit" });
    if (status !== 0) throw new Error(`npm test ended with status ${status}`);
  }
}
