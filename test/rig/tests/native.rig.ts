// The native ring's ports against the kernel's own target: data, outcomes, depth, paths that die and devices that go.

import assert from "node:assert/strict";
import * as abi from "../../../host/abi.ts";
import { scsiCommand, UeventMonitor, type Uevent } from "../../../host/native/index.ts";
import { BACKENDS, ENODEV } from "../../unit/native/harness.ts";
import { until } from "../../until.ts";
import { LioArray } from "../lib/lio.ts";
import { BLOCK_BYTES, Initiator, inquiry, read, TEST_UNIT_READY, write, type Outcome } from "../lib/ports.ts";
import { afterwards, test, type Rig } from "../lib/test.ts";

export const rig: Rig = { array: "lio", units: 2, paths: 4, timeLimitS: 120, isEssential: true };

const GOOD = { result: 0, status: 0, hostStatus: 0, sense: "", residual: 0 };
const DID_NO_CONNECT = 1;
const DID_TRANSPORT_DISRUPTED = 0x0e;

function open(backend: (typeof BACKENDS)[number], path: number, unit: number, depth: number): Initiator {
  const device = new LioArray().device(path, unit) ?? assert.fail(`path ${path} has no device of unit ${unit}`);
  const initiator = new Initiator(backend, device.sg, depth);
  afterwards(() => initiator.close());
  initiator.settle();
  return initiator;
}

/** How a command of a device that is deleted may end: done, refused by the midlayer, or given back by the ring. */
function isKnownEnd({ result, hostStatus }: Outcome): boolean {
  return result === ENODEV || (result === 0 && (hostStatus === 0 || hostStatus === DID_NO_CONNECT));
}

for (const backend of BACKENDS) {
  test(`${backend}: what is written through one path is read through another`, () => {
    const one = open(backend, 0, 0, 16);
    const other = open(backend, 3, 0, 16);
    for (const [slot, blocks] of [1, 8, 128].entries()) {
      one.data(slot).fill(`${backend} ${blocks} `);
      one.queue(slot, write(slot * 1000, blocks));
    }
    for (const outcome of one.wait(3).values()) assert.deepEqual(outcome, GOOD);
    for (const [slot, blocks] of [1, 8, 128].entries()) other.queue(slot, read(slot * 1000, blocks));
    for (const outcome of other.wait(3).values()) assert.deepEqual(outcome, GOOD);
    for (const [slot, blocks] of [1, 8, 128].entries()) {
      const bytes = blocks * BLOCK_BYTES;
      assert.ok(other.data(slot).subarray(0, bytes).equals(one.data(slot).subarray(0, bytes)));
      assert.ok(
        other
          .data(slot)
          .subarray(bytes)
          .every((byte) => byte === 0),
        "nothing behind what was asked for",
      );
    }
  });

  test(`${backend}: residual and sense come back`, () => {
    const port = open(backend, 0, 0, 1);
    const short = port.run(inquiry(4096));
    assert.equal(short.status, 0);
    assert.ok(short.residual > 3000 && short.residual < 4096, `residual ${short.residual}`);
    assert.deepEqual(port.run(read(1 << 30, 1)), { ...GOOD, status: 2, sense: "5/21/0" });
    assert.equal(port.run({ cdb: [0xc1, 0, 0, 0, 0, 0] }).sense, "5/20/0", "a command that no target knows");
  });

  test(`${backend}: 400 commands at depth 128, then at depth 1, come back once each`, () => {
    for (const depth of [128, 17, 1]) {
      const port = open(backend, 1, 0, depth);
      for (let slot = 0; slot < 400; slot++) port.queue(slot, slot % 2 === 0 ? read(slot * 8, 8) : TEST_UNIT_READY);
      const outcomes = port.wait(400);
      assert.equal(outcomes.size, 400);
      for (const outcome of outcomes.values()) assert.deepEqual(outcome, GOOD);
      port.close();
    }
  });

  test(`${backend}: a path that goes offline answers with a host status, and comes back`, () => {
    const array = new LioArray();
    const port = open(backend, 2, 0, 32);
    afterwards(() => array.setPath(2, true));
    array.setPath(2, false);
    for (let slot = 0; slot < 100; slot++) port.queue(slot, read(slot * 8, 8));
    for (const { result, hostStatus } of port.wait(100).values()) {
      assert.deepEqual({ result, hostStatus }, { result: 0, hostStatus: DID_TRANSPORT_DISRUPTED });
    }
    array.setPath(2, true);
    assert.equal(port.run(TEST_UNIT_READY).sense, "6/29/7", "unit attention: I_T nexus loss");
    assert.deepEqual(port.run(read(0, 8)), GOOD);
  });

  test(`${backend}: a device that is deleted under load loses no command`, async () => {
    const array = new LioArray();
    const port = open(backend, 3, 1, 64);
    for (let slot = 0; slot < 300; slot++) port.queue(slot, read(slot * 8, 128));
    port.bench.ring.enter(0);
    // The LUN goes and comes again, and with it the device.
    array.remap(3, 1, 1);
    for (const outcome of port.wait(300).values()) assert.ok(isKnownEnd(outcome), JSON.stringify(outcome));
    port.queue(0, TEST_UNIT_READY);
    assert.equal(port.wait(1).get(0)?.result, ENODEV);
    await until("the device is back", () => array.device(3, 1));
  });

  test(`${backend}: a reset of the unit is carried out while commands run`, () => {
    const port = open(backend, 1, 1, 16);
    for (let slot = 0; slot < 10; slot++) port.queue(slot, read(slot, 1));
    port.bench.submit({ op: abi.OP_RESET, tag: 400, handle: port.port, length: abi.RESET_DEVICE });
    const results = new Map(port.bench.until(11).map(({ tag, result }) => [tag, result]));
    assert.equal(results.get(400), 0);
    assert.equal(results.size, 11);
  });
}

test("scsiCommand carries data both ways and reports sense", async () => {
  const sg = new LioArray().device(0, 0)?.sg ?? assert.fail("no device");
  const identify = await scsiCommand(sg, Uint8Array.from(inquiry(255).cdb), abi.DIRECTION_IN, 255, 5000);
  assert.equal(identify.status, 0);
  assert.equal(Buffer.from(identify.data).subarray(8, 16).toString(), "LIO-ORG ");
  assert.equal(identify.data.length + identify.residual, 255);
  const bytes = Buffer.alloc(BLOCK_BYTES, "pass-through ");
  await scsiCommand(sg, Uint8Array.from(write(5, 1).cdb), abi.DIRECTION_OUT, bytes, 5000);
  const back = await scsiCommand(sg, Uint8Array.from(read(5, 1).cdb), abi.DIRECTION_IN, BLOCK_BYTES, 5000);
  assert.ok(bytes.equals(back.data));
  const beyond = await scsiCommand(sg, Uint8Array.from(read(1 << 30, 1).cdb), abi.DIRECTION_IN, BLOCK_BYTES, 5000);
  assert.deepEqual([beyond.status, (beyond.sense[2] ?? 0) & 0xf, beyond.sense[12]], [2, 5, 0x21]);
});

test("a unit that appears and disappears is told by uevents", async () => {
  const array = new LioArray();
  const events: Uevent[] = [];
  const monitor = new UeventMonitor((event) => events.push(event));
  afterwards(() => monitor.close());
  await array.addUnit(2, 16);
  const told = (action: string, count: number) => (): true | undefined =>
    events.filter((event) => event.action === action && event.subsystem === "scsi_generic").length === count ||
    undefined;
  await until("four sg devices were announced", told("add", 4));
  const added = events.find((event) => event.subsystem === "scsi_generic");
  assert.match(added?.properties["DEVNAME"] ?? "", /^sg\d+$/);
  array.removeUnit(2);
  await until("four sg devices were taken back", told("remove", 4));
});
