// Whoever attaches what is attached, or detaches what is not, has what was asked for.

import assert from "node:assert/strict";
import { until } from "../../until.ts";
import { run } from "../lib/command.ts";
import { Daemon, mustPathctl, pathctl } from "../lib/pathmanager.ts";
import { afterwards, test, type Rig } from "../lib/test.ts";

export const rig: Rig = { array: "lio", paths: 2, timeLimitS: 180 };

const attachedIn = (): string[] => mustPathctl("show").match(/\/dev\/nbd\d+/g) ?? [];

test("attach and detach may be repeated; a second device of a unit, with a cache of its own, is only by a flag", async () => {
  const daemon = await Daemon.start('devices = "all"\n');
  afterwards(async () => void (await daemon.stop()));
  const first = mustPathctl("attach", "0").trim();
  assert.equal(mustPathctl("attach", "0").trim(), first);
  assert.equal(mustPathctl("attach", "0", first).trim(), first);
  assert.deepEqual(attachedIn(), [first]);
  const refused = pathctl("attach", "0", "/dev/nbd9");
  assert.equal(refused.status, 1);
  assert.match(refused.stderr, new RegExp(`attached to ${first} already.*--another.*cache`));
  assert.match(pathctl("attach", "0", "--read-only").stderr, /readOnly false, not true/);
  assert.equal(mustPathctl("attach", "0", "/dev/nbd9", "--another").trim(), "/dev/nbd9");
  assert.equal(mustPathctl("attach", "0", "/dev/nbd9").trim(), "/dev/nbd9");
  assert.deepEqual(attachedIn().toSorted(), [first, "/dev/nbd9"].toSorted());
  mustPathctl("detach", "/dev/nbd9");
  mustPathctl("detach", "/dev/nbd9");
  mustPathctl("detach", "0");
  mustPathctl("detach", "0");
  assert.deepEqual(attachedIn(), []);
});

test("attach in the configuration: a unit becomes a block device by itself; detached by command, it stays so", async () => {
  const text = `devices = "all"\nattach = true\n`;
  const daemon = await Daemon.start(text);
  afterwards(async () => void (await daemon.stop()));
  const [device = ""] = await until("it is attached", () => (attachedIn().length > 0 ? attachedIn() : undefined));
  run("dd", `if=${device}`, "of=/dev/null", "bs=4096", "count=1", "iflag=direct");
  mustPathctl("detach", "0");
  mustPathctl("rescan");
  assert.deepEqual(attachedIn(), [], "a scan does not attach what was detached by command");
  mustPathctl("config", "reload");
  await until("the configuration decides again", () => attachedIn().length > 0);
  mustPathctl("detach", "0");
});
