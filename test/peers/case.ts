// A case of the suite, and its context.

import type { Daemon } from "./daemon.ts";

export interface Context {
  readonly daemon: Daemon;
  /** The suite's own folder, on a file system in memory if there is one. */
  readonly folder: string;
}

export interface Case {
  readonly name: string;
  readonly run: (context: Context) => Promise<void>;
}

/** Fails the case if the condition does not hold. */
export function check(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Error(what);
}

export function same(found: unknown, expected: unknown, what: string): void {
  const [left, right] = [JSON.stringify(found), JSON.stringify(expected)];
  if (left !== right) throw new Error(`${what}: found ${left}, expected ${right}`);
}
