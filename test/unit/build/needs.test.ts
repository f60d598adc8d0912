// `npm test -- FILE` builds what the file loads, and no more: least of all may it run against a core that is not of these sources.

import { join } from "node:path";
import test from "ava";
import { closureOf, needsOfTests } from "../../../host/build/needs.mjs";

const root = join(import.meta.dirname, "..", "..", "..");
const needs = (...args: readonly string[]): string[] | null => needsOfTests(root, args)?.toSorted() ?? null;

test("a test of the core needs the core alone, one of the addon the addon, one of documents nothing", (t) => {
  t.deepEqual(needs("test/unit/core/io.test.ts"), ["core"]);
  t.deepEqual(needs("test/unit/native/ports.test.ts"), ["native"]);
  t.deepEqual(needs("test/unit/control/documents-are-complete.test.ts"), []);
  t.deepEqual(needs("test/unit/selection/balance.test.ts"), ["bench-core"]);
  t.deepEqual(needs("test/unit/core/defaults.test.ts"), ["core", "core-debug"]);
});

test("what a test starts as a program, a thread or through others counts as well", (t) => {
  t.deepEqual(needs("test/unit/cli/real-daemon.test.ts"), ["core", "native"]);
  t.deepEqual(needs("test/unit/reactor/client.test.ts"), ["core", "native"]);
  t.deepEqual(needs("test/unit/control/the-daemon-survives.test.ts"), ["core", "native"]);
  t.deepEqual(needs("test/unit/simulation/worlds.test.ts"), ["core"]);
});

test("of several files each has what it needs; other arguments change nothing", (t) => {
  t.deepEqual(needs("test/unit/core/io.test.ts", "--match", "*", "test/unit/native/ports.test.ts"), ["core", "native"]);
});

test("without a file, or with a pattern of files, everything is needed", (t) => {
  t.is(needs(), null);
  t.is(needs("--verbose"), null);
  t.is(needs("test/unit/core/*.test.ts"), null);
  t.is(needs("test/unit/core/io.test.ts", "test/unit/no-such-file.test.ts"), null);
});

test("the files a test loads are found through imports, addresses and templates", (t) => {
  const loaded = closureOf(root, "test/unit/cli/real-daemon.test.ts");
  for (const file of ["test/unit/cli/daemon.ts", "host/cli/bin/pathmanagerd.js", "host/cli/api-client.ts"]) {
    t.true(loaded.includes(file), file);
  }
});
