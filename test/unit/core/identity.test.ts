// Whether a path leads to its unit is decided by what a device says of itself, read as SPC-4 has it: no byte more, no byte less.
import test from "ava";
import * as abi from "../../../host/abi.ts";
import { INQUIRY, REPORT, scene } from "./fixtures/scene.ts";

const TEXT = 1;
const NAA = 3;
const SCSI_NAME = 8;
const ANY_CODE_SET = 0;
const ASCII = 2;
const UTF8 = 3;
/** Bytes that the core asks for. */
const ASKED = 4096;

const text = (value: string): number[] => [...Buffer.from(value, "latin1")];

/** A designator; association 0 is the unit's, 1 the port's. */
const designator = (type: number, codeSet: number, name: readonly number[], association = 0): number[] => [
  codeSet,
  (association << 4) | type,
  0,
  name.length,
  ...name,
];

const page = (...designators: readonly number[][]): number[] => {
  const all = designators.flat();
  return [0, 0x83, all.length >> 8, all.length & 255, ...all];
};

type Verdict = "right" | "wrong" | "unread";

/** What the core makes of a device that sends these bytes when the unit is known by `identity` (type, code set, name). */
function judge(identity: readonly number[], sent: readonly number[], behind = 0xa5): Verdict {
  const s = scene(identity, 1);
  s.faults.set(0, (command) => {
    if (command.cdb[0] !== INQUIRY) return undefined;
    const bytes = Buffer.from(sent.slice(0, command.bytes));
    bytes.copy(s.host.bytes(command.buffer, command.bytes).fill(behind));
    return { residual: command.bytes - bytes.length };
  });
  const [path = -1] = s.paths;
  s.host.must(s.host.core.pathSet(path, abi.PATH_SET_UNVERIFIED, 1n));
  s.host.advance(10);
  const flags = s.host.flags(path);
  const unread = (flags & abi.PATH_FLAG_UNVERIFIED) !== 0;
  if (unread) return "unread";
  return (flags & abi.PATH_FLAG_WRONG_UNIT) !== 0 ? "wrong" : "right";
}

const DISK = text("VENDOR  disk 1");
const byText = [TEXT, ANY_CODE_SET, ...DISK];
const byName = [SCSI_NAME, ANY_CODE_SET, ...text("iqn.2026-01.a:disk1")];
const byNaa = [NAA, 1, 0x60, 1, 2, 3, 4, 5, 6, 7];
const SAME_NAA = byNaa.slice(2);

const cases: readonly [name: string, identity: readonly number[], sent: readonly number[], verdict: Verdict][] = [
  ["text in ASCII", byText, page(designator(TEXT, ASCII, DISK)), "right"],
  ["the same text in UTF-8", byText, page(designator(TEXT, UTF8, DISK)), "right"],
  ["the same text as binary", byText, page(designator(TEXT, 1, DISK)), "right"],
  ["text with blanks behind it", byText, page(designator(TEXT, ASCII, [...DISK, 0x20, 0x20])), "right"],
  ["text with zeroes behind it", byText, page(designator(TEXT, ASCII, [...DISK, 0, 0, 0x20])), "right"],
  ["text that goes on behind a zero", byText, page(designator(TEXT, ASCII, [...DISK, 0, 0x31])), "wrong"],
  ["a text that is longer", byText, page(designator(TEXT, ASCII, text("VENDOR  disk 12"))), "wrong"],
  ["a text that is shorter", byText, page(designator(TEXT, ASCII, text("VENDOR  disk"))), "wrong"],
  ["another text of the same length", byText, page(designator(TEXT, ASCII, text("VENDOR  disk 2"))), "wrong"],
  ["nothing but padding", byText, page(designator(TEXT, ASCII, [0x20, 0x20, 0])), "wrong"],
  ["no byte of text", byText, page(designator(TEXT, ASCII, [])), "wrong"],
  ["the text of another type", byText, page(designator(SCSI_NAME, UTF8, DISK)), "wrong"],
  ["a terminated name", byName, page(designator(SCSI_NAME, UTF8, [...byName.slice(2), 0, 0])), "right"],
  ["a name that is not terminated", byName, page(designator(SCSI_NAME, UTF8, byName.slice(2))), "right"],
  [
    "a name with rubbish behind its end",
    byName,
    page(designator(SCSI_NAME, UTF8, [...byName.slice(2), 0, 7, 7])),
    "right",
  ],
  [
    "a name that ends early",
    byName,
    page(designator(SCSI_NAME, UTF8, [...text("iqn.2026"), 0, ...text("-01.a")])),
    "wrong",
  ],
  ["a name that begins with its end", byName, page(designator(SCSI_NAME, UTF8, [0, ...byName.slice(2)])), "wrong"],
  ["a number", byNaa, page(designator(NAA, 1, SAME_NAA)), "right"],
  ["the same number as text", byNaa, page(designator(NAA, ASCII, SAME_NAA)), "wrong"],
  ["a number with a zero behind it", byNaa, page(designator(NAA, 1, [...SAME_NAA, 0])), "wrong"],
  ["the number of the port", byNaa, page(designator(NAA, 1, SAME_NAA, 1)), "wrong"],
  [
    "the number behind those of others",
    byNaa,
    page(designator(TEXT, ASCII, DISK), designator(NAA, 1, SAME_NAA)),
    "right",
  ],
  ["the page of no unit at this LUN", byNaa, [0x7f, ...page(designator(NAA, 1, SAME_NAA)).slice(1)], "wrong"],
  ["another page", byNaa, [0, 0x80, ...page(designator(NAA, 1, SAME_NAA)).slice(2)], "unread"],
  ["three bytes", byNaa, [0, 0x83, 0], "unread"],
  ["fewer bytes than it says", byNaa, page(designator(NAA, 1, SAME_NAA)).slice(0, -1), "unread"],
  ["a designator that ends behind the page", byNaa, [0, 0x83, 0, 11, ...designator(NAA, 1, SAME_NAA)], "unread"],
  ["an empty page", byNaa, page(), "wrong"],
];

for (const [name, identity, sent, verdict] of cases) {
  test(`${name}: ${verdict}`, (t) => {
    t.is(judge(identity, sent), verdict);
    // Whatever lay in the buffer before is no part of the page.
    t.is(judge(identity, sent, identity.at(-1)), verdict);
    t.is(judge(identity, sent, 0x20), verdict);
  });
}

test("of a page that is longer than what was asked for only whole designators count", (t) => {
  const name = designator(NAA, 1, SAME_NAA);
  const filler = (bytes: number): number[] => Array.from({ length: bytes / 4 }, () => designator(15, 1, [])).flat();
  const room = ASKED - 4;
  const ends = (at: number): number[] => page(filler(at), name, filler(64));
  t.is(judge(byNaa, ends(room - name.length)), "right", "it ends with the last byte");
  t.is(judge(byNaa, ends(room - name.length + 4)), "wrong", "it is cut off");
  t.is(judge(byNaa, ends(room)), "wrong", "it has not come");
});

/** The state that a report of `group` being non-optimized gives the path of a port that sends this page. */
function aluaOf(sent: readonly number[], group: number): number {
  const s = scene(byNaa, 1, abi.UNIT_CAN_ALUA);
  const report = [0, 0, 0, 12, abi.ALUA_NON_OPTIMIZED, 0x8f, group >> 8, group & 255, 0, 2, 0, 1, 0, 0, 0, 7];
  s.faults.set(0, ({ cdb, buffer, bytes }) => {
    const answer = cdb[0] === INQUIRY ? sent : cdb[0] === REPORT ? report : null;
    if (answer === null) return undefined;
    s.host.bytes(buffer, bytes).set(answer);
    return { residual: bytes - answer.length };
  });
  const [path = -1] = s.paths;
  s.host.must(s.host.core.pathSet(path, abi.PATH_SET_FAILED, 1n));
  s.host.must(s.host.core.pathSet(path, abi.PATH_SET_FAILED, 0n));
  s.host.advance(1000);
  return s.host.pathField(path, abi.PATH_ALUA) & 255;
}

test("the group of a port is learned from its designator, and from nothing else of four bytes", (t) => {
  const four = (type: number, value: number, association = 1): number[] =>
    designator(type, 1, [0, 0, value >> 8, value & 255], association);
  const unit = designator(NAA, 1, SAME_NAA);
  const own = four(5, 0x0304);
  t.is(aluaOf(page(unit, own), 0x0304), abi.ALUA_NON_OPTIMIZED);
  const others = page(four(4, 0x0102), own, four(6, 0x0506), four(4, 0x0708), four(9, 0x090a), unit, four(5, 1, 0));
  t.is(aluaOf(others, 0x0304), abi.ALUA_NON_OPTIMIZED);
  for (const group of [1, 0x0102, 0x0506, 0x0708, 0x090a]) t.not(aluaOf(others, group), abi.ALUA_NON_OPTIMIZED);
  t.not(aluaOf(page(unit, designator(5, 1, [0, 0, 3, 4, 0], 1)), 0x0304), abi.ALUA_NON_OPTIMIZED, "five bytes");
});
