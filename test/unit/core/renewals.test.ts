// One deadline for a request, never a sum: what gives it more time is its own progress, or that of what is before it, and the
// device's word on a transition, once.
import test from "ava";
import * as abi from "../../../host/abi.ts";
import { type Client, Host } from "./fixtures/harness.ts";
import { FLUSH, READ, TRIM, WRITE_ZEROES, replies, request } from "./fixtures/nbd-client.ts";
import { REPORT, TUR, scene } from "./fixtures/scene.ts";
import { check } from "./fixtures/scsi.ts";

const EIO = 5;
const BUSY = 8;
const MIB = 1 << 20;
const UNMAP = 0x42;
const TIMEOUT_S = 60;
const READ_BYTES = 512;

/** What the one request of `client` is answered, and after how many seconds; `each` does something in each of them. */
function answered(host: Host, client: Client, mostS: number, each: (s: number) => void): { error: number; s: number } {
  for (let s = 0; s < mostS; s++) {
    const [reply] = replies(client.received, new Map([[1n, READ_BYTES]]));
    if (reply !== undefined) return { error: reply.error, s };
    each(s);
    host.advance(1000);
  }
  return { error: 0, s: Infinity };
}

test("a TRIM that no path has room for ends at its deadline, however often its unit is looked at", (t) => {
  const host = new Host();
  const { unit } = host.unit({ paths: 1, depth: 1, capabilities: abi.UNIT_CAN_UNMAP });
  host.must(host.core.unitSet(unit, abi.UNIT_SET_STALL_MAX_MS, 0n));
  host.device = ({ check: isCheck }) => (isCheck ? {} : undefined);
  host.connect(unit).send(request(READ, 2n, 0n, READ_BYTES));
  host.advance(10);
  const client = host.connect(unit);
  client.send(request(TRIM, 1n, BigInt(MIB), 4096));
  const look = (): void => {
    host.must(host.core.unitSet(unit, abi.UNIT_SET_STALL_MIN_MS, 20n));
  };
  t.deepEqual(answered(host, client, 3 * TIMEOUT_S, look), { error: EIO, s: TIMEOUT_S });
});

test("TRIMs that a path takes one by one wait for their turn as long as each of them is done in its time", (t) => {
  const host = new Host();
  const { unit } = host.unit({ paths: 1, depth: 1, capabilities: abi.UNIT_CAN_UNMAP });
  host.device = ({ check: isCheck }) => (isCheck ? {} : undefined);
  const client = host.connect(unit);
  const count = 4;
  for (let i = 0; i < count; i++) client.send(request(TRIM, BigInt(i), BigInt(i * MIB), 4096));
  // Longer than half of the deadline each: a sum of two is too much for one.
  const takesMs = 1000 * (TIMEOUT_S / 2 - 1);
  for (let i = 0; i < count; i++) {
    host.advance(takesMs);
    t.is(host.outstanding.length, 1);
    for (const command of host.outstanding.slice()) host.answer(command, {});
    host.settle();
  }
  t.deepEqual(
    replies(client.received).map(({ cookie, error }) => [Number(cookie), error]),
    Array.from({ length: count }, (_, i) => [i, 0]),
  );
});

test("a TRIM behind another one in the device has its time from when that was done", (t) => {
  const host = new Host();
  const { unit } = host.unit({ capabilities: abi.UNIT_CAN_UNMAP });
  host.must(host.core.unitSet(unit, abi.UNIT_SET_STALL_MAX_MS, 0n));
  host.device = ({ check: isCheck }) => (isCheck ? {} : undefined);
  const other = host.connect(unit);
  other.send(request(TRIM, 2n, 0n, 4096));
  host.advance(10);
  const client = host.connect(unit);
  client.send(request(TRIM, 1n, BigInt(MIB), 4096));
  const doneS = 20;
  const done = (s: number): void => {
    const [first] = host.outstanding;
    if (s === doneS && first !== undefined) host.answer(first, {});
  };
  t.deepEqual(answered(host, client, 3 * TIMEOUT_S, done), { error: EIO, s: doneS + TIMEOUT_S });
});

test("a TRIM that the device is too busy for ends at its deadline, whatever else it carries out", (t) => {
  for (const mib of [1, 1024]) {
    const host = new Host();
    const capabilities = abi.UNIT_CAN_UNMAP | abi.UNIT_CAN_WRITE_SAME | abi.UNIT_CAN_CACHE_WRITES;
    const { unit } = host.unit({ blocks: 1n << 30n, capabilities });
    host.device = ({ cdb }) => (cdb[0] === UNMAP ? { status: BUSY } : {});
    const other = host.connect(unit);
    const client = host.connect(unit);
    client.send(request(TRIM, 1n, 0n, mib * MIB));
    const others = (): void => {
      other.send(request(FLUSH, 3n, 0n, 0), request(WRITE_ZEROES, 4n, BigInt(4096 * MIB), 512 * MIB, 2));
    };
    t.deepEqual(answered(host, client, 3 * TIMEOUT_S, others), { error: EIO, s: TIMEOUT_S }, `${mib} MiB`);
  }
});

test("port groups that are in transition again and again do not put a request off for ever", (t) => {
  const transitionS = 100;
  const s = scene([], 1, abi.UNIT_CAN_ALUA);
  const { host, unit } = s;
  s.paths.forEach((path) => host.must(host.core.pathSet(path, abi.PATH_SET_TARGET_PORT_GROUP, 1n)));
  const transitioning = (): boolean => (Number(host.now) / 1e9) % 40 < 38;
  // For two seconds of forty the report says that the path is in order; commands are told of a transition even then.
  s.faults.set(0, ({ cdb, buffer, bytes, check: isCheck }) => {
    if (cdb[0] === TUR || (isCheck && cdb[0] !== REPORT)) return {};
    if (cdb[0] !== REPORT) return check(2, 4, 0x0a);
    const state = transitioning() ? abi.ALUA_TRANSITIONING : abi.ALUA_OPTIMIZED;
    const report = [0, 0, 0, 16, 0x10, transitionS, 0, 0, state, 0x8f, 0, 1, 0, 2, 0, 1, 0, 0, 0, 1];
    host.bytes(buffer, bytes).set(report);
    return { residual: bytes - report.length };
  });
  const client = host.connect(unit);
  const other = host.connect(unit);
  client.send(request(READ, 1n, 0n, READ_BYTES));
  const others = (second: number): void => {
    if (second % 10 === 0) other.send(request(READ, 2n, 0n, READ_BYTES));
  };
  const { error, s: seconds } = answered(host, client, 1000, others);
  t.is(error, EIO);
  t.true(seconds > TIMEOUT_S && seconds <= transitionS + 3 * TIMEOUT_S, `it waited for ${seconds} s`);
});

for (const [name, readsAtS, ends] of [
  ["before all others", [30], { 1: 80, 4: 90 }],
  ["between others", [10, 30], { 1: 80, 4: 70, 5: 90 }],
] as const) {
  test(`a TRIM whose time begins again when one before it was done ends at its new deadline: ${name}`, (t) => {
    const host = new Host();
    const { unit } = host.unit({ capabilities: abi.UNIT_CAN_UNMAP });
    host.must(host.core.unitSet(unit, abi.UNIT_SET_STALL_MAX_MS, 0n));
    host.device = ({ check: isCheck }) => (isCheck ? {} : undefined);
    const client = host.connect(unit);
    client.send(request(TRIM, 2n, 0n, 4096));
    host.advance(10);
    client.send(request(TRIM, 1n, BigInt(MIB), 4096));
    const ended: Record<string, number> = {};
    for (let s = 0; s < 100; s++) {
      for (const { cookie, error } of replies(client.received)) {
        ended[String(cookie)] = s;
        t.is(error, cookie === 2n ? 0 : EIO);
      }
      const [first] = host.outstanding;
      if (s === 20 && first !== undefined) host.answer(first, {});
      const at = readsAtS.findIndex((atS) => atS === s);
      if (at >= 0) client.send(request(READ, BigInt(4 + at), BigInt((8 + at) * MIB), READ_BYTES));
      host.advance(1000);
    }
    t.deepEqual(ended, { ...ends, 2: 21 });
  });
}
