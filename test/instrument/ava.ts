// Stands for ava in a process that runs unit tests many times: collects them instead of running them. It knows what the tests
// of the core use, and refuses anything else.

import assert from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";

/** What a test gets. */
export type Context = Readonly<Record<string, unknown>>;
type Body = (t: Context) => void | Promise<void>;

export interface UnitTest {
  readonly title: string;
  readonly run: () => Promise<void>;
}

const collected: UnitTest[] = [];

/** The tests since the last call. */
export const takeTests = (): UnitTest[] => collected.splice(0);

function fail(name: string, message: unknown): never {
  throw new assert.AssertionError({ message: typeof message === "string" ? message : `t.${name} does not hold` });
}

const holds =
  (name: string, judge: (...values: readonly unknown[]) => boolean, values: number) =>
  (...all: readonly unknown[]): boolean =>
    judge(...all.slice(0, values)) || fail(name, all[values]);

function isLike(value: unknown, part: unknown): boolean {
  if (typeof part !== "object" || part === null) return Object.is(value, part);
  if (typeof value !== "object" || value === null) return false;
  return Object.entries(part).every(([key, one]) => isLike(Reflect.get(value, key), one));
}

function matches(error: unknown, expected: unknown): boolean {
  if (expected === undefined) return true;
  const { message, instanceOf, code, name, ...rest } = expected as {
    message?: string | RegExp;
    instanceOf?: new () => Error;
    code?: unknown;
    name?: unknown;
  };
  if (Object.keys(rest).length > 0) throw new Error(`t.throws with ${Object.keys(rest).join(", ")} is not known here`);
  const said = error instanceof Error ? error.message : String(error);
  if (typeof message === "string" && said !== message) return false;
  if (message instanceof RegExp && !message.test(said)) return false;
  if (instanceOf !== undefined && !(error instanceof instanceOf)) return false;
  if (code !== undefined && Reflect.get(Object(error), "code") !== code) return false;
  return name === undefined || Reflect.get(Object(error), "name") === name;
}

function throws(body: () => unknown, expected?: unknown): unknown {
  let value: unknown;
  try {
    value = body();
  } catch (error) {
    return matches(error, expected) ? error : fail("throws", `it threw ${String(error)}`);
  }
  return fail("throws", `it did not throw, but answered ${String(value)}`);
}

const context: Context = new Proxy(
  {
    is: holds("is", Object.is, 2),
    not: holds("not", (a, b) => !Object.is(a, b), 2),
    deepEqual: holds("deepEqual", (a, b) => isDeepStrictEqual(a, b), 2),
    notDeepEqual: holds("notDeepEqual", (a, b) => !isDeepStrictEqual(a, b), 2),
    like: holds("like", isLike, 2),
    true: holds("true", (value) => value === true, 1),
    false: holds("false", (value) => value === false, 1),
    truthy: holds("truthy", Boolean, 1),
    falsy: holds("falsy", (value) => !value, 1),
    fail: (message?: unknown) => fail("fail", message),
    pass: () => true,
    log: () => undefined,
    notThrows: (body: () => unknown) => void body(),
    throws,
  },
  {
    get(all, name) {
      if (name in all) return Reflect.get(all, name) as unknown;
      throw new Error(`t.${String(name)} is not known here: test/instrument/ava.ts`);
    },
  },
);

/** `test(title, body)`; nothing else. */
export default function test(title: string, body: Body): void {
  collected.push({ title, run: async () => body(context) });
}
