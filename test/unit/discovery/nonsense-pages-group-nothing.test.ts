import test from "ava";
import fc from "fast-check";
import { parseIdentification } from "../../../host/discovery/designators.ts";
import { discover } from "../../../host/discovery/discover.ts";
import { parseSerial, parseStandardInquiry, parseSupportedPages } from "../../../host/discovery/inquiry-data.ts";
import {
  parseBlockLimits,
  parseCaching,
  parseCapacity,
  parseProvisioning,
  parseRotation,
  parseTargetPortGroups,
} from "../../../host/discovery/limits.ts";
import {
  candidate,
  capacity,
  designator,
  disk,
  naa6,
  page83,
  standard,
  transportOf,
  vpd,
  type Answers,
} from "./pages.ts";

const ALL = { devices: "all", exclude: [], budgetMs: 1000 } as const;

/** Identities of a page 0x83, or why there is none. */
function identityOf(page: Uint8Array): string {
  const answer = parseIdentification(page);
  if (!answer.ok) return `nonsense: ${answer.reason}`;
  return answer.value.identity?.text ?? `none: ${answer.value.problems.join("; ")}`;
}

test("NAA is preferred to EUI-64, to a T10 vendor designator, to a SCSI name, in any order", (t) => {
  const naa = designator(3, 0, naa6(1));
  const eui = designator(2, 0, Uint8Array.of(0, 1, 2, 3, 4, 5, 6, 7));
  const name = designator(8, 0, "iqn.2001-04.com.example:lu1", 3);
  const t10 = designator(1, 0, "LIO-ORG lu0:123456");
  t.is(identityOf(page83(t10, name, eui, naa)), "naa.60014005000000000000000000000001");
  t.is(identityOf(page83(naa, eui, name, t10)), "naa.60014005000000000000000000000001");
  t.is(identityOf(page83(t10, name, eui)), "eui.0001020304050607");
  t.is(identityOf(page83(name)), "iqn.2001-04.com.example:lu1");
  t.is(identityOf(page83(t10, name)), "t10.LIO-ORG lu0:123456");
  t.is(identityOf(page83(t10)), "t10.LIO-ORG lu0:123456");
});

test("a registered NAA name is preferred to a locally assigned one", (t) => {
  const local = designator(3, 0, Uint8Array.of(0x33, 3, 3, 3, 3, 3, 3, 3));
  t.is(identityOf(page83(local, designator(3, 0, Uint8Array.of(0x50, 1, 2, 3, 4, 5, 6, 7)))), "naa.5001020304050607");
  t.is(identityOf(page83(local)), "naa.3303030303030303");
});

test("designators of the target port name the port and its group, never the unit", (t) => {
  const answer = parseIdentification(
    page83(
      designator(3, 1, Uint8Array.of(0x50, 1, 2, 3, 4, 5, 6, 7)),
      designator(4, 1, Uint8Array.of(0, 0, 0, 3)),
      designator(5, 1, Uint8Array.of(0, 0, 0, 9)),
    ),
  );
  t.true(answer.ok);
  if (!answer.ok) return;
  t.is(answer.value.identity, null);
  t.is(answer.value.targetPort, "naa.5001020304050607");
  t.is(answer.value.relativeTargetPort, 3);
  t.is(answer.value.targetPortGroup, 9);
});

const NONSENSE: Readonly<Record<string, Uint8Array>> = {
  "another page": vpd(0x80, designator(3, 0, naa6(1))),
  "a page length beyond the data": Uint8Array.of(0, 0x83, 0, 99, ...designator(3, 0, naa6(1))),
  "a designator beyond the page": page83(Uint8Array.of(1, 3, 0, 16, 0x60, 1)),
  "a page that ends within a designator's header": page83(Uint8Array.of(1, 3)),
  "no bytes at all": new Uint8Array(0),
};
for (const [title, page] of Object.entries(NONSENSE)) {
  test(`the whole page 0x83 is refused with a reason: ${title}`, (t) => {
    t.regex(identityOf(page), /^nonsense: .+/);
  });
}

const WEAK: Readonly<Record<string, Uint8Array>> = {
  "a designator of no bytes": designator(3, 0, new Uint8Array(0)),
  "an NAA name of zeroes": designator(3, 0, new Uint8Array(16)),
  "an NAA name of nothing but its type": designator(3, 0, Uint8Array.of(0x60, ...new Uint8Array(15))),
  "an NAA name of the wrong length": designator(3, 0, Uint8Array.of(0x60, 1, 2, 3, 4, 5, 6, 7)),
  "an NAA name of an unknown kind": designator(3, 0, Uint8Array.of(0x90, 1, 2, 3, 4, 5, 6, 7)),
  "an EUI-64 of five bytes": designator(2, 0, Uint8Array.of(1, 2, 3, 4, 5)),
  "an EUI-64 of ones": designator(2, 0, new Uint8Array(8).fill(255)),
  "a T10 designator with only the vendor": designator(1, 0, "LIO-ORG "),
  "a T10 designator with spaces behind the vendor": designator(1, 0, "LIO-ORG         "),
  "a SCSI name that is none": designator(8, 0, "hello world", 3),
};
for (const [title, weak] of Object.entries(WEAK)) {
  test(`one designator is left out with a reason, the next counts: ${title}`, (t) => {
    t.regex(identityOf(page83(weak)), /^none: .+/);
    t.is(identityOf(page83(weak, designator(1, 0, "V       x"))), "t10.V       x");
  });
}

for (const [title, serial] of Object.entries({
  zeroes: new Uint8Array(8),
  "the digit 0": Buffer.from("00000000"),
  spaces: Buffer.from("        "),
  nothing: new Uint8Array(0),
})) {
  test(`a serial number of ${title} identifies nobody`, async (t) => {
    const blank: Answers = { ...disk(1), "0x80": vpd(0x80, serial), "0x83": page83() };
    const found = await discover(
      transportOf({ a: blank, b: blank }),
      [candidate("a", "1:0:0:0"), candidate("b", "2:0:0:0")],
      ALL,
    );
    t.deepEqual(found.paths, []);
    t.is(found.refusals.length, 2);
    t.true(found.refusals[0]?.reason.startsWith("nothing identifies it"));
  });
}

test("without page 0x83 the serial number groups, together with vendor and product", async (t) => {
  const pages = vpd(0, Uint8Array.of(0x00, 0x80));
  const transport = transportOf({
    a: disk(1, { "0x0": pages }),
    b: disk(1, { "0x0": pages }),
    c: disk(1, { "0x0": pages, inquiry: standard("OTHER", "lu0") }),
  });
  const found = await discover(
    transport,
    ["a", "b", "c"].map((name, i) => candidate(name, `${i}:0:0:0`)),
    ALL,
  );
  t.deepEqual(
    found.paths.map((path) => path.probe.identity.text),
    ["serial.LIO-ORG:lu0:serial1", "serial.LIO-ORG:lu0:serial1", "serial.OTHER:lu0:serial1"],
  );
});

for (const [title, other] of Object.entries({
  "another product": disk(1, { inquiry: standard("LIO-ORG", "lu1") }),
  "another block size": disk(1, { capacity: capacity(2048, 4096) }),
})) {
  test(`one identity but ${title}: the second is refused with the reason, never grouped`, async (t) => {
    const transport = transportOf({ a: disk(1), b: other });
    const found = await discover(transport, [candidate("a", "1:0:0:0"), candidate("b", "2:0:0:0")], ALL);
    t.deepEqual(
      found.paths.map(({ device }) => device),
      ["a"],
    );
    t.is(found.refusals[0]?.device, "b");
    t.regex(found.refusals[0]?.reason ?? "", /of 1:0:0:0, but/);
  });
}

test("a unit that grows may show its size on one path earlier: both are its paths, each with what it says", async (t) => {
  const transport = transportOf({ a: disk(1), b: disk(1, { capacity: capacity(4096) }) });
  const found = await discover(transport, [candidate("a", "1:0:0:0"), candidate("b", "2:0:0:0")], ALL);
  t.deepEqual(
    found.paths.map(({ probe }) => probe.capacity?.blocks),
    [2048n, 4096n],
  );
});

const BY_SERIAL = { "0x0": vpd(0, Uint8Array.of(0x00, 0x80)) };

test("of two devices with one serial number and two sizes the one that is ours stays, whatever its number", async (t) => {
  const transport = transportOf({
    a: disk(1, { ...BY_SERIAL, capacity: capacity(4096) }),
    b: disk(1, BY_SERIAL),
  });
  const candidates = [candidate("a", "1:0:0:0"), candidate("b", "2:0:0:0")];
  const found = await discover(transport, candidates, { ...ALL, ours: new Set(["2:0:0:0"]) });
  t.deepEqual(
    found.paths.map(({ device }) => device),
    ["b"],
  );
  t.like(found.refusals, [{ device: "a", isOther: true }]);
});

test("two paths that are ours both may differ in size while the unit grows, also where only a serial number names it", async (t) => {
  const transport = transportOf({
    a: disk(1, { ...BY_SERIAL, capacity: capacity(4096) }),
    b: disk(1, BY_SERIAL),
  });
  const candidates = [candidate("a", "1:0:0:0"), candidate("b", "2:0:0:0")];
  const found = await discover(transport, candidates, { ...ALL, ours: new Set(["1:0:0:0", "2:0:0:0"]) });
  t.is(found.paths.length, 2);
});

test("a device that hangs holds up no other, and is refused with the reason", async (t) => {
  const devices = Object.fromEntries(
    Array.from({ length: 64 }, (_, i) => [`d${i}`, i % 2 === 0 ? disk(i) : ("hang" as const)]),
  );
  const names = Object.keys(devices);
  const found = await discover(
    transportOf(devices),
    names.map((name, i) => candidate(name, `${i}:0:0:0`)),
    {
      ...ALL,
      budgetMs: 1500,
    },
  );
  t.is(found.paths.length, 32);
  t.is(found.refusals.length, 32);
  t.true(found.refusals.every(({ reason }) => reason.includes("no answer within")));
});

test("what is not a disk, or is not connected, is refused with the reason", async (t) => {
  const transport = transportOf({
    tape: disk(1, { inquiry: standard("V", "P", { type: 1 }) }),
    none: disk(2, { inquiry: standard("V", "P", { type: 0x7f }) }),
    short: disk(3, { inquiry: Uint8Array.of(0, 0, 5) }),
  });
  const found = await discover(
    transport,
    ["tape", "none", "short"].map((name, i) => candidate(name, `${i}:0:0:0`)),
    ALL,
  );
  t.deepEqual(found.paths, []);
  t.regex(found.refusals[0]?.reason ?? "", /not a disk/);
  t.regex(found.refusals[1]?.reason ?? "", /no logical unit/);
  t.regex(found.refusals[2]?.reason ?? "", /3 bytes/);
});

test("a path that cannot tell its capacity is a path of the unit that its identity names", async (t) => {
  const { capacity: _, ...standby } = disk(1);
  const transport = transportOf({ a: standby, b: disk(1) });
  const found = await discover(transport, [candidate("a", "1:0:0:0"), candidate("b", "2:0:0:0")], ALL);
  t.deepEqual(
    found.paths.map(({ probe }) => probe.capacity?.blocks),
    [undefined, 2048n],
  );
});

test("a page 0x83 longer than 252 bytes is asked for again as a whole", async (t) => {
  const long = page83(
    ...Array.from({ length: 20 }, (_, i) => designator(8, 1, `iqn.2001-04.com.example:port${i}`, 3)),
    designator(3, 0, naa6(7)),
  );
  const found = await discover(transportOf({ a: disk(1, { "0x83": long }) }), [candidate("a", "1:0:0:0")], ALL);
  t.is(found.paths[0]?.probe.identity.text, "naa.60014005000000000000000000000007");
});

test("no bytes make a parser throw", (t) => {
  const parsers = [
    parseStandardInquiry,
    parseSupportedPages,
    parseSerial,
    parseIdentification,
    parseCapacity,
    parseBlockLimits,
    parseRotation,
    parseProvisioning,
    parseCaching,
    parseTargetPortGroups,
  ];
  const head = fc.constantFrom(0, 0x80, 0x83, 0xb0, 0xb1, 0xb2);
  t.notThrows(() =>
    fc.assert(
      fc.property(head, fc.uint8Array({ maxLength: 300 }), (page, bytes) => {
        if (bytes.length > 1) bytes[1] = page;
        for (const parse of parsers) {
          const answer = parse(bytes);
          if (!answer.ok && answer.reason === "") return false;
        }
        return true;
      }),
      { numRuns: 5000 },
    ),
  );
});
