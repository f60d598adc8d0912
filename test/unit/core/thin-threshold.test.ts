// A thin unit whose room runs out says so twice: early, by a unit attention that no client may feel (06/38/07, told once to each
// nexus), and at the end, by refusing a write (07/27/07), which the client has to hear.
import test from "ava";
import * as abi from "../../../host/abi.ts";
import { READ, WRITE, WRITE_ZEROES, replies, request } from "./fixtures/nbd-client.ts";
import { TUR, scene } from "./fixtures/scene.ts";
import { check } from "./fixtures/scsi.ts";
import type { Answer } from "./fixtures/scsi.ts";

const ENOSPC = 28;
const IO = new Set([0x88, 0x8a, 0x93]);
const fixed = check(6, 0x38, 7);
const descriptor: Answer = { status: 2, sense: [0x72, 6, 0x38, 7, 0, 0, 0, 0] };

function told(s: ReturnType<typeof scene>) {
  return s.host.events
    .filter((event) => event.kind === abi.EVENT_THIN_THRESHOLD)
    .map(({ unit, path, reason }) => ({ unit, path, reason }));
}

for (const [name, answer] of [
  ["fixed", fixed],
  ["descriptor", descriptor],
] as const) {
  for (const kind of [READ, WRITE]) {
    const what = `the soft threshold told to a ${kind === READ ? "READ" : "WRITE"}, ${name} format`;
    test(`${what}: an event, and the client gets its answer over the same path`, (t) => {
      const s = scene();
      s.host.must(s.host.core.unitSet(s.unit, abi.UNIT_SET_POLICY, BigInt(abi.POLICY_STATIC)));
      let left = 1;
      s.faults.set(0, ({ cdb }) => (IO.has(cdb[0] ?? 0) && left-- > 0 ? answer : undefined));
      const client = s.host.connect(s.unit);
      client.send(request(kind, 1n, 0n, 512), Buffer.alloc(kind === WRITE ? 512 : 0));
      s.host.advance(1);
      t.is(replies(client.received, new Map([[1n, 512]]))[0]?.error, 0);
      t.deepEqual(told(s), [{ unit: s.unit, path: s.paths[0] ?? -1, reason: abi.REASON_IO }]);
      t.deepEqual(
        s.seen.filter(({ operation }) => IO.has(operation)).map(({ port }) => port),
        [0, 0],
      );
      t.is(s.host.flags(s.paths[0] ?? -1) & (abi.PATH_FLAG_FAILED | abi.PATH_FLAG_UNVERIFIED), 0);
    });
  }
}

test("the soft threshold told to a check: an event, and the path stays as good as it was", (t) => {
  const s = scene();
  let left = 1;
  s.faults.set(1, ({ cdb }) => (cdb[0] === TUR && left-- > 0 ? fixed : undefined));
  s.host.advance(120_000);
  t.deepEqual(told(s), [{ unit: s.unit, path: s.paths[1] ?? -1, reason: abi.REASON_PATROL }]);
  t.is(s.host.flags(s.paths[1] ?? -1) & (abi.PATH_FLAG_FAILED | abi.PATH_FLAG_UNVERIFIED), 0);
});

test("no room left is the device's answer to writes and zeroing: ENOSPC, asked once, and no event of the threshold", (t) => {
  for (const kind of [WRITE, WRITE_ZEROES]) {
    const s = scene(undefined, 2, abi.UNIT_CAN_WRITE_SAME);
    for (const port of [0, 1])
      s.faults.set(port, ({ cdb }) => ([0x8a, 0x93].includes(cdb[0] ?? 0) ? check(7, 0x27, 7) : undefined));
    const client = s.host.connect(s.unit);
    client.send(request(kind, 1n, 0n, 4096), Buffer.alloc(kind === WRITE ? 4096 : 0));
    s.host.advance(1000);
    t.is(replies(client.received, new Map())[0]?.error, ENOSPC);
    t.is(s.seen.filter(({ operation }) => operation === 0x8a || operation === 0x93).length, 1);
    t.deepEqual(told(s), []);
    t.is(s.host.flags(s.paths[0] ?? -1) & abi.PATH_FLAG_FAILED, 0);
  }
});
