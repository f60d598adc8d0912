// What a case of the suite is, and what it gets.

import type { Daemon } from "./daemon.ts";

export interface Context {
  readonly daemon: Daemon;
  /** A folder of the suite's own, on a file system in memory where there is one. */
  readonly folder: string;
}

export interface Case {
  readonly name: string;
  readonly run: (context: Context) => Promise<void>;
}

/** Fails the case unless it holds. */
export function check(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Error(what);
}

export function same(found: unknown, expected: unknown, what: string): void {
  const [left, right] = [JSON.stringify(found), JSON.stringify(expected)];
  if (left !== right) throw new Error(`${what}: found ${left}, expected ${right}`);
}
