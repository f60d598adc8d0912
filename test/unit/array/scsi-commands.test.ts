// The emulated array answers each command as SPC-4 and SBC-3 say.

import test from "ava";
import { EmulatedArray } from "../../../host/array/array.ts";
import { CHECK_CONDITION, cdb, cdbs, pattern, quietArray, sense, STATUS_GOOD } from "./fixture.ts";

const ILLEGAL_FIELD = [5, 0x24, 0];

/** Sense key specific field pointer of fixed sense: [C/D, bit or -1, byte]. */
function pointer(bytes: Uint8Array): [boolean, number, number] {
  const first = bytes[15] ?? 0;
  return [(first & 0x40) !== 0, (first & 8) === 0 ? -1 : first & 7, ((bytes[16] ?? 0) << 8) | (bytes[17] ?? 0)];
}

function u32(bytes: Uint8Array, at: number): number {
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(at);
}

test("TEST UNIT READY is good and moves nothing", (t) => {
  const result = quietArray({ units: 1 }).command(0, cdbs.testUnitReady);
  t.is(result.status, STATUS_GOOD);
  t.is(result.hostStatus, 0);
  t.is(result.residual, 0);
});

test("INQUIRY: standard data has TPGS implicit and explicit, command queuing, and is cut to the allocation length", (t) => {
  const array = quietArray({ units: 1 });
  const { data } = array.command(0, cdbs.inquiry(), 512);
  t.is(data.length, 96);
  t.is(data[0], 0);
  t.is((data[5] ?? 0) & 0x30, 0x30);
  t.is((data[7] ?? 0) & 2, 2);
  t.is(data[4], data.length - 5);
  t.is(Buffer.from(data.subarray(8, 36)).toString("latin1"), "PATHMGR EMULATED DISK   0001");
  const short = array.command(0, cdbs.inquiry(-1, 36), 512);
  t.is(short.data.length, 36);
  t.is(short.residual, 512 - 36);
});

test("INQUIRY: page 00 lists the pages there are, each of which answers with its own number and length", (t) => {
  const array = quietArray({ units: 1 });
  const { data } = array.command(0, cdbs.inquiry(0), 512);
  t.deepEqual([...data], [0, 0, 0, 6, 0, 0x80, 0x83, 0xb0, 0xb1, 0xb2]);
  for (const page of data.subarray(4)) {
    const answer = array.command(0, cdbs.inquiry(page), 512).data;
    t.is(answer[1], page);
    t.is(((answer[2] ?? 0) << 8) + (answer[3] ?? 0), answer.length - 4);
  }
});

test("INQUIRY: unknown pages and a page without EVPD are refused with a pointer to byte 2", (t) => {
  const array = quietArray({ units: 1 });
  for (const command of [cdbs.inquiry(0xb9), cdb(0x12, 0, 0x80, 0, 255, 0)]) {
    const result = array.command(0, command, 255);
    t.is(result.status, CHECK_CONDITION);
    t.deepEqual(sense(result), ILLEGAL_FIELD);
    t.deepEqual(pointer(result.sense), [true, -1, 2]);
  }
});

test("page 83: every path to a unit shows one designator, other units another, each path its own port and group", (t) => {
  const array = quietArray({ units: 2 });
  const seen = array.ports.map((port) => {
    const { data } = array.command(port.handle, cdbs.inquiry(0x83), 512);
    const found = new Map<number, string>();
    for (let at = 4; at < data.length; at += 4 + (data[at + 3] ?? 0)) {
      found.set(
        (data[at + 1] ?? 0) & 0x3f,
        Buffer.from(data.subarray(at + 4, at + 4 + (data[at + 3] ?? 0))).toString("hex"),
      );
    }
    return { unit: port.home.index, port, found };
  });
  const ofUnit = (unit: number): typeof seen => seen.filter((entry) => entry.unit === unit);
  t.is(new Set(ofUnit(0).map(({ found }) => found.get(0x03))).size, 1);
  t.is(new Set(seen.map(({ found }) => found.get(0x03))).size, 2);
  t.is(new Set(seen.map(({ found }) => found.get(0x28))).size, 1);
  t.regex(ofUnit(0)[0]?.found.get(0x03) ?? "", /^6[0-9a-f]{31}$/);
  for (const { port, found } of seen) {
    t.is(Number.parseInt(found.get(0x14) ?? "", 16), port.targetPort + 1);
    t.is(Number.parseInt(found.get(0x15) ?? "", 16), port.controller + 1);
  }
});

function identity(name: string): string {
  return Buffer.from(quietArray({ name, units: 1 }).command(0, cdbs.inquiry(0x83), 512).data).toString("hex");
}

test("identities are the same at every start and differ between arrays", (t) => {
  t.is(identity("one"), identity("one"));
  t.not(identity("one"), identity("two"));
});

test("REPORT LUNS lists the LUNs of the nexus, also those above 255, and refuses a short allocation", (t) => {
  const array = quietArray({ units: 300, paths: 2 });
  const { data } = array.command(0, cdbs.reportLuns(4096), 4096);
  t.is(u32(data, 0), 300 * 8);
  t.is(u32(data, 8 + 299 * 8) >>> 16, 0x4000 | 299);
  t.deepEqual(sense(array.command(0, cdbs.reportLuns(8), 8)), [5, 0x24, 0]);
  t.is(u32(array.command(0, cdbs.reportLuns(64, 1), 64).data, 0), 0);
});

test("READ CAPACITY (10) and (16) tell the last LBA and the block size; (16) also thin provisioning", (t) => {
  for (const blockBytes of [512, 4096]) {
    const array = quietArray({ units: 1, unitBytes: 1 << 20, blockBytes });
    const ten = array.command(0, cdbs.readCapacity10, 8).data;
    t.deepEqual([u32(ten, 0), u32(ten, 4)], [(1 << 20) / blockBytes - 1, blockBytes]);
    const sixteen = array.command(0, cdbs.readCapacity16, 32).data;
    t.deepEqual([u32(sixteen, 0), u32(sixteen, 4), u32(sixteen, 8)], [0, (1 << 20) / blockBytes - 1, blockBytes]);
    t.is(sixteen[14], 0xc0);
  }
});

test("READ CAPACITY: a unit beyond 2 TiB shows all ones in (10) and its size in (16)", (t) => {
  const array = quietArray({ units: 1, unitBytes: 2 ** 43 });
  t.is(u32(array.command(0, cdbs.readCapacity10, 8).data, 0), 0xffffffff);
  const sixteen = array.command(0, cdbs.readCapacity16, 32).data;
  t.is(u32(sixteen, 0) * 2 ** 32 + u32(sixteen, 4), 2 ** 34 - 1);
});

test("what WRITE (10) and (16) write, READ (10) and (16) read on every path, also beyond 4 GiB", (t) => {
  const array = quietArray({ units: 1, unitBytes: 2 ** 43 });
  const data = pattern(8192, 1);
  for (const lba of [0, 7, 2 ** 23 - 3, 2 ** 31 + 5, 2 ** 33 + 9, 2 ** 34 - 16]) {
    t.is(array.command(1, cdbs.write16(lba, 16), data).status, STATUS_GOOD);
    for (const port of [0, 1, 2, 3]) t.deepEqual(array.command(port, cdbs.read16(lba, 16), 8192).data, data);
  }
  const other = pattern(8192, 2);
  t.is(array.command(2, cdbs.write10(100, 16), other).status, STATUS_GOOD);
  t.deepEqual(array.command(3, cdbs.read10(100, 16), 8192).data, other);
});

test("a transfer of zero blocks is good and moves nothing, also at the very end", (t) => {
  const array = quietArray({ units: 1, unitBytes: 1 << 20 });
  t.is(array.command(0, cdbs.read16(2048, 0)).status, STATUS_GOOD);
  t.is(array.command(0, cdbs.write16(2048, 0)).status, STATUS_GOOD);
});

test("LBAs out of range are refused with 5/21/00 and the first LBA that is wrong, in both formats", (t) => {
  for (const descriptorSense of [false, true]) {
    const array = quietArray({ units: 1, unitBytes: 1 << 20, descriptorSense });
    const check = (command: Uint8Array, data: Uint8Array | number | null, lba: number): void => {
      const result = array.command(0, command, data);
      t.is(result.status, CHECK_CONDITION);
      t.deepEqual(sense(result), [5, 0x21, 0]);
      t.is(u32(result.sense, descriptorSense ? 16 : 3), lba);
    };
    check(cdbs.read16(2048, 1), 512, 2048);
    check(cdbs.read16(2047, 2), 1024, 2048);
    check(cdbs.write16(2046, 4), pattern(2048, 1), 2048);
    check(cdbs.read10(4000, 1), 512, 4000);
    check(cdbs.synchronize16(2048, 8), null, 2048);
    check(cdbs.writeSame16(2040, 20, 1), null, 2048);
    t.deepEqual(sense(array.command(0, cdbs.read16(2 ** 52, 1), 512)), [5, 0x21, 0]);
  }
});

test("protection information bits are refused with a pointer to byte 1 bit 7", (t) => {
  const result = quietArray({ units: 1 }).command(0, cdbs.read16(0, 1, 0x20), 512);
  t.deepEqual(sense(result), ILLEGAL_FIELD);
  t.deepEqual(pointer(result.sense), [true, 7, 1]);
});

test("READ into a short buffer fills what fits and reports the overrun", (t) => {
  const array = quietArray({ units: 1 });
  const data = pattern(4096, 3);
  array.command(0, cdbs.write16(0, 8), data);
  const short = array.command(0, cdbs.read16(0, 8), 1024);
  t.is(short.status, STATUS_GOOD);
  t.is(short.residual, 1024 - 4096);
  t.deepEqual(short.data, data.slice(0, 1024));
  t.is(array.command(0, cdbs.read16(0, 1), 4096).residual, 4096 - 512);
});

test("WRITE writes the whole blocks that are there and no more than it says; the residual tells the rest", (t) => {
  const array = quietArray({ units: 1 });
  const zero = new Uint8Array(512);
  const written = (blocks: number): Uint8Array => array.command(1, cdbs.read16(0, blocks), blocks * 512).data;
  const short = array.command(0, cdbs.write16(0, 8), pattern(2048, 4));
  t.deepEqual([short.status, short.residual], [STATUS_GOOD, 2048 - 4096]);
  t.deepEqual(written(5), Uint8Array.from([...pattern(2048, 4), ...zero]));
  const long = array.command(0, cdbs.write10(0, 1), pattern(2048, 5));
  t.deepEqual([long.status, long.residual], [STATUS_GOOD, 2048 - 512]);
  t.deepEqual(written(2), Uint8Array.from([...pattern(512, 5), ...pattern(2048, 4).subarray(512, 1024)]));
  const none = array.command(0, cdbs.write16(0, 1));
  t.deepEqual([none.status, none.residual], [STATUS_GOOD, -512]);
  t.deepEqual(written(1), pattern(512, 5));
});

test("WRITE of less than a block that the transport announces is refused, and so is data that comes in", (t) => {
  const array = quietArray({ units: 1 });
  const part = array.command(0, cdbs.write16(0, 1), pattern(200, 4));
  t.deepEqual(sense(part), [5, 0x0e, 3]);
  t.is(part.residual, 200 - 512);
  t.deepEqual(sense(array.command(0, cdbs.write16(0, 1), 512)), ILLEGAL_FIELD);
  t.deepEqual(array.command(0, cdbs.read16(0, 1), 512).data, new Uint8Array(512));
});

/** An UNMAP parameter list of `[lba, blocks]`. */
function list(...ranges: [number, number][]): Uint8Array {
  const bytes = new Uint8Array(8 + 16 * ranges.length);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, bytes.length - 2);
  view.setUint16(2, 16 * ranges.length);
  ranges.forEach(([lba, blocks], i) => {
    view.setUint32(8 + 16 * i + 4, lba);
    view.setUint32(8 + 16 * i + 8, blocks);
  });
  return bytes;
}

test("UNMAP makes blocks zero; one wrong descriptor and none is unmapped", (t) => {
  const array = quietArray({ units: 1, unitBytes: 1 << 20 });
  const data = pattern(16 * 512, 5);
  array.command(0, cdbs.write16(0, 16), data);
  const bad = list([0, 4], [2047, 2]);
  t.deepEqual(sense(array.command(0, cdbs.unmap(bad.length), bad)), [5, 0x21, 0]);
  t.deepEqual(array.command(0, cdbs.read16(0, 16), 8192).data, data);
  const good = list([1, 3], [10, 2]);
  t.is(array.command(0, cdbs.unmap(good.length), good).status, STATUS_GOOD);
  const expected = data
    .slice()
    .fill(0, 512, 4 * 512)
    .fill(0, 10 * 512, 12 * 512);
  t.deepEqual(array.command(0, cdbs.read16(0, 16), 8192).data, expected);
  t.is(array.command(0, cdbs.unmap(0)).status, STATUS_GOOD);
  t.deepEqual(sense(array.command(0, cdbs.unmap(56), good)), [5, 0x1a, 0]);
});

test("WRITE SAME repeats a block, zeroes with NDOB or UNMAP, and refuses zero blocks and ANCHOR", (t) => {
  const array = quietArray({ units: 1, unitBytes: 1 << 20 });
  const block = pattern(512, 6);
  t.is(array.command(0, cdbs.writeSame16(4, 3), block).status, STATUS_GOOD);
  t.deepEqual(array.command(0, cdbs.read16(6, 1), 512).data, block);
  t.deepEqual(array.command(0, cdbs.read16(7, 1), 512).data, new Uint8Array(512));
  t.is(array.command(0, cdbs.writeSame10(4, 1, 0x08), new Uint8Array(512)).status, STATUS_GOOD);
  t.deepEqual(array.command(0, cdbs.read16(4, 1), 512).data, new Uint8Array(512));
  t.is(array.command(0, cdbs.writeSame16(5, 2, 0x01)).status, STATUS_GOOD);
  t.deepEqual(array.command(0, cdbs.read16(5, 2), 1024).data, new Uint8Array(1024));
  t.deepEqual(sense(array.command(0, cdbs.writeSame16(0, 0), block)), ILLEGAL_FIELD);
  t.deepEqual(sense(array.command(0, cdbs.writeSame16(0, 1, 0x10), block)), ILLEGAL_FIELD);
  // One block of data, neither two nor half of one.
  for (const bytes of [1024, 256]) {
    t.deepEqual(sense(array.command(0, cdbs.writeSame10(0, 4), pattern(bytes, 1))), ILLEGAL_FIELD);
    t.deepEqual(sense(array.command(0, cdbs.writeSame16(0, 4), pattern(bytes, 1))), ILLEGAL_FIELD);
  }
  t.deepEqual(array.command(0, cdbs.read16(0, 4), 2048).data, new Uint8Array(2048));
});

test("COMPARE AND WRITE writes only what compares equal, and says at which byte it did not", (t) => {
  const array = quietArray({ units: 1 });
  const before = pattern(512, 7);
  const after = pattern(512, 8);
  array.command(0, cdbs.write16(9, 1), before);
  const wrong = before.slice();
  wrong[77] = (wrong[77] ?? 0) ^ 1;
  const refused = array.command(0, cdbs.compareAndWrite(9, 1), Buffer.concat([wrong, after]));
  t.deepEqual(sense(refused), [0xe, 0x1d, 0]);
  t.is(u32(refused.sense, 3), 77);
  t.deepEqual(array.command(1, cdbs.read16(9, 1), 512).data, before);
  t.is(array.command(0, cdbs.compareAndWrite(9, 1), Buffer.concat([before, after])).status, STATUS_GOOD);
  t.deepEqual(array.command(1, cdbs.read16(9, 1), 512).data, after);
});

test("MODE SENSE (6) and (10) show WCE as configured, DPOFUA, and the block descriptor unless DBD", (t) => {
  for (const writeCache of [false, true]) {
    const array = quietArray({ units: 1, writeCache });
    const six = array.command(0, cdbs.modeSense6(0x08), 255).data;
    t.is(six[0], six.length - 1);
    t.is(six[2], 0x10);
    t.is(six[3], 8);
    t.is(six[4 + 8], 0x08);
    t.is(((six[4 + 8 + 2] ?? 0) & 4) !== 0, writeCache);
    const ten = array.command(0, cdbs.modeSense10(0x3f, 8), 256).data;
    t.is(((ten[0] ?? 0) << 8) + (ten[1] ?? 0), ten.length - 2);
    t.is(ten[7], 0);
    t.deepEqual([ten[8], ten[8 + 20]], [0x08, 0x0a]);
  }
  t.deepEqual(sense(quietArray({ units: 1 }).command(0, cdbs.modeSense6(0x1c), 255)), ILLEGAL_FIELD);
});

test("a write-protected unit refuses every kind of writing with 7/27/00 and shows WP", (t) => {
  const array = quietArray({ units: 1 });
  array.addFault({ fault: { kind: "write-protect" } });
  t.deepEqual(sense(array.command(0, cdbs.testUnitReady)), [6, 0x2a, 1]);
  for (const [command, data] of [
    [cdbs.write10(0, 1), 512],
    [cdbs.write16(0, 1), 512],
    [cdbs.writeSame16(0, 1), 512],
    [cdbs.compareAndWrite(0, 1), 1024],
    [cdb(0x0a, 0, 0, 0, 1, 0), 512],
    [cdb(0xaa, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0), 512],
    [cdb(0x2e, 0, 0, 0, 0, 0, 0, 0, 1, 0), 512],
    [cdb(0x8b, ...Array(12).fill(0), 1, 0, 0), 512],
    [cdbs.unmap(24), 24],
  ] as const) {
    t.deepEqual(sense(array.command(0, command, new Uint8Array(data))), [7, 0x27, 0]);
  }
  t.is(array.command(0, cdbs.modeSense6(0x3f), 255).data[2], 0x90);
  t.is(array.command(0, cdbs.read16(0, 1), 512).status, STATUS_GOOD);
});

test("unknown opcodes, service actions and CDB lengths are refused", (t) => {
  const array = quietArray({ units: 1 });
  t.deepEqual(sense(array.command(0, cdb(0x1b, 0, 0, 0, 0, 0))), [5, 0x20, 0]);
  t.deepEqual(sense(array.command(0, cdb(0x88, 0, 0, 0, 0, 0), 512)), [5, 0x20, 0]);
  t.deepEqual(sense(array.command(0, cdb(0xff, ...Array(15).fill(0)))), [5, 0x20, 0]);
  t.deepEqual(sense(array.command(0, cdb(0x9e, 0x13, ...Array(14).fill(0)), 32)), ILLEGAL_FIELD);
  t.deepEqual(sense(array.command(0, cdb(0xa3, 0x0d, ...Array(10).fill(0)), 32)), ILLEGAL_FIELD);
});

test("unit attentions are reported once per nexus, in order; INQUIRY and REPORT LUNS do not take them", (t) => {
  const array = new EmulatedArray({ units: 1 });
  for (const port of [0, 1]) {
    t.is(array.command(port, cdbs.inquiry(), 96).status, STATUS_GOOD);
    t.is(array.command(port, cdbs.reportLuns(), 64).status, STATUS_GOOD);
    t.deepEqual(sense(array.command(port, cdbs.testUnitReady)), [6, 0x29, 0]);
    t.is(array.command(port, cdbs.testUnitReady).status, STATUS_GOOD);
  }
  array.addFault({ fault: { kind: "unit-attention", asc: 0x3f, ascq: 3 }, where: { port: 0 } });
  array.addFault({ fault: { kind: "unit-attention", asc: 0x29, ascq: 7 }, where: { port: 0 } });
  t.deepEqual(sense(array.command(0, cdbs.read16(0, 1), 512)), [6, 0x3f, 3]);
  t.deepEqual(sense(array.command(0, cdbs.read16(0, 1), 512)), [6, 0x29, 7]);
  t.is(array.command(0, cdbs.read16(0, 1), 512).status, STATUS_GOOD);
  t.is(array.command(1, cdbs.testUnitReady).status, STATUS_GOOD);
});

test("REQUEST SENSE hands a pending unit attention out as data, in either format, and then it is gone", (t) => {
  const array = new EmulatedArray({ units: 1 });
  const fixed = array.command(0, cdbs.requestSense(), 252);
  t.is(fixed.status, STATUS_GOOD);
  t.deepEqual(sense({ sense: fixed.data }), [6, 0x29, 0]);
  t.is(array.command(0, cdbs.testUnitReady).status, STATUS_GOOD);
  const descriptor = array.command(1, cdbs.requestSense(1), 252);
  t.is(descriptor.data[0], 0x72);
  t.deepEqual(sense({ sense: descriptor.data }), [6, 0x29, 0]);
  t.deepEqual(sense({ sense: array.command(1, cdbs.requestSense(), 252).data }), [0, 0, 0]);
});

test("a port that does not exist and data beyond a MiB are refused by name", (t) => {
  const array = quietArray({ units: 1 });
  t.throws(() => array.command(4, cdbs.testUnitReady), { code: "ARRAY_PORT", message: /port 4; 0 to 3/ });
  t.throws(() => array.command(0, cdbs.read16(0, 1), 2 ** 21), { code: "ARRAY_PORT" });
});
