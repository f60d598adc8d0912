// The same requests by NBD and by the block door: the same SCSI commands go out, at the same time, on the same paths, and the same
// answers come back, whatever the device does with them.
import test from "ava";
import fc from "fast-check";
import * as abi from "../../../host/abi.ts";
import { ANSWER, Door, FETCH, FETCHED, LENT, READ, REFUSED, RELEASE, WRITE } from "./fixtures/block-door.ts";
import { FLUSH, TRIM, ZEROES, type Completion } from "./fixtures/block-door.ts";
import { Disk } from "./fixtures/disk.ts";
import { Host, type CoreEvent } from "./fixtures/harness.ts";
import { replies, request } from "./fixtures/nbd-client.ts";
import { check, type Answer, type Scsi } from "./fixtures/scsi.ts";

const BLOCK = 512;
const MEDIA = 1 << 18;
const SLOT_BYTES = 128 << 10;
const STEPS_MAX = 24;

/** One request, in bytes; `own`: its buffer is the embedder's. */
interface Ask {
  readonly kind: number;
  readonly flags: number;
  readonly offset: number;
  readonly bytes: number;
  readonly own: boolean;
}

/** Requests that are sent together, and how long nothing is sent then. */
interface Burst {
  readonly asks: readonly Ask[];
  readonly pauseMs: number;
}

interface Script {
  readonly bursts: readonly Burst[];
  readonly capabilities: number;
  readonly readOnly: boolean;
  readonly policy: number;
  readonly depth: number;
  readonly hedges: boolean;
  /** Of the commands that come, in order: -1 is not answered until the end, others are faults, or good. */
  readonly weather: readonly number[];
}

/** What was seen of a run: everything in it must be the same by both doors. */
interface Seen {
  readonly commands: string[];
  /** By number of the request. */
  readonly answers: readonly (readonly [number, string])[];
  readonly account: readonly bigint[];
  readonly events: readonly CoreEvent[];
}

const FAULTS: readonly Answer[] = [
  {},
  {},
  {},
  {},
  { hostStatus: 7 },
  { status: 8 },
  { status: 0x28 },
  { hostStatus: 1 },
  check(6, 0x29, 0),
  check(0x0b, 0, 0),
  check(3, 0x11, 0),
  check(5, 0x20, 0),
  check(7, 0x27, 0),
  check(5, 0x21, 0),
];

function setUp(script: Script): { host: Host; unit: number; disk: Disk } {
  const host = new Host({ requests: 64, commands: 64 });
  const disk = new Disk(MEDIA);
  for (let at = 0; at < MEDIA; at += 4) disk.media.writeUInt32LE(at, at);
  const { unit } = host.unit({
    blocks: BigInt(MEDIA / BLOCK),
    capabilities: script.capabilities,
    paths: 3,
    depth: script.depth,
  });
  host.must(host.core.unitSet(unit, abi.UNIT_SET_POLICY, BigInt(script.policy)));
  host.must(host.core.unitSet(unit, abi.UNIT_SET_TRANSFER_BLOCKS_MAX, 64n));
  host.must(host.core.unitSet(unit, abi.UNIT_SET_IO_TIMEOUT_MS, 3000n));
  if (script.hedges) host.must(host.core.unitSet(unit, abi.UNIT_SET_HEDGE_BUDGET, 100n));
  return { host, unit, disk };
}

/** What a door does: sends what is asked, and tells of answers. */
interface Gate {
  send(first: number, asks: readonly Ask[]): void;
  /** Looks for answers; whether something new goes in because of them. */
  collect(): boolean;
}

const payload = (index: number, bytes: number): Buffer => Buffer.alloc(bytes, index + 1);
const shown = (error: number, data: Uint8Array): string => `${error} ${Buffer.from(data).toString("base64")}`;

function nbd(host: Host, unit: number, readOnly: boolean, answers: Map<number, string>): Gate {
  const flags = abi.CONNECTION_TRIM | abi.CONNECTION_FAST_ZERO | (readOnly ? abi.CONNECTION_READ_ONLY : 0);
  const client = host.connect(unit, flags);
  const lengths = new Map<bigint, number>();
  return {
    send(first, asks) {
      for (const [i, { kind, flags: own, offset, bytes }] of asks.entries()) {
        const index = first + i;
        if (kind === READ) lengths.set(BigInt(index), bytes);
        client.send(request(kind, BigInt(index), BigInt(offset), bytes, own));
        if (kind === WRITE) client.send(payload(index, bytes));
      }
    },
    collect() {
      for (const { cookie, error, data } of replies(client.received, lengths)) {
        answers.set(Number(cookie), shown(error, data));
      }
      return false;
    },
  };
}

function block(host: Host, unit: number, readOnly: boolean, answers: Map<number, string>): Gate {
  const door = new Door(host, { region: STEPS_MAX * SLOT_BYTES, tags: STEPS_MAX });
  const client = door.open(unit, readOnly ? abi.BLOCK_READ_ONLY : 0);
  const asked: Ask[] = [];
  const answer = ({ tag, error, flags, address, bytes }: Completion): void => {
    const { kind, bytes: whole = 0 } = asked[tag] ?? {};
    const lent = (flags & LENT) !== 0;
    const data = lent ? door.data(tag, whole) : Buffer.from(host.bytes(address, bytes));
    if (answers.has(tag)) throw new Error(`tag ${tag} was answered twice`);
    answers.set(tag, shown(error, kind === READ && error === 0 ? data : Buffer.alloc(0)));
    if (lent) door.submit({ operation: RELEASE, tag, client });
  };
  return {
    send(first, asks) {
      for (const [i, ask] of asks.entries()) {
        const tag = first + i;
        asked[tag] = ask;
        const buffer = ask.own && ask.kind <= WRITE ? door.region + tag * SLOT_BYTES : 0;
        if (buffer !== 0 && ask.kind === WRITE) payload(tag, ask.bytes).copy(host.bytes(buffer, ask.bytes));
        const [offset, bytes] = [BigInt(ask.offset), BigInt(ask.bytes)];
        door.submit({ operation: ask.kind, flags: ask.flags, tag, client, buffer, offset, bytes });
      }
    },
    collect() {
      const found = door.completions();
      for (const completion of found) {
        const { tag, kind, address, bytes } = completion;
        if (kind === FETCH) {
          payload(tag, bytes).copy(host.bytes(address, bytes));
          door.submit({ operation: FETCHED, tag, client });
        } else if (kind === ANSWER || kind === REFUSED) answer(completion);
      }
      return found.length > 0;
    },
  };
}

/** Lets the core and the door come to rest, no command being answered. */
function settle(host: Host, gate: Gate): void {
  do host.settle();
  while (gate.collect());
}

function play(script: Script, make: typeof nbd): Seen {
  const { host, unit, disk } = setUp(script);
  const commands: string[] = [];
  const waiting: Scsi[] = [];
  const late: Scsi[] = [];
  host.device = (command) => {
    const { port, cdb, bytes } = command;
    const written = cdb[0] === 0x8a ? Buffer.from(host.bytes(command.buffer, bytes)).toString("base64") : "";
    commands.push(`${host.now} ${port} ${cdb.toString("hex")} ${bytes} ${command.timeoutMs} ${written}`);
    waiting.push(command);
    return undefined;
  };
  let taken = 0;
  const answers = new Map<number, string>();
  const gate = make(host, unit, script.readOnly, answers);
  const answerAll = (): void => {
    settle(host, gate);
    for (let command = waiting.shift(); command !== undefined; command = waiting.shift()) {
      const what = script.weather[taken++ % script.weather.length] ?? 0;
      const fault = FAULTS[what] ?? {};
      if (what < 0) late.push(command);
      else host.answer(command, Object.keys(fault).length === 0 ? disk.execute(host, command) : fault);
      settle(host, gate);
    }
  };
  let first = 0;
  const pass = (ms: number): void => {
    // In small steps: what the device is given meanwhile is answered as well.
    for (let left = ms; left > 0; left -= 25) {
      host.advance(Math.min(left, 25));
      answerAll();
    }
  };
  for (const { asks, pauseMs } of script.bursts) {
    gate.send(first, asks);
    first += asks.length;
    answerAll();
    pass(pauseMs);
  }
  pass(500);
  for (const command of late.splice(0)) {
    host.answer(command, disk.execute(host, command));
    answerAll();
  }
  pass(6000);
  const record = host.core.unitTable() + unit * abi.UNIT_BYTES;
  const statistics = host.unitField(unit, abi.UNIT_STATISTICS);
  const account = [
    record + abi.UNIT_ANSWERED,
    record + abi.UNIT_FAILED,
    record + abi.UNIT_LATENCY_NS_MAX,
    ...Array.from({ length: abi.STATISTICS_BYTES / 8 }, (_, i) => statistics + i * 8),
  ].map((at) => host.view.getBigUint64(at, true));
  return { commands, answers: [...answers].toSorted(([a], [b]) => a - b), account, events: host.events };
}

const ask: fc.Arbitrary<Ask> = fc
  .record({
    kind: fc.constantFrom(READ, READ, READ, WRITE, WRITE, WRITE, FLUSH, TRIM, ZEROES),
    flags: fc.constantFrom(0, 0, 0, 0, abi.OPERATION_FLAG_FUA, abi.OPERATION_FLAG_NO_HOLE, 16, 17, 8),
    at: fc.nat(MEDIA / BLOCK - 1),
    blocks: fc.oneof(fc.integer({ min: 1, max: 16 }), fc.integer({ min: 1, max: 200 })),
    skew: fc.constantFrom(0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 511),
    own: fc.boolean(),
  })
  .map(({ kind, flags, at, blocks, skew, own }) => ({
    kind,
    flags,
    own,
    offset: kind === FLUSH ? 0 : at * BLOCK + skew,
    bytes: kind === FLUSH ? 0 : blocks * BLOCK,
  }));

/** By the block door a write with a lent buffer is overtaken by what comes after it: such a one goes alone. */
const burst: fc.Arbitrary<Burst> = fc.record({
  asks: fc.oneof(
    fc.tuple(ask),
    fc
      .array(ask, { minLength: 1, maxLength: 4 })
      .map((asks) => asks.map((one) => ({ ...one, own: one.own || one.kind === WRITE }))),
  ),
  pauseMs: fc.constantFrom(0, 0, 1, 50, 400, 4000),
});

const CAPABILITIES = [
  abi.UNIT_CAN_NOT_WRITE,
  abi.UNIT_CAN_UNMAP,
  abi.UNIT_CAN_WRITE_SAME,
  abi.UNIT_CAN_WRITE_SAME_UNMAP,
  abi.UNIT_CAN_FUA,
  abi.UNIT_CAN_CACHE_WRITES,
];

const script: fc.Arbitrary<Script> = fc.record({
  bursts: fc.array(burst, { minLength: 2, maxLength: STEPS_MAX / 4, size: "max" }),
  capabilities: fc
    .tuple(fc.integer({ min: 0, max: 15 }), fc.subarray(CAPABILITIES.slice(1)))
    .map(([never, some]) => some.reduce((all, one) => all | one, never === 0 ? abi.UNIT_CAN_NOT_WRITE : 0)),
  readOnly: fc.integer({ min: 0, max: 15 }).map((value) => value === 0),
  policy: fc.nat(abi.POLICY_COUNT - 1).filter((policy) => policy !== abi.POLICY_AFFINITY),
  depth: fc.constantFrom(1, 3, 64),
  hedges: fc.boolean(),
  weather: fc.array(
    fc.oneof(
      { weight: 6, arbitrary: fc.constant(0) },
      { weight: 2, arbitrary: fc.nat(FAULTS.length - 1) },
      { weight: 1, arbitrary: fc.constant(-1) },
    ),
    { minLength: 1, maxLength: 20, size: "max" },
  ),
});

test("the same requests by both doors give the same commands, answers and accounts", (t) => {
  let commands = 0;
  const errnos = new Set<string>();
  fc.assert(
    fc.property(script, (one) => {
      const [byNbd, byBlock] = [play(one, nbd), play(one, block)];
      const asked = one.bursts.reduce((sum, { asks }) => sum + asks.length, 0);
      t.is(byNbd.answers.length, asked, "every request is answered");
      t.deepEqual(byBlock.answers, byNbd.answers);
      t.deepEqual(byBlock.commands, byNbd.commands);
      t.deepEqual(byBlock.account, byNbd.account);
      t.deepEqual(byBlock.events, byNbd.events);
      commands += byNbd.commands.length;
      for (const [, answer] of byNbd.answers) errnos.add(answer.split(" ")[0] ?? "");
    }),
    { numRuns: 250 },
  );
  // Scripts in which nothing happens would prove nothing.
  t.true(commands > 1000, `${commands} commands`);
  for (const errno of ["0", "1", "5", "22", "28", "95"])
    t.true(errnos.has(errno), `nothing was answered with ${errno}`);
});
