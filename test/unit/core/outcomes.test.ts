// Every row of the table of outcomes, by what the standards say of it: host status (DID_*), driver status, SAM status, sense.
import test from "ava";
import { Host } from "./fixtures/harness.ts";

/** OUTCOME_* of assembly/scsi/outcome.ts, in their order. */
const NAMES = (
  "GOOD RETRY RETRY_SOFT BUSY WAIT FAILED ELSEWHERE ALUA ALUA_CHANGED INVENTORY GONE CAPACITY PARAMETERS ANSWER UNSUPPORTED " +
  "PROTECTED SPACE PAST_END NEXUS THRESHOLD CONFLICT"
).split(" ");

type Outcome = (hostStatus: number, driverStatus: number, status: number, sense?: readonly number[]) => string;

function table(): Outcome {
  const host = new Host();
  const scratch = host.core.scratch();
  return (hostStatus, driverStatus, status, sense = []) => {
    host.bytes(scratch, 64).fill(0xff);
    host.bytes(scratch, sense.length).set(sense);
    return NAMES[host.core.outcome(hostStatus, driverStatus, status, sense.length)] ?? "none";
  };
}

const fixed = (key: number, asc: number, ascq: number, code = 0x70): number[] => {
  return [code, 0, key, 0, 0, 0, 0, 10, 0, 0, 0, 0, asc, ascq, 0, 0, 0, 0];
};
const descriptor = (key: number, asc: number, ascq: number, code = 0x72): number[] => [
  code,
  key,
  asc,
  ascq,
  0,
  0,
  0,
  0,
];

const HOST_STATUS: Readonly<Record<string, readonly number[]>> = {
  FAILED: [0x01, 0x03, 0x04, 0x0e, 0x0f, 0x14],
  BUSY: [0x02],
  RETRY: [0x05, 0x06, 0x07, 0x09, 0x0a, 0x0b, 0x0c, 0x15, 0x7f],
  RETRY_SOFT: [0x08],
  WAIT: [0x0d],
  ANSWER: [0x10, 0x13],
  CONFLICT: [0x11],
  SPACE: [0x12],
};

test("host status: what the adapter's driver says is all there is to know", (t) => {
  const outcome = table();
  for (const [expected, codes] of Object.entries(HOST_STATUS)) {
    for (const code of codes) {
      t.is(outcome(code, 0, 0), expected, `host status ${code}`);
      t.is(outcome(code, 8, 2, fixed(3, 0x11, 0)), expected, `host status ${code} with sense data of another command`);
    }
  }
});

test("driver status: a timeout has failed, a busy driver wants a moment, sense data is none of its business", (t) => {
  const outcome = table();
  t.is(outcome(0, 6, 0), "FAILED");
  t.is(outcome(0, 0x16, 0), "FAILED");
  t.is(outcome(0, 1, 0), "WAIT");
  t.is(outcome(0, 8, 0), "GOOD");
  t.is(outcome(0, 8, 2, fixed(3, 0x11, 0)), "ANSWER");
});

test("status codes", (t) => {
  const outcome = table();
  const expected = {
    0: "GOOD",
    4: "GOOD",
    8: "BUSY",
    0x18: "CONFLICT",
    0x28: "BUSY",
    0x30: "WAIT",
    0x40: "RETRY_SOFT",
  };
  for (const [status, name] of Object.entries(expected)) t.is(outcome(0, 0, Number(status)), name, `status ${status}`);
  for (const status of [1, 0x10, 0x14, 0x22, 0x50]) t.is(outcome(0, 0, status), "RETRY", `status ${status}`);
});

/** Sense key, ASC, ASCQ (null: any). */
const SENSE: readonly [string, number, number | null, number | null][] = [
  ["RETRY", 0x0, null, null],
  ["GOOD", 0x1, null, null],
  ["WAIT", 0x2, 0x04, 0x00],
  ["WAIT", 0x2, 0x04, 0x01],
  ["FAILED", 0x2, 0x04, 0x02],
  ["FAILED", 0x2, 0x04, 0x03],
  ["WAIT", 0x2, 0x04, 0x04],
  ["WAIT", 0x2, 0x04, 0x05],
  ["WAIT", 0x2, 0x04, 0x06],
  ["WAIT", 0x2, 0x04, 0x07],
  ["WAIT", 0x2, 0x04, 0x08],
  ["WAIT", 0x2, 0x04, 0x09],
  ["ALUA", 0x2, 0x04, 0x0a],
  ["ALUA", 0x2, 0x04, 0x0b],
  ["ALUA", 0x2, 0x04, 0x0c],
  ["FAILED", 0x2, 0x04, 0x0d],
  ["WAIT", 0x2, 0x04, 0x11],
  ["ALUA", 0x2, 0x04, 0x12],
  ["FAILED", 0x2, 0x04, 0x13],
  ["WAIT", 0x2, 0x04, 0x14],
  ["WAIT", 0x2, 0x04, 0x1a],
  ["WAIT", 0x2, 0x04, 0x1b],
  ["FAILED", 0x2, 0x04, 0x1c],
  ["WAIT", 0x2, 0x04, 0x1d],
  ["WAIT", 0x2, 0x04, 0x24],
  ["WAIT", 0x2, 0x04, 0x25],
  ["FAILED", 0x2, 0x3a, 0x00],
  ["ANSWER", 0x3, null, null],
  ["ELSEWHERE", 0x4, null, null],
  ["GONE", 0x5, 0x25, null],
  ["PAST_END", 0x5, 0x21, 0x00],
  ["ANSWER", 0x5, 0x21, 0x01],
  ["UNSUPPORTED", 0x5, 0x20, null],
  ["UNSUPPORTED", 0x5, 0x24, null],
  ["UNSUPPORTED", 0x5, 0x26, null],
  ["ANSWER", 0x5, 0x22, null],
  ["ALUA_CHANGED", 0x6, 0x2a, 0x06],
  ["ALUA_CHANGED", 0x6, 0x2a, 0x07],
  ["PARAMETERS", 0x6, 0x2a, 0x08],
  ["CAPACITY", 0x6, 0x2a, 0x09],
  ["PARAMETERS", 0x6, 0x2a, 0x01],
  ["INVENTORY", 0x6, 0x28, null],
  ["RETRY_SOFT", 0x6, 0x3f, 0x02],
  ["INVENTORY", 0x6, 0x3f, 0x03],
  ["INVENTORY", 0x6, 0x3f, 0x05],
  ["INVENTORY", 0x6, 0x3f, 0x0e],
  ["NEXUS", 0x6, 0x29, 0x00],
  ["NEXUS", 0x6, 0x29, 0x01],
  ["RETRY_SOFT", 0x6, 0x29, 0x02],
  ["RETRY_SOFT", 0x6, 0x29, 0x03],
  ["NEXUS", 0x6, 0x29, 0x04],
  ["NEXUS", 0x6, 0x29, 0x07],
  ["RETRY_SOFT", 0x6, 0x2f, 0x00],
  ["THRESHOLD", 0x6, 0x38, 0x07],
  ["RETRY_SOFT", 0x6, 0x38, 0x06],
  ["SPACE", 0x7, 0x27, 0x07],
  ["PROTECTED", 0x7, 0x27, 0x00],
  ["ANSWER", 0x8, null, null],
  ["ELSEWHERE", 0x9, null, null],
  ["ANSWER", 0xa, null, null],
  ["ELSEWHERE", 0xb, 0x10, null],
  ["RETRY", 0xb, 0x11, null],
  ["ANSWER", 0xc, null, null],
  ["ANSWER", 0xd, null, null],
  ["ANSWER", 0xe, null, null],
  ["ANSWER", 0xf, null, null],
];

test("sense data, in both formats", (t) => {
  const outcome = table();
  for (const [expected, key, asc, ascq] of SENSE) {
    for (const a of asc === null ? [0, 0x33, 0x7f] : [asc]) {
      for (const q of ascq === null ? [0, 0x55, 0xfd] : [ascq]) {
        const name = `${key}/${a}/${q}`;
        t.is(outcome(0, 8, 2, fixed(key, a, q)), expected, `fixed ${name}`);
        t.is(
          outcome(0, 8, 2, fixed(0xf0 | key, a, q, 0xf0)),
          expected,
          `fixed, with the other bits of its bytes ${name}`,
        );
        t.is(outcome(0, 8, 2, descriptor(key, a, q)), expected, `descriptor ${name}`);
        t.is(outcome(0, 8, 2, descriptor(0xf0 | key, a, q, 0xf2)), expected, `descriptor, other bits ${name}`);
        t.is(outcome(0, 8, 2, fixed(key, a, q, 0x71)), "RETRY_SOFT", `deferred ${name}`);
        t.is(outcome(0, 8, 2, descriptor(key, a, q, 0x73)), "RETRY_SOFT", `deferred, descriptor ${name}`);
      }
    }
  }
});

test("sense data that is cut short says what it still says, and nonsense nothing", (t) => {
  const outcome = table();
  const gone = fixed(5, 0x25, 0);
  for (const bytes of [0, 1, 2]) t.is(outcome(0, 8, 2, gone.slice(0, bytes)), "RETRY", `fixed, ${bytes} bytes`);
  for (const bytes of [3, 8, 12]) t.is(outcome(0, 8, 2, gone.slice(0, bytes)), "ANSWER", `fixed, ${bytes} bytes`);
  for (const bytes of [13, 14, 18]) t.is(outcome(0, 8, 2, gone.slice(0, bytes)), "GONE", `fixed, ${bytes} bytes`);
  // The additional length counts from byte 8: 5 reach byte 12, 6 byte 13.
  const ends = (additional: number): number[] => fixed(7, 0x27, 0x07).with(7, additional);
  t.is(outcome(0, 8, 2, ends(4)), "PROTECTED");
  t.is(outcome(0, 8, 2, fixed(5, 0x25, 0).with(7, 4)), "ANSWER");
  t.is(outcome(0, 8, 2, fixed(5, 0x25, 0).with(7, 5)), "GONE");
  t.is(outcome(0, 8, 2, ends(5)), "PROTECTED");
  t.is(outcome(0, 8, 2, ends(6)), "SPACE");
  const space = descriptor(7, 0x27, 0x07);
  t.is(outcome(0, 8, 2, space.slice(0, 1)), "RETRY");
  t.is(outcome(0, 8, 2, descriptor(5, 0x25, 0).slice(0, 2)), "ANSWER");
  t.is(outcome(0, 8, 2, descriptor(5, 0x25, 0).slice(0, 3)), "GONE");
  t.is(outcome(0, 8, 2, space.slice(0, 3)), "PROTECTED");
  t.is(outcome(0, 8, 2, space.slice(0, 4)), "SPACE");
  for (const code of [0x00, 0x6f, 0x74, 0x7f]) t.is(outcome(0, 8, 2, fixed(5, 0x25, 0, code)), "RETRY", `code ${code}`);
});
