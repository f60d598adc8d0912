// Somebody else who may write through an sg device of ours: the kernel keeps him out only for a sole descriptor, so he is named.

import assert from "node:assert/strict";
import { until } from "../../until.ts";
import { attempt, start } from "../lib/command.ts";
import { LioArray } from "../lib/lio.ts";
import { Daemon, mustPathctl, pathctl, statusText } from "../lib/pathmanager.ts";
import { afterwards, test, type Rig } from "../lib/test.ts";

export const rig: Rig = { array: "lio", units: 1, paths: 2, timeLimitS: 150 };

const array = new LioArray();
const sg = (): string => array.devices(0)[0]?.sg ?? assert.fail("no path 0");

const EXCLUSIVE = `
const { openSync, constants: c } = require("node:fs");
const open = (flags) => { try { openSync(process.argv[1], c.O_NONBLOCK | flags); return "open"; } catch (e) { return e.code; } };
console.log(open(c.O_RDWR | c.O_EXCL), open(c.O_RDWR), open(c.O_RDWR | c.O_EXCL));`;

test("an exclusive sg descriptor is the only one, for its owner too: so a path of several cannot be held with it", () => {
  assert.equal(attempt("node", ["-e", EXCLUSIVE, sg()]).stdout.trim(), "open EBUSY EBUSY");
});

test("a process that has a device of ours open for writing is named until it is gone", async () => {
  const daemon = await Daemon.start('devices = "all"\npolicy = "static"\n');
  afterwards(async () => void (await daemon.stop()));
  assert.doesNotMatch(statusText(), /open for writing/);
  const writer = start("sh", "-c", `exec 3<>${sg()}; touch /tmp/open; exec sleep 1000`);
  afterwards(() => void writer.kill("SIGKILL"));
  await until("it is open", () => attempt("test", ["-e", "/tmp/open"]).status === 0);
  mustPathctl("config", "reload");
  const named = new RegExp(`${sg()} .* is open for writing by process ${writer.pid} \\(sleep\\)`);
  await until("it is named", () => named.test(statusText()));
  assert.match(pathctl("doctor").stdout, named);
  assert.match(mustPathctl("events"), new RegExp(`open for writing.*process ${writer.pid} `));
  writer.kill("SIGKILL");
  await writer;
  mustPathctl("config", "reload");
  await until("it is not named any more", () => !named.test(statusText()));
});
