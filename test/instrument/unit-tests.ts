// The unit tests of the core and of selection, in this process, one by one.

import { globSync } from "node:fs";
import { registerHooks } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import fc from "fast-check";
import type { UnitTest } from "./ava.ts";

const root = join(import.meta.dirname, "..", "..");
const TESTS = ["test/unit/core/*.test.ts", "test/unit/selection/*.test.ts"];

export interface NamedTest {
  readonly file: string;
  readonly test: UnitTest;
}

/** Loads all of them. What they draw is drawn alike every time, and what fails is not made smaller first. */
export async function loadTests(): Promise<NamedTest[]> {
  const standIn = pathToFileURL(join(import.meta.dirname, "ava.ts")).href;
  registerHooks({
    resolve: (specifier, whence, next) => (specifier === "ava" ? next(standIn, whence) : next(specifier, whence)),
  });
  fc.configureGlobal({ ...fc.readConfigureGlobal(), seed: 1, endOnFailure: true });
  const { takeTests } = await import("./ava.ts");
  process.chdir(root);
  const tests: NamedTest[] = [];
  for (const file of globSync(TESTS, { cwd: root }).toSorted()) {
    await import(pathToFileURL(join(root, file)).href);
    tests.push(...takeTests().map((test) => ({ test, file })));
  }
  return tests;
}

/** Runs one; answers how it failed, or null. */
export async function failureOf(test: UnitTest): Promise<string | null> {
  try {
    await test.run();
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
