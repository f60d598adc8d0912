// Each fault does what it says, where it says, as long as it says, and is gone afterwards.

import test from "ava";
import type { Fault, FaultRequest } from "../../../host/array/faults/faults.ts";
import {
  BUSY,
  CHECK_CONDITION,
  cdbs,
  pattern,
  quietArray,
  readBack,
  RESERVATION_CONFLICT,
  RingSide,
  sense,
  STATUS_GOOD,
  TASK_SET_FULL,
} from "./fixture.ts";

const ZERO = new Uint8Array(512);
const DATA = pattern(512, 9);
const TIME_OUT = 3;
const TRANSPORT_DISRUPTED = 0x0e;

/** Parameter data of an UNMAP. */
function unmapList(...ranges: readonly (readonly [lba: number, blocks: number])[]): Uint8Array {
  const bytes = new Uint8Array(8 + 16 * ranges.length);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, bytes.length - 2);
  view.setUint16(2, 16 * ranges.length);
  ranges.forEach(([lba, blocks], i) => {
    view.setBigUint64(8 + 16 * i, BigInt(lba));
    view.setUint32(16 + 16 * i, blocks);
  });
  return bytes;
}

test("an error comes as configured, so many times, only on the port it is for, and changes nothing", (t) => {
  const array = quietArray({ units: 1 });
  const fault: Fault = { kind: "error", senseKey: 3, asc: 0x11, ascq: 0 };
  array.addFault({ fault, where: { port: 0 }, when: { times: 2, commands: "writes" } });
  t.is(array.command(0, cdbs.testUnitReady).status, STATUS_GOOD);
  for (let i = 0; i < 2; i++) t.deepEqual(sense(array.command(0, cdbs.write16(0, 1), DATA)), [3, 0x11, 0]);
  t.deepEqual(array.command(0, cdbs.read16(0, 1), 512).data, ZERO);
  t.is(array.command(1, cdbs.write16(0, 1), DATA).status, STATUS_GOOD);
  t.is(array.command(0, cdbs.write16(0, 1), DATA).status, STATUS_GOOD);
});

test("a deferred error says by its response code that it is about earlier commands, in either format", (t) => {
  for (const descriptorSense of [false, true]) {
    const array = quietArray({ units: 1, descriptorSense });
    const fault: Fault = { kind: "error", senseKey: 3, asc: 0x0c, ascq: 0, deferred: true };
    array.addFault({ fault, when: { times: 1 } });
    const told = array.command(0, cdbs.write16(0, 1), DATA);
    t.is(told.sense[0], descriptorSense ? 0x73 : 0x71);
    t.deepEqual(sense(told), [3, 0x0c, 0]);
    t.is(array.units[0]?.deferredErrors, 1);
    t.is(array.command(0, cdbs.write16(1 << 20, 1), DATA).sense[0], descriptorSense ? 0x72 : 0xf0);
  }
});

test("an error for a range strikes an UNMAP that touches it by one of its descriptors", (t) => {
  const array = quietArray({ units: 1 });
  array.addFault({ fault: { kind: "error", status: BUSY }, when: { firstLba: 100, lastLba: 109 } });
  const status = (...ranges: readonly (readonly [number, number])[]): number => {
    const data = unmapList(...ranges);
    return array.command(0, cdbs.unmap(data.length), data).status;
  };
  t.is(status([0, 24]), STATUS_GOOD);
  t.is(status([92, 8]), STATUS_GOOD);
  t.is(status([92, 9]), BUSY);
  t.is(status([0, 1], [109, 1]), BUSY);
  t.is(status([110, 4]), STATUS_GOOD);
});

test("an error can be any status or host status, and strike only blocks of a range", (t) => {
  const array = quietArray({ units: 1 });
  const id = array.addFault({ fault: { kind: "error", status: BUSY }, when: { firstLba: 100, lastLba: 109 } });
  t.is(array.command(0, cdbs.read16(92, 8), 4096).status, STATUS_GOOD);
  t.is(array.command(0, cdbs.read16(93, 8), 4096).status, BUSY);
  t.is(array.command(0, cdbs.read10(109, 8), 4096).status, BUSY);
  t.is(array.command(0, cdbs.read16(110, 8), 4096).status, STATUS_GOOD);
  t.true(array.liftFault(id));
  t.false(array.liftFault(id));
  array.addFault({ fault: { kind: "error", hostStatus: 7 } });
  const lost = array.command(0, cdbs.read16(0, 1), 512);
  t.deepEqual([lost.status, lost.hostStatus, lost.residual], [0, 7, 512]);
});

/** Statuses of 400 commands of which a quarter fails. */
function strikes(seed: number): string {
  const array = quietArray({ units: 1 }, { seed });
  array.addFault({ fault: { kind: "error" }, when: { probability: 0.25 } });
  return Array.from({ length: 400 }, () => array.command(0, cdbs.testUnitReady).status).join("");
}

test("probability strikes about its share, and the same seed strikes the same commands", (t) => {
  const hits = strikes(7).split("2").length - 1;
  t.true(hits > 60 && hits < 140, `${hits} of 400`);
  t.is(strikes(7), strikes(7));
  t.not(strikes(7), strikes(8));
});

test("slow: service takes its factor and a delay longer, until the fault ends by itself", (t) => {
  const rings = new RingSide(quietArray({ units: 1, service: { latencyUs: 1000 } }));
  rings.array.addFault({ fault: { kind: "slow", factor: 10, delayMs: 5 }, where: { port: 0 }, forMs: 50 });
  rings.submit(0, 0, cdbs.testUnitReady);
  rings.turn();
  t.is(rings.deadlineMs, 1015);
  rings.at(1050).turn();
  rings.submit(1, 0, cdbs.testUnitReady);
  rings.turn();
  t.is(rings.deadlineMs, 1051);
  t.deepEqual(rings.array.faults(), []);
});

test("flapping: gone, back with a unit attention (I_T nexus loss), gone again, in its own rhythm", (t) => {
  const rings = new RingSide(quietArray({ units: 1 }));
  rings.array.addFault({ fault: { kind: "flapping", upMs: 100, downMs: 50 }, where: { port: 0 } });
  const probe = (ms: number): number => {
    rings.at(ms).submit(0, 0, cdbs.testUnitReady);
    return rings.turn()[0]?.hostStatus ?? -1;
  };
  t.is(probe(1000), TRANSPORT_DISRUPTED);
  t.is(rings.deadlineMs, 1050);
  t.is(probe(1060), 0);
  rings.submit(0, 0, cdbs.testUnitReady);
  t.is(rings.turn()[0]?.status, STATUS_GOOD);
  t.is(probe(1155), TRANSPORT_DISRUPTED);
  t.is(probe(1210), 0);
  rings.submit(1, 1, cdbs.testUnitReady);
  t.is(rings.turn()[0]?.status, STATUS_GOOD);
  rings.array.liftAllFaults();
  t.is(rings.deadlineMs, Infinity);
});

test("a dead port and a dead controller: new commands and those in flight end with the host status", (t) => {
  const rings = new RingSide(quietArray({ units: 2, service: { latencyUs: 10_000 } }));
  rings.submit(0, 0, cdbs.write16(0, 1), DATA);
  rings.turn();
  const id = rings.array.addFault({ fault: { kind: "port-down", hostStatus: 1 }, where: { controller: 0 } });
  t.deepEqual(
    rings.turn().map(({ hostStatus }) => hostStatus),
    [1],
  );
  const hosts = rings.array.ports.map((port) => rings.array.command(port.handle, cdbs.testUnitReady).hostStatus);
  t.deepEqual(
    hosts,
    rings.array.ports.map((port) => (port.controller === 0 ? 1 : 0)),
  );
  rings.array.liftFault(id);
  t.deepEqual(sense(rings.array.command(0, cdbs.testUnitReady)), [6, 0x29, 7]);
  t.is(rings.array.command(0, cdbs.testUnitReady).status, STATUS_GOOD);
  t.deepEqual(readBack(rings), ZERO);
});

test("busy: commands beyond the depth are refused with BUSY or TASK SET FULL", (t) => {
  for (const [status, code] of [
    ["busy", BUSY],
    ["task-set-full", TASK_SET_FULL],
  ] as const) {
    const rings = new RingSide(quietArray({ units: 1, service: { latencyUs: 1000 } }));
    rings.array.addFault({ fault: { kind: "busy", depth: 2, status }, where: { port: 0 } });
    for (let slot = 0; slot < 4; slot++) rings.submit(slot, 0, cdbs.read16(0, 1), 512);
    t.deepEqual(
      rings.turn().map((finished) => [finished.tag, finished.status]),
      [
        [2, code],
        [3, code],
      ],
    );
    t.deepEqual(
      rings
        .at(1001)
        .turn()
        .map(({ tag }) => tag),
      [0, 1],
    );
  }
});

test("a unit attention storm strikes every n-th command; a single one is over at once", (t) => {
  const array = quietArray({ units: 1 });
  array.addFault({ fault: { kind: "unit-attention", every: 3, asc: 0x2a, ascq: 6 }, where: { port: 0 } });
  const statuses = Array.from({ length: 9 }, () => array.command(0, cdbs.testUnitReady).status);
  t.deepEqual(statuses, [0, 0, 2, 0, 0, 2, 0, 0, 2]);
  array.liftAllFaults();
  array.addFault({ fault: { kind: "unit-attention" }, where: { port: 1 } });
  t.deepEqual(array.faults(), []);
  t.deepEqual(sense(array.command(1, cdbs.testUnitReady)), [6, 0x29, 0]);
});

test("short data: GOOD status, a residual, and bytes that were never transferred", (t) => {
  const array = quietArray({ units: 1 });
  array.command(0, cdbs.write16(0, 8), pattern(4096, 3));
  array.addFault({ fault: { kind: "short-data", missingBytes: 1024 }, where: { port: 0 } });
  const short = array.command(0, cdbs.read16(0, 8), 4096);
  t.deepEqual([short.status, short.residual, short.data.length], [STATUS_GOOD, 1024, 3072]);
  t.is(array.command(1, cdbs.read16(0, 8), 4096).residual, 0);
});

test("corrupted sense is noise of the right length; nonsense pages claim more than they have", (t) => {
  const array = quietArray({ units: 1 });
  array.addFault({ fault: { kind: "corrupt-sense" }, where: { port: 0 } });
  const corrupt = array.command(0, cdbs.read16(2 ** 40, 1), 512);
  t.is(corrupt.status, CHECK_CONDITION);
  t.notDeepEqual(sense(corrupt), [5, 0x21, 0]);
  array.addFault({ fault: { kind: "nonsense-pages" }, where: { port: 0 } });
  const page = array.command(0, cdbs.inquiry(0x83), 512).data;
  t.true((page[2] ?? 0) * 256 + (page[3] ?? 0) > page.length);
  t.deepEqual(array.command(1, cdbs.inquiry(0x83), 512).data[2], 0);
});

test("a remapped LUN leads to another unit and back, each time with 3F/0E; to none: 5/25/00 and qualifier 3", (t) => {
  const array = quietArray({ units: 2 });
  const identity = (port: number): string =>
    Buffer.from(array.command(port, cdbs.inquiry(0x83), 512).data.slice(8, 24)).toString("hex");
  const [own, other] = [identity(0), identity(4)];
  array.command(4, cdbs.write16(0, 1), DATA);
  const id = array.addFault({ fault: { kind: "remap", unit: 1 }, where: { path: "4:0:0:0" } });
  t.is(identity(0), other);
  t.deepEqual(sense(array.command(0, cdbs.testUnitReady)), [6, 0x3f, 0x0e]);
  t.deepEqual(array.command(0, cdbs.read16(0, 1), 512).data, DATA);
  t.is(identity(1), own);
  array.liftFault(id);
  t.is(identity(0), own);
  array.addFault({ fault: { kind: "remap", unit: null, silent: true }, where: { path: "4:0:0:0" } });
  t.deepEqual(sense(array.command(0, cdbs.read16(0, 1), 512)), [5, 0x25, 0]);
  t.is(array.command(0, cdbs.inquiry(), 96).data[0], 0x7f);
});

test("REPORT LUNS clears a pending 3F/0E", (t) => {
  const array = quietArray({ units: 2 });
  array.addFault({ fault: { kind: "remap", unit: 1 }, where: { port: 0 } });
  array.command(0, cdbs.reportLuns(), 64);
  t.is(array.command(0, cdbs.testUnitReady).status, STATUS_GOOD);
});

test("a changed capacity is reported on every path (2A/09) and obeyed; more than the medium holds is refused", (t) => {
  const array = quietArray({ units: 1, unitBytes: 1 << 20 });
  array.addFault({ fault: { kind: "capacity", blocks: 4096 } });
  for (const port of [0, 1, 2, 3]) t.deepEqual(sense(array.command(port, cdbs.testUnitReady)), [6, 0x2a, 9]);
  t.is(array.command(0, cdbs.write16(4095, 1), DATA).status, STATUS_GOOD);
  t.deepEqual(sense(array.command(0, cdbs.write16(4096, 1), DATA)), [5, 0x21, 0]);
  const tight = quietArray({ units: 1, unitBytes: 1 << 20 }, { medium: () => ({ ...noMedium, bytesMax: 1 << 20 }) });
  t.throws(() => tight.addFault({ fault: { kind: "capacity", blocks: 4096 } }), { code: "ARRAY_FAULT" });
});

const noMedium = { read: () => -5, write: () => -5, zero: () => -5 };

test("a medium that fails makes medium errors, not good answers", (t) => {
  const array = quietArray({ units: 1 }, { medium: () => noMedium });
  t.deepEqual(sense(array.command(0, cdbs.read16(0, 1), 512)), [3, 0x11, 0]);
  t.deepEqual(sense(array.command(0, cdbs.write16(0, 1), DATA)), [3, 0x0c, 0]);
});

test("a reservation of another host keeps commands out as its type says, and lifting it lets them in", (t) => {
  const array = quietArray({ units: 1 });
  for (const [type, reads] of [
    [1, STATUS_GOOD],
    [3, RESERVATION_CONFLICT],
    [5, STATUS_GOOD],
    [8, RESERVATION_CONFLICT],
  ] as const) {
    const id = array.addFault({ fault: { kind: "reservation", type } });
    t.is(array.command(0, cdbs.write16(0, 1), DATA).status, RESERVATION_CONFLICT);
    t.is(array.command(1, cdbs.read16(0, 1), 512).status, reads);
    t.is(array.command(1, cdbs.testUnitReady).status, STATUS_GOOD);
    array.liftFault(id);
    t.is(array.command(0, cdbs.write16(0, 1), DATA).status, STATUS_GOOD);
  }
});

test("power loss drops what the volatile cache holds, but neither flushed blocks nor FUA writes", (t) => {
  const array = quietArray({ units: 1, writeCache: true });
  const writes: [number, Uint8Array][] = [
    [0, pattern(512, 1)],
    [1, pattern(512, 2)],
    [2, pattern(512, 3)],
  ];
  array.command(0, cdbs.write16(0, 1), writes[0]?.[1] ?? null);
  array.command(0, cdbs.synchronize16());
  array.command(1, cdbs.write16(1, 1, 0x08), writes[1]?.[1] ?? null);
  array.command(2, cdbs.write16(2, 1), writes[2]?.[1] ?? null);
  t.deepEqual(array.command(3, cdbs.read16(2, 1), 512).data, writes[2]?.[1]);
  array.addFault({ fault: { kind: "power-loss" } });
  for (const port of [0, 1, 2, 3]) t.deepEqual(sense(array.command(port, cdbs.testUnitReady)), [6, 0x29, 0]);
  t.deepEqual(array.command(3, cdbs.read16(0, 1), 512).data, writes[0]?.[1]);
  t.deepEqual(array.command(3, cdbs.read16(1, 1), 512).data, writes[1]?.[1]);
  t.deepEqual(array.command(3, cdbs.read16(2, 1), 512).data, ZERO);
});

test("faults start and end at their times, are listed, and nothing is left behind", (t) => {
  const rings = new RingSide(quietArray({ units: 1 }));
  const request: FaultRequest = { fault: { kind: "port-down" }, where: { port: 0 }, afterMs: 100, forMs: 200 };
  const id = rings.array.addFault(request);
  t.deepEqual(rings.array.faults(), [{ ...request, id, state: "waiting", ports: 1 }]);
  const host = (ms: number): number => {
    rings.at(ms).submit(0, 0, cdbs.inquiry(), 96);
    return rings.turn()[0]?.hostStatus ?? -1;
  };
  t.is(rings.deadlineMs, 1100);
  t.is(host(1099), 0);
  t.is(host(1100), TRANSPORT_DISRUPTED);
  t.is(rings.array.faults()[0]?.state, "active");
  t.is(host(1300), 0);
  t.deepEqual(rings.array.faults(), []);
  t.is(rings.array.ports[0]?.faults, null);
});

test("the overdue part of a fault's life is made up in order when a turn comes late", (t) => {
  const rings = new RingSide(quietArray({ units: 1 }));
  rings.array.addFault({ fault: { kind: "alua", state: 2 }, where: { controller: 0 }, afterMs: 10, forMs: 20 });
  rings.at(5000).turn();
  t.is(rings.array.units[0]?.groupStates[0], 0);
  t.deepEqual(rings.array.faults(), []);
});

test("direct commands meet faults: a black hole ends them at once as timed out", (t) => {
  const array = quietArray({ units: 1 });
  array.addFault({ fault: { kind: "no-answer" }, where: { port: 0 } });
  t.is(array.command(0, cdbs.inquiry(), 96).hostStatus, TIME_OUT);
});

test("wrong faults name the parameter and what is allowed", (t) => {
  const array = quietArray({ units: 1 });
  const wrong: [FaultRequest, RegExp][] = [
    [{ fault: { kind: "error", senseKey: 16 } }, /senseKey: 16 is not a whole number from 0 to 15/],
    [{ fault: { kind: "flapping", upMs: 0, downMs: 5 } }, /upMs: 0/],
    [{ fault: { kind: "alua", state: 7 } }, /state: 7 is not one of 0, 1, 2, 3, 14, 15/],
    [{ fault: { kind: "reservation", type: 2 } }, /type: 2/],
    [{ fault: { kind: "error" }, when: { probability: 2 } }, /when\.probability: 2/],
    [{ fault: { kind: "error" }, where: { path: "9:9:9:9" } }, /matches no port/],
    [{ fault: { kind: "remap", unit: 5 } }, /has no unit 5/],
    [{ fault: { kind: "error" }, afterMs: -1 }, /afterMs: -1/],
    [JSON.parse('{"fault":{"kind":"gremlins"}}') as FaultRequest, /"gremlins" is not one of error, no-answer/],
    [JSON.parse('{"fault":{"kind":"late"}}') as FaultRequest, /delayMs: is missing/],
    [JSON.parse('{"fault":null}') as FaultRequest, /kind/],
  ];
  for (const [request, message] of wrong) t.throws(() => array.addFault(request), { code: "ARRAY_FAULT", message });
  t.deepEqual(array.faults(), []);
});

const inquiry = (page: number | null): Uint8Array => Uint8Array.of(0x12, page === null ? 0 : 1, page ?? 0, 1, 0, 0);

test("a fault can strike one VPD page, standard INQUIRY alone, or one operation code", (t) => {
  const aborted: Fault = { kind: "error", senseKey: 0x0b, asc: 0x4b, ascq: 3 };
  for (const [when, struck] of [
    [{ page: 0x83 }, inquiry(0x83)],
    [{ commands: "inquiry" }, inquiry(null)],
    [{ opcode: 0x12 }, inquiry(0)],
    [{ opcode: 0x9e }, cdbs.readCapacity16],
  ] as const) {
    const array = quietArray({ units: 1 });
    array.addFault({ fault: aborted, when: { ...when, times: 1 } });
    const others = [inquiry(0x80), cdbs.testUnitReady].filter(() => !("opcode" in when && when.opcode === 0x12));
    for (const other of others) t.is(array.command(0, other, 256).status, STATUS_GOOD);
    t.deepEqual(sense(array.command(0, struck, 256)), [0x0b, 0x4b, 3]);
    t.is(array.command(0, struck, 256).status, STATUS_GOOD);
  }
});

test("a page that is named can come with GOOD status and without data", (t) => {
  const array = quietArray({ units: 1 });
  array.addFault({ fault: { kind: "short-data", missingBytes: 65_536 }, when: { page: 0x83, times: 1 } });
  const empty = array.command(0, inquiry(0x83), 256);
  t.deepEqual([empty.status, empty.data.length, empty.residual], [STATUS_GOOD, 0, 256]);
  t.true(array.command(0, inquiry(0x83), 256).data.length > 16);
});

test("a VPD page can have any payload, on the ports it is for", (t) => {
  const array = quietArray({ units: 1 });
  const usual = array.command(0, inquiry(0x80), 256).data;
  const id = array.addFault({ fault: { kind: "vpd-page", page: 0x80, payload: "4c554e00413031" }, where: { port: 0 } });
  t.is(Buffer.from(array.command(0, inquiry(0x80), 256).data).toString("latin1"), "\0\x80\0\x07LUN\0A01");
  t.deepEqual(array.command(1, inquiry(0x80), 256).data, usual);
  array.liftFault(id);
  t.deepEqual(array.command(0, inquiry(0x80), 256).data, usual);
  t.throws(() => array.addFault({ fault: { kind: "vpd-page", page: 0x80, payload: "4c5" } }), { message: /payload/ });
});

/** REPORT TARGET PORT GROUPS in a parameter data format. */
const report = (format: number): Uint8Array => Uint8Array.of(0xa3, (format << 5) | 0x0a, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0);

test("a fault may strike only commands with certain bits in byte 1: FUA of a WRITE, the extended header of a report", (t) => {
  const array = quietArray({ units: 1 });
  const refusal: Fault = { kind: "error", senseKey: 5, asc: 0x24, ascq: 0 };
  array.addFault({ fault: refusal, when: { opcode: 0x8a, bits: 0x08 } });
  array.addFault({ fault: refusal, when: { opcode: 0xa3, bits: 0x20 } });
  const fua = cdbs.write16(0, 1).slice();
  fua[1] = 0x08;
  t.deepEqual(sense(array.command(0, fua, DATA)), [5, 0x24, 0]);
  t.is(array.command(0, cdbs.write16(0, 1), DATA).status, STATUS_GOOD);
  t.deepEqual(sense(array.command(0, report(1), 256)), [5, 0x24, 0]);
  t.is(array.command(0, report(0), 256).status, STATUS_GOOD);
});

test("the unit says how long a transition may take, as a fault has it", (t) => {
  const array = quietArray({ units: 2 });
  const told = (port: number): number => array.command(port, report(1), 256).data[5] ?? 0;
  t.is(told(0), 10);
  array.addFault({ fault: { kind: "alua", state: 15, silent: true, transitionS: 120 }, where: { unit: 0 } });
  t.is(told(0), 120);
  t.is(told(4), 10);
});
