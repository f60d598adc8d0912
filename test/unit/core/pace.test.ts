// What the core learns of a device's speed at zeroing decides how much of it is under way, and in which pieces.
import test from "ava";
import * as abi from "../../../host/abi.ts";
import { Host, type Client } from "./fixtures/harness.ts";
import { READ, WRITE_ZEROES, replies, request } from "./fixtures/nbd-client.ts";
import { check, type Scsi } from "./fixtures/scsi.ts";

const MIB = 1 << 20;
const READ_16 = 0x88;

interface Scene {
  host: Host;
  unit: number;
  client: Client;
}

/** A unit whose zeroings stay outstanding. */
function scene(capabilities = 0): Scene {
  const host = new Host();
  host.device = ({ cdb, check: isCheck }) => (isCheck || cdb[0] === READ_16 ? {} : undefined);
  const { unit } = host.unit({ blocks: 1n << 40n, capabilities });
  host.must(host.core.unitSet(unit, abi.UNIT_SET_STALL_MAX_MS, 0n));
  return { host, unit, client: host.connect(unit) };
}

/** The device carries out the oldest of its commands, which takes `ms`. */
function carryOut({ host }: Scene, ms: number): Scsi | undefined {
  host.advance(ms);
  const [oldest] = host.outstanding;
  if (oldest === undefined) return undefined;
  host.answer(oldest, {});
  host.settle();
  return oldest;
}

for (const first of ["is carried out", "fails"] as const) {
  test(`a device that takes 1 s for 1 MiB has little of a zeroing at a time, also when the first command ${first}`, (t) => {
    const s = scene();
    s.client.send(request(WRITE_ZEROES, 1n, 0n, 200 * MIB, 2));
    s.host.settle();
    const [alone] = s.host.outstanding;
    if (alone === undefined) return t.fail();
    // Nothing is known yet: as many as there may be.
    t.is(s.host.outstanding.length, abi.ZEROING_PIECES_MAX);
    if (first === "fails") {
      s.host.answer(alone, check(0x0b, 0, 0));
      s.host.settle();
    }
    for (let i = 0; i < 20; i++) carryOut(s, 1000);
    for (let i = 0; i < 20; i++) {
      carryOut(s, 1000);
      t.true(s.host.outstanding.length <= 2, `${s.host.outstanding.length} are under way`);
    }
    t.deepEqual(replies(s.client.received), []);
  });
}

/** The pieces of a zeroing in MiB, once they have found their size, while another client reads; each takes what `msOf` says. */
function sizes(msOf: (mib: number) => number): number[] {
  const s = scene(abi.UNIT_CAN_WRITE_SAME);
  const other = s.host.connect(s.unit);
  const found: number[] = [];
  s.client.send(request(WRITE_ZEROES, 1n, 0n, 0x7000_0000, 2));
  for (let i = 0; i < 60; i++) {
    other.send(request(READ, 1n, 0n, 512));
    s.host.settle();
    const [oldest] = s.host.outstanding;
    const mib = (oldest?.cdb.readUInt32BE(10) ?? 0) / 2048;
    carryOut(s, msOf(mib));
    found.push(mib);
  }
  return found.slice(20);
}

test("pieces become larger again on a device that takes as long for a small one, and on no other", (t) => {
  const constant = sizes(() => 20);
  t.true(Math.max(...constant) >= 4, `MiB: ${constant.join()}`);
  const even = sizes((mib) => 20 * mib);
  t.is(Math.max(...even), 1, `MiB: ${even.join()}`);
});

test("a lone client has as much of a zeroing under way as the device carries out in a second", (t) => {
  for (const ms of [100, 125, 130]) {
    const s = scene();
    s.client.send(request(WRITE_ZEROES, 1n, 0n, 400 * MIB, 2));
    s.host.settle();
    for (let i = 0; i < 60; i++) carryOut(s, ms);
    t.is(s.host.outstanding.length, Math.floor(1000 / ms), `${ms} ms for each MiB`);
  }
});

test("a device that zeroes more slowly than before is taken to by a quarter of the difference, a faster one at once", (t) => {
  for (const [ms, expected] of [
    // 125 ms and 75 ms for each MiB.
    [200, 8],
    [75, 13],
  ] as const) {
    const s = scene();
    for (const took of [100, ms]) {
      s.client.send(request(WRITE_ZEROES, 1n, 0n, MIB, 2));
      s.host.settle();
      carryOut(s, took);
    }
    s.client.send(request(WRITE_ZEROES, 1n, 0n, 400 * MIB, 2));
    s.host.settle();
    t.is(s.host.outstanding.length, expected, `${ms} ms`);
  }
});
