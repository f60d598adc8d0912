// The native ring's ports against scsi_debug: devices that are slow, that never answer, and whose commands are reset.

import assert from "node:assert/strict";
import * as abi from "../../../host/abi.ts";
import { BACKENDS, type Backend } from "../../unit/native/harness.ts";
import { Initiator, read, TEST_UNIT_READY } from "../lib/ports.ts";
import { OPTS, ScsiDebug } from "../lib/scsi-debug.ts";
import { afterwards, test, type Rig } from "../lib/test.ts";

export const rig: Rig = { array: "scsi_debug", units: 1, paths: 2, timeLimitS: 120 };

const DID_TIME_OUT = 3;

const array = new ScsiDebug();

function open(backend: Backend, depth: number): Initiator {
  const device = array.devices(0)[0] ?? assert.fail("scsi_debug shows no device");
  const initiator = new Initiator(backend, device.sg, depth);
  afterwards(() => {
    initiator.close();
    array.set("every_nth", 0);
    array.set("opts", OPTS.none);
    array.set("delay", 0);
  });
  initiator.settle();
  return initiator;
}

for (const backend of BACKENDS) {
  test(`${backend}: a slow device gets 17 and more at once, beyond what one descriptor takes`, () => {
    const port = open(backend, 64);
    array.set("delay", 10);
    for (let slot = 0; slot < 200; slot++) port.queue(slot, read(slot * 8, 8));
    const outcomes = port.wait(200);
    assert.equal(outcomes.size, 200);
    for (const { result, status } of outcomes.values()) assert.deepEqual([result, status], [0, 0]);
  });

  test(`${backend}: a command that is never answered times out, the others do not`, () => {
    const port = open(backend, 16);
    array.set("opts", OPTS.timeout);
    array.set("every_nth", -1);
    port.queue(0, { ...read(0, 8), timeoutMs: 500 });
    port.bench.ring.enter(0);
    array.set("every_nth", 0);
    array.set("opts", OPTS.none);
    for (let slot = 1; slot < 8; slot++) port.queue(slot, read(slot * 8, 8));
    const outcomes = port.wait(8);
    assert.equal(outcomes.get(0)?.hostStatus, DID_TIME_OUT);
    for (let slot = 1; slot < 8; slot++) assert.equal(outcomes.get(slot)?.result, 0);
    port.settle();
  });

  test(`${backend}: a reset is carried out beside a stuck command, and the ring goes on meanwhile`, () => {
    const port = open(backend, 16);
    array.set("opts", OPTS.timeout);
    array.set("every_nth", -1);
    port.queue(0, { ...read(0, 8), timeoutMs: 2000 });
    port.bench.ring.enter(0);
    array.set("every_nth", 0);
    array.set("opts", OPTS.none);
    port.queue(1, TEST_UNIT_READY);
    assert.equal(port.wait(1).get(1)?.result, 0);
    port.bench.submit({ op: abi.OP_RESET, tag: 2, handle: port.port, length: abi.RESET_DEVICE });
    const reset = port.bench.until(1)[0];
    assert.deepEqual([reset?.tag, reset?.result], [2, 0]);
    // scsi_debug has forgotten the stuck command, so what ends it is its timeout.
    assert.equal(port.wait(1).get(0)?.hostStatus, DID_TIME_OUT);
    port.settle();
  });
}
