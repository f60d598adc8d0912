// Only LBPRZ xx1b in page B2 says that unmapped blocks read as zeroes (SBC-4 6.6.7); 010b is a pattern of the vendor's.

import test from "ava";
import { capabilitiesOf } from "../../../host/control/inventory/unit-facts.ts";
import { discover } from "../../../host/discovery/discover.ts";
import * as abi from "../../../host/abi.ts";
import { candidate, capacity, disk, transportOf, vpd } from "./pages.ts";

const ALL = { devices: "all", exclude: [], budgetMs: 5000 } as const;

for (const [lbprz, oneBit, isZero] of [
  [0b000, 0, false],
  [0b001, 0x40, true],
  [0b101, 0x40, true],
  [0b010, 0, false],
  [0b010, 0x40, false],
  [0b110, 0x40, false],
] as const) {
  test(`LBPRZ ${lbprz.toString(2).padStart(3, "0")}b, ${oneBit === 0 ? 0 : 1} in READ CAPACITY(16): WRITE SAME with UNMAP ${isZero ? "zeroes" : "is never taken to zero"}`, async (t) => {
    const size = capacity(2048);
    size[14] = 0x80 | oneBit;
    const device = disk(1, {
      capacity: size,
      "0x0": vpd(0, Uint8Array.of(0x00, 0x80, 0x83, 0xb2)),
      "0xb2": vpd(0xb2, Uint8Array.of(0, 0xc0 | (lbprz << 2), 2, 0)),
    });
    const { paths } = await discover(transportOf({ a: device }), [candidate("a", "1:0:0:0")], ALL);
    const [path] = paths;
    if (path === undefined) return t.fail();
    t.is((capabilitiesOf(path.probe, 0) & abi.UNIT_CAN_WRITE_SAME_UNMAP) !== 0, isZero);
    t.truthy(capabilitiesOf(path.probe, 0) & abi.UNIT_CAN_UNMAP);
  });
}
