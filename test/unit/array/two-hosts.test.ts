// Two hosts share an array: each has a memory, a clock that shows the same, and ports of its own.

import test from "ava";
import { RESET_DEVICE } from "../../../host/abi.ts";
import { cdbs, pattern, quietArray, RingSide, sense, STATUS_GOOD } from "./fixture.ts";

const TASK_ABORTED = 0x40;
const RESET = 8;

/** Ports 0 and 2 are of the first host, 1 and 3 of the second; each command takes a second. */
function hosts(): { first: RingSide; second: RingSide } {
  const array = quietArray({ units: 2, service: { latencyUs: 1_000_000 } });
  return { first: new RingSide(array), second: new RingSide(array, undefined, "forgotten", 1) };
}

test("each host gets the answers to its own commands, and sees what the other has written", (t) => {
  const { first, second } = hosts();
  const data = pattern(512, 7);
  first.submit(0, 0, cdbs.write16(0, 1), data);
  second.submit(0, 1, cdbs.write16(8, 1), data);
  first.turn();
  t.is(first.deadlineMs, 2000);
  second.at(2000);
  t.deepEqual(
    first
      .at(2000)
      .turn()
      .map(({ tag, status }) => [tag, status]),
    [[0, STATUS_GOOD]],
  );
  t.deepEqual(
    second.turn().map(({ tag, status }) => [tag, status]),
    [[0, STATUS_GOOD]],
  );
  t.deepEqual(first.array.command(0, cdbs.read16(8, 1), 512).data, data);
});

test("a reset of the logical unit by one host aborts what the other has there, and tells it", (t) => {
  const { first, second } = hosts();
  second.submit(1, 1, cdbs.write16(0, 1), pattern(512, 1));
  // The other unit, and what the host that resets has by another port.
  second.submit(2, 5, cdbs.write16(0, 1), pattern(512, 2));
  first.submit(3, 2, cdbs.write16(16, 1), pattern(512, 3));
  first.submit(4, 0, cdbs.write16(24, 1), pattern(512, 4));
  first.turn();
  first.reset(50, 0, RESET_DEVICE);
  t.deepEqual(
    first.turn().map(({ tag, hostStatus }) => [tag, hostStatus]),
    [
      [50, 0],
      [4, RESET],
    ],
  );
  t.deepEqual(
    second.turn().map(({ tag, status }) => [tag, status]),
    [[1, TASK_ABORTED]],
  );
  t.deepEqual(sense(first.array.command(1, cdbs.testUnitReady)), [6, 0x29, 3]);
  t.is(first.array.command(5, cdbs.testUnitReady).status, STATUS_GOOD);
  second.at(2000);
  first.at(2000).turn();
  t.deepEqual(first.array.command(2, cdbs.read16(0, 1), 512).data, new Uint8Array(512));
  t.deepEqual(first.array.command(4, cdbs.read16(0, 1), 512).data, pattern(512, 2));
  t.deepEqual(first.array.command(2, cdbs.read16(16, 1), 512).data, pattern(512, 3));
});

test("what a killed host has left is its own: only its successor is told to wait for it", (t) => {
  const { first, second } = hosts();
  const { array } = first;
  const [unit] = array.units;
  if (unit === undefined) return t.fail();
  second.submit(0, 1, cdbs.write16(0, 1), pattern(512, 5));
  first.turn();
  const successor = new RingSide(array, undefined, "under-way", 1);
  t.true(array.hasLeftovers(unit, 1));
  t.false(array.hasLeftovers(unit));
  successor.at(2000);
  first.at(2000).turn();
  t.false(array.hasLeftovers(unit, 1));
  t.deepEqual(array.command(0, cdbs.read16(0, 1), 512).data, pattern(512, 5));
});
