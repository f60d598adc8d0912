// `commands: "10-byte"`: an array from before SBC-2, which knows no CDB of 16 bytes.

import test from "ava";
import { CHECK_CONDITION, cdbs, pattern, quietArray, sense, STATUS_GOOD } from "./fixture.ts";

const ILLEGAL_OPERATION = [5, 0x20, 0];

test("every command with a CDB of 16 bytes is refused as unknown, and changes nothing", (t) => {
  const array = quietArray({ units: 1, commands: "10-byte" });
  const data = pattern(512, 1);
  const commands: (readonly [Uint8Array, Uint8Array | number | null])[] = [
    [cdbs.read16(0, 1), 512],
    [cdbs.write16(0, 1), data],
    [cdbs.writeSame16(0, 8), data],
    [cdbs.compareAndWrite(0, 1), pattern(1024, 2)],
    [cdbs.synchronize16(), null],
    [cdbs.readCapacity16, 32],
    [cdbs.lbaStatus(0), 4096],
  ];
  for (const [cdb, with_] of commands) {
    const result = array.command(0, cdb, with_);
    t.is(result.status, CHECK_CONDITION);
    t.deepEqual(sense(result), ILLEGAL_OPERATION);
  }
  t.deepEqual(array.command(1, cdbs.read10(0, 8), 4096).data, new Uint8Array(4096));
});

test("what is shorter is carried out as ever: READ, WRITE, SYNCHRONIZE CACHE, READ CAPACITY(10), and the port groups", (t) => {
  const array = quietArray({ units: 1, unitBytes: 1 << 20, commands: "10-byte" });
  t.is(array.command(0, cdbs.write10(3, 1), pattern(512, 4)).status, STATUS_GOOD);
  t.deepEqual(array.command(1, cdbs.read10(3, 1), 512).data, pattern(512, 4));
  t.is(array.command(0, cdbs.synchronize10()).status, STATUS_GOOD);
  t.deepEqual([...array.command(0, cdbs.readCapacity10, 8).data], [0, 0, 7, 255, 0, 0, 2, 0]);
  t.is(array.command(0, cdbs.reportGroups, 1024).status, STATUS_GOOD);
});
