// A page that cannot be read just now says nothing about where a path leads: it is asked for again, and only a page that was
// read makes a path another unit's.
import test from "ava";
import * as abi from "../../../host/abi.ts";
import type { Scene } from "./fixtures/scene.ts";
import { INQUIRY, read, scene } from "./fixtures/scene.ts";
import type { Answer, Scsi } from "./fixtures/scsi.ts";
import { check } from "./fixtures/scsi.ts";

const SERIAL = [abi.IDENTITY_TYPE_SERIAL, 0, ...Buffer.from("SN001")];
const MEDIUM_READ = 0x88;
const BAD = abi.PATH_FLAG_WRONG_UNIT | abi.PATH_FLAG_UNVERIFIED | abi.PATH_FLAG_FAILED;

/** Puts `bytes` where the command wants its data; what it asked for beyond them is the residual. */
function give(s: Scene, command: Scsi, bytes: readonly number[]): Answer {
  Buffer.from(bytes).copy(s.host.bytes(command.buffer, command.bytes));
  return { residual: command.bytes - bytes.length };
}

/** What is no page, or not yet one, by name. */
const UNREAD: Readonly<Record<string, (s: Scene, command: Scsi) => Answer>> = {
  "GOOD without data": (s, command) => give(s, command, []),
  "GOOD with half a header": (s, command) => give(s, command, [0, command.cdb[2] ?? 0]),
  "another page": (s, command) => give(s, command, [0, 0, 0, 1, 0]),
  "a page that is cut short": (s, command) => give(s, command, [0, command.cdb[2] ?? 0, 0, 12, 1, 3, 0, 8]),
  "0B/4B/03": () => check(0x0b, 0x4b, 3),
  BUSY: () => ({ status: 8 }),
  "TASK SET FULL": () => ({ status: 0x28 }),
  "02/04/0A": () => check(2, 4, 0x0a),
  "04/44/00": () => check(4, 0x44, 0),
  "05/24/00": () => check(5, 0x24, 0),
};

function unverify(s: Scene, first: number, fault: (command: Scsi) => Answer | undefined): void {
  s.faults.set(0, (command) => (command.cdb[0] === INQUIRY ? fault(command) : undefined));
  s.host.must(s.host.core.pathSet(first, abi.PATH_SET_UNVERIFIED, 1n));
  s.host.settle();
}

const served = (s: Scene): boolean => {
  s.seen.length = 0;
  return read(s.host, s.unit) === 0 && s.seen.some(({ port, operation }) => port === 0 && operation === MEDIUM_READ);
};

for (const [title, answer] of Object.entries(UNREAD)) {
  for (const [times, name] of [
    [1, "once"],
    [6, "six times"],
  ] as const) {
    test(`an identity check answered ${name} with ${title}: the only path is in use again within two seconds, and was never called wrong`, (t) => {
      const s = scene(undefined, 1);
      const [first = -1] = s.paths;
      s.host.advance(100);
      s.host.kinds();
      let left = times;
      unverify(s, first, (command) => (left-- > 0 ? answer(s, command) : undefined));
      s.host.advance(2000);
      t.is(s.host.flags(first) & BAD, 0);
      t.true(left < 0);
      const kinds = s.host.kinds();
      t.false(kinds.includes(abi.EVENT_WRONG_UNIT));
      t.false(kinds.includes(abi.EVENT_PATH_ERROR_CHECK));
      // Where its port group is in transition by its own words, I/O waits besides for a check of that.
      if (title === "02/04/0A") s.host.advance(40_000);
      t.true(served(s));
    });
  }

  test(`an identity check answered each time with ${title}: the path gets no I/O and is not called wrong`, (t) => {
    const s = scene(undefined, 2);
    const [first = -1] = s.paths;
    s.host.advance(100);
    s.host.kinds();
    s.seen.length = 0;
    unverify(s, first, (command) => answer(s, command));
    for (let i = 0; i < 20; i++) {
      t.is(read(s.host, s.unit), 0);
      s.host.advance(1000);
    }
    t.truthy(s.host.flags(first) & (abi.PATH_FLAG_UNVERIFIED | abi.PATH_FLAG_FAILED));
    t.false(s.seen.some(({ port, operation }) => port === 0 && operation === MEDIUM_READ));
    t.false(s.host.kinds().includes(abi.EVENT_WRONG_UNIT));
    // It asks at a pace that harms nobody.
    t.true(s.seen.filter(({ port, operation }) => port === 0 && operation === INQUIRY).length < 120);
    s.faults.clear();
    s.host.advance(35_000);
    t.is(s.host.flags(first) & BAD, 0);
  });
}

test("a serial number that comes without data is asked for again", (t) => {
  const s = scene(SERIAL, 1);
  const [first = -1] = s.paths;
  let left = 1;
  s.faults.set(0, (command) => {
    if (command.cdb[0] !== INQUIRY) return undefined;
    return give(s, command, left-- > 0 ? [] : [0, 0x80, 0, 5, ...Buffer.from("SN001")]);
  });
  s.host.must(s.host.core.pathSet(first, abi.PATH_SET_UNVERIFIED, 1n));
  s.host.advance(1000);
  t.is(s.host.flags(first) & BAD, 0);
  t.false(s.host.kinds().includes(abi.EVENT_WRONG_UNIT));
});
