// The other end of a runner: gives it tasks, and replaces it when a mistake has made it run on for ever.

import { fork, type ChildProcess } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { PieceResult, Report, Task } from "./runner.ts";

/** A piece that needs no more than seconds has not ended after so much processor time. */
const PIECE_MS_MAX = 60_000;
/** How often that is looked at. */
const LOOK_MS = 2000;
/** One that has used none at all for so long waits for ever. */
const IDLE_MS_MAX = 60_000;
const TICKS_PER_SECOND = 100;

/** Processor time that a process has used, which does not depend on how busy the machine is, ms; not a number when it is gone. */
function usedMs({ pid }: ChildProcess): number {
  const file = `/proc/${pid}/stat`;
  if (!existsSync(file)) return Number.NaN;
  // The name of the program, in brackets, may have blanks in it.
  const fields = readFileSync(file, "utf8")
    .replace(/^.*\) /, "")
    .split(" ");
  return ((Number(fields[11]) + Number(fields[12])) * 1000) / TICKS_PER_SECOND;
}

export interface Outcome {
  readonly results: readonly PieceResult[];
  /** The piece that never ended, or ended the process. */
  readonly lost: string | null;
}

export class Runner {
  #child: ChildProcess | undefined;
  #tests: readonly string[] = [];
  /** The modules the child has. */
  #held: Task["modules"] | undefined;

  /** Titles of the unit tests, by their numbers. */
  async tests(): Promise<readonly string[]> {
    await this.#start();
    return this.#tests;
  }

  /** @param limitsMs processor time after which each of the pieces does not end, where that is known */
  async run(task: Task, limitsMs: readonly number[] = []): Promise<Outcome> {
    const child = await this.#start();
    const modules = this.#held === task.modules ? null : task.modules;
    this.#held = task.modules;
    const results: PieceResult[] = [];
    return new Promise((resolve) => {
      let beganMs = usedMs(child);
      let lookedMs = beganMs;
      let idleMs = 0;
      const end = (lost: string | null): void => {
        clearInterval(timer);
        child.removeAllListeners();
        if (lost !== null) {
          this.#child = undefined;
          child.kill("SIGKILL");
        }
        resolve({ results, lost });
      };
      const timer = setInterval(() => {
        const nowMs = usedMs(child);
        idleMs = nowMs === lookedMs ? idleMs + LOOK_MS : 0;
        const limitMs = limitsMs[results.length] ?? PIECE_MS_MAX;
        if (idleMs >= IDLE_MS_MAX || nowMs - beganMs > limitMs) end("it does not end");
        lookedMs = nowMs;
      }, LOOK_MS);
      child.on("exit", () => end("it ends the process"));
      child.on("message", (report: Report) => {
        beganMs = usedMs(child);
        if (report.kind === "piece") results.push(report.result);
        else if (report.kind === "end") end(null);
      });
      child.send({ ...task, modules });
    });
  }

  async #start(): Promise<ChildProcess> {
    if (this.#child !== undefined) return this.#child;
    const child = fork(join(import.meta.dirname, "runner.ts"), { serialization: "advanced" });
    this.#child = child;
    this.#held = undefined;
    this.#tests = await new Promise((resolve, reject) => {
      child.once("message", (report: Report) => resolve(report.kind === "ready" ? report.tests : []));
      child.once("exit", (status) => reject(new Error(`a runner ended with status ${status}`)));
    });
    child.removeAllListeners();
    return child;
  }

  end(): void {
    this.#child?.disconnect();
    this.#child = undefined;
  }
}
