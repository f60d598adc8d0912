// Nobody's large requests, however many, make another client wait for more than a few of their pieces in the device: what a
// client gets depends neither on how much others ask nor by how many connections. Everything by ratio to what the victim
// waits when it is alone.
import test from "ava";
import * as abi from "../../../host/abi.ts";
import { Host, type Client } from "./fixtures/harness.ts";
import { READ, TRIM, WRITE, WRITE_ZEROES, replies, request } from "./fixtures/nbd-client.ts";
import type { Scsi } from "./fixtures/scsi.ts";

const MIB = 1 << 20;
const NO_HOLE = 2;

/** What a device takes for a command, ns: to begin with, and for each MiB of data or of zeroes. */
interface Speed {
  readonly startNs: number;
  readonly mibNs: number;
  readonly zeroMibNs: number;
}

/** 200 us and 1 GB/s; zeroes as slow as the emulated array once was. */
const SLOW_ZEROES: Speed = { startNs: 200_000, mibNs: 1_000_000, zeroMibNs: 12_000_000 };
const DISK: Speed = { startNs: 4_000_000, mibNs: 8_000_000, zeroMibNs: 8_000_000 };

function bytesOf(command: Scsi, host: Host): { bytes: number; zero: boolean } {
  const code = command.cdb[0];
  if (code === 0x93) return { bytes: command.cdb.readUInt32BE(10) * 512, zero: true };
  if (code === 0x42) return { bytes: host.bytes(command.buffer, command.bytes).readUInt32BE(16) * 512, zero: true };
  return { bytes: command.bytes, zero: false };
}

/** One device for all units, that carries out one command after the other, in their order. */
class Bed {
  readonly host: Host;
  readonly units: number[];
  readonly #due: { command: Scsi; atNs: bigint }[] = [];
  #freeNs = 0n;
  readonly clients: { client: Client; feed: () => void }[] = [];
  /** Bytes the device has carried out, and for how long it had nothing to do. */
  worked = 0;
  idleNs = 0n;

  constructor(speed: Speed, units: number, capabilities: number, connections = 64) {
    this.host = new Host({ connections, requests: 1024, commands: 1024, units, paths: 4 * units });
    const { host } = this;
    host.device = (command) => {
      if (command.check) return {};
      const { bytes, zero } = bytesOf(command, host);
      if (this.#freeNs < host.now) this.idleNs += host.now - this.#freeNs;
      const begin = this.#freeNs > host.now ? this.#freeNs : host.now;
      this.#freeNs = begin + BigInt(Math.round(speed.startNs + (bytes / MIB) * (zero ? speed.zeroMibNs : speed.mibNs)));
      this.#due.push({ command, atNs: this.#freeNs });
      this.worked += bytes;
      return undefined;
    };
    this.units = Array.from({ length: units }, () => {
      const { unit } = host.unit({ blocks: 1n << 40n, capabilities, paths: 4, depth: 64 });
      host.must(host.core.unitSet(unit, abi.UNIT_SET_STALL_MAX_MS, 0n));
      host.must(host.core.unitSet(unit, abi.UNIT_SET_IO_TIMEOUT_MS, 3_600_000n));
      return unit;
    });
    host.must(host.core.modeSet(abi.MODE_PATROL, 0n));
  }

  /** Takes turns until `done`, moving the clock to what happens next. */
  run(done: () => boolean): void {
    for (let i = 0; i < 2_000_000 && !done(); i++) {
      for (const { feed } of this.clients) feed();
      this.host.settle();
      const next = this.#due[0]?.atNs;
      const deadline = this.host.deadline();
      if (next === undefined && deadline === (1n << 64n) - 1n) continue;
      const until = next === undefined || deadline < next ? deadline : next;
      if (until > this.host.now) this.host.now = until;
      const ended = next === until ? this.#due.shift() : undefined;
      if (ended !== undefined) this.host.answer(ended.command, {});
      this.host.settle();
    }
  }

  /** A client that keeps `depth` of the same request under way; answers how often it was answered. */
  attack(unit: number, kind: number, bytes: number, depth: number): { answered: number } {
    const client = this.host.connect(unit);
    const count = { answered: 0 };
    const data = kind === WRITE ? Buffer.alloc(bytes) : Buffer.alloc(0);
    let cookie = 0n;
    let wanted = depth;
    let received = 0;
    const reply = 16 + (kind === READ ? bytes : 0);
    this.clients.push({
      client,
      feed: () => {
        for (const part of client.received.splice(0)) received += part.length;
        while (received >= reply) {
          received -= reply;
          count.answered++;
          wanted++;
        }
        for (; wanted > 0; wanted--, cookie++) {
          const flags = kind === WRITE_ZEROES ? NO_HOLE : 0;
          client.send(request(kind, cookie, (cookie * BigInt(bytes)) % (1n << 36n), bytes, flags), data);
        }
      },
    });
    return count;
  }

  /** How long each of `count` reads of 4 KiB takes, one after the other, a little apart; ns, sorted. */
  read(unit: number, count: number): number[] {
    const { host } = this;
    const client = host.connect(unit);
    const waits: number[] = [];
    for (let i = 0; i < count; i++) {
      const asked = host.now;
      client.send(request(READ, 1n, BigInt(i) << 12n, 4096));
      this.run(() => replies(client.received, new Map([[1n, 4096]])).length > 0);
      waits.push(Number(host.now - asked));
      const again = host.now + 300_000n;
      this.run(() => host.now >= again || this.#due.length === 0);
      if (host.now < again) host.now = again;
    }
    return waits.toSorted((a, b) => a - b);
  }
}

const p99 = (sorted: readonly number[]): number => sorted[Math.ceil(sorted.length * 0.99) - 1] ?? 0;

interface Attack {
  readonly title: string;
  readonly kind: number;
  readonly bytes: number;
  readonly depth: number;
  readonly connections?: number;
  readonly units?: number;
  readonly capabilities?: number;
}

const SAME = abi.UNIT_CAN_WRITE_SAME;
const ATTACKS: readonly Attack[] = [
  { title: "64 WRITE_ZEROES of 32 MiB", kind: WRITE_ZEROES, bytes: 32 * MIB, depth: 64, capabilities: SAME },
  { title: "64 WRITE_ZEROES of 32 MiB that are written", kind: WRITE_ZEROES, bytes: 32 * MIB, depth: 64 },
  { title: "512 WRITE_ZEROES of 1 MiB", kind: WRITE_ZEROES, bytes: MIB, depth: 512, capabilities: SAME },
  { title: "64 TRIM of 32 MiB", kind: TRIM, bytes: 32 * MIB, depth: 64, capabilities: abi.UNIT_CAN_UNMAP },
  { title: "16 reads of 32 MiB", kind: READ, bytes: 32 * MIB, depth: 16 },
  { title: "4 writes of 32 MiB", kind: WRITE, bytes: 32 * MIB, depth: 4 },
  { title: "reads of 32 MiB by 40 connections", kind: READ, bytes: 32 * MIB, depth: 2, connections: 40 },
  { title: "zeroings of 32 MiB by 40 connections", kind: WRITE_ZEROES, bytes: 32 * MIB, depth: 4, connections: 40 },
  { title: "reads of 128 KiB by 40 connections", kind: READ, bytes: MIB / 8, depth: 16, connections: 40 },
  { title: "reads of 1 MiB from 15 other units", kind: READ, bytes: MIB, depth: 32, connections: 15, units: 16 },
  {
    title: "zeroings of 32 MiB of 7 other units",
    kind: WRITE_ZEROES,
    bytes: 32 * MIB,
    depth: 16,
    connections: 7,
    units: 8,
    capabilities: SAME,
  },
];

/** Largest piece that may have to be waited for, and how many of them on each unit that is attacked. */
function boundNs(speed: Speed, { kind, capabilities = 0, units = 1 }: Attack): number {
  const zero = (kind === WRITE_ZEROES || kind === TRIM) && capabilities !== 0;
  const pieceNs = speed.startNs + (zero ? speed.zeroMibNs : speed.mibNs);
  return units > 1 ? 2 * (units - 1) * pieceNs : 4 * pieceNs;
}

for (const speed of [SLOW_ZEROES, DISK]) {
  for (const attack of ATTACKS.filter(({ kind }) => speed === SLOW_ZEROES || kind !== READ)) {
    const name = speed === DISK ? "a disk" : "an array";
    test(`${name}: a reader waits for few pieces of ${attack.title}, and the device is kept busy`, (t) => {
      const { kind, bytes, depth, connections = 1, units = 1, capabilities = 0 } = attack;
      const bed = new Bed(speed, units, capabilities);
      const alone = p99(bed.read(bed.units[0] ?? 0, 30));
      const counts = Array.from({ length: connections }, (_, i) =>
        bed.attack(bed.units[units > 1 ? 1 + (i % (units - 1)) : 0] ?? 0, kind, bytes, depth),
      );
      bed.read(bed.units[0] ?? 0, 20);
      const [beganNs, idleNs] = [bed.host.now, bed.idleNs];
      const waits = bed.read(bed.units[0] ?? 0, 100);
      t.true(p99(waits) <= alone + boundNs(speed, attack), `p99 ${p99(waits) / 1e6} ms, alone ${alone / 1e6} ms`);
      t.log(`alone ${alone / 1e6} ms, p99 ${p99(waits) / 1e6} ms, longest ${(waits.at(-1) ?? 0) / 1e6} ms`);
      const idle = Number(bed.idleNs - idleNs) / Number(bed.host.now - beganNs);
      t.true(idle < 0.1, `the device was idle for ${(idle * 100).toFixed(1)} % of the time`);
      t.true(counts.some(({ answered }) => answered > 0) || bed.worked > bytes);
    });
  }
}

test("two clients of the same size share the device evenly, whatever each has under way", (t) => {
  for (const kind of [READ, WRITE_ZEROES]) {
    const bed = new Bed({ ...SLOW_ZEROES, zeroMibNs: 1_000_000 }, 1, SAME);
    const [unit = 0] = bed.units;
    const many = bed.attack(unit, kind, 4 * MIB, kind === READ ? 6 : 64);
    const few = bed.attack(unit, kind, 4 * MIB, 2);
    const end = bed.host.now + 2_000_000_000n;
    bed.run(() => bed.host.now >= end);
    const share = few.answered / (few.answered + many.answered);
    t.true(share > 0.4 && share < 0.6, `${few.answered} and ${many.answered}`);
  }
});

test("a client that zeroes gets as much of the device's time as one that reads, not as many bytes", (t) => {
  const bed = new Bed(SLOW_ZEROES, 1, SAME);
  const [unit = 0] = bed.units;
  const zeroes = bed.attack(unit, WRITE_ZEROES, 4 * MIB, 16);
  const reads = bed.attack(unit, READ, 4 * MIB, 4);
  const end = bed.host.now + 5_000_000_000n;
  bed.run(() => bed.host.now >= end);
  const zeroNs = zeroes.answered * 4 * SLOW_ZEROES.zeroMibNs;
  const readNs = reads.answered * 4 * SLOW_ZEROES.mibNs;
  t.true(zeroNs / readNs > 0.5 && zeroNs / readNs < 4, `${zeroes.answered} zeroings, ${reads.answered} reads`);
});

test("a lone client fills the device's queue as it likes", (t) => {
  const bed = new Bed(SLOW_ZEROES, 1, 0);
  const [unit = 0] = bed.units;
  bed.attack(unit, READ, MIB, 24);
  bed.run(() => bed.worked >= 100 * MIB);
  t.true(bed.host.outstanding.length >= 20, `${bed.host.outstanding.length} commands`);
});

test("where a path has gone silent under large I/O of several clients, the others carry it out", (t) => {
  const host = new Host();
  const { unit, paths } = host.unit({ blocks: 1n << 30n, paths: 2 });
  host.must(host.core.unitSet(unit, abi.UNIT_SET_POLICY, BigInt(abi.POLICY_ROUND_ROBIN)));
  host.must(host.core.unitSet(unit, abi.UNIT_SET_STALL_MAX_MS, 0n));
  host.device = (command) => (command.port === 0 && !command.check ? undefined : {});
  const clients = [host.connect(unit), host.connect(unit)];
  for (const client of clients) client.send(request(READ, 1n, 0n, 8 * MIB));
  host.advance(3000);
  // Nothing ends on the silent path; what was sent there waits, the rest goes by the other one.
  const sent = host.pathCount64(paths[1] ?? 0, abi.PATH_IOS) + BigInt(host.outstanding.length);
  t.is(sent, 16n);
});
