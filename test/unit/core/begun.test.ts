// What was begun of a request, and is under way more than once, or cannot go on, ends it once and rightly.
import test from "ava";
import * as abi from "../../../host/abi.ts";
import { errors, idle, scene } from "./fixtures/holes.ts";
import { READ, TRIM, WRITE, WRITE_ZEROES, request } from "./fixtures/nbd-client.ts";
import * as units from "./fixtures/scene.ts";
import { check, type Answer, type Scsi } from "./fixtures/scsi.ts";

const EIO = 5;
const KIB = 1 << 10;

type Scene = ReturnType<typeof scene>;

const lbaOf = ({ cdb }: Scsi): number => Number(cdb.readBigUInt64BE(2));

function set(s: Scene, property: number, value: bigint): void {
  s.host.must(s.host.core.unitSet(s.unit, property, value));
}

/** Pieces of 4 KiB, and no resets. */
function inPieces(s: Scene): Scene {
  set(s, abi.UNIT_SET_TRANSFER_BLOCKS_MAX, 8n);
  set(s, abi.UNIT_SET_ORPHAN_RESET_MS, 0n);
  set(s, abi.UNIT_SET_LOST_RESET_MS, 0n);
  return s;
}

test("a write of four pieces whose first one is lost, and was written elsewhere, does not wait for its own orphan", (t) => {
  const s = inPieces(scene());
  for (const path of s.paths) s.host.must(s.host.core.pathSet(path, abi.PATH_SET_DEPTH, 1n));
  s.holes.add(0);
  const data = Buffer.from(Array.from({ length: 16 * KIB }, (_, i) => i % 251));
  s.client.send(request(WRITE, 1n, 0n, data.length), data);
  s.host.advance(1000);
  t.deepEqual(errors(s.client), [[1n, 0]]);
  t.is(s.held.length, 1);
  t.true(s.disk.media.subarray(0, data.length).equals(data));
});

test("a write that has to go out again waits while commands of an earlier daemon may still change what it writes", (t) => {
  const s = scene();
  s.holes.add(0);
  s.client.send(request(WRITE, 1n, 0n, 512), Buffer.alloc(512, 7));
  s.host.settle();
  set(s, abi.UNIT_SET_LEFTOVERS, 1n);
  const [first] = s.held;
  if (first === undefined) return t.fail();
  s.host.answer(first, { hostStatus: 1 });
  s.host.advance(100);
  t.deepEqual(errors(s.client), []);
  t.is(s.disk.media[0], 0);
  set(s, abi.UNIT_SET_LEFTOVERS, 0n);
  s.host.settle();
  t.deepEqual(errors(s.client), [[1n, 0]]);
  t.is(s.disk.media[0], 7);
  t.deepEqual(idle(s), s.free);
});

test("an answer that comes when the time of its request is over: whatever goes out again has the shortest time", (t) => {
  const s = scene(1);
  set(s, abi.UNIT_SET_STALL_MAX_MS, 0n);
  set(s, abi.UNIT_SET_IO_TIMEOUT_MS, 1000n);
  s.holes.add(0);
  s.client.send(request(READ, 1n, 0n, 512));
  s.host.settle();
  const [late] = s.held;
  if (late === undefined) return t.fail();
  s.host.now += 2_000_000_000n;
  s.host.answer(late, check(0x0b, 0, 0));
  s.host.settle();
  t.deepEqual(errors(s.client), [[1n, EIO]]);
  t.deepEqual(
    s.held.map(({ timeoutMs }) => timeoutMs),
    [1001, 1],
  );
  for (const command of s.host.outstanding.slice()) s.host.answer(command, {});
  s.host.settle();
  t.deepEqual(idle(s), s.free);
});

/** A read of two pieces; port 0 swallows both, port 1 does with each what `second` says. */
function twoPieces(second: (command: Scsi, s: Scene) => Answer | undefined): Scene {
  const s = inPieces(scene());
  const usual = s.host.device;
  s.holes.add(0);
  s.host.device = (command) => {
    return command.port === 0 || command.check ? usual(command) : second(command, s);
  };
  s.client.send(request(READ, 2n, 0n, 8 * KIB));
  s.host.advance(100);
  return s;
}

test("a read at its deadline, one piece of which has been brought by another path: it fails, and leaves nothing behind", (t) => {
  const s = twoPieces((command, { disk, host }) => (lbaOf(command) === 0 ? disk.execute(host, command) : undefined));
  t.deepEqual(errors(s.client), []);
  s.host.advance(70_000);
  t.deepEqual(errors(s.client, 8 * KIB), [[2n, EIO]]);
  t.notDeepEqual(idle(s), s.free);
  for (const command of s.host.outstanding.slice()) if (!command.check) s.host.answer(command, {});
  s.host.settle();
  t.deepEqual(idle(s), s.free);
  t.deepEqual(errors(s.client), [], "it is answered once");
});

test("a piece that pauses on one path and is under way on another is waited for there when another piece fails", (t) => {
  const s = twoPieces((command) => (lbaOf(command) === 0 ? check(2, 4, 1) : check(3, 0x11, 0)));
  // The host has the first piece still; a write in its place could land after the error.
  t.deepEqual(errors(s.client), []);
  const first = s.held.find((command) => lbaOf(command) === 0);
  if (first === undefined) return t.fail();
  s.host.answer(first, {});
  s.host.settle();
  t.deepEqual(errors(s.client, 8 * KIB), [[2n, EIO]]);
  for (const command of s.host.outstanding.slice()) if (!command.check) s.host.answer(command, {});
  s.host.settle();
  t.deepEqual(errors(s.client), []);
  t.deepEqual(idle(s), s.free);
});

test("a zeroing that waits for an orphan is answered at its deadline, and nothing of it was begun", (t) => {
  const s = inPieces(scene());
  set(s, abi.UNIT_SET_IO_TIMEOUT_MS, 1000n);
  s.holes.add(0);
  s.client.send(request(WRITE, 1n, 0n, 512), Buffer.alloc(512, 7));
  s.host.advance(100);
  t.deepEqual(errors(s.client), [[1n, 0]]);
  s.client.send(request(WRITE_ZEROES, 3n, 0n, 4 * KIB));
  s.host.advance(990);
  t.deepEqual(errors(s.client), []);
  s.host.advance(20);
  t.deepEqual(errors(s.client), [[3n, EIO]]);
  t.is(s.disk.media[0], 7);
});

test("with the stall rule off, the path of a trim that was given up is asked by a READ, and not at once", (t) => {
  const s = scene(1, abi.UNIT_CAN_UNMAP);
  set(s, abi.UNIT_SET_STALL_MAX_MS, 0n);
  set(s, abi.UNIT_SET_IO_TIMEOUT_MS, 1000n);
  s.host.keepLog = true;
  s.holes.add(0);
  s.client.send(request(TRIM, 1n, 0n, 4 * KIB));
  s.host.advance(700);
  // It had little of the time since: the path is not blamed.
  for (const command of s.held.splice(0)) s.host.answer(command, check(0x0b, 0, 0));
  s.host.advance(400);
  t.deepEqual(errors(s.client), [[1n, EIO]]);
  const asked = (): number => s.host.log.filter((command) => command.check && command.cdb[0] === 0x88).length;
  s.host.advance(14_000);
  t.is(asked(), 0);
  s.host.advance(1000);
  t.is(asked(), 1);
});

for (const [name, fault] of [
  ["non-optimized", false],
  ["marginal", true],
] as const) {
  test(`a command that the best path cannot carry out now goes to the ${name} one with the highest priority`, (t) => {
    for (const [priority, port] of [
      [1n, 1],
      [100n, 2],
    ] as const) {
      const s = units.scene(undefined, 3);
      const [first = -1, second = -1, third = -1] = s.paths;
      s.host.must(s.host.core.modeSet(abi.MODE_MARGINAL, 1n));
      s.host.must(s.host.core.pathSet(third, abi.PATH_SET_PRIORITY, priority));
      s.host.must(s.host.core.pathSet(first, abi.PATH_SET_ALUA, BigInt(abi.ALUA_OPTIMIZED)));
      for (const path of [second, third]) {
        s.host.must(s.host.core.pathSet(path, abi.PATH_SET_ALUA, BigInt(abi.ALUA_NON_OPTIMIZED)));
        if (fault) s.host.must(s.host.core.pathSet(path, abi.PATH_SET_FAULTS, 16n));
        t.is((s.host.flags(path) & abi.PATH_FLAG_MARGINAL) !== 0, fault);
      }
      s.host.advance(100);
      s.faults.set(0, (command) => (command.check ? undefined : check(2, 4, 1)));
      s.seen.length = 0;
      t.is(units.read(s.host, s.unit), 0);
      t.deepEqual(
        s.seen.filter(({ operation }) => operation === 0x88).map((one) => one.port),
        [0, port],
      );
    }
  });
}
