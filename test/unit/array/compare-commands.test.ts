// VERIFY, WRITE AND VERIFY, ORWRITE, and READ and WRITE in 6 and 12 bytes: what an initiator that uses them finds.

import test from "ava";
import {
  CHECK_CONDITION,
  cdb,
  cdbs,
  pattern,
  quietArray,
  RESERVATION_CONFLICT,
  sense,
  STATUS_GOOD,
} from "./fixture.ts";

const ILLEGAL_FIELD = [5, 0x24, 0];
const MISCOMPARE = [0xe, 0x1d, 0];
const BLOCKS = 2048;

/** The same command in each of its lengths, by opcode; `flags` is byte 1. */
function lengths(opcodes: readonly number[], lba: number, blocks: number, flags: number): Uint8Array[] {
  return opcodes.map((opcode) => {
    const bytes = [6, 10, 10, 0, 16, 12][opcode >>> 5] ?? 0;
    const command = new Uint8Array(bytes);
    const view = new DataView(command.buffer);
    command[0] = opcode;
    command[1] = flags;
    view.setUint32(bytes === 16 ? 6 : 2, lba);
    if (bytes === 10) view.setUint16(7, blocks);
    else view.setUint32(bytes === 16 ? 10 : 6, blocks);
    return command;
  });
}

const VERIFY = [0x2f, 0xaf, 0x8f];
const WRITE_AND_VERIFY = [0x2e, 0xae, 0x8e];
const BYTE_CHECK = 0x02;
const BLOCK_CHECK = 0x06;

function small(writeCache = false): ReturnType<typeof quietArray> {
  return quietArray({ units: 1, unitBytes: BLOCKS * 512, writeCache });
}

test("READ and WRITE in 6 and 12 bytes reach the same blocks as those in 16", (t) => {
  const array = small();
  const data = pattern(1024, 1);
  t.is(array.command(0, cdb(0x0a, 0, 1, 0, 2, 0), data).status, STATUS_GOOD);
  t.deepEqual(array.command(1, cdbs.read16(256, 2), 1024).data, data);
  t.deepEqual(array.command(2, cdb(0x08, 0, 1, 0, 2, 0), 1024).data, data);
  const other = pattern(1024, 2);
  const [write] = lengths([0xaa], 300, 2, 0x08);
  const [read] = lengths([0xa8], 300, 2, 0x08);
  t.is(array.command(0, write ?? cdb(), other).status, STATUS_GOOD);
  t.deepEqual(array.command(1, read ?? cdb(), 1024).data, other);
  t.deepEqual(array.command(1, cdbs.read16(300, 2), 1024).data, other);
  // Zero in 6 bytes means 256 blocks; in 12 it means none.
  t.is(array.command(0, cdb(0x08, 0, 0, 0, 0, 0), 256 * 512).data.length, 256 * 512);
  t.deepEqual(sense(array.command(0, cdb(0x08, 0x1f, 0xff, 0xff, 1, 0), 512)), [5, 0x21, 0]);
  const [none] = lengths([0xa8], 0, 0, 0);
  t.is(array.command(0, none ?? cdb(), 0).status, STATUS_GOOD);
});

test("faults on reads and writes, and on a range of blocks, meet every length of READ and WRITE", (t) => {
  const array = small();
  const bad = { kind: "error", senseKey: 3, asc: 0x11 } as const;
  array.addFault({ fault: bad, when: { commands: "reads", firstLba: 100, lastLba: 103 } });
  array.addFault({ fault: bad, when: { commands: "writes", firstLba: 100, lastLba: 103 } });
  for (const [opcode, data] of [
    [0xa8, 512],
    [0xaa, pattern(512, 1)],
    [0x2e, pattern(512, 1)],
    [0x8b, pattern(512, 1)],
  ] as const) {
    const [inside, outside] = [lengths([opcode], 103, 1, 0), lengths([opcode], 104, 1, 0)];
    t.deepEqual(sense(array.command(0, inside[0] ?? cdb(), data)), [3, 0x11, 0]);
    t.is(array.command(0, outside[0] ?? cdb(), data).status, STATUS_GOOD);
  }
  t.deepEqual(sense(array.command(0, cdb(0x08, 0, 0, 99, 2, 0), 1024)), [3, 0x11, 0]);
  t.is(array.command(0, cdb(0x08, 0, 0, 98, 2, 0), 1024).status, STATUS_GOOD);
});

test("VERIFY without BYTCHK takes no data and finds the blocks readable", (t) => {
  const array = small();
  for (const command of lengths(VERIFY, 4, 3, 0x10)) {
    const result = array.command(0, command);
    t.deepEqual([result.status, result.residual], [STATUS_GOOD, 0]);
  }
  for (const command of lengths(VERIFY, BLOCKS - 1, 2, 0)) t.deepEqual(sense(array.command(0, command)), [5, 0x21, 0]);
  for (const command of lengths(VERIFY, BLOCKS, 0, 0)) t.is(array.command(0, command).status, STATUS_GOOD);
});

test("VERIFY compares all blocks (01b) or each with one (11b), and says at which byte they differ", (t) => {
  const array = small();
  const blocks = 200;
  const block = pattern(512, 3);
  const data = new Uint8Array(blocks * 512);
  for (let i = 0; i < blocks; i++) data.set(block, i * 512);
  array.command(0, cdbs.write16(8, blocks), data);
  for (const command of lengths(VERIFY, 8, blocks, BYTE_CHECK)) {
    t.is(array.command(1, command, data).status, STATUS_GOOD);
    const wrong = data.slice();
    wrong[70_000] = (wrong[70_000] ?? 0) ^ 0x10;
    const refused = array.command(1, command, wrong);
    t.deepEqual(sense(refused), MISCOMPARE);
    t.is(new DataView(refused.sense.buffer, refused.sense.byteOffset).getUint32(3), 70_000);
  }
  for (const command of lengths(VERIFY, 8, blocks, BLOCK_CHECK)) {
    t.is(array.command(1, command, block).status, STATUS_GOOD);
  }
  for (const command of lengths(VERIFY, 8, blocks + 1, BLOCK_CHECK)) {
    t.deepEqual(sense(array.command(1, command, block)), MISCOMPARE);
    t.deepEqual(sense(array.command(1, command)), ILLEGAL_FIELD);
  }
  for (const flags of [0x04, 0x20]) {
    for (const command of lengths(VERIFY, 8, 1, flags)) {
      t.deepEqual(sense(array.command(1, command, block)), ILLEGAL_FIELD);
    }
  }
});

test("WRITE AND VERIFY writes past the cache, with and without BYTCHK, and refuses 10b and 11b", (t) => {
  const array = small(true);
  for (const flags of [0, BYTE_CHECK]) {
    WRITE_AND_VERIFY.forEach((opcode, i) => {
      const data = pattern(1024, flags + i);
      for (const command of lengths([opcode], 4 * i, 2, flags)) {
        t.is(array.command(0, command, data).status, STATUS_GOOD);
      }
      t.is(array.units[0]?.cache?.dirtyBlocks, 0);
      t.deepEqual(array.command(1, cdbs.read16(4 * i, 2), 1024).data, data);
    });
  }
  for (const command of lengths(WRITE_AND_VERIFY, 0, 2, 0)) {
    const short = array.command(0, command, pattern(512, 9));
    t.deepEqual([short.status, short.residual], [STATUS_GOOD, -512]);
  }
  for (const flags of [0x04, 0x06, 0x20]) {
    for (const command of lengths(WRITE_AND_VERIFY, 0, 2, flags)) {
      t.deepEqual(sense(array.command(0, command, pattern(1024, 9))), ILLEGAL_FIELD);
    }
  }
});

test("ORWRITE sets bits and clears none, over more than one step of the medium", (t) => {
  const array = small();
  const blocks = 150;
  const [before, mask] = [pattern(blocks * 512, 4), pattern(blocks * 512, 77)];
  array.command(0, cdbs.write16(5, blocks), before);
  const [command] = lengths([0x8b], 5, blocks, 0x18);
  t.is(array.command(1, command ?? cdb(), mask).status, STATUS_GOOD);
  t.deepEqual(
    array.command(2, cdbs.read16(5, blocks), blocks * 512).data,
    before.map((byte, i) => byte | (mask[i] ?? 0)),
  );
  const [beyond] = lengths([0x8b], BLOCKS, 1, 0);
  t.deepEqual(sense(array.command(1, beyond ?? cdb(), pattern(512, 1))), [5, 0x21, 0]);
});

test("COMPARE AND WRITE over two paths: of two that expect the same, one wins and the other is told", (t) => {
  const array = small();
  const start = new Uint8Array(512);
  const outcomes = [0, 1].map((port) =>
    array.command(port, cdbs.compareAndWrite(7, 1), Buffer.concat([start, pattern(512, port)])),
  );
  t.deepEqual(
    outcomes.map(({ status }) => status),
    [STATUS_GOOD, CHECK_CONDITION],
  );
  t.deepEqual(outcomes.map(sense), [[0, 0, 0], MISCOMPARE]);
  t.deepEqual(array.command(2, cdbs.read16(7, 1), 512).data, pattern(512, 0));
});

test("another host's Write Exclusive reservation keeps out what writes, not what verifies", (t) => {
  const array = small();
  array.addFault({ fault: { kind: "reservation", type: 1 } });
  for (const port of array.ports) while (port.takeAttention() !== 0);
  for (const command of [...lengths(WRITE_AND_VERIFY, 0, 1, 0), ...lengths([0x8b, 0xaa], 0, 1, 0)]) {
    t.is(array.command(0, command, pattern(512, 1)).status, RESERVATION_CONFLICT);
  }
  for (const command of lengths(VERIFY, 0, 1, 0)) t.is(array.command(0, command).status, STATUS_GOOD);
});
