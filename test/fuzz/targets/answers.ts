// What devices answer to commands: whatever that is, every request is answered within its time, a read that succeeds brings
// what is on the medium, a write that succeeds is there, and nothing is left behind. Each command of the core takes four
// bytes of the input for its answer.

import * as abi from "../../../host/abi.ts";
import { senseOf } from "../../../host/discovery/attentions.ts";
import { Disk } from "../../unit/core/fixtures/disk.ts";
import { type Build, type Client, Host } from "../../unit/core/fixtures/harness.ts";
import * as N from "../../unit/core/fixtures/nbd-client.ts";
import { type Answer, fixedSense, type Scsi } from "../../unit/core/fixtures/scsi.ts";
import { instrumentedCore, nothingLost } from "../core.ts";
import { check, type Target } from "../target.ts";

const LIMITS = { requests: 24, commands: 8, pool: 32 << 20, connections: 4 };
const MEDIA = 1 << 17;
const NAA = [3, 1, 0x60, 1, 2, 3, 4, 5, 6, 7];
const ALL = abi.UNIT_CAN_UNMAP | abi.UNIT_CAN_WRITE_SAME | abi.UNIT_CAN_CACHE_WRITES;
/** Longer than any deadline of the core. */
const PATIENCE_MS = 120_000;
const STATUSES = [0, 2, 4, 8, 0x18, 0x22, 0x28, 0x30, 0x40];
const BYTES_EACH = 4;

/** An answer of four bytes: what it is, and up to three numbers. */
function answerOf(bytes: Uint8Array): { answer: Answer; isCarriedOut: boolean; isHeld: boolean } {
  const [kind = 0, a = 0, b = 0, c = 0] = bytes;
  const isCarriedOut = (kind & 0x80) !== 0;
  const held = { answer: {}, isCarriedOut: true, isHeld: true };
  switch (kind & 0x0f) {
    case 0:
    case 1:
    case 2:
      return { answer: {}, isCarriedOut: true, isHeld: false };
    case 3:
      return held;
    case 4:
      return { answer: { hostStatus: a }, isCarriedOut, isHeld: false };
    case 5:
      return {
        answer: { status: STATUSES[a % STATUSES.length] ?? 0, driverStatus: b & 0x0f },
        isCarriedOut,
        isHeld: false,
      };
    case 6:
      return { answer: { residual: ((a << 8) | b) * ((kind & 0x40) === 0 ? 1 : -1) }, isCarriedOut, isHeld: false };
    case 7:
      return { answer: { result: -a }, isCarriedOut, isHeld: false };
    case 8:
      return { answer: { status: 2, sense: [a, b, c] }, isCarriedOut, isHeld: false };
    case 9:
      return { answer: { status: 2, sense: [0x72, a & 0x0f, b, c, 0, 0, 0, 0] }, isCarriedOut, isHeld: false };
    case 10:
      return {
        answer: { status: 2, sense: [0x71, ...fixedSense(a & 0x0f, b, c).slice(1)] },
        isCarriedOut,
        isHeld: false,
      };
    case 11:
      return { answer: { status: 2, hostStatus: a, sense: fixedSense(b & 0x0f, c, 0) }, isCarriedOut, isHeld: false };
    default:
      return { answer: { status: 2, sense: fixedSense(a & 0x0f, b, c) }, isCarriedOut, isHeld: false };
  }
}

const RECOVERED = 1;
const DEFERRED = new Set([0x71, 0x73]);

/** Whether a device that says this has done all of it. Of an answer that is none of these nobody may believe that. */
function isGood({
  status = 0,
  hostStatus = 0,
  driverStatus = 0,
  residual = 0,
  result = 0,
  sense = [],
}: Answer): boolean {
  if (hostStatus !== 0 || residual !== 0 || result < 0 || ![0, 8].includes(driverStatus)) return false;
  if (status !== 2) return status === 0 || status === 4;
  const data = Uint8Array.from(sense);
  return !DEFERRED.has((sense[0] ?? 0) & 0x7f) && senseOf({ status, hostStatus, sense: data, data }).key === RECOVERED;
}

class Bed {
  readonly host: Host;
  readonly disk = new Disk(MEDIA, 512, NAA);
  readonly unit: number;
  readonly paths: number[];
  #input: Uint8Array = new Uint8Array();
  #at = 0;
  readonly #held: Scsi[] = [];

  constructor(build: Build) {
    this.host = new Host(LIMITS, build);
    const made = this.host.unit({ blocks: BigInt(MEDIA / 512), capabilities: ALL, depth: 3, identity: NAA });
    this.unit = made.unit;
    this.paths = made.paths;
    this.well();
    this.host.advance(1000);
  }

  /** From now on every answer is good. */
  well(): void {
    this.host.device = (command) => this.disk.execute(this.host, command);
    for (const command of this.#held.splice(0)) this.host.answer(command, this.disk.execute(this.host, command));
    for (const { tag } of this.host.resets.splice(0)) this.host.complete(tag, 0);
  }

  ill(input: Uint8Array): void {
    this.#input = input;
    this.#at = 0;
    this.host.device = (command) => this.#answer(command);
  }

  #answer(command: Scsi): Answer | undefined {
    const bytes = this.#input.subarray(this.#at, this.#at + BYTES_EACH);
    this.#at += BYTES_EACH;
    const { answer, isCarriedOut, isHeld } = answerOf(bytes);
    if (isHeld) {
      this.#held.push(command);
      return undefined;
    }
    if (isGood(answer) || (isCarriedOut && command.direction !== abi.DIRECTION_IN)) {
      // The disk's own refusal, of a command it does not know, comes before what the input says.
      const own = this.disk.execute(this.host, command);
      if ((own.status ?? 0) !== 0) return own;
    } else if (command.direction === abi.DIRECTION_IN) {
      // What a device did not send is not what was there before.
      this.host.bytes(command.buffer, command.bytes).fill(0xee);
    }
    return answer;
  }
}

/** What a client asks in one round, and what it has to be told. */
function ask(client: Client): Map<bigint, number> {
  const data = Buffer.alloc(1024, 0x77);
  client.send(N.request(N.READ, 1n, 0n, 1024), N.request(N.WRITE, 2n, 4096n, 1024), data);
  client.send(
    N.request(N.READ, 3n, 65_536n, 512),
    N.request(N.FLUSH, 4n, 0n, 0),
    N.request(N.WRITE_ZEROES, 5n, 8192n, 2048),
  );
  client.send(N.request(N.TRIM, 6n, 16_384n, 4096), N.request(N.WRITE, 7n, 20_480n, 512, N.FUA), data.subarray(512));
  return new Map([
    [1n, 1024],
    [3n, 512],
  ]);
}

const ERRORS = new Set([0, 1, 5, 22, 28, 95]);

function judge(bed: Bed, replies: readonly N.Reply[], expected: Buffer): void {
  check(replies.length === 7, () => `${replies.length} of 7 requests are answered`);
  const errorOf = new Map(replies.map(({ cookie, error }) => [cookie, error]));
  for (const { cookie, error, data } of replies) {
    check(ERRORS.has(error), () => `request ${cookie} is answered ${error}`);
    if (error !== 0 || data.length === 0) continue;
    const at = cookie === 1n ? 0 : 65_536;
    check(data.equals(expected.subarray(at, at + data.length)), () => `read ${cookie} succeeds with other data`);
  }
  const { media } = bed.disk;
  const has = (at: number, bytes: number, value: number): boolean =>
    media.subarray(at, at + bytes).equals(Buffer.alloc(bytes, value));
  check(errorOf.get(2n) !== 0 || has(4096, 1024, 0x77), () => "an acknowledged write is not there");
  check(errorOf.get(5n) !== 0 || has(8192, 2048, 0), () => "acknowledged zeroes are not there");
  check(errorOf.get(7n) !== 0 || has(20_480, 512, 0x77), () => "an acknowledged write with FUA is not there");
}

export async function makeTarget(): Promise<Target> {
  const bed = new Bed(await instrumentedCore());
  const { host, unit } = bed;
  const run = (input: Uint8Array): void => {
    bed.disk.media.fill(0x11);
    const expected = Buffer.from(bed.disk.media);
    bed.ill(input);
    const client = host.connect(unit);
    const lengths = ask(client);
    host.advance(1000);
    for (let ms = 0; ms < PATIENCE_MS && host.unitField(unit, abi.UNIT_REQUESTS) !== 0; ms += 1000) host.advance(1000);
    const replies = N.replies(client.received, lengths);
    judge(bed, replies, expected);
    bed.well();
    client.ended = true;
    host.advance(1000);
    recover(bed);
    host.clients.delete(client.socket);
    host.events.length = 0;
    nothingLost(host.core, LIMITS);
  };
  return { run, seeds: SEEDS, bytesMax: 256 };
}

/** When the devices are well again both paths carry I/O, and a client is served. */
function recover({ host, unit, paths, disk }: Bed): void {
  for (const path of paths) host.core.pathSet(path, abi.PATH_SET_FAILED, 0n);
  const bad = abi.PATH_FLAG_FAILED | abi.PATH_FLAG_UNVERIFIED | abi.PATH_FLAG_WRONG_UNIT;
  for (let ms = 0; ms < 60_000 && paths.some((path) => (host.flags(path) & bad) !== 0); ms += 1000) host.advance(1000);
  for (const path of paths)
    check((host.flags(path) & bad) === 0, () => `path ${path} stays ${host.flags(path).toString(16)}`);
  const client = host.connect(unit);
  client.send(N.request(N.READ, 1n, 0n, 512));
  host.advance(10);
  const [reply] = N.replies(client.received, new Map([[1n, 512]]));
  check(reply?.error === 0 && reply.data.equals(disk.media.subarray(0, 512)), () => "a client behind it is not served");
  client.ended = true;
  host.advance(10);
  host.clients.delete(client.socket);
}

const four = (...answers: number[][]): Buffer =>
  Buffer.from(answers.flatMap((one) => [...one, 0, 0, 0, 0].slice(0, 4)));
const SEEDS: readonly Uint8Array[] = [
  four([0], [0], [0]),
  four([12, 6, 0x29, 0], [12, 3, 0x11, 0], [12, 5, 0x20, 0], [0], [12, 4, 0x44, 0]),
  four([4, 1], [4, 0x0e], [3], [4, 3], [4, 0x0d]),
  four([6, 1, 0], [0x46, 2, 0], [5, 3], [5, 6], [0x86, 2, 0]),
  four([9, 2, 4, 0x0a], [8, 0x70, 0, 0], [10, 3, 0, 0], [7, 5], [11, 7, 6, 0x29]),
  four([3], [3], [3], [3], [3], [3], [3], [3]),
];
