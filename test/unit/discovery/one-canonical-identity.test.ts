// Who a unit is has one form. What is different stays different in it, what is the same is the same.

import test from "ava";
import { parseIdentification } from "../../../host/discovery/designators.ts";
import { discover, type Found } from "../../../host/discovery/discover.ts";
import type { UnitIdentity } from "../../../host/discovery/canonical-identity.ts";
import { candidate, designator, disk, naa6, page83, standard, transportOf, vpd, type Answers } from "./pages.ts";

const ALL = { devices: "all", exclude: [], budgetMs: 5000 } as const;
const hex = (digits: string): Uint8Array => Buffer.from(digits, "hex");
const identityOf = (page: Uint8Array): UnitIdentity | null => {
  const answer = parseIdentification(page);
  return answer.ok ? answer.value.identity : null;
};
const problemsOf = (page: Uint8Array): readonly string[] => {
  const answer = parseIdentification(page);
  return answer.ok ? answer.value.problems : [answer.reason];
};

async function found(...devices: Answers[]): Promise<Found> {
  const named = Object.fromEntries(devices.map((device, i) => [`d${i}`, device]));
  return discover(
    transportOf(named),
    devices.map((_, i) => candidate(`d${i}`, `${i}:0:0:0`)),
    ALL,
  );
}

const texts = ({ paths }: Found): string[] => paths.map(({ probe }) => probe.identity.text);

const bySerial = (serial: Uint8Array, more: Answers = {}): Answers =>
  disk(1, { "0x0": vpd(0, Uint8Array.of(0, 0x80)), "0x80": vpd(0x80, serial), ...more });

for (const [title, serials, expected] of [
  ["bytes that are no text", [hex("810141423132"), hex("810241423132")], ["0x810141423132", "0x810241423132"]],
  ["a zero within", [Buffer.from("LUN\0A001"), Buffer.from("LUN\0B002")], ["0x4c554e0041303031", "0x4c554e0042303032"]],
  ["letters beyond ASCII", [Buffer.from("DISK-ä"), Buffer.from("DISK-ö")], ["0x4449534b2dc3a4", "0x4449534b2dc3b6"]],
  ["text that looks like digits", [Buffer.from("0x4142"), hex("4142")], ["0x307834313432", "AB"]],
] as const) {
  test(`serial numbers stay different: ${title}`, async (t) => {
    const result = await found(...serials.map((serial) => bySerial(serial)));
    t.deepEqual(
      texts(result),
      expected.map((text) => `serial.LIO-ORG:lu0:${text}`),
    );
    t.deepEqual(
      result.paths.map(({ probe }) => probe.serial),
      [...expected],
    );
  });
}

test("padding around a serial number is none of it", async (t) => {
  const serials = ["SN 17", "   SN 17", "SN 17   ", "SN 17\0\0"].map((text) => bySerial(Buffer.from(text)));
  t.deepEqual([...new Set(texts(await found(...serials)))], ["serial.LIO-ORG:lu0:SN 17"]);
});

function ofVendor(vendor: string): Uint8Array {
  const data = Buffer.from(standard("", "P"));
  data.write(vendor, 8, "latin1");
  return data;
}

test("vendor and product are kept apart, and are what they are", async (t) => {
  const serial = Buffer.from("1");
  const result = await found(
    bySerial(serial, { inquiry: standard("A:B", "C") }),
    bySerial(serial, { inquiry: standard("A", "B:C") }),
    bySerial(serial, { inquiry: ofVendor("V\xe4") }),
    bySerial(serial, { inquiry: ofVendor("V\xf6") }),
  );
  t.is(new Set(texts(result)).size, 4);
});

for (const [title, weak] of Object.entries({
  "EUI-64": designator(2, 0, hex("8ce38e0000000000")),
  "EUI-64 with a directory": designator(2, 0, hex("8ce38e000000000000000000")),
  "EUI-64 with an extension": designator(2, 0, hex("00000000000000008ce38e0000000000")),
  "EUI-64 of ones": designator(2, 0, hex("8ce38effffffffff")),
  "NAA 6": designator(3, 0, hex("60014050000000000000000000000000")),
  "NAA 5": designator(3, 0, hex("5001405000000000")),
  "NAA 2": designator(3, 0, hex("2000001405000000")),
})) {
  test(`a company and nothing else is no unit: ${title}`, async (t) => {
    t.is(identityOf(page83(weak)), null);
    t.regex(problemsOf(page83(weak))[0] ?? "", /names a company and no unit/);
    const result = await found(disk(1, { "0x0": vpd(0, Uint8Array.of(0, 0x83)), "0x83": page83(weak) }));
    t.regex(result.refusals[0]?.reason ?? "", /names a company and no unit/);
    t.is(identityOf(page83(weak, designator(1, 0, "V       x")))?.text, "t10.V       x");
  });
}

const UUID = hex("10006ba7b8109dad11d180b400c04fd430c8");
const NAMES: readonly (readonly [string, Uint8Array, string])[] = [
  ["NAA 6", designator(3, 0, naa6(1)), "naa.60014005000000000000000000000001"],
  ["NAA 5", designator(3, 0, hex("5001405abc000001")), "naa.5001405abc000001"],
  ["NAA 2", designator(3, 0, hex("2001001405000001")), "naa.2001001405000001"],
  ["EUI-64", designator(2, 0, hex("0014050000000001")), "eui.0014050000000001"],
  ["UUID", designator(10, 0, UUID), "uuid.6ba7b810-9dad-11d1-80b4-00c04fd430c8"],
  ["T10", designator(1, 0, "LIO-ORG lu0:1"), "t10.LIO-ORG lu0:1"],
  ["NAA 3, locally assigned", designator(3, 0, hex("3303030303030303")), "naa.3303030303030303"],
  ["a SCSI name", designator(8, 0, "iqn.2001-04.com.example:lu1\0\0\0\0\0", 3), "iqn.2001-04.com.example:lu1"],
];
for (const [index, [title, better, text]] of NAMES.entries()) {
  test(`${title} is who the unit is, whatever weaker names stand beside it, in any order`, (t) => {
    const weaker = NAMES.slice(index + 1).map(([, one]) => one);
    t.is(identityOf(page83(better, ...weaker))?.text, text);
    t.is(identityOf(page83(...weaker, better))?.text, text);
  });
}

for (const [title, none] of Object.entries({
  "of another UUID type": Uint8Array.of(0x20, ...UUID.subarray(1)),
  nil: hex(`1000${"00".repeat(16)}`),
  "of 16 bytes": UUID.subarray(2),
})) {
  test(`a UUID designator ${title} names nobody`, (t) => {
    t.is(identityOf(page83(designator(10, 0, none))), null);
    t.is(problemsOf(page83(designator(10, 0, none))).length, 1);
  });
}

test("trailing blanks in a T10 designator, and its code set, are none of it", async (t) => {
  const names = [
    designator(1, 0, "LIO-ORG lu0:1"),
    designator(1, 0, "LIO-ORG lu0:1   "),
    designator(1, 0, "LIO-ORG lu0:1\0\0"),
    designator(1, 0, "LIO-ORG lu0:1", 3),
    designator(1, 0, "LIO-ORG lu0:1", 1),
  ];
  const result = await found(...names.map((name) => disk(1, { "0x83": page83(name) })));
  t.deepEqual([...new Set(texts(result))], ["t10.LIO-ORG lu0:1"]);
});

test("a SCSI name that spells an NAA name is told apart from the NAA name", (t) => {
  const spelled = identityOf(page83(designator(8, 0, "naa.60014005000000000000000000000001\0\0\0\0", 3)));
  t.is(spelled?.text, "name.naa.60014005000000000000000000000001");
});

test("where page 83 names the unit for the whole world, serial numbers that differ by controller do not part its paths", async (t) => {
  const other = vpd(0x80, Buffer.from("controller B"));
  t.is((await found(disk(1), disk(1, { "0x80": other }))).paths.length, 2);
  const t10 = page83(designator(1, 0, "LIO-ORG lu0:1"));
  const result = await found(disk(1, { "0x83": t10 }), disk(1, { "0x83": t10, "0x80": other }));
  t.is(result.paths.length, 1);
  t.regex(result.refusals[0]?.reason ?? "", /serial number controller B, not serial1/);
});
