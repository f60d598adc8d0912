// What a unit presents as a SCSI device is the array's identity without what is true of one path only.

import test from "ava";
import * as abi from "../../../host/abi.ts";
import { presentedOf } from "../../../host/export/presented.ts";
import { designator, naa6, page83, standard } from "../discovery/pages.ts";

const page = (code: number, contents: readonly number[]): Uint8Array =>
  Uint8Array.of(0, code, contents.length >> 8, contents.length & 0xff, ...contents);
const GROUP = designator(5, 1, Uint8Array.of(0, 0, 0, 2));
const UNMAPS = abi.UNIT_CAN_UNMAP;

const unit = (
  pages: readonly Uint8Array[],
  capabilities = UNMAPS,
  inquiry: Uint8Array = standard("NEC", "DISK ARRAY"),
) =>
  presentedOf(
    { blockBytes: 512, capabilities },
    { inquiry, pages: new Map(pages.map((one) => [one[1] ?? 0, one])) },
    4096,
  );

test("vendor and product stay, ports, groups, third-party copies and protection go", (t) => {
  const inquiry = standard("NEC", "DISK ARRAY");
  inquiry[5] = 0x39;
  inquiry[6] = 0x10;
  const shown = unit([], UNMAPS, inquiry).inquiry;
  t.is(Buffer.from(shown.subarray(8, 26)).toString(), "NEC     DISK ARRAY");
  t.deepEqual([...shown.subarray(5, 8)], [0, 0, 2]);
  t.is(shown[4], shown.length - 5);
});

test("of page 83 the unit's designators stay, in order", (t) => {
  const name = designator(3, 0, naa6(1));
  const shown = unit([page83(GROUP, name, designator(4, 1, Uint8Array.of(0, 0, 0, 7)))]).pages.get(0x83);
  t.deepEqual(shown, page83(name));
});

test("page 83 whose lengths make no sense ends where it does", (t) => {
  const name = designator(3, 0, naa6(1));
  const broken = page83(name, Uint8Array.of(1, 3, 0, 200, 1));
  t.deepEqual(unit([broken]).pages.get(0x83), page83(name));
  t.deepEqual(unit([Uint8Array.of(0, 0x83, 255, 255, 1)]).pages.get(0x83), page(0x83, []));
});

test("limits are the smaller of the array's and ours, and there is no COMPARE AND WRITE", (t) => {
  const told = page(0xb0, [0, 1, 0, 8, 0, 0xff, 0xff, 0xff, 0, 0xff, 0, 0, ...Array<number>(48).fill(0)]);
  const view = new DataView((unit([told]).pages.get(0xb0) ?? new Uint8Array(64)).slice().buffer);
  t.deepEqual([view.getUint8(4), view.getUint8(5), view.getUint16(6)], [1, 0, 8]);
  t.deepEqual([view.getUint32(8), view.getUint32(12)], [2048, 2048]);
  t.deepEqual([view.getUint32(20), view.getUint32(24)], [0xffff_ffff, 256]);
});

test("a unit that cannot unmap says so everywhere", (t) => {
  const { pages, capacity } = unit([page(0xb2, [0, 0xe4, 2, 0])], 0);
  const view = new DataView((pages.get(0xb0) ?? new Uint8Array(64)).slice().buffer);
  t.deepEqual([view.getUint32(20), view.getUint32(24)], [0, 0]);
  t.deepEqual([...(pages.get(0xb2) ?? [])], [0, 0xb2, 0, 4, 0, 0, 0, 0]);
  t.is(capacity[14], 0);
});

test("what unmapped blocks read is the array's word; the size of a physical block is told", (t) => {
  const { pages, capacity } = unit([page(0xb2, [0, 0x44, 2, 0])]);
  t.is(pages.get(0xb2)?.[5], 0xe4);
  t.deepEqual([capacity[13], capacity[14]], [3, 0xc0]);
});
