// The native ring against real sg devices, on both backends. (Against played ones: test/unit/native/ports.test.ts.)

import assert from "node:assert/strict";
import { attempt } from "../lib/command.ts";
import { LioArray } from "../lib/lio.ts";
import { afterwards, test, type Rig } from "../lib/test.ts";
import * as abi from "../../../host/reactor/abi.ts";
import { BACKENDS, Bench, FREE, type Backend } from "../../unit/native/harness.ts";

export const rig: Rig = { array: "lio-mapped", paths: 4, timeLimitS: 90 };

const SLOT_BYTES = 256;
const DATA = 1 << 20;
const BLOCK_BYTES = 512;
const PIECE_BYTES = 4096;
const READ_16 = 0x88;
const WRITE_16 = 0x8a;
const DID_TRANSPORT_DISRUPTED = 0x0e;
const CHECK_CONDITION = 2;
const UNIT_ATTENTION = 6;
const DEPTH = 128;

const array = new LioArray();
const device = (path: number): string => array.device(path, 0)?.sg ?? assert.fail(`path ${path} has no device`);

/** Takes the unit attentions away that wait on every path. */
function settle(): void {
  for (const { sg } of array.devices(0)) for (let attention = 0; attention < 5; attention++) attempt("sg_turs", [sg]);
}

interface Answer {
  readonly result: number;
  readonly status: number;
  readonly hostStatus: number;
  readonly senseKey: number;
  readonly residual: number;
}

/** Commands of 4 KiB on one port, slot i with buffer i. */
class Port {
  readonly bench: Bench;
  readonly port: number;

  constructor(backend: Backend, path: number) {
    this.bench = new Bench(backend);
    this.port = this.bench.ring.openPort(device(path), DEPTH);
    afterwards(() => this.bench.ring.close());
  }

  buffer(index: number): Uint8Array {
    const begin = DATA + index * PIECE_BYTES;
    return this.bench.memory.subarray(begin, begin + PIECE_BYTES);
  }

  submit(index: number, operation: number, block: number, timeoutMs = 10_000): void {
    const slot = FREE + index * SLOT_BYTES;
    const { view } = this.bench;
    const cdb = slot + abi.COMMAND_CDB;
    view.setUint8(cdb, operation);
    view.setBigUint64(cdb + 2, BigInt(block), false);
    view.setUint32(cdb + 10, PIECE_BYTES / BLOCK_BYTES, false);
    view.setUint8(slot + abi.COMMAND_CDB_BYTES, 16);
    view.setUint8(slot + abi.COMMAND_DIRECTION, operation === READ_16 ? abi.DIRECTION_IN : abi.DIRECTION_OUT);
    view.setUint32(slot + abi.COMMAND_BUFFER, DATA + index * PIECE_BYTES, true);
    view.setUint32(slot + abi.COMMAND_BUFFER_BYTES, PIECE_BYTES, true);
    view.setUint32(slot + abi.COMMAND_TIMEOUT_MS, timeoutMs, true);
    this.bench.submit({ op: abi.OP_SCSI, tag: index, handle: this.port, address: slot });
  }

  answer(index: number, result: number): Answer {
    const slot = FREE + index * SLOT_BYTES;
    const { view } = this.bench;
    return {
      result,
      status: view.getUint8(slot + abi.COMMAND_STATUS),
      hostStatus: view.getUint16(slot + abi.COMMAND_HOST_STATUS, true),
      senseKey:
        view.getUint8(slot + abi.COMMAND_SENSE_BYTES) === 0 ? 0 : view.getUint8(slot + abi.COMMAND_SENSE + 2) & 0x0f,
      residual: view.getInt32(slot + abi.COMMAND_RESIDUAL, true),
    };
  }

  /** Waits for `count` answers; by tag. */
  answers(count: number): ReadonlyMap<number, Answer> {
    return new Map([...this.bench.results(count)].map(([tag, result]) => [tag, this.answer(tag, result)]));
  }

  one(operation: number, block: number): Answer {
    this.submit(0, operation, block);
    return this.answers(1).get(0) ?? assert.fail("no answer");
  }
}

const GOOD: Answer = { result: 0, status: 0, hostStatus: 0, senseKey: 0, residual: 0 };

for (const backend of BACKENDS) {
  test(`${backend}: 128 commands in flight on one path, written by it and read by another`, () => {
    settle();
    const writer = new Port(backend, 0);
    const reader = new Port(backend, 3);
    for (let index = 0; index < DEPTH; index++) {
      writer.buffer(index).fill(index + 1);
      writer.submit(index, WRITE_16, index * 8);
    }
    for (const answer of writer.answers(DEPTH).values()) assert.deepEqual(answer, GOOD);
    for (let index = 0; index < DEPTH; index++) reader.submit(index, READ_16, index * 8);
    for (const [index, answer] of reader.answers(DEPTH)) {
      assert.deepEqual(answer, GOOD);
      assert.ok(reader.buffer(index).every((byte) => byte === index + 1));
    }
  });

  test(`${backend}: an offline path answers with its host status, its return with a unit attention`, () => {
    settle();
    afterwards(() => array.setPath(1, true));
    const port = new Port(backend, 1);
    array.setPath(1, false);
    assert.equal(port.one(READ_16, 0).hostStatus, DID_TRANSPORT_DISRUPTED);
    array.setPath(1, true);
    const { status, senseKey } = port.one(READ_16, 0);
    assert.deepEqual({ status, senseKey }, { status: CHECK_CONDITION, senseKey: UNIT_ATTENTION });
    assert.deepEqual(port.one(READ_16, 0), GOOD);
  });

  test(`${backend}: a silent path holds its own command and nobody else's`, () => {
    settle();
    afterwards(() => array.answerPath(0, true));
    const silent = new Port(backend, 0);
    const other = new Port(backend, 1);
    array.answerPath(0, false);
    silent.submit(0, READ_16, 0, 60_000);
    silent.bench.ring.enter(0);
    for (let times = 0; times < 20; times++) assert.deepEqual(other.one(READ_16, 8), GOOD);
    silent.bench.ring.enter(0);
    assert.deepEqual(silent.bench.completions(), []);
    array.answerPath(0, true);
    assert.deepEqual(silent.answers(1).get(0), GOOD);
  });

  test(`${backend}: a device that is removed ends its port's commands, not the ring`, async () => {
    await array.addUnit(5, 8);
    const sg = array.device(2, 5)?.sg ?? assert.fail("unit 5 has no device");
    for (let attention = 0; attention < 5; attention++) attempt("sg_turs", [sg]);
    const bench = new Port(backend, 1);
    const doomed = bench.bench.ring.openPort(sg, 16);
    array.removeUnit(5);
    const slot = FREE + 9 * SLOT_BYTES;
    // That units came and went is a unit attention on every path.
    settle();
    bench.submit(9, READ_16, 0);
    assert.deepEqual(bench.answers(1).get(9), GOOD);
    bench.bench.submit({ op: abi.OP_SCSI, tag: 9, handle: doomed, address: slot });
    const { result, hostStatus } = bench.answers(1).get(9) ?? assert.fail("no answer");
    assert.ok(result < 0 || hostStatus !== 0, `result ${result}, host status ${hostStatus}`);
    assert.deepEqual(bench.one(READ_16, 0), GOOD);
  });
}
