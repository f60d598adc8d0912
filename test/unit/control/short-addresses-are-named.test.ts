// A limit of the address space (`ulimit -v`) below what V8 and WebAssembly reserve: the error names it, and what is needed.

import { spawnSync } from "node:child_process";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { addressAdvice } from "../../../host/reactor/address-space.ts";
import { TestDaemon } from "./fixtures/daemon.ts";

/** A daemon that starts all the same runs until it is stopped. */
const TIMEOUT_MS = 60_000;

test("a daemon that gets no addresses for its core says what is limited, and what to do", (t) => {
  const folder = mkdtempSync(join(tmpdir(), "pm-addresses-"));
  TestDaemon.configure(folder, "[array]\nunits = 1\npaths = 2\nunit_mib = 1\n");
  // Node itself fits; the guard regions of the core's memory do not.
  const command = `ulimit -v 20000000; exec "$0" host/cli/pathmanagerd.ts --config "$1"`;
  const args = ["-c", command, process.execPath, join(folder, "pathmanager.toml")];
  // With a cache Node needs fewer addresses, and these suffice.
  const { NODE_COMPILE_CACHE: _, ...env } = process.env;
  const { status, stderr } = spawnSync("/bin/sh", args, { env, encoding: "utf8", timeout: TIMEOUT_MS });
  t.is(status, 1);
  t.regex(stderr, /limited to 19\.1 GiB \(ulimit -v, LimitAS\).*about 27 GiB of addresses.*ulimit -v unlimited/);
  t.is(stderr.trimEnd().split("\n").length, 1, stderr);
});

/** As /proc/self/limits has it. */
const limits = (value: string): string =>
  `Max stack size 8388608 unlimited bytes\nMax address space ${value} unlimited bytes\n`;

test("without a limit, or with a wide one, nothing is advised", (t) => {
  t.is(addressAdvice(limits("unlimited")), null);
  t.is(addressAdvice(limits(String(2 ** 40))), null);
  t.regex(addressAdvice(limits(String(2 ** 33))) ?? "", /limited to 8\.0 GiB/);
});
