// READ CAPACITY(10) where a device knows no (16), and only there: it tells the size, and nothing of thin provisioning.

import test from "ava";
import { capabilitiesOf } from "../../../host/control/inventory/unit-facts.ts";
import { discover } from "../../../host/discovery/discover.ts";
import * as abi from "../../../host/abi.ts";
import { candidate, capacity, checked, disk, ended, transportOf, vpd, type Answers, type Step } from "./pages.ts";

const ALL = { devices: "all", exclude: [], budgetMs: 5000 } as const;

function shortCapacity(last: number, blockBytes = 512): Uint8Array {
  const data = Buffer.alloc(8);
  data.writeUInt32BE(last, 0);
  data.writeUInt32BE(blockBytes, 4);
  return data;
}

const UNKNOWN = checked(5, 0x20, 0);
const NOT_READY = checked(2, 4, 0x0b);

async function probed(answers: Answers) {
  const { paths } = await discover(transportOf({ a: disk(1, answers) }), [candidate("a", "1:0:0:0")], ALL);
  return paths[0]?.probe;
}

for (const [what, refusal] of [
  ["operation code", UNKNOWN],
  ["service action", checked(5, 0x24, 0)],
] as const) {
  test(`a device that refuses READ CAPACITY(16) (${what}) is as large as (10) says`, async (t) => {
    const probe = await probed({ capacity: refusal, capacity10: shortCapacity(4095, 4096) });
    t.deepEqual(probe?.capacity, { blocks: 4096n, blockBytes: 4096, provisioned: false, unmappedReadsZero: false });
    t.deepEqual(probe?.problems, [], "nothing is amiss");
  });
}

test("the last block that (10) can name is told, the one beyond means that only (16) knows", async (t) => {
  const largest = await probed({ capacity: UNKNOWN, capacity10: shortCapacity(0xfffffffe) });
  t.is(largest?.capacity?.blocks, 0xffffffffn);
  const beyond = await probed({ capacity: UNKNOWN, capacity10: shortCapacity(0xffffffff) });
  t.is(beyond?.capacity, null);
  t.regex(beyond?.problems.join() ?? "", /too large for it; the device has to know READ CAPACITY\(16\)/);
});

const passing: readonly (readonly [string, Step])[] = [
  ["a refusal that does not persist", UNKNOWN],
  ["BUSY", ended(8)],
  ["an aborted command", checked(0x0b, 0x4b, 3)],
];
for (const [what, step] of passing) {
  test(`${what} is no reason to ask (10), which would lose what the device says of thin provisioning`, async (t) => {
    const thin = capacity(2048);
    thin[14] = 0xc0;
    const probe = await probed({
      capacity: [step, thin],
      capacity10: shortCapacity(2047),
      "0x0": vpd(0, Uint8Array.of(0x00, 0x80, 0x83, 0xb2)),
      "0xb2": vpd(0xb2, Uint8Array.of(0, 0xe4, 2, 0)),
    });
    t.true(probe?.capacity?.provisioned);
    t.truthy(probe !== undefined && capabilitiesOf(probe, 0) & abi.UNIT_CAN_UNMAP);
  });
}

test("a path in standby, which tells no size, is not asked for it in another way", async (t) => {
  const probe = await probed({ capacity: NOT_READY, capacity10: shortCapacity(2047) });
  t.is(probe?.capacity, null);
});

test("READ CAPACITY(10) that makes no sense leaves the size unknown, with the reason", async (t) => {
  for (const nonsense of [shortCapacity(2047, 520), Uint8Array.of(0, 0, 7)]) {
    const probe = await probed({ capacity: UNKNOWN, capacity10: nonsense });
    t.is(probe?.capacity, null);
    t.regex(probe?.problems.join() ?? "", /blocks of 520 bytes|has 3 bytes, 8 are needed/);
  }
});
