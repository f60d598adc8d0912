// The whole life of persistent reservations (SPC-4 5.13), of two hosts: ports 0 and 2 are the first's, 1 and 3 the second's.

import test from "ava";
import type { EmulatedArray } from "../../../host/array/array.ts";
import { cdbs, pattern, quietArray, RESERVATION_CONFLICT, RingSide, sense, STATUS_GOOD } from "./fixture.ts";

const [REGISTER, RESERVE, RELEASE, CLEAR, PREEMPT, PREEMPT_AND_ABORT, REGISTER_AND_IGNORE, REGISTER_AND_MOVE] = [
  0, 1, 2, 3, 4, 5, 6, 7,
];
const ALL_TG_PT = 4;
const APTPL = 1;
const SPEC_I_PT = 8;
const TASK_ABORTED = 0x40;
const [A, B, C] = [0xa, 0xb, 0xc];

interface Order {
  readonly key?: number;
  readonly actionKey?: number;
  readonly type?: number;
  readonly flags?: number;
}

function order(array: EmulatedArray, port: number, action: number, given: Order = {}): number[] {
  const { key = 0, actionKey = 0, type = 0, flags = 0 } = given;
  const list = new Uint8Array(24);
  const view = new DataView(list.buffer);
  view.setUint32(4, key);
  view.setUint32(12, actionKey);
  list[20] = flags;
  const result = array.command(port, cdbs.reserveOut(action, type), list);
  return result.status === 2 ? sense(result) : [result.status];
}

const register = (array: EmulatedArray, port: number, key: number, flags = 0): number[] =>
  order(array, port, REGISTER_AND_IGNORE, { actionKey: key, flags });

/** Generation, then the keys. */
function keys(array: EmulatedArray, port = 0): number[] {
  const { data } = array.command(port, cdbs.reserveIn(0), 1024);
  const view = new DataView(data.buffer, data.byteOffset);
  return [view.getUint32(0), ...Array.from({ length: view.getUint32(4) / 8 }, (_, i) => view.getUint32(12 + 8 * i))];
}

/** `[key, type]` of the reservation; empty: none. */
function holder(array: EmulatedArray): number[] {
  const { data } = array.command(0, cdbs.reserveIn(1), 256);
  return data.length < 24 ? [] : [new DataView(data.buffer, data.byteOffset).getUint32(12), data[21] ?? 0];
}

/** What the ports have to tell, in their order; each only once. */
function attentions(array: EmulatedArray): (string | null)[] {
  return array.ports.slice(0, 4).map(({ handle }) => {
    const result = array.command(handle, cdbs.testUnitReady);
    if (result.status === STATUS_GOOD) return null;
    const [, asc = 0, ascq = 0] = sense(result);
    return `${asc.toString(16)}/${ascq}`;
  });
}

function writes(array: EmulatedArray): string {
  return [0, 1, 2, 3]
    .map((port) => (array.command(port, cdbs.write16(0, 1), pattern(512, 1)).status === STATUS_GOOD ? "w" : "-"))
    .join("");
}

test("REGISTER with ALL_TG_PT covers every path of the initiator port, and takes them back", (t) => {
  const array = quietArray({ units: 1 });
  const [first] = array.ports;
  t.deepEqual(order(array, 0, REGISTER, { actionKey: A, flags: ALL_TG_PT }), [STATUS_GOOD]);
  const mine = array.ports.filter(({ initiatorPort }) => initiatorPort === first?.initiatorPort);
  t.true(mine.length > 1 && mine.length < array.ports.length);
  t.deepEqual(keys(array), [1, ...mine.map(() => A)]);
  t.deepEqual(order(array, mine[1]?.handle ?? -1, RESERVE, { key: A, type: 5 }), [STATUS_GOOD]);
  t.deepEqual(order(array, 0, REGISTER, { key: A, flags: ALL_TG_PT }), [STATUS_GOOD]);
  t.deepEqual([keys(array), holder(array)], [[2], []]);
});

test("an array like the kernel's target changes and removes what was registered with ALL_TG_PT only with ALL_TG_PT", (t) => {
  const array = quietArray({ units: 1, registrations: "lio" });
  register(array, 0, A, ALL_TG_PT);
  const before = keys(array);
  t.deepEqual(order(array, 0, REGISTER, { key: A }), [5, 0x24, 0]);
  t.deepEqual(order(array, 0, REGISTER_AND_IGNORE, { actionKey: B }), [5, 0x24, 0]);
  t.deepEqual(keys(array), before);
  t.deepEqual(order(array, 0, REGISTER, { key: A, flags: ALL_TG_PT }), [STATUS_GOOD]);
  // What was registered before says nothing about a new registration.
  t.deepEqual(order(array, 0, REGISTER, { actionKey: B }), [STATUS_GOOD]);
  t.deepEqual(order(array, 0, REGISTER, { key: B }), [STATUS_GOOD]);
  t.is(keys(array).length, 1);
});

test("REGISTER with ALL_TG_PT conflicts if one of them is registered already", (t) => {
  const array = quietArray({ units: 1 });
  const other = array.ports.findIndex(
    ({ initiatorPort }, i) => i > 0 && initiatorPort === array.ports[0]?.initiatorPort,
  );
  t.deepEqual(register(array, other, B), [STATUS_GOOD]);
  t.deepEqual(order(array, 0, REGISTER, { actionKey: A, flags: ALL_TG_PT }), [RESERVATION_CONFLICT]);
  t.deepEqual(keys(array), [1, B]);
});

test("SPEC_I_PT and REGISTER AND MOVE are refused", (t) => {
  const array = quietArray({ units: 1 });
  t.deepEqual(order(array, 0, REGISTER, { actionKey: A, flags: SPEC_I_PT }), [5, 0x26, 0]);
  t.deepEqual(order(array, 0, REGISTER_AND_MOVE, { key: A }), [5, 0x24, 0]);
  t.deepEqual(keys(array), [0]);
});

test("a loss of power ends everything, unless the last registration wanted it kept (APTPL)", (t) => {
  for (const flags of [0, APTPL]) {
    const array = quietArray({ units: 1 });
    register(array, 1, B, APTPL);
    register(array, 0, A, flags);
    order(array, 0, RESERVE, { key: A, type: 3 });
    t.is(array.command(0, cdbs.reserveIn(2), 8).data[3], 0x80 | flags);
    array.addFault({ fault: { kind: "power-loss" } });
    t.deepEqual(attentions(array), ["29/0", "29/0", "29/0", "29/0"]);
    t.deepEqual(
      [keys(array), holder(array)],
      flags === 0
        ? [[0], []]
        : [
            [0, B, A],
            [A, 3],
          ],
    );
    t.is(writes(array), flags === 0 ? "wwww" : "w---");
  }
});

test("PREEMPT of the holder: its other registrations go as well, the rest stay, and each hears its part", (t) => {
  const array = quietArray({ units: 1 });
  for (const [port, key] of [A, B, A, C].entries()) register(array, port, key);
  order(array, 0, RESERVE, { key: A, type: 5 });
  t.deepEqual(order(array, 1, PREEMPT, { key: B, actionKey: A, type: 6 }), [STATUS_GOOD]);
  t.deepEqual(attentions(array), ["2a/5", null, "2a/5", "2a/4"]);
  t.deepEqual(
    [keys(array), holder(array)],
    [
      [5, B, C],
      [B, 6],
    ],
  );
  t.is(writes(array), "-w-w");
});

test("PREEMPT by a path's own key moves the reservation there and drops the others' registrations", (t) => {
  const array = quietArray({ units: 1 });
  for (const [port, key] of [A, B, A].entries()) register(array, port, key);
  order(array, 0, RESERVE, { key: A, type: 1 });
  t.is(writes(array), "w---");
  t.deepEqual(order(array, 2, PREEMPT, { key: A, actionKey: A, type: 1 }), [STATUS_GOOD]);
  t.deepEqual(attentions(array), ["2a/5", null, null, null]);
  t.deepEqual(
    [keys(array), holder(array)],
    [
      [4, B, A],
      [A, 1],
    ],
  );
  t.is(writes(array), "--w-");
});

test("PREEMPT of who holds nothing removes registrations only, one's own included", (t) => {
  const array = quietArray({ units: 1 });
  for (const [port, key] of [A, B, B].entries()) register(array, port, key);
  order(array, 0, RESERVE, { key: A, type: 5 });
  t.deepEqual(order(array, 1, PREEMPT, { key: B, actionKey: 0x99, type: 5 }), [RESERVATION_CONFLICT]);
  t.deepEqual(order(array, 1, PREEMPT, { key: B, actionKey: B, type: 5 }), [STATUS_GOOD]);
  t.deepEqual(attentions(array), [null, null, "2a/5", null]);
  t.deepEqual(
    [keys(array), holder(array)],
    [
      [4, A],
      [A, 5],
    ],
  );
  t.deepEqual(
    order(array, 1, PREEMPT, { key: B, actionKey: A, type: 5 }),
    [RESERVATION_CONFLICT],
    "who is not registered",
  );
  t.deepEqual(order(array, 0, PREEMPT, { key: A, type: 5 }), [5, 0x26, 0], "no key");
});

test("all registrants: PREEMPT without a key takes over from everybody, with one removes registrations only", (t) => {
  const array = quietArray({ units: 1 });
  for (const [port, key] of [A, B, C].entries()) register(array, port, key);
  order(array, 0, RESERVE, { key: A, type: 7 });
  t.deepEqual(order(array, 1, PREEMPT, { key: B, actionKey: C, type: 7 }), [STATUS_GOOD]);
  t.deepEqual(
    [keys(array), holder(array)],
    [
      [4, A, B],
      [0, 7],
    ],
  );
  t.deepEqual(attentions(array), [null, null, "2a/5", null]);
  t.deepEqual(order(array, 1, PREEMPT, { key: B, type: 3 }), [STATUS_GOOD]);
  t.deepEqual(attentions(array), ["2a/5", null, null, null]);
  t.deepEqual(
    [keys(array), holder(array)],
    [
      [5, B],
      [B, 3],
    ],
  );
});

test("RELEASE and CLEAR are told to the other registrants only", (t) => {
  const array = quietArray({ units: 1 });
  for (const [port, key] of [A, B, C].entries()) register(array, port, key);
  order(array, 0, RESERVE, { key: A, type: 8 });
  t.deepEqual(order(array, 1, RELEASE, { key: B, type: 8 }), [STATUS_GOOD], "every registrant holds it");
  t.deepEqual(attentions(array), ["2a/4", null, "2a/4", null]);
  t.deepEqual(order(array, 2, CLEAR, { key: C }), [STATUS_GOOD]);
  t.deepEqual(attentions(array), ["2a/3", "2a/3", null, null]);
  t.deepEqual(keys(array), [4]);
});

test("the holder's unregistering ends a reservation of registrants, and those hear of it", (t) => {
  const array = quietArray({ units: 1 });
  for (const [port, key] of [A, B].entries()) register(array, port, key);
  order(array, 0, RESERVE, { key: A, type: 6 });
  t.deepEqual(order(array, 0, REGISTER, { key: A }), [STATUS_GOOD]);
  t.deepEqual([attentions(array), holder(array)], [[null, "2a/4", null, null], []]);
});

test("PREEMPT AND ABORT ends what the device has of the preempted, and nothing of it lands later", (t) => {
  for (const action of [PREEMPT, PREEMPT_AND_ABORT]) {
    const array = quietArray({ units: 1, service: { latencyUs: 1_000_000 } });
    const first = new RingSide(array);
    const second = new RingSide(array, undefined, "forgotten", 1);
    for (const [port, key] of [A, B, A].entries()) register(array, port, key);
    order(array, 0, RESERVE, { key: A, type: 5 });
    first.submit(0, 0, cdbs.write16(0, 1), pattern(512, 1));
    second.submit(1, 1, cdbs.write16(8, 1), pattern(512, 2));
    array.addFault({ fault: { kind: "no-answer", execution: "on-lift", giveUp: false }, where: { port: 2 } });
    first.submit(2, 2, cdbs.write16(16, 1), pattern(512, 3));
    first.turn();
    t.deepEqual(order(array, 1, action, { key: B, actionKey: A, type: 5 }), [STATUS_GOOD]);
    const ended = first.turn().map(({ tag, status }) => [tag, status]);
    t.deepEqual(ended, action === PREEMPT ? [] : [[0, TASK_ABORTED]]);
    // The preempted host is let in again before the rest arrives.
    array.liftAllFaults();
    attentions(array);
    register(array, 0, A);
    register(array, 2, A);
    second.at(5000);
    first.at(5000).turn();
    t.deepEqual(
      second.turn().map(({ tag, status }) => [tag, status]),
      [[1, STATUS_GOOD]],
    );
    const landed = [0, 8, 16].map((lba) => array.command(1, cdbs.read16(lba, 1), 512).data.some((byte) => byte !== 0));
    t.deepEqual(landed, action === PREEMPT ? [true, true, true] : [false, true, false]);
  }
});

test("a reset leaves registrations and reservations alone", (t) => {
  const array = quietArray({ units: 1 });
  const host = new RingSide(array);
  register(array, 1, B);
  order(array, 1, RESERVE, { key: B, type: 3 });
  host.reset(1, 0, 1);
  host.turn();
  t.deepEqual(sense(array.command(0, cdbs.testUnitReady)), [6, 0x29, 3]);
  t.deepEqual(
    [keys(array), holder(array)],
    [
      [1, B],
      [B, 3],
    ],
  );
});

const cdb = (...bytes: number[]): Uint8Array => Uint8Array.from(bytes);
const RESERVE_6 = cdb(0x16, 0, 0, 0, 0, 0);
const RELEASE_6 = cdb(0x17, 0, 0, 0, 0, 0);
const RESERVE_10 = cdb(0x56, 0, 0, 0, 0, 0, 0, 0, 0, 0);
const RELEASE_10 = cdb(0x57, 0, 0, 0, 0, 0, 0, 0, 0, 0);

for (const [name, take, give] of [
  ["(6)", RESERVE_6, RELEASE_6],
  ["(10)", RESERVE_10, RELEASE_10],
] as const) {
  test(`RESERVE ${name}: the unit is one nexus's alone, until it releases it`, (t) => {
    const array = quietArray({ units: 1 });
    const status = (port: number, bytes: Uint8Array): number => array.command(port, bytes).status;
    t.is(status(0, take), STATUS_GOOD);
    t.is(status(0, take), STATUS_GOOD, "again");
    t.is(status(1, take), RESERVATION_CONFLICT);
    t.is(status(1, cdbs.testUnitReady), RESERVATION_CONFLICT);
    t.is(writes(array), "w---");
    t.deepEqual(register(array, 0, A), [RESERVATION_CONFLICT]);
    t.is(array.command(1, cdbs.reserveIn(0), 8).status, RESERVATION_CONFLICT);
    t.is(status(1, give), STATUS_GOOD);
    t.is(writes(array), "w---", "it was not that nexus's");
    t.is(status(0, give), STATUS_GOOD);
    t.is(writes(array), "wwww");
  });

  test(`RESERVE ${name} conflicts while somebody is registered`, (t) => {
    const array = quietArray({ units: 1 });
    register(array, 0, A);
    for (const port of [0, 1]) t.is(array.command(port, take).status, RESERVATION_CONFLICT);
    t.is(array.command(0, give).status, RESERVATION_CONFLICT);
  });
}

test("what RESERVE has taken is free after a reset, a loss of the nexus, and a loss of power", (t) => {
  for (const end of ["reset", "nexus", "power"] as const) {
    const array = quietArray({ units: 1 });
    const host = new RingSide(array);
    t.is(array.command(0, RESERVE_6).status, STATUS_GOOD);
    if (end === "reset") host.reset(1, 1, 1);
    else if (end === "power") array.addFault({ fault: { kind: "power-loss" } });
    else array.liftFault(array.addFault({ fault: { kind: "port-down" }, where: { port: 0 } }));
    host.turn();
    attentions(array);
    t.is(writes(array), "wwww", end);
  }
});

test("an array, or a controller, that knows no persistent reservations is a fault away", (t) => {
  const array = quietArray({ units: 1 });
  for (const opcode of [0x5e, 0x5f]) {
    array.addFault({
      fault: { kind: "error", senseKey: 5, asc: 0x20, ascq: 0 },
      when: { opcode },
      where: { controller: 1 },
    });
  }
  const there = (port: number): boolean => array.ports[port]?.controller === 0;
  for (const port of [0, 1, 2, 3]) {
    t.deepEqual(register(array, port, A), there(port) ? [STATUS_GOOD] : [5, 0x20, 0]);
  }
});

test("another host that preempts is a fault away: every registrant is told, and what it has there ends", (t) => {
  const array = quietArray({ units: 1, service: { latencyUs: 1_000_000 } });
  const host = new RingSide(array);
  for (const [port, key] of [A, B].entries()) register(array, port, key);
  order(array, 0, RESERVE, { key: A, type: 5 });
  host.submit(0, 0, cdbs.write16(0, 1), pattern(512, 1));
  host.turn();
  const fault = array.addFault({ fault: { kind: "reservation", type: 6, preempts: true } });
  t.deepEqual(
    host.turn().map(({ tag, status }) => [tag, status]),
    [[0, TASK_ABORTED]],
  );
  t.deepEqual(attentions(array), ["2a/5", "2a/5", null, null]);
  t.deepEqual([keys(array).length, holder(array)], [2, [0xf0f0f0f0, 6]]);
  t.is(writes(array), "----");
  array.liftFault(fault);
  t.deepEqual([keys(array).length, holder(array)], [1, []]);
});
