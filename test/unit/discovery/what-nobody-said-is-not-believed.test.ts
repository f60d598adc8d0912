// Sense data about an earlier command, sense data that are none, and a status beside an error of the driver's own say nothing
// about the command; taken for its answer they would make a refused page one that was read.

import test from "ava";
import { senseOf } from "../../../host/discovery/attentions.ts";
import { believed } from "../../../host/discovery/native-transport.ts";

const result = (...sense: number[]) => ({
  status: 2,
  hostStatus: 0,
  sense: Uint8Array.from(sense),
  data: new Uint8Array(),
});
const NOTHING = { key: 0, asc: 0, ascq: 0 };
const fixed = (code: number): number[] => [code, 0, 6, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x29, 1, 0, 0, 0, 0];

test("sense data of the command itself, in both formats", (t) => {
  t.deepEqual(senseOf(result(...fixed(0x70))), { key: 6, asc: 0x29, ascq: 1 });
  t.deepEqual(senseOf(result(...fixed(0xf0))), { key: 6, asc: 0x29, ascq: 1 });
  t.deepEqual(senseOf(result(0x72, 6, 0x29, 1)), { key: 6, asc: 0x29, ascq: 1 });
});

test("a deferred error is about an earlier command", (t) => {
  t.deepEqual(senseOf(result(...fixed(0x71))), NOTHING);
  t.deepEqual(senseOf(result(0x73, 1, 0x17, 0)), NOTHING);
});

test("what is no sense data says nothing", (t) => {
  for (const code of [0, 1, 0x6f, 0x74, 0x7f]) t.deepEqual(senseOf(result(...fixed(code))), NOTHING);
  t.deepEqual(senseOf(result()), NOTHING);
});

test("bytes behind the additional length are none of it", (t) => {
  const short = fixed(0x70);
  short[7] = 0;
  t.deepEqual(senseOf(result(...short)), { ...NOTHING, key: 6 });
});

test("a status beside an error of the driver's own is one of the host", (t) => {
  const good = { ...result(), status: 0 };
  for (const driverStatus of [0, 8]) t.is(believed({ ...good, driverStatus }).hostStatus, 0);
  for (const driverStatus of [1, 2, 3, 4, 5, 6, 7]) t.is(believed({ ...good, driverStatus }).hostStatus, 7);
  t.is(believed({ ...good, hostStatus: 3, driverStatus: 6 }).hostStatus, 3);
});
