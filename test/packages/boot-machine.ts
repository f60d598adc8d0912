// The machine: user-mode-linux on copies of the disks that were made for it.

import assert from "node:assert/strict";
import { spawn, type ChildProcess, type SpawnOptions } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { ensureWrapper } from "../rig/kernel.ts";
import { findProgram } from "../rig/packages.ts";
import { until } from "../until.ts";
import { run, type Files, type Maker } from "./boot-tree.ts";
import { project } from "./build.ts";

/** A machine that hangs takes longer, however busy this one is. */
const BOOT_MS_MAX = 600_000;

/** Of /proc/stat. */
const TICKS_PER_S = 100;

interface Boot {
  readonly console: string;
  /** From the array's being there to the root's being mounted. */
  readonly mountedS: number;
  /** For how long of it the machine had nothing to do: this does not depend on how busy ours is. */
  readonly idleS: number;
}

/** How it boots. */
export interface Options {
  /** Words of the kernel's command line. */
  readonly words: readonly string[];
  readonly maker?: Maker;
  /** It goes on with the disks of the machine before. */
  readonly isNext?: boolean;
}

/** A machine on copies of the disks. */
export class Booted implements AsyncDisposable {
  readonly #log: string;
  readonly #machine: ChildProcess;
  readonly #disks: readonly string[];

  constructor({ folder, initials, root, data, swap, volume }: Files, name: string, options: Options) {
    const { words, maker = "initramfs-tools", isNext = false } = options;
    const copies = [root, data, swap, volume].map((from, at) => {
      const letter = "abcd".charAt(at);
      return { from, to: join(folder, `disk-${letter}`), word: `ubd${letter}=${join(folder, `disk-${letter}`)}` };
    });
    this.#disks = copies.slice(0, 2).map(({ to }) => to);
    for (const { from, to } of isNext ? [] : copies) run("cp", "--sparse=always", from, to);
    this.#log = join(folder, `${name}.log`);
    const output = openSync(this.#log, "w");
    const disks = [`initrd=${initials[maker]}`, ...copies.map(({ word }) => word), "rw"];
    const serial = [
      "con=null",
      "con0=null,fd:1",
      "panic=600",
      "printk.devkmsg=on",
      "systemd.log_target=kmsg",
      `uml_dir=${folder}`,
    ];
    const env = { PATH: process.env["PATH"], HOME: folder, LD_PRELOAD: ensureWrapper(project), TMPDIR: folder };
    const program = findProgram("linux.uml") ?? "linux.uml";
    const way = { detached: true, stdio: ["ignore", output, output], env } satisfies SpawnOptions;
    this.#machine = spawn(program, ["mem=1536M", ...disks, ...serial, ...words], way);
    closeSync(output);
  }

  get console(): string {
    return readFileSync(this.#log, "utf8");
  }

  async #says(what: string, mark: string): Promise<void> {
    const isOver = (): boolean => this.#machine.exitCode !== null || this.console.includes("emergency mode");
    await until(what, () => isOver() || this.console.includes(mark), BOOT_MS_MAX);
    assert.ok(this.console.includes(mark), `${what}, it does not:\n${this.console.split("\n").slice(-60).join("\n")}`);
  }

  async mounts(): Promise<Boot> {
    await this.#says("the machine mounts its root", "root is mounted at");
    const told = (pattern: RegExp): number => Number(pattern.exec(this.console)?.[1] ?? Number.NaN);
    const mountedS = told(/root is mounted at ([\d.]+) s/) - told(/disks at ([\d.]+) s/);
    const ticks = told(/root is mounted at .*, idle for (\d+) ticks/) - told(/disks at .*, idle for (\d+) ticks/);
    return { console: this.console, mountedS, idleS: ticks / TICKS_PER_S };
  }

  /** @returns how long the machine takes to power off */
  async powersOff(): Promise<number> {
    await this.#says("the machine powers off", "check: powers off");
    const began = performance.now();
    await until("the machine is off", () => this.#machine.exitCode !== null, BOOT_MS_MAX);
    const took = performance.now() - began;
    for (const disk of this.#disks) run("e2fsck", "-fn", disk);
    return took;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { pid, exitCode } = this.#machine;
    if (pid === undefined || exitCode !== null) return;
    const ended = new Promise((resolve) => this.#machine.once("exit", resolve));
    process.kill(-pid, "SIGKILL");
    await ended;
  }
}
