// What a host has queued and not handed to the device yet survives a reset: it is no reason to let others pass.
import test from "ava";
import * as abi from "../../../host/abi.ts";
import { type Scene, errors, idle, scene } from "./fixtures/holes.ts";
import { READ, WRITE, request } from "./fixtures/nbd-client.ts";

const EIO = 5;

/** A write that port 0 swallows and another path has carried out, and one over it that waits; the reset is out. */
function waitingWrite(): Scene {
  const s = scene();
  s.host.must(s.host.core.unitSet(s.unit, abi.UNIT_SET_IO_TIMEOUT_MS, 120_000n));
  s.host.must(s.host.core.unitSet(s.unit, abi.UNIT_SET_ORPHAN_RESET_MS, 10_000n));
  s.holes.add(0);
  s.client.send(request(WRITE, 1n, 0n, 512), Buffer.alloc(512, 1));
  s.host.advance(100);
  s.client.send(request(WRITE, 3n, 0n, 512), Buffer.alloc(512, 2));
  s.host.advance(10_000);
  return s;
}

test("a write that was still in the host's queue when the reset was carried out does not land on a later one", (t) => {
  const s = waitingWrite();
  t.deepEqual(errors(s.client), [[1n, 0]]);
  t.is(s.host.resets.length, 1);
  s.host.complete(s.host.resets[0]?.tag ?? 0, 0);
  s.host.advance(100);
  t.deepEqual(errors(s.client), [], "the reset has proven nothing about what was not delivered");
  t.false(s.host.kinds().includes(abi.EVENT_ORPHAN_SETTLED));
  // The transport is back: the host's queue runs.
  s.holes.clear();
  const [orphan] = s.held;
  if (orphan === undefined) return t.fail();
  for (const command of s.host.outstanding.slice()) s.host.answer(command, s.disk.execute(s.host, command));
  s.host.advance(10);
  t.deepEqual(errors(s.client), [[3n, 0]]);
  t.is(s.disk.media[0], 2);
  t.deepEqual(idle(s), s.free);
});

test("after the reset the path is asked by a READ; once that is answered a further reset settles what is lost", (t) => {
  const s = waitingWrite();
  for (const command of s.host.outstanding.slice()) if (command.check) s.host.answer(command, { hostStatus: 3 });
  s.host.advance(1);
  errors(s.client);
  s.holes.clear();
  s.host.keepLog = true;
  s.host.complete(s.host.resets[0]?.tag ?? 0, 0);
  s.host.advance(10);
  t.deepEqual(
    s.host.log.filter((command) => command.check).map((command) => [command.port, command.cdb[0]]),
    [[0, 0x88]],
  );
  t.deepEqual(errors(s.client), []);
  s.host.advance(3000);
  t.deepEqual(
    s.host.resets.map(({ port, scope }) => [port, scope]),
    [
      [0, abi.RESET_DEVICE],
      [0, abi.RESET_DEVICE],
    ],
  );
  s.host.complete(s.host.resets[1]?.tag ?? 0, 0);
  s.host.advance(10);
  t.deepEqual(errors(s.client), [[3n, 0]]);
  t.is(s.disk.media[0], 2);
});

test("what was answered while the reset was under way proves nothing about what the reset has met", (t) => {
  const s = waitingWrite();
  errors(s.client);
  // The transport comes back before the reset is carried out, and the check is answered meanwhile.
  for (const command of s.host.outstanding.slice()) {
    if (command.check) s.host.answer(command, s.disk.execute(s.host, command));
  }
  s.host.advance(1);
  s.host.complete(s.host.resets[0]?.tag ?? 0, 0);
  s.host.advance(10);
  t.deepEqual(errors(s.client), []);
});

for (const [name, answer] of [
  ["host's BUS_BUSY", { hostStatus: 2 }],
  ["host's REQUEUE", { hostStatus: 0x0d }],
  ["driver's BUSY", { driverStatus: 1 }],
  ["driver's TIMEOUT", { driverStatus: 6 }],
] as const) {
  test(`a ${name} is nobody's answer: what was sent before it may still be on its way`, (t) => {
    const s = waitingWrite();
    errors(s.client);
    for (const command of s.host.outstanding.slice()) if (command.check) s.host.answer(command, answer);
    s.host.device = (command) => (command.port === 0 ? answer : s.disk.execute(s.host, command));
    s.host.advance(1);
    s.client.send(request(READ, 2n, 8192n, 512));
    s.host.advance(1);
    s.host.complete(s.host.resets[0]?.tag ?? 0, 0);
    s.host.advance(100);
    t.false(errors(s.client).some(([cookie]) => cookie === 3n));
    t.is(s.host.unitField(s.unit, abi.UNIT_ORPHANS) > 0, true);
  });
}

test("a path that never answers again holds what waits for its orphan until the deadline, whatever resets say", (t) => {
  const s = waitingWrite();
  errors(s.client);
  for (let i = 0; i < 12; i++) {
    for (const reset of s.host.resets.splice(0)) s.host.complete(reset.tag, 0);
    s.host.advance(10_000);
  }
  t.deepEqual(errors(s.client), [[3n, EIO]]);
});
