// Asymmetric access and persistent reservations, from several nexuses.

import test from "ava";
import type { EmulatedArray } from "../../../host/array/array.ts";
import {
  ALUA_NON_OPTIMIZED,
  ALUA_OPTIMIZED,
  ALUA_STANDBY,
  ALUA_TRANSITIONING,
  ALUA_UNAVAILABLE,
} from "../../../host/abi.ts";
import { cdbs, pattern, quietArray, RESERVATION_CONFLICT, sense, STATUS_GOOD } from "./fixture.ts";

/** State by group id, as REPORT TARGET PORT GROUPS tells it. */
function groups(array: EmulatedArray, port: number): Map<number, number> {
  const { data } = array.command(port, cdbs.reportGroups, 1024);
  const view = new DataView(data.buffer, data.byteOffset);
  const states = new Map<number, number>();
  for (let at = 4; at < 4 + view.getUint32(0); at += 8 + 4 * (data[at + 7] ?? 0)) {
    states.set(view.getUint16(at + 2), (data[at] ?? 0) & 15);
  }
  return states;
}

/** SET TARGET PORT GROUPS with `[group, state]` pairs. */
function setGroups(array: EmulatedArray, port: number, ...pairs: [number, number][]): [number, number, number] {
  const list = Uint8Array.from([0, 0, 0, 0, ...pairs.flatMap(([group, state]) => [state, 0, 0, group])]);
  return sense(array.command(port, cdbs.setGroups(list.length), list));
}

test("symmetric: every group is optimized; preferred: a unit's owner is, and units alternate", (t) => {
  t.deepEqual(
    [...groups(quietArray({ units: 1 }), 0)],
    [
      [1, ALUA_OPTIMIZED],
      [2, ALUA_OPTIMIZED],
    ],
  );
  const array = quietArray({ units: 2, access: "preferred" });
  t.deepEqual(
    [...groups(array, 0)],
    [
      [1, ALUA_OPTIMIZED],
      [2, ALUA_NON_OPTIMIZED],
    ],
  );
  t.deepEqual(
    [...groups(array, 4)],
    [
      [1, ALUA_NON_OPTIMIZED],
      [2, ALUA_OPTIMIZED],
    ],
  );
});

test("SET TARGET PORT GROUPS changes states, and every other path of the unit hears 2A/06 once", (t) => {
  const array = quietArray({ units: 1, access: "preferred" });
  t.deepEqual(setGroups(array, 0, [1, ALUA_NON_OPTIMIZED], [2, ALUA_OPTIMIZED]), [0, 0, 0]);
  t.is(array.command(0, cdbs.testUnitReady).status, STATUS_GOOD);
  for (const port of [1, 2, 3]) {
    t.deepEqual(sense(array.command(port, cdbs.testUnitReady)), [6, 0x2a, 6]);
    t.is(array.command(port, cdbs.testUnitReady).status, STATUS_GOOD);
  }
  t.deepEqual([...groups(array, 0).values()], [ALUA_NON_OPTIMIZED, ALUA_OPTIMIZED]);
});

test("a wrong group or state is refused and none of the list takes effect", (t) => {
  const array = quietArray({ units: 1 });
  t.deepEqual(setGroups(array, 0, [1, ALUA_STANDBY], [9, ALUA_OPTIMIZED]), [5, 0x26, 0]);
  t.deepEqual(setGroups(array, 0, [1, ALUA_STANDBY], [2, ALUA_TRANSITIONING]), [5, 0x26, 0]);
  t.deepEqual([...groups(array, 0).values()], [ALUA_OPTIMIZED, ALUA_OPTIMIZED]);
});

test("standby, unavailable and transitioning refuse I/O with their own sense, and still say who they are", (t) => {
  for (const [state, ascq] of [
    [ALUA_STANDBY, 0x0b],
    [ALUA_UNAVAILABLE, 0x0c],
    [ALUA_TRANSITIONING, 0x0a],
  ] as const) {
    const array = quietArray({ units: 1 });
    const id = array.addFault({ fault: { kind: "alua", state, silent: true }, where: { controller: 0 } });
    t.deepEqual(sense(array.command(0, cdbs.read16(0, 1), 512)), [2, 4, ascq]);
    t.deepEqual(sense(array.command(0, cdbs.testUnitReady)), [2, 4, ascq]);
    t.is(array.command(0, cdbs.inquiry(0x83), 512).status, STATUS_GOOD);
    t.is(groups(array, 0).get(1), state);
    t.is(array.command(1, cdbs.read16(0, 1), 512).status, STATUS_GOOD);
    array.liftFault(id);
    t.is(array.command(0, cdbs.read16(0, 1), 512).status, STATUS_GOOD);
  }
});

test("an implicit change is heard on every path of that unit and no other", (t) => {
  const array = quietArray({ units: 2 });
  array.addFault({ fault: { kind: "alua", state: ALUA_NON_OPTIMIZED }, where: { controller: 1, unit: 0 } });
  for (const port of [0, 1, 2, 3]) t.deepEqual(sense(array.command(port, cdbs.testUnitReady)), [6, 0x2a, 6]);
  for (const port of [4, 5, 6, 7]) t.is(array.command(port, cdbs.testUnitReady).status, STATUS_GOOD);
});

const REGISTER = 0;
const RESERVE = 1;
const RELEASE = 2;
const CLEAR = 3;
const PREEMPT = 4;
const REGISTER_AND_IGNORE = 6;

function reserveOut(array: EmulatedArray, port: number, action: number, key: number, actionKey = 0, type = 0): number {
  const list = new Uint8Array(24);
  const view = new DataView(list.buffer);
  view.setUint32(4, key);
  view.setUint32(12, actionKey);
  return array.command(port, cdbs.reserveOut(action, type), list).status;
}

function keys(array: EmulatedArray): number[] {
  const { data } = array.command(0, cdbs.reserveIn(0), 256);
  const view = new DataView(data.buffer, data.byteOffset);
  return Array.from({ length: view.getUint32(4) / 8 }, (_, i) => view.getUint32(8 + 8 * i + 4));
}

/** `[key, type]` of the reservation, or null. */
function holder(array: EmulatedArray): [number, number] | null {
  const { data } = array.command(0, cdbs.reserveIn(1), 256);
  return data.length < 24 ? null : [new DataView(data.buffer, data.byteOffset).getUint32(12), data[21] ?? 0];
}

test("keys are registered, changed and taken back; a wrong one conflicts", (t) => {
  const array = quietArray({ units: 1 });
  t.is(reserveOut(array, 0, REGISTER, 0, 0xa), STATUS_GOOD);
  t.is(reserveOut(array, 1, REGISTER, 0, 0xb), STATUS_GOOD);
  t.deepEqual(keys(array), [0xa, 0xb]);
  t.is(reserveOut(array, 0, REGISTER, 0xbad, 0xc), RESERVATION_CONFLICT);
  t.is(reserveOut(array, 0, REGISTER, 0xa, 0xc), STATUS_GOOD);
  t.is(reserveOut(array, 1, REGISTER_AND_IGNORE, 0xbad, 0xd), STATUS_GOOD);
  t.deepEqual(keys(array), [0xc, 0xd]);
  t.is(reserveOut(array, 0, REGISTER, 0xc, 0), STATUS_GOOD);
  t.deepEqual(keys(array), [0xd]);
});

test("each type lets the right nexuses read and write", (t) => {
  const data = pattern(512, 1);
  // Nexus 0 holds, 1 is registered, 2 is not: what each may do, as read/write letters.
  for (const [type, expected] of [
    [1, ["rw", "r", "r"]],
    [3, ["rw", "", ""]],
    [5, ["rw", "rw", "r"]],
    [6, ["rw", "rw", ""]],
    [7, ["rw", "rw", "r"]],
    [8, ["rw", "rw", ""]],
  ] as const) {
    const array = quietArray({ units: 1 });
    reserveOut(array, 0, REGISTER, 0, 0xa);
    reserveOut(array, 1, REGISTER, 0, 0xb);
    t.is(reserveOut(array, 0, RESERVE, 0xa, 0, type), STATUS_GOOD);
    const may = [0, 1, 2].map((port) => {
      const reads = array.command(port, cdbs.read16(0, 1), 512).status === STATUS_GOOD ? "r" : "";
      return reads + (array.command(port, cdbs.write16(0, 1), data).status === STATUS_GOOD ? "w" : "");
    });
    t.deepEqual(may, [...expected], `type ${type}`);
    t.deepEqual(holder(array), [type >= 7 ? 0 : 0xa, type]);
  }
});

test("only the holder releases; registrants of a shared type hear 2A/04", (t) => {
  const array = quietArray({ units: 1 });
  reserveOut(array, 0, REGISTER, 0, 0xa);
  reserveOut(array, 1, REGISTER, 0, 0xb);
  reserveOut(array, 0, RESERVE, 0xa, 0, 5);
  t.is(reserveOut(array, 1, RESERVE, 0xb, 0, 5), RESERVATION_CONFLICT);
  t.is(reserveOut(array, 1, RELEASE, 0xb, 0, 5), STATUS_GOOD);
  t.deepEqual(holder(array), [0xa, 5]);
  t.is(reserveOut(array, 0, RELEASE, 0xa, 0, 6), 2);
  t.is(reserveOut(array, 0, RELEASE, 0xa, 0, 5), STATUS_GOOD);
  t.is(holder(array), null);
  t.deepEqual(sense(array.command(1, cdbs.testUnitReady)), [6, 0x2a, 4]);
});

test("PREEMPT takes registration and reservation over; the victim hears 2A/05", (t) => {
  const array = quietArray({ units: 1 });
  reserveOut(array, 0, REGISTER, 0, 0xa);
  reserveOut(array, 1, REGISTER, 0, 0xb);
  reserveOut(array, 0, RESERVE, 0xa, 0, 3);
  t.is(reserveOut(array, 1, PREEMPT, 0xb, 0xa, 3), STATUS_GOOD);
  t.deepEqual(sense(array.command(0, cdbs.testUnitReady)), [6, 0x2a, 5]);
  t.deepEqual(keys(array), [0xb]);
  t.deepEqual(holder(array), [0xb, 3]);
  t.is(array.command(0, cdbs.read16(0, 1), 512).status, RESERVATION_CONFLICT);
});

test("CLEAR removes everything; the others hear 2A/03", (t) => {
  const array = quietArray({ units: 1 });
  reserveOut(array, 0, REGISTER, 0, 0xa);
  reserveOut(array, 1, REGISTER, 0, 0xb);
  reserveOut(array, 0, RESERVE, 0xa, 0, 1);
  t.is(reserveOut(array, 1, CLEAR, 0xb), STATUS_GOOD);
  t.deepEqual(sense(array.command(0, cdbs.testUnitReady)), [6, 0x2a, 3]);
  t.deepEqual(keys(array), []);
  t.is(holder(array), null);
});

test("all registrants: the reservation lasts until the last registration is gone", (t) => {
  const array = quietArray({ units: 1 });
  reserveOut(array, 0, REGISTER, 0, 0xa);
  reserveOut(array, 1, REGISTER, 0, 0xb);
  reserveOut(array, 0, RESERVE, 0xa, 0, 8);
  reserveOut(array, 0, REGISTER, 0xa, 0);
  t.deepEqual(holder(array), [0, 8]);
  t.is(array.command(1, cdbs.read16(0, 1), 512).status, STATUS_GOOD);
  reserveOut(array, 1, REGISTER, 0xb, 0);
  t.is(holder(array), null);
});

test("REPORT CAPABILITIES names the types, and an unknown service action is refused", (t) => {
  const array = quietArray({ units: 1 });
  const { data } = array.command(0, cdbs.reserveIn(2), 256);
  t.deepEqual([...data], [0, 8, 5, 0x80, 0xea, 1, 0, 0]);
  t.deepEqual(sense(array.command(0, cdbs.reserveIn(9), 256)), [5, 0x24, 0]);
});

test("READ FULL STATUS tells who is registered through which port, and who holds what", (t) => {
  const array = quietArray({ units: 1 });
  t.is(reserveOut(array, 0, REGISTER, 0, 0xa1), STATUS_GOOD);
  t.is(reserveOut(array, 1, REGISTER, 0, 0xb2), STATUS_GOOD);
  t.is(reserveOut(array, 1, RESERVE, 0xb2, 0, 5), STATUS_GOOD);
  const { data } = array.command(2, cdbs.reserveIn(3), 256);
  const view = new DataView(data.buffer, data.byteOffset);
  t.is(view.getUint32(0), 2);
  const seen = [];
  for (let at = 8; at < 8 + view.getUint32(4); at += 24 + view.getUint32(at + 20)) {
    const initiator = data.slice(at + 24, at + 24 + view.getUint32(at + 20));
    // A TransportID of SAS: 24 bytes with an address in NAA format 5.
    t.deepEqual([initiator.length, initiator[0], (initiator[4] ?? 0) >>> 4], [24, 6, 5]);
    seen.push({
      key: data[at + 7],
      holds: (data[at + 12] ?? 0) & 1,
      type: data[at + 13],
      targetPort: view.getUint16(at + 18),
      initiator: Buffer.from(initiator).toString("hex"),
    });
  }
  const ports = array.ports.slice(0, 2);
  t.deepEqual(
    seen.map(({ key, holds, type, targetPort }) => [key, holds, type, targetPort]),
    [
      [0xa1, 0, 0, (ports[0]?.targetPort ?? 0) + 1],
      [0xb2, 1, 5, (ports[1]?.targetPort ?? 0) + 1],
    ],
  );
  const sameInitiator = ports[0]?.initiatorPort === ports[1]?.initiatorPort;
  t.is(seen[0]?.initiator === seen[1]?.initiator, sameInitiator);
  t.is(view.getUint32(4), data.length - 8);
});
