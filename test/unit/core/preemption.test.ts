// A unit that another host has preempted sends nothing, and its paths are registered again only when what was under way is over.
import test from "ava";
import * as abi from "../../../host/abi.ts";
import { READ, request } from "./fixtures/nbd-client.ts";
import { asked, errors, grant, path, registered, waits, write, writes } from "./fixtures/registered.ts";
import { check } from "./fixtures/scsi.ts";

const EPERM = 1;

test("a preempted unit refuses everything, sends nothing, and asks for all registrations afterwards", (t) => {
  const s = registered();
  const held = "hang" as const;
  s.faults.set(0, ({ check: checks }) => (checks ? undefined : held));
  write(s);
  s.client.send(request(READ, 2n, 4096n, 512));
  s.host.settle();
  t.is(s.host.outstanding.length, 2);
  s.host.must(s.host.core.unitSet(s.unit, abi.UNIT_SET_PREEMPTED, 1n));
  s.host.settle();
  t.deepEqual(errors(s), [EPERM, EPERM], "what is under way as well");
  t.truthy(s.host.unitField(s.unit, abi.UNIT_FLAGS) & abi.UNIT_FLAG_PREEMPTED);
  s.seen.length = 0;
  write(s, 3n);
  s.host.advance(100_000);
  t.is(errors(s).at(-1), EPERM);
  t.deepEqual(writes(s), []);
  t.deepEqual(s.host.resets, [], "a reset would end the new owner's commands");
  t.is(asked(s).length, 0);
  t.false(s.host.events.some(({ kind }) => kind === abi.EVENT_NO_PATH_FAILED || kind === abi.EVENT_FAILOVER_FAILED));
  for (const { reason, sense } of s.host.events) if (reason === abi.REASON_RESERVATION) t.is(sense, 0);
  s.faults.clear();
  for (const command of s.host.outstanding.slice()) s.host.answer(command, { hostStatus: 3 });
  s.host.must(s.host.core.unitSet(s.unit, abi.UNIT_SET_PREEMPTED, 0n));
  write(s, 5n);
  s.host.settle();
  t.deepEqual(writes(s), []);
  t.true(asked(s).every(({ arg0 }) => arg0 === abi.REGISTRATION_CONTROL || arg0 === abi.REGISTRATION_BACK));
  for (const event of asked(s)) grant(s, event);
  s.host.advance(20_000);
  for (const event of asked(s)) grant(s, event);
  s.host.settle();
  t.is(errors(s).at(-1), 0);
});

test("after a preemption paths are not registered before what was under way is over, leftovers included", (t) => {
  const s = registered();
  s.faults.set(0, ({ check: checks }) => (checks ? undefined : "hang"));
  write(s);
  s.host.settle();
  s.host.must(s.host.core.unitSet(s.unit, abi.UNIT_SET_LEFTOVERS, 1n));
  s.host.must(s.host.core.unitSet(s.unit, abi.UNIT_SET_PREEMPTED, 1n));
  s.host.must(s.host.core.unitSet(s.unit, abi.UNIT_SET_PREEMPTED, 0n));
  s.host.advance(3000);
  t.is(asked(s).length, 0, "the host still has the write");
  for (const command of s.host.outstanding.slice()) s.host.answer(command, { hostStatus: 3 });
  s.host.advance(1000);
  t.is(asked(s).length, 0, "the kernel may have more of an earlier daemon");
  s.host.must(s.host.core.unitSet(s.unit, abi.UNIT_SET_LEFTOVERS, 0n));
  s.host.settle();
  t.true(asked(s).length > 0);
});

test("to say that a unit is still its owner's changes nothing", (t) => {
  const s = registered();
  s.host.must(s.host.core.unitSet(s.unit, abi.UNIT_SET_PREEMPTED, 0n));
  s.host.settle();
  t.deepEqual(asked(s), []);
  write(s);
  s.host.settle();
  t.deepEqual([errors(s), writes(s)], [[0], [0]]);
});

for (const [asc, ascq] of [
  [0x2a, 0x01],
  [0x2a, 0x09],
  [0x3f, 0x03],
] as const) {
  test(`unit attention ${asc.toString(16)}/0${ascq} is not about registrations`, (t) => {
    const s = registered();
    let left = 1;
    s.faults.set(0, ({ check: checks }) => (!checks && left-- > 0 ? check(6, asc, ascq) : undefined));
    write(s);
    s.host.settle();
    t.deepEqual([errors(s), waits(s, 0), asked(s)], [[0], false, []]);
  });
}

test("once what was under way at a preemption is over, registrations wait for nothing that is begun later", (t) => {
  const s = registered();
  s.host.must(s.host.core.unitSet(s.unit, abi.UNIT_SET_PREEMPTED, 1n));
  s.host.must(s.host.core.unitSet(s.unit, abi.UNIT_SET_PREEMPTED, 0n));
  s.host.settle();
  for (const event of asked(s)) grant(s, event);
  s.host.settle();
  s.host.events.length = 0;
  s.faults.set(0, ({ check: checks }) => (checks ? undefined : "hang"));
  write(s);
  s.host.advance(3000);
  t.deepEqual([errors(s), writes(s)], [[0], [0, 1]], "the first write is held by the host, and may be carried out yet");
  s.host.must(s.host.core.pathSet(path(s, 1), abi.PATH_SET_REGISTERED, 0n));
  s.host.settle();
  t.is(asked(s).length, 1);
});

test("paths are not registered before what an earlier daemon left is over: it may have been preempted, and let in again", (t) => {
  const s = registered();
  s.host.must(s.host.core.unitSet(s.unit, abi.UNIT_SET_LEFTOVERS, 1n));
  s.host.must(s.host.core.pathSet(path(s, 0), abi.PATH_SET_REGISTERED, 0n));
  s.host.advance(3000);
  t.is(asked(s).length, 0);
  s.host.must(s.host.core.unitSet(s.unit, abi.UNIT_SET_LEFTOVERS, 0n));
  s.host.settle();
  t.is(asked(s).length, 1);
});
