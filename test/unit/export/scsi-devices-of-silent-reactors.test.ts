// A SCSI device whose reactor stands still is still open there: a new control leaves it alone. One that was left blocked is not for ever.

import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import type { NbdExport } from "../../../host/export/directory.ts";
import { ScsiDevices, type ScsiOffer, type ScsiServer } from "../../../host/export/scsi-devices.ts";

const IDENTITY = "naa.60012345";

/** A device that an earlier process has left, as configfs shows it. */
function leftDevice(t: ExecutionContext, blocked: string) {
  const folder = mkdtempSync(join(tmpdir(), "pm-target-"));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const store = join(folder, "core/user_4747/pathmanager_3");
  for (const part of ["action", "attrib"]) mkdirSync(join(store, part), { recursive: true });
  const owner = createHash("sha256").update(IDENTITY).digest("hex").slice(0, 32);
  writeFileSync(join(store, "attrib/dev_config"), `pathmanager/${owner}\n`);
  for (const action of ["block_dev", "reset_ring"]) writeFileSync(join(store, "action", action), blocked);
  const places = { target: folder, sys: folder, dev: folder };
  const action = (name: string): string => readFileSync(join(store, "action", name), "utf8").trim();
  return { places, actions: () => [action("block_dev"), action("reset_ring")] };
}

const OFFER = {
  entry: { number: 3, unit: 7, identity: IDENTITY, bytes: 1n << 20n, blockBytes: 512 } as NbdExport,
  presented: { readOnly: false },
  requestMs: 1000,
} as ScsiOffer;

const server = (why: string | null): ScsiServer => ({
  whyAway: () => why,
  open: () => Promise.reject(new Error("nobody is to open it")),
  fail: () => Promise.resolve(),
  close: () => Promise.resolve(),
  resize: () => Promise.resolve(),
  attention: () => Promise.resolve(),
});

test("the ring of a device is not reset while its reactor does not answer", async (t) => {
  const { places, actions } = leftDevice(t, "0");
  const devices = new ScsiDevices(server("reactor 1 does not answer"), undefined, places);
  const error = await t.throwsAsync(devices.attach(OFFER));
  t.regex(error.message, /LogicalUnit #3 cannot become a SCSI device: reactor 1 does not answer/);
  t.deepEqual(actions(), ["0", "0"]);
});

test("a device that is served, and was left blocked, takes commands again", async (t) => {
  const { places, actions } = leftDevice(t, "1");
  const problems: string[] = [];
  const devices = new ScsiDevices(server(null), (problem) => problems.push(problem), places);
  await devices.adopt([{ name: 3, unit: 7 }], () => 512);
  t.deepEqual(actions(), ["0", "1"]);
  t.deepEqual(problems, []);
  await devices.adopt([{ name: 4, unit: 8 }], () => 512);
  t.regex(problems[0] ?? "", /LogicalUnit #4's SCSI device may take no commands: /);
});
