// Whatever clients send and devices answer: the model holds, nothing leaks, nobody else is harmed.
import test from "ava";
import fc from "fast-check";
import * as abi from "../../../host/abi.ts";
import { Disk } from "./fixtures/disk.ts";
import { Host } from "./fixtures/harness.ts";
import type { Reply } from "./fixtures/nbd-client.ts";
import { FLUSH, READ, TRIM, WRITE, WRITE_ZEROES, replies, request } from "./fixtures/nbd-client.ts";
import { check } from "./fixtures/scsi.ts";
import type { Answer, Scsi } from "./fixtures/scsi.ts";

const LIMITS = { requests: 24, commands: 8, pool: 32 << 20, connections: 4 };
const MEDIA = 1 << 18;

function isClean(host: Host): boolean {
  return host.core.inspect(0) === 24 && host.core.inspect(1) === 8 && host.core.inspect(2) === 32 << 20;
}

/** A host that is built once for many runs of a property: laying memory out costs more than a run. */
function shared(): { host: Host; unit: number; disk: Disk } {
  const host = new Host(LIMITS);
  const disk = new Disk(MEDIA);
  const all = abi.UNIT_CAN_UNMAP | abi.UNIT_CAN_WRITE_SAME | abi.UNIT_CAN_CACHE_WRITES;
  const { unit } = host.unit({ blocks: BigInt(MEDIA / 512), capabilities: all, depth: 3 });
  return { host, unit, disk };
}

const header = fc
  .tuple(
    fc.oneof({ weight: 9, arbitrary: fc.constant(0x25609513) }, { weight: 1, arbitrary: fc.nat() }),
    fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat(0xffff) }),
    fc.nat(9),
    fc.oneof(fc.nat(1 << 20), fc.nat()),
    fc.oneof(fc.nat(1 << 17), fc.nat()),
  )
  .map(([magic, flags, kind, offset, length]) => {
    const bytes = request(kind, 1n, BigInt(offset) & ~511n, length & ~511, flags);
    bytes.writeUInt32BE(magic, 0);
    return bytes;
  });
const garbage = fc.array(
  fc.oneof(
    header,
    fc.uint8Array({ maxLength: 100 }),
    fc.tuple(fc.nat(70_000), fc.nat(255)).map(([length, value]) => Buffer.alloc(length, value)),
  ),
  { maxLength: 12 },
);

test("10,000 random byte streams: other clients are served, nothing is left behind", (t) => {
  const { host, unit, disk } = shared();
  host.device = (command) => disk.execute(host, command);
  const good = host.connect(unit);
  let cookie = 0n;
  t.notThrows(() =>
    fc.assert(
      fc.property(garbage, fc.nat(3), (parts, flags) => {
        const bad = host.connect(unit, flags);
        for (const part of parts) {
          if (bad.closed) break;
          bad.send(part);
          host.turn();
        }
        cookie++;
        good.send(request(READ, cookie, 0n, 512));
        host.settle();
        const [reply] = replies(good.received, new Map([[cookie, 512]]));
        if (reply?.cookie !== cookie || reply.error !== 0) return false;
        bad.ended = true;
        host.settle();
        host.clients.delete(bad.socket);
        return bad.closed && isClean(host) && host.unitField(unit, abi.UNIT_CONNECTIONS) === 1;
      }),
      { numRuns: 10_000 },
    ),
  );
});

interface Step {
  readonly kind: number;
  readonly at: number;
  readonly blocks: number;
  readonly client: number;
  /** Bytes that the third client's request, which need not be aligned, begins behind and ends before that. */
  readonly cut: readonly [number, number];
}

const step: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom(READ, READ, WRITE, WRITE, FLUSH, TRIM, WRITE_ZEROES),
  at: fc.nat(255),
  blocks: fc.integer({ min: 1, max: 200 }),
  client: fc.nat(2),
  cut: fc.tuple(fc.nat(600), fc.nat(600)),
});
const faults: Answer[] = [
  {},
  {},
  {},
  {},
  { hostStatus: 7 },
  { status: 8 },
  { status: 0x28 },
  check(6, 0x29, 0),
  check(0x0b, 0, 0),
  { residual: 512 },
  { hostStatus: 0x0d },
];
/** What the device does with the command that comes: how it answers, how much later, and whether failed commands reach the medium. */
const weather = fc.record({
  answers: fc.array(fc.nat(faults.length - 1), { minLength: 1 }),
  hold: fc.nat(4),
  partly: fc.boolean(),
});

function rangeOf(s: Step): { start: number; bytes: number } {
  if (s.kind === FLUSH) return { start: 0, bytes: 0 };
  const [behind, before] = s.client === 2 ? s.cut : [0, 0];
  return { start: s.at * 512 + behind, bytes: Math.max(0, s.blocks * 512 - behind - before) };
}

/** One run: requests go out a few at a time so that no two in flight overlap; each reply is compared with the model. */
function agrees(steps: readonly Step[], sky: { answers: number[]; hold: number; partly: boolean }): boolean {
  const { host, unit, disk } = sharedModel;
  const model = Buffer.from(disk.media);
  let turn = 0;
  host.device = () => undefined;
  const carryOut = (command: Scsi): void => {
    const answer = faults[sky.answers[turn++ % sky.answers.length] ?? 0] ?? {};
    // Never more than two bad answers in a row: an I/O that nothing cures is rightly answered with EIO.
    const good = Object.keys(answer).length === 0 || turn % 3 === 0;
    if (good) host.answer(command, disk.execute(host, command));
    else {
      if (sky.partly && command.cdb[0] !== 0x88) disk.execute(host, command);
      host.answer(command, answer);
    }
  };
  const clients = [
    host.connect(unit),
    host.connect(unit, abi.CONNECTION_STRUCTURED | abi.CONNECTION_TRIM),
    host.connect(unit, abi.CONNECTION_UNALIGNED | abi.CONNECTION_TRIM),
  ];
  const found = new Map<bigint, Reply>();
  const lengths = new Map(steps.map((s, i) => [BigInt(i), s.kind === READ ? rangeOf(s).bytes : 0]));
  const expected = new Map<bigint, Buffer>();
  for (let i = 0; i < steps.length; i++) {
    const s = steps[i];
    if (s === undefined) return false;
    const { start, bytes } = rangeOf(s);
    const data = Buffer.alloc(bytes, i + 1);
    clients[s.client]?.send(
      request(s.kind, BigInt(i), BigInt(start), bytes),
      s.kind === WRITE ? data : Buffer.alloc(0),
    );
    if (s.kind === WRITE) data.copy(model, start);
    else if (s.kind === WRITE_ZEROES) model.fill(0, start, start + bytes);
    else if (s.kind === TRIM) model.fill(0, Math.ceil(start / 512) * 512, Math.floor((start + bytes) / 512) * 512);
    else if (s.kind === READ) expected.set(BigInt(i), Buffer.from(model.subarray(start, start + bytes)));
    for (let k = 0; k < 3000 && !found.has(BigInt(i)); k++) {
      host.settle();
      const late = host.outstanding[Math.min(sky.hold, host.outstanding.length - 1)];
      if (late !== undefined) carryOut(late);
      else host.advance(5);
      for (const client of clients)
        for (const reply of replies(client.received, lengths)) found.set(reply.cookie, reply);
    }
    if (found.get(BigInt(i))?.error !== 0) return false;
  }
  for (const [cookie, data] of expected) if (found.get(cookie)?.data.equals(data) !== true) return false;
  for (const client of clients) client.ended = true;
  host.settle();
  for (const path of [0, 1])
    if ((host.flags(path) & abi.PATH_FLAG_FAILED) !== 0) host.core.pathSet(path, abi.PATH_SET_FAILED, 0n);
  host.advance(100);
  return isClean(host) && disk.media.equals(model);
}

const sharedModel = shared();

test("random requests against a model, with a device that errs, is busy, is out of order", (t) => {
  t.notThrows(() =>
    fc.assert(fc.property(fc.array(step, { minLength: 1, maxLength: 20 }), weather, agrees), { numRuns: 300 }),
  );
});
