// Registrations for persistent reservations: a path that may not be registered carries no I/O before control has registered it.
import test from "ava";
import * as abi from "../../../host/abi.ts";
import { asked, errors, grant, path, registered, waits, write, writes } from "./fixtures/registered.ts";
import { INQUIRY, NAA, OTHER, TUR, scene } from "./fixtures/scene.ts";
import { check, type Scsi } from "./fixtures/scsi.ts";

const ATTENTIONS: readonly (readonly [number, number, number])[] = [
  ...[0, 1, 2, 3, 4, 7].map((ascq) => [0x29, ascq, abi.REGISTRATION_RESET] as const),
  ...[3, 4, 5].map((ascq) => [0x2a, ascq, abi.REGISTRATION_PREEMPTED] as const),
];

for (const [asc, ascq, why] of ATTENTIONS) {
  test(`unit attention ${asc.toString(16)}/0${ascq}: the path waits for its registration, the write takes the other`, (t) => {
    const s = registered();
    let left = 1;
    s.faults.set(0, ({ check: checks }) => (!checks && left-- > 0 ? check(6, asc, ascq) : undefined));
    write(s);
    s.host.settle();
    t.deepEqual([errors(s), writes(s), waits(s, 0)], [[0], [0, 1], true]);
    const [event] = asked(s);
    t.deepEqual([event?.path, event?.arg0], [path(s, 0), why]);
    write(s);
    s.host.settle();
    t.deepEqual(writes(s), [0, 1, 1], "nothing more goes to it");
    t.is(grant(s, event), 0);
    write(s);
    s.host.settle();
    t.deepEqual([writes(s).slice(3), waits(s, 0)], [[0], false]);
  });

  test(`unit attention ${asc.toString(16)}/0${ascq} to a check`, (t) => {
    const s = registered();
    let left = 1;
    s.faults.set(1, ({ cdb }) => (cdb[0] === TUR && left-- > 0 ? check(6, asc, ascq) : undefined));
    s.host.advance(20_000);
    t.deepEqual([asked(s)[0]?.path, asked(s)[0]?.arg0, waits(s, 1)], [path(s, 1), why, true]);
    t.is(s.host.flags(path(s, 1)) & abi.PATH_FLAG_FAILED, 0);
  });
}

test("without the switch such attentions mean nothing", (t) => {
  const s = registered();
  s.host.must(s.host.core.unitSet(s.unit, abi.UNIT_SET_REGISTRATION, 0n));
  let left = 1;
  s.faults.set(0, ({ check: checks }) => (!checks && left-- > 0 ? check(6, 0x2a, 5) : undefined));
  write(s);
  s.host.settle();
  t.deepEqual([errors(s), writes(s), asked(s).length], [[0], [0, 0], 0]);
});

for (const [asc, ascq] of [
  [0x2a, 0x05],
  [0x29, 0x00],
] as const) {
  test(`an old grant is void where the device has ${asc.toString(16)}/0${ascq} to tell: writes that wait are not sent behind it`, (t) => {
    const s = registered();
    s.host.must(s.host.core.unitSet(s.unit, abi.UNIT_SET_REGISTRATION, 2n));
    for (let cookie = 1n; cookie <= 8n; cookie++) write(s, cookie);
    s.host.settle();
    const [event] = asked(s);
    // Preempted, and then without power: each is told to one command, the others would be carried out.
    const untold = [check(6, asc, ascq), check(6, 0x29, 0)];
    s.faults.set(0, () => untold.shift());
    t.is(grant(s, event), 0);
    s.host.settle();
    t.deepEqual([writes(s), errors(s), waits(s, 0)], [[], [], true]);
    const again = asked(s).at(-1);
    t.is(again?.path, path(s, 0));
    t.true((again?.arg1 ?? 0) > (event?.arg1 ?? 0), "it is asked for anew");
    t.is(grant(s, again), 0);
    s.host.settle();
    const last = asked(s).at(-1);
    if (last !== again) grant(s, last);
    s.host.settle();
    t.deepEqual([new Set(errors(s)), writes(s).length], [new Set([0]), 8]);
  });
}

test("a path that was idle gets one command first: of two events that its device has to tell none lets a burst through", (t) => {
  const s = registered();
  write(s);
  s.host.settle();
  s.host.advance(200);
  // Preempted, and then without power, as for each path of this host.
  for (const port of [0, 1]) {
    const untold = [check(6, 0x2a, 5), check(6, 0x29, 0)];
    s.faults.set(port, ({ check: isCheck }) => (isCheck ? undefined : untold.shift()));
  }
  for (let cookie = 2n; cookie <= 9n; cookie++) write(s, cookie);
  s.host.settle();
  t.deepEqual([errors(s), writes(s).slice(1), waits(s, 0), waits(s, 1)], [[0], [0, 1], true, true]);
});

test("a path that has answered a moment ago gets all there is at once", (t) => {
  const s = registered();
  write(s);
  s.host.settle();
  s.host.advance(15);
  s.faults.set(0, ({ check: isCheck }) => (isCheck ? undefined : "hang"));
  for (let cookie = 2n; cookie <= 9n; cookie++) write(s, cookie);
  s.host.settle();
  t.deepEqual(
    writes(s),
    Array.from({ length: 9 }, () => 0),
  );
});

test("a first command that is lost holds nobody up for long: an answered check lets the others through", (t) => {
  const s = registered(NAA, 1);
  s.host.advance(200);
  let lost = 1;
  s.faults.set(0, ({ check: isCheck }) => (!isCheck && lost-- > 0 ? "hang" : undefined));
  for (let cookie = 1n; cookie <= 3n; cookie++) write(s, cookie, cookie);
  s.host.settle();
  t.deepEqual([writes(s), errors(s)], [[0], []]);
  s.host.advance(1500);
  t.deepEqual(errors(s), [0, 0, 0]);
});

test("what a reset tells behind a preemption does not hide it from control", (t) => {
  const s = registered();
  const untold = [check(6, 0x2a, 5), check(6, 0x29, 0)];
  s.faults.set(0, ({ cdb }) => (cdb[0] === TUR || cdb[0] === INQUIRY ? untold.shift() : undefined));
  s.host.advance(20_000);
  const whys = asked(s).flatMap((event) => (event.path === path(s, 0) ? [event.arg0] : []));
  t.deepEqual([...new Set(whys)], [abi.REGISTRATION_PREEMPTED]);
});

test("a check that was sent for an earlier grant proves nothing for a later one", (t) => {
  const s = registered();
  s.host.must(s.host.core.pathSet(path(s, 0), abi.PATH_SET_REGISTERED, 0n));
  s.host.settle();
  s.faults.set(0, ({ cdb }) => (cdb[0] === TUR ? "hang" : undefined));
  t.is(grant(s, asked(s)[0]), 0);
  s.host.settle();
  const [early] = s.host.outstanding.slice();
  if (early === undefined) return t.fail("no check is sent");
  s.host.must(s.host.core.pathSet(path(s, 0), abi.PATH_SET_REGISTERED, 0n));
  s.host.settle();
  t.is(grant(s, asked(s)[1]), 0);
  s.host.answer(early, {});
  s.host.settle();
  t.true(waits(s, 0));
  const [late] = s.host.outstanding.slice();
  if (late === undefined) return t.fail("no second check is sent");
  s.host.answer(late, {});
  s.host.settle();
  t.false(waits(s, 0));
});

test("other attentions are taken one after the other before a path that is granted carries I/O", (t) => {
  const s = registered();
  s.host.must(s.host.core.unitSet(s.unit, abi.UNIT_SET_REGISTRATION, 2n));
  write(s);
  s.host.settle();
  const untold = Array.from({ length: 6 }, () => check(6, 0x2a, 1));
  s.faults.set(0, () => untold.shift());
  t.is(grant(s, asked(s)[0]), 0);
  s.host.advance(5000);
  t.deepEqual([errors(s), writes(s), untold.length], [[0], [0], 0]);
});

for (const [name, answer] of [
  ["is not ready", check(2, 0x04, 0x0b)],
  ["reports a conflict", { status: 0x18 }],
] as const) {
  test(`a device that ${name} has no attention left to tell: the grant counts`, (t) => {
    const s = registered();
    s.host.must(s.host.core.pathSet(path(s, 1), abi.PATH_SET_REGISTERED, 0n));
    s.host.settle();
    s.faults.set(1, ({ cdb }) => (cdb[0] === TUR ? answer : undefined));
    t.is(grant(s, asked(s)[0]), 0);
    s.host.settle();
    t.false(waits(s, 1));
  });
}

test("a path that has no clean answer to give after a grant fails at last", (t) => {
  const s = registered();
  s.host.must(s.host.core.pathSet(path(s, 1), abi.PATH_SET_REGISTERED, 0n));
  s.host.settle();
  s.faults.set(1, ({ cdb }) => (cdb[0] === TUR ? check(6, 0x2a, 1) : undefined));
  t.is(grant(s, asked(s)[0]), 0);
  s.host.advance(5000);
  t.truthy(s.host.flags(path(s, 1)) & abi.PATH_FLAG_FAILED);
});

test("what was asked before the last attention is not granted", (t) => {
  const s = registered();
  s.host.must(s.host.core.pathSet(path(s, 0), abi.PATH_SET_REGISTERED, 0n));
  s.host.settle();
  const [first] = asked(s);
  s.host.must(s.host.core.pathSet(path(s, 0), abi.PATH_SET_REGISTERED, 0n));
  s.host.settle();
  const [, second] = asked(s);
  t.is(grant(s, first), -abi.ERROR_NOT_ASKED);
  t.true(waits(s, 0));
  t.is(grant(s, second), 0);
  t.is(grant(s, second), -abi.ERROR_NOT_ASKED, "once is enough");
  t.true(waits(s, 0), "until the device is known to have nothing to tell");
  s.host.settle();
  t.false(waits(s, 0));
});

test("a path that is added is identified first, and registered before its first I/O", (t) => {
  const s = registered();
  s.faults.set(9, ({ cdb }) => (cdb[0] === INQUIRY ? "hang" : undefined));
  const added = s.host.must(s.host.core.pathAdd(s.unit, 0, 9, 200, 1, 8));
  s.host.settle();
  t.is(asked(s).length, 0, "its key could get to another unit");
  for (const command of s.host.outstanding.slice()) {
    if (command.port === 9) s.host.answer(command, s.disk.execute(s.host, command));
  }
  s.host.settle();
  const [event] = asked(s);
  t.deepEqual([event?.path, event?.arg0], [added, abi.REGISTRATION_ADDED]);
  write(s);
  s.host.settle();
  t.deepEqual(writes(s), [0]);
  t.is(grant(s, event), 0);
  write(s);
  s.host.settle();
  t.deepEqual(writes(s), [0, 9]);
});

test("a path that recovers is registered before it carries I/O", (t) => {
  const s = registered();
  let down = true;
  s.faults.set(0, () => (down ? { hostStatus: 1 } : undefined));
  write(s);
  s.host.advance(2000);
  t.truthy(s.host.flags(path(s, 0)) & abi.PATH_FLAG_FAILED);
  down = false;
  s.host.advance(5000);
  t.is(s.host.flags(path(s, 0)) & abi.PATH_FLAG_FAILED, 0);
  const [event] = asked(s);
  t.deepEqual([event?.path, event?.arg0], [path(s, 0), abi.REGISTRATION_BACK]);
  write(s);
  s.host.settle();
  t.is(writes(s).at(-1), 1);
  t.is(grant(s, event), 0);
  write(s);
  s.host.settle();
  t.is(writes(s).at(-1), 0);
});

test("a path that leads to its unit again is registered again", (t) => {
  const s = registered();
  s.faults.set(0, (command) => {
    if (command.cdb[0] !== INQUIRY) return undefined;
    const answer = s.disk.execute(s.host, command);
    s.host.bytes(command.buffer + 8, OTHER.length - 2).set(OTHER.slice(2));
    return answer;
  });
  s.host.must(s.host.core.pathSet(path(s, 0), abi.PATH_SET_UNVERIFIED, 1n));
  s.host.settle();
  t.truthy(s.host.flags(path(s, 0)) & abi.PATH_FLAG_WRONG_UNIT);
  t.is(asked(s).length, 0);
  s.faults.delete(0);
  s.host.advance(3000);
  t.deepEqual([asked(s)[0]?.path, asked(s)[0]?.arg0], [path(s, 0), abi.REGISTRATION_IDENTITY]);
});

test("while all paths wait for their registration requests wait, as long as they may without a path", (t) => {
  const s = registered();
  s.host.must(s.host.core.unitSet(s.unit, abi.UNIT_SET_REGISTRATION, 2n));
  write(s);
  s.host.advance(29_000);
  t.deepEqual([errors(s), writes(s)], [[], []]);
  t.false(
    s.host.events.some(({ kind }) => kind === abi.EVENT_FAILOVER_STARTED),
    "that is no failover",
  );
  t.is(asked(s).length, 2);
  t.is(grant(s, asked(s)[1]), 0);
  s.host.settle();
  t.deepEqual([errors(s), writes(s)], [[0], [1]]);
});

test("requests whose paths are not registered in time fail", (t) => {
  const s = registered();
  s.host.must(s.host.core.unitSet(s.unit, abi.UNIT_SET_REGISTRATION, 2n));
  write(s);
  s.host.advance(31_000);
  t.deepEqual([errors(s), writes(s)], [[5], []]);
});

test("with no time to wait for a path requests wait for a registration all the same", (t) => {
  const s = registered();
  s.host.must(s.host.core.unitSet(s.unit, abi.UNIT_SET_NO_PATH_TIMEOUT_MS, 0n));
  s.host.must(s.host.core.unitSet(s.unit, abi.UNIT_SET_REGISTRATION, 2n));
  write(s);
  s.host.advance(1000);
  t.deepEqual(errors(s), []);
  t.is(grant(s, asked(s)[0]), 0);
  s.host.settle();
  t.deepEqual(errors(s), [0]);
});

test("what a path answers that is out of use meanwhile is no retry on it", (t) => {
  const s = scene();
  s.host.settle();
  const held: Scsi[] = [];
  s.faults.set(0, (command) => {
    if (command.check) return undefined;
    held.push(command);
    return "hang";
  });
  const client = s.host.connect(s.unit);
  write({ client });
  s.host.settle();
  s.host.must(s.host.core.pathSet(path(s, 0), abi.PATH_SET_ENABLED, 0n));
  const [first] = held;
  if (first === undefined) return t.fail("it is not under way");
  s.host.answer(first, check(0x0b, 0x47, 3));
  s.host.settle();
  t.deepEqual(errors({ client }), [0]);
  t.is(s.host.pathCount64(path(s, 0), abi.PATH_RETRIES), 0n);
});

test("requests that wait for a registration, with no time to wait for a path, keep nobody awake", (t) => {
  const s = registered();
  s.host.must(s.host.core.modeSet(abi.MODE_PATROL, 0n));
  s.host.must(s.host.core.unitSet(s.unit, abi.UNIT_SET_NO_PATH_TIMEOUT_MS, 0n));
  s.host.must(s.host.core.unitSet(s.unit, abi.UNIT_SET_REGISTRATION, 2n));
  write(s);
  s.host.settle();
  s.host.turn();
  t.true(s.host.deadline() > s.host.now);
});
