// "The device has no such page" and "it could not be read now" are different answers: only the first lets another page say
// who the unit is.

import test from "ava";
import { discover, type Found } from "../../../host/discovery/discover.ts";
import {
  candidate,
  capacity,
  checked,
  designator,
  disk,
  ended,
  naa6,
  page83,
  standard,
  transportOf,
  vpd,
  type Answers,
  type Step,
} from "./pages.ts";

const ALL = { devices: "all", exclude: [], budgetMs: 5000 } as const;
const NOTHING = new Uint8Array(0);

async function found(devices: Readonly<Record<string, Answers>>): Promise<Found> {
  const names = Object.keys(devices);
  return discover(
    transportOf(devices),
    names.map((name, i) => candidate(name, `${i}:0:0:0`)),
    ALL,
  );
}

const identities = (result: Found): string[] => result.paths.map(({ probe }) => probe.identity.text);

/** Outcomes after which the same command may well succeed. */
const TRANSIENT: Readonly<Record<string, Step>> = {
  "ABORTED COMMAND, 0B/4B/03": checked(0x0b, 0x4b, 3),
  BUSY: ended(8),
  "TASK SET FULL": ended(0x28),
  "ACA ACTIVE": ended(0x30),
  "TASK ABORTED": ended(0x40),
  "NOT READY, 02/04/0A": checked(2, 4, 0x0a),
  "HARDWARE ERROR, 04/44/00": checked(4, 0x44, 0),
  "GOOD without data": NOTHING,
  "GOOD with half a header": Uint8Array.of(0, 0x83),
  DID_ERROR: ended(0, 7),
  DID_REQUEUE: ended(0, 0x0d),
  "CHECK CONDITION without sense data": ended(2),
};

const PAGES: Readonly<Record<string, string>> = {
  INQUIRY: "inquiry",
  "page 00": "0x0",
  "page 83": "0x83",
  "page 80": "0x80",
};

for (const [page, key] of Object.entries(PAGES)) {
  for (const [title, step] of Object.entries(TRANSIENT)) {
    test(`${page} answered once with ${title}: it is asked again, and the path is what it is`, async (t) => {
      const whole = disk(1)[key] as Uint8Array;
      const result = await found({ a: disk(1), b: disk(1, { [key]: [step, whole] }) });
      t.deepEqual(result.refusals, []);
      t.deepEqual(identities(result), Array(2).fill("naa.60014005000000000000000000000001"));
      t.deepEqual(
        result.paths.map(({ probe }) => probe.serial),
        ["serial1", "serial1"],
      );
    });
  }
}

for (const [title, step] of Object.entries(TRANSIENT)) {
  test(`page 83 answers ${title} each time: the path is refused for now, with the reason`, async (t) => {
    const result = await found({ a: disk(1), b: disk(1, { "0x83": step }) });
    t.deepEqual(identities(result), ["naa.60014005000000000000000000000001"]);
    t.is(result.refusals.length, 1);
    const [refusal] = result.refusals;
    t.true(refusal?.isForNow);
    t.regex(refusal?.reason ?? "", /cannot be read now.*VPD page 0x83.*asked again/);
  });
}

test("units that share a serial number stay two when their page 83 cannot be read", async (t) => {
  const same = { "0x80": vpd(0x80, Buffer.from("0000")), inquiry: standard("3PARdata", "VV") };
  const one = disk(1, { ...same, "0x80": vpd(0x80, Buffer.from("SAME")), "0x83": checked(0x0b, 0x4b, 3) });
  const other = disk(2, { ...same, "0x80": vpd(0x80, Buffer.from("SAME")), "0x83": checked(0x0b, 0x4b, 3) });
  const result = await found({ one, other });
  t.deepEqual(result.paths, []);
  t.is(result.refusals.length, 2);
});

test("a serial number that cannot be read identifies nobody for now", async (t) => {
  const old = { "0x0": vpd(0, Uint8Array.of(0, 0x80)), "0x80": ended(8) };
  const result = await found({ a: disk(1, old) });
  t.true(result.refusals[0]?.isForNow);
  t.regex(result.refusals[0]?.reason ?? "", /VPD page 0x80/);
});

test("a page 80 that cannot be read takes no path from a unit that page 83 names", async (t) => {
  const result = await found({ a: disk(1), b: disk(1, { "0x80": ended(8) }) });
  t.is(identities(result).length, 2);
});

for (const [title, illegal] of Object.entries({ "05/24": checked(5, 0x24, 0), "05/20": checked(5, 0x20, 0) })) {
  test(`page 83 refused with ${title} each time: the device has none, and its serial number says who it is`, async (t) => {
    const result = await found({ a: disk(1, { "0x83": illegal }) });
    t.deepEqual(identities(result), ["serial.LIO-ORG:lu0:serial1"]);
  });

  test(`page 83 refused with ${title} once: it is asked again`, async (t) => {
    const result = await found({ a: disk(1, { "0x83": [illegal, page83(designator(3, 0, naa6(1)))] }) });
    t.deepEqual(identities(result), ["naa.60014005000000000000000000000001"]);
  });
}

test("a path without page 83 is not a unit of its own when another path shows the same serial number with page 83", async (t) => {
  const result = await found({ a: disk(1), b: disk(1, { "0x83": checked(5, 0x24, 0) }) });
  t.deepEqual(identities(result), ["naa.60014005000000000000000000000001"]);
  t.true(result.refusals[0]?.isForNow);
  t.regex(result.refusals[0]?.reason ?? "", /serial1.*0:0:0:0.*page 0x83/);
});

test("recovered error is an answer: its data counts", async (t) => {
  const data = disk(1)["0x83"] as Uint8Array;
  const result = await found({ a: disk(1, { "0x83": checked(1, 0x17, 1, data) }) });
  t.deepEqual(identities(result), ["naa.60014005000000000000000000000001"]);
});

test("what is no disk is not asked again and again", async (t) => {
  const result = await found({ a: disk(1, { inquiry: [standard("V", "P", { type: 1 }), standard("V", "P")] }) });
  t.regex(result.refusals[0]?.reason ?? "", /not a disk/);
  t.falsy(result.refusals[0]?.isForNow);
});

test("a capacity that is not told for a moment is asked for again", async (t) => {
  const result = await found({ a: disk(1, { capacity: [ended(8), checked(0x0b, 0x4b, 3), capacity(2048)] }) });
  t.is(result.paths[0]?.probe.capacity?.blocks, 2048n);
});
