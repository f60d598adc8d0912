// A small test runner for use inside the guest: one file, whose tests run one after another and report one line each.

import type { ArrayKind, KernelKind } from "../machine.ts";

/** What a test file requires; the guest is booted accordingly. */
export interface Rig {
  /** Default: uml. */
  readonly kernel?: KernelKind;
  readonly array: ArrayKind;
  readonly units?: number;
  readonly paths?: number;
  readonly unitMib?: number;
  readonly memoryMib?: number;
  /** Ample on a quiet machine; the suite gives a busy one more. */
  readonly timeLimitS: number;
  /** Run first, and in any case where the suite is given a budget of time. */
  readonly isEssential?: true;
  /** Done on the host before the guest is booted: what has to be compiled is compiled there. */
  readonly prepare?: () => void;
}

interface RigTest {
  readonly name: string;
  readonly body: () => void | Promise<void>;
}

const registered: RigTest[] = [];
const cleanups: (() => void | Promise<void>)[] = [];

/** Declares a test. The tests of a file run in order and share the guest, so each restores the array. */
export function test(name: string, body: () => void | Promise<void>): void {
  if (registered.some((other) => other.name === name)) throw new Error(`two tests are named "${name}"`);
  registered.push({ name, body });
}

/** Registers a cleanup for the end of the running test, even if it fails; the last one runs first. */
export function afterwards(cleanup: () => void | Promise<void>): void {
  cleanups.push(cleanup);
}

/** Returns and clears the names of the tests declared so far: this tells the suite what a file contains. */
export function takeNames(): readonly string[] {
  return registered.splice(0).map(({ name }) => name);
}

async function runOne({ name, body }: RigTest): Promise<boolean> {
  const start = performance.now();
  const problems: unknown[] = [];
  const attempt = async (step: () => void | Promise<void>): Promise<void> => {
    try {
      await step();
    } catch (error) {
      problems.push(error);
    }
  };
  await attempt(body);
  for (let cleanup = cleanups.pop(); cleanup !== undefined; cleanup = cleanups.pop()) await attempt(cleanup);
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  console.log(`${problems.length === 0 ? "ok" : "not ok"} - ${name} (${seconds} s)`);
  for (const problem of problems) {
    console.log(
      (problem instanceof Error ? (problem.stack ?? problem.message) : String(problem)).replaceAll(/^/gm, "    "),
    );
  }
  return problems.length === 0;
}

/** Runs the declared tests. Returns whether all of them passed. */
export async function runTests(): Promise<boolean> {
  let passed = true;
  for (const one of registered.splice(0)) passed = (await runOne(one)) && passed;
  return passed;
}
