// Random CDBs, buffers and faults: the array answers each exactly once, touches nothing but slot and buffer, and works on.

import test from "ava";
import { SeededRandom } from "../../../host/array/faults/fault-state.ts";
import { SparseMedium } from "../../../host/array/medium.ts";
import { COMMAND_PRIVATE } from "../../../host/abi.ts";
import { cdbs, pattern, quietArray, RingSide, STATUS_GOOD } from "./fixture.ts";

const OPCODES = [
  0x00, 0x03, 0x08, 0x0a, 0x12, 0x1a, 0x25, 0x28, 0x2a, 0x2e, 0x2f, 0x35, 0x41, 0x42, 0x5a, 0x5e, 0x5f, 0x88, 0x89,
  0x8a, 0x8b, 0x8e, 0x8f, 0x91, 0x93, 0x9e, 0xa0, 0xa3, 0xa4, 0xa8, 0xaa, 0xae, 0xaf,
];
const LENGTHS = [6, 10, 12, 16];
const SLOTS = 131_072;
const SLOT_BYTES = 256;

function randomCdb(random: SeededRandom): Uint8Array {
  const below = (n: number): number => Math.floor(random.next() * n);
  const known = random.next() < 0.8;
  const opcode = known ? (OPCODES[below(OPCODES.length)] ?? 0) : below(256);
  const byGroup = [6, 10, 10, 6, 16, 12, 10, 10][opcode >>> 5] ?? 6;
  const length = random.next() < 0.9 ? byGroup : (LENGTHS[below(4)] ?? 6);
  // Mostly zeroes, so that small and valid values are frequent enough to reach the inner parts.
  const bytes = Uint8Array.from({ length }, () => (random.next() < 0.6 ? 0 : below(random.next() < 0.5 ? 8 : 256)));
  bytes[0] = opcode;
  return bytes;
}

test("10,000 random CDBs with random data are each answered once and harm neither memory nor array", (t) => {
  const random = new SeededRandom(20_261_122);
  const array = quietArray({ units: 3, unitBytes: 1 << 20 }, { medium: () => new SparseMedium() });
  const rings = new RingSide(array);
  const guard = pattern(SLOT_BYTES - COMMAND_PRIVATE, 5);
  const guardAt = SLOTS + COMMAND_PRIVATE;
  const beyond = rings.buffer(1);
  beyond.set(pattern(beyond.length, 6));
  let good = 0;
  for (let i = 0; i < 10_000; i++) {
    // A RESERVE would leave little to the other ports for the rest of the test.
    if (i % 100 === 0) for (const { reservations } of array.units) reservations.endSpc2();
    const port = Math.floor(random.next() * array.ports.length);
    const bytes = Math.floor(random.next() * 16) * 512 + (random.next() < 0.1 ? 13 : 0);
    const direction = random.next();
    const data = direction < 0.2 ? null : direction < 0.6 ? bytes : pattern(bytes, i);
    rings.memory.set(guard, guardAt);
    rings.submit(0, port, randomCdb(random), data);
    const finished = rings.turn();
    if (finished.length !== 1 || finished[0]?.result !== 0) return t.fail(`command ${i}: ${JSON.stringify(finished)}`);
    if (finished[0].status === STATUS_GOOD) good++;
    const { residual } = finished[0];
    const room = data === null ? 0 : bytes;
    if (residual > room) return t.fail(`command ${i}: residual ${residual} of ${room} bytes`);
    if (Buffer.compare(rings.memory.subarray(guardAt, guardAt + guard.length), guard) !== 0) {
      return t.fail(`command ${i} wrote behind its slot`);
    }
  }
  t.deepEqual(beyond.slice(), pattern(beyond.length, 6));
  t.true(good > 1000, `only ${good} commands were good: the test reaches too little`);
  // The array still works on every path once what the commands did to groups and reservations is undone.
  for (const unit of array.units) {
    unit.reservations.release();
    unit.reservations.endSpc2();
    unit.groupStates.fill(0);
  }
  for (const port of array.ports) {
    while (port.takeAttention() !== 0);
    t.is(array.command(port.handle, cdbs.write16(7, 1), pattern(512, 1)).status, STATUS_GOOD);
    t.deepEqual(array.command(port.handle, cdbs.read16(7, 1), 512).data, pattern(512, 1));
  }
});
