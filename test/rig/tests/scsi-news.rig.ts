// What the initiators of a unit's SCSI device hear of it: a new size, by the unit attention that the kernel's own log shows; and that cluster
// mode carries out RESERVE and RELEASE of SPC-2. The array is the emulated one, whose units grow on demand.

import assert from "node:assert/strict";
import { until } from "../../until.ts";
import { daemonOf } from "../lib/cluster-node.ts";
import { run, start } from "../lib/command.ts";
import { scsiDevices } from "../lib/scsi.ts";
import { test, type Rig } from "../lib/test.ts";

export const rig: Rig = { array: "none", timeLimitS: 300 };

const BLOCKS = 32_768;

/** The kernel's messages of the unit's device; no program may be waited for where the daemon has to answer meanwhile. */
const messages = async (host: number): Promise<string[]> => {
  const { stdout } = await start("dmesg");
  return stdout.split("\n").filter((line) => new RegExp(`\\b(sd|scsi) ${host}:`).test(line));
};

test("a unit that grows: its device has the new size, and the next command of an initiator is told", async () => {
  run("modprobe", "-a", "target_core_user", "tcm_loop", "sd_mod", "sg");
  const daemon = await daemonOf();
  const call = async (method: string, path: string, body: object = {}): Promise<void> => {
    const { status } = await daemon.call(method, path, body);
    assert.equal(status, 200, `${method} ${path}`);
  };
  await call("POST", "/v1/units/0/attach", { driver: "scsi" });
  const [device] = scsiDevices();
  assert.ok(device?.sd !== undefined);
  const { host, sg, sd } = device;
  assert.equal((await start("sg_turs", sg)).status, 0);
  const isTold = async (): Promise<boolean> =>
    (await messages(host)).some((line) => /capacity data has changed/i.test(line));
  assert.equal(await isTold(), false);

  await call("POST", "/v1/array/faults", { fault: { kind: "capacity", blocks: BLOCKS } });
  await call("POST", "/v1/rescan");
  await until(
    "the device has its new size",
    async () => (await start("blockdev", "--getsz", sd)).stdout.trim() === String(BLOCKS),
  );
  await until("an initiator is told", async () => {
    await start("sg_turs", sg);
    return isTold();
  });

  const lists = async (): Promise<boolean> => /\b16 .*reserve/i.test((await start("sg_opcodes", sg)).stdout);
  assert.equal(await lists(), false);
  await call("PATCH", "/v1/mode", { cluster: true });
  assert.equal(await lists(), true);
  await call("POST", "/v1/units/0/detach");
});
