// A port carries SCSI commands to an sg device and back. Here the test plays the device: it reads headers (struct
// sg_io_hdr) from the other end of the descriptors and answers them. The same against real devices: test/rig.

import { readSync, writeSync } from "node:fs";
import test from "ava";
import * as abi from "../../../host/abi.ts";
import { closeDescriptor, socketPair } from "../../../host/native/index.ts";
import { BACKENDS, Bench, EBADF, EFAULT, EINVAL, ENODEV, ENOTTY, FREE } from "./harness.ts";
import type { Backend } from "./harness.ts";

const SLOT = FREE;
const SLOT_BYTES = 256;
const DATA = 1 << 20;
const HEADER_BYTES = 88;

/** Fields of struct sg_io_hdr on a 64-bit machine. */
const header = {
  interfaceId: 0,
  direction: 4,
  cdbBytes: 8,
  senseBytesMax: 9,
  dataBytes: 12,
  data: 16,
  sense: 32,
  timeout: 40,
  flags: 44,
  packId: 48,
  status: 64,
  senseBytes: 67,
  hostStatus: 68,
  driverStatus: 70,
  residual: 72,
} as const;

/** The device's ends of a port's descriptors. */
class Device {
  readonly ends: number[] = [];
  readonly bench: Bench;
  readonly port: number;

  constructor(backend: Backend, depth: number, descriptors = Math.ceil(depth / 16)) {
    this.bench = new Bench(backend);
    const mine: number[] = [];
    for (let count = descriptors; count > 0; count--) {
      const [one, other] = socketPair("seqpacket", true);
      mine.push(one);
      this.ends.push(other);
    }
    this.port = this.bench.ring.adoptPort(mine, depth);
  }

  /** Puts a command into slot `index` and submits it with that tag. */
  command(index: number, { direction = abi.DIRECTION_NONE, bytes = 0, cdbBytes = 16, timeoutMs = 5000 } = {}): number {
    const slot = SLOT + index * SLOT_BYTES;
    const { view } = this.bench;
    view.setUint8(slot + abi.COMMAND_CDB, 0x88);
    view.setUint8(slot + abi.COMMAND_CDB_BYTES, cdbBytes);
    view.setUint8(slot + abi.COMMAND_DIRECTION, direction);
    view.setUint32(slot + abi.COMMAND_BUFFER, DATA + index * 4096, true);
    view.setUint32(slot + abi.COMMAND_BUFFER_BYTES, bytes, true);
    view.setUint32(slot + abi.COMMAND_TIMEOUT_MS, timeoutMs, true);
    this.bench.submit({ op: abi.OP_SCSI, tag: index, handle: this.port, address: slot });
    return slot;
  }

  /** The next header that came over descriptor `end`; undefined when none is there. */
  next(end: number): DataView | undefined {
    const bytes = new Uint8Array(HEADER_BYTES);
    try {
      const count = readSync(this.ends[end] ?? -1, bytes);
      return count === HEADER_BYTES ? new DataView(bytes.buffer) : undefined;
    } catch (reason) {
      if (reason instanceof Error && "code" in reason && reason.code === "EAGAIN") return undefined;
      throw reason;
    }
  }

  /** The header that must be there. */
  take(end = 0): DataView {
    const one = this.next(end);
    if (one === undefined) throw new Error(`no header at descriptor ${end}`);
    return one;
  }

  /** All headers that have come, by descriptor. */
  takeAll(): DataView[][] {
    return this.ends.map((_, end) => {
      const headers: DataView[] = [];
      for (let one = this.next(end); one !== undefined; one = this.next(end)) headers.push(one);
      return headers;
    });
  }

  answer(one: DataView, end = 0): void {
    writeSync(this.ends[end] ?? -1, new Uint8Array(one.buffer));
  }

  close(): void {
    this.bench.ring.close();
    for (const end of this.ends) closeDescriptor(end);
  }
}

for (const backend of BACKENDS) {
  test(`${backend}: a port's depth can be lowered and raised while commands are under way`, (t) => {
    const device = new Device(backend, 32);
    const { bench, port } = device;
    const under = (): number => device.takeAll().flat().length;
    for (let index = 0; index < 40; index++) device.command(index);
    bench.ring.portDepth(port, 10);
    bench.ring.enter(0);
    t.is(under(), 10);
    bench.ring.portDepth(port, 32);
    t.is(under(), 22, "what waits goes at once");
    t.throws(() => bench.ring.portDepth(port, 33), { code: "ERR_NATIVE_ARGUMENT" });
    t.throws(() => bench.ring.portDepth(port, 0), { code: "ERR_NATIVE_ARGUMENT" });
    t.throws(() => bench.ring.portDepth(port + 1, 1), { code: "ERR_NATIVE_HANDLE" });
    device.close();
  });

  test(`${backend}: a command reaches the device as the slot says, and its outcome the slot`, (t) => {
    const device = new Device(backend, 1);
    const { bench } = device;
    const slot = device.command(3, { direction: abi.DIRECTION_OUT, bytes: 8192, timeoutMs: 1234 });
    bench.ring.enter(0);
    const one = device.take();
    t.is(one.getInt32(header.interfaceId, true), "S".charCodeAt(0));
    t.is(one.getInt32(header.direction, true), -2);
    t.is(one.getUint8(header.cdbBytes), 16);
    t.is(one.getUint8(header.senseBytesMax), abi.SENSE_BYTES_MAX);
    t.is(one.getUint32(header.dataBytes, true), 8192);
    t.is(one.getUint32(header.timeout, true), 1234);
    t.is(one.getUint32(header.flags, true), 0x10, "queued behind, not in front");
    const distance = one.getBigUint64(header.data, true) - one.getBigUint64(header.sense, true);
    t.is(distance, BigInt(DATA + 3 * 4096 - (slot + abi.COMMAND_SENSE)), "both point into the core's memory");
    bench.view.setUint8(slot + abi.COMMAND_SENSE, 0x70);
    one.setUint8(header.status, 2);
    one.setUint8(header.senseBytes, 18);
    one.setUint16(header.hostStatus, 0x0e, true);
    one.setUint16(header.driverStatus, 8, true);
    one.setInt32(header.residual, 512, true);
    device.answer(one);
    t.like(bench.until(1)[0], { tag: 3, result: 0 });
    t.is(bench.view.getUint8(slot + abi.COMMAND_STATUS), 2);
    t.is(bench.view.getUint8(slot + abi.COMMAND_SENSE_BYTES), 18);
    t.is(bench.view.getUint16(slot + abi.COMMAND_HOST_STATUS, true), 0x0e);
    t.is(bench.view.getUint16(slot + abi.COMMAND_DRIVER_STATUS, true), 8);
    t.is(bench.view.getInt32(slot + abi.COMMAND_RESIDUAL, true), 512);
    t.is(bench.view.getUint8(slot + abi.COMMAND_CDB_BYTES), 16, "what the core wrote stays");
    t.is(bench.view.getUint8(slot + abi.COMMAND_DIRECTION), abi.DIRECTION_OUT);
    device.close();
  });

  test(`${backend}: depth 128 is 16 on each of 8 descriptors; more wait their turn`, (t) => {
    const device = new Device(backend, 128);
    const { bench } = device;
    for (let index = 0; index < 200; index++) device.command(index);
    bench.ring.enter(0);
    const all: number[] = [];
    for (const expected of [128, 72]) {
      const taken = device.takeAll();
      t.true(taken.every((headers) => headers.length <= 16));
      t.is(taken.flat().length, expected);
      // The last comes back first: answers need no order.
      for (const [end, headers] of [...taken.entries()].toReversed()) {
        for (const one of headers.toReversed()) device.answer(one, end);
      }
      all.push(...bench.until(expected).map(({ tag }) => tag));
    }
    t.deepEqual(
      all.toSorted((a, b) => a - b),
      Array.from({ length: 200 }, (_, index) => index),
    );
    device.close();
  });

  test(`${backend}: with a descriptor for each command, none takes two`, (t) => {
    const device = new Device(backend, 40, 40);
    const { bench } = device;
    for (let index = 0; index < 50; index++) device.command(index);
    bench.ring.enter(0);
    const taken = device.takeAll();
    t.deepEqual(new Set(taken.map((headers) => headers.length)), new Set([1]));
    // One answer makes room for one command, on the descriptor that is free.
    device.answer(taken[7]?.[0] as DataView, 7);
    bench.until(1);
    bench.ring.enter(0);
    t.deepEqual(
      device.takeAll().flatMap((headers, end) => headers.map(() => end)),
      [7],
    );
    device.close();
  });

  test(`${backend}: commands one after the other go to the descriptor that the processor still knows`, (t) => {
    const device = new Device(backend, 8, 8);
    const { bench } = device;
    for (let index = 0; index < 5; index++) {
      device.command(index);
      bench.ring.enter(0);
      device.answer(device.take(0));
      t.is(bench.results(1).get(index), 0);
    }
    device.close();
  });

  test(`${backend}: three descriptors share what exceeds them evenly`, (t) => {
    const device = new Device(backend, 24, 3);
    const { bench } = device;
    for (let index = 0; index < 30; index++) device.command(index);
    bench.ring.enter(0);
    t.deepEqual(
      device.takeAll().map((headers) => headers.length),
      [8, 8, 8],
    );
    device.close();
  });

  test(`${backend}: a closed port lets go of each of its descriptors with its last answer`, (t) => {
    const device = new Device(backend, 12, 12);
    const { bench } = device;
    for (let index = 0; index < 12; index++) device.command(index);
    bench.ring.enter(0);
    bench.ring.closePort(device.port);
    const taken = device.takeAll();
    for (const [end, headers] of taken.entries()) for (const one of headers) device.answer(one, end);
    t.true([...bench.results(12).values()].every((result) => result === 0));
    for (const end of device.ends) t.is(readSync(end, Buffer.alloc(1)), 0, "the descriptor is closed");
    device.close();
  });

  test(`${backend}: news of a closed port is not its successor's`, (t) => {
    const device = new Device(backend, 1);
    const { bench } = device;
    device.command(0);
    bench.ring.enter(0);
    device.answer(device.take());
    t.is(bench.results(1).get(0), 0);
    // The device goes, and nobody has read that when another one takes the port's place.
    for (const end of device.ends.splice(0)) closeDescriptor(end);
    bench.ring.closePort(device.port);
    const [mine, other] = socketPair("seqpacket", true);
    device.ends.push(other);
    const successor = bench.ring.adoptPort([mine], 1);
    bench.ring.enter(0);
    const slot = SLOT + SLOT_BYTES;
    bench.view.setUint8(slot + abi.COMMAND_CDB_BYTES, 6);
    bench.submit({ op: abi.OP_SCSI, tag: 1, handle: successor, address: slot });
    bench.ring.enter(0);
    device.answer(device.take());
    t.is(bench.results(1).get(1), 0);
    device.close();
  });

  test(`${backend}: a device that vanishes gives every command back with ENODEV`, (t) => {
    const device = new Device(backend, 20);
    const { bench } = device;
    for (let index = 0; index < 30; index++) device.command(index);
    bench.ring.enter(0);
    for (const end of device.ends.splice(0)) closeDescriptor(end);
    const results = bench.results(30);
    t.deepEqual(
      [...results.keys()].toSorted((a, b) => a - b),
      Array.from({ length: 30 }, (_, index) => index),
    );
    t.true([...results.values()].every((result) => result === ENODEV));
    device.command(99);
    t.is(bench.results(1).get(99), ENODEV);
    bench.ring.closePort(device.port);
    device.close();
  });

  test(`${backend}: closePort refuses what waits, lets the device finish, then the handle is dead`, (t) => {
    const device = new Device(backend, 1);
    const { bench } = device;
    device.command(0);
    device.command(1);
    bench.ring.enter(0);
    bench.ring.closePort(device.port);
    t.deepEqual([...bench.results(1)], [[1, ENODEV]]);
    t.throws(() => bench.ring.closePort(device.port), { code: "ERR_NATIVE_HANDLE" });
    device.command(2);
    t.is(bench.results(1).get(2), EBADF);
    device.answer(device.take());
    t.is(bench.results(1).get(0), 0);
    t.is(readSync(device.ends[0] ?? -1, Buffer.alloc(1)), 0, "the descriptor is closed");
    device.close();
  });

  test(`${backend}: an answer that belongs to no command is ignored`, (t) => {
    const device = new Device(backend, 4);
    device.command(1);
    device.bench.ring.enter(0);
    const one = device.take();
    const packId = one.getInt32(header.packId, true);
    one.setInt32(header.packId, packId + 1, true);
    device.answer(one);
    device.bench.ring.enter(0);
    t.deepEqual(device.bench.completions(), []);
    one.setInt32(header.packId, packId, true);
    device.answer(one);
    t.is(device.bench.results(1).get(1), 0);
    device.close();
  });

  test(`${backend}: a bad slot is refused, and the device sees nothing`, (t) => {
    const device = new Device(backend, 4);
    const { bench } = device;
    device.command(0, { cdbBytes: 7 });
    device.command(1, { direction: 3, bytes: 512 });
    device.command(2, { direction: abi.DIRECTION_IN, bytes: abi.PIECE_BYTES_MAX + 1 });
    const far = device.command(3, { direction: abi.DIRECTION_IN, bytes: 4096 });
    bench.view.setUint32(far + abi.COMMAND_BUFFER, bench.memory.length - 4095, true);
    bench.submit({ op: abi.OP_SCSI, tag: 4, handle: device.port, address: bench.memory.length - 100 });
    bench.submit({ op: abi.OP_SCSI, tag: 5, handle: device.port, address: 0xffff_fff0 });
    bench.submit({ op: abi.OP_SCSI, tag: 6, handle: device.port + 1, address: SLOT });
    const results = bench.results(7);
    t.deepEqual(
      [0, 1, 2, 3, 4, 5, 6].map((tag) => results.get(tag)),
      [EINVAL, EINVAL, EINVAL, EFAULT, EFAULT, EFAULT, EBADF],
    );
    device.command(7);
    bench.ring.enter(0);
    t.is(device.take().getUint8(header.cdbBytes), 16, "the first header that came is that of the good command");
    device.close();
  });

  test(`${backend}: a reset does not hold the ring up, and reports what the driver said`, (t) => {
    const device = new Device(backend, 1);
    const { bench, port } = device;
    bench.submit({ op: abi.OP_RESET, tag: 1, handle: port, length: abi.RESET_DEVICE });
    bench.submit({ op: abi.OP_RESET, tag: 2, handle: port, length: 9 });
    bench.submit({ op: abi.OP_RESET, tag: 3, handle: 12345, length: abi.RESET_DEVICE });
    const results = bench.results(3);
    t.deepEqual(
      [1, 2, 3].map((tag) => results.get(tag)),
      [ENOTTY, EINVAL, EBADF],
    );
    device.close();
  });
}

test("a port needs an sg device, a depth within its limits, and as many descriptors as the depth", (t) => {
  const { ring } = new Bench("epoll");
  t.throws(() => ring.openPort("/dev/null", 1), { code: "ERR_NATIVE_NOT_SCSI_GENERIC", message: /\/dev\/null/ });
  t.throws(() => ring.openPort("/dev/no such device", 1), { code: "ERR_NATIVE_SYSTEM", message: /no such device/ });
  t.throws(() => ring.openPort("/dev/null", 0), { code: "ERR_NATIVE_ARGUMENT", message: /depth: 0/ });
  t.throws(() => ring.openPort("/dev/null", 1025), { code: "ERR_NATIVE_ARGUMENT" });
  t.throws(() => ring.adoptPort([], 1), { code: "ERR_NATIVE_ARGUMENT", message: /depth 1 takes 1/ });
  t.throws(() => ring.adoptPort([3, 4], 1), {
    code: "ERR_NATIVE_ARGUMENT",
    message: /2 were given; depth 1 takes 1 to 1/,
  });
  t.throws(() => ring.adoptPort([1_000_000], 1), { code: "ERR_NATIVE_SYSTEM" });
  ring.close();
});
