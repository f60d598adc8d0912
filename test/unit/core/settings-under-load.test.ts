// Whatever an operator sets while the paths are fully loaded: no request fails, none is lost, and none waits 10 ms longer
// than it would have. The clock is the core's own, and virtual: it moves only as the devices take their time.

import test, { type ExecutionContext } from "ava";
import * as abi from "../../../host/abi.ts";
import { Disk } from "./fixtures/disk.ts";
import type { Client } from "./fixtures/harness.ts";
import { Host } from "./fixtures/harness.ts";
import { FLUSH, READ, replies, request, WRITE } from "./fixtures/nbd-client.ts";
import { NAA } from "./fixtures/scene.ts";
import type { Scsi } from "./fixtures/scsi.ts";

const PATHS = 4;
const CLIENTS = 4;
/** Requests each client has under way. */
const DEPTH = 16;
const BYTES = 4096;
const UNIT_BYTES = 1 << 20;
/** A port works on so many commands at a time, and needs so long for each: 64 requests fill one port four times. */
const PORT_SERVERS = 16;
const SERVICE_NS = 500_000n;
const STEP_NS = 50_000n;
const STALL_NS_MAX = 10_000_000n;
const CHANGE_EVERY_STEPS = 37;

/** Numbers from a seed. */
function* numbers(): Generator<number, never> {
  for (let state = 12345; ;) {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    yield state >>> 8;
  }
}

class Load {
  readonly host = new Host();
  readonly unit: number;
  readonly paths: number[];
  answered = 0;
  readonly errors: number[] = [];
  longestNs = 0n;
  readonly #random = numbers();
  readonly #due = new Map<Scsi, bigint>();
  readonly #ports = new Map<number, bigint[]>();
  readonly #disk = new Disk(UNIT_BYTES, 512, NAA);
  readonly #clients: Client[];
  readonly #sent = new Map<bigint, bigint>();
  readonly #lengths = new Map<bigint, number>();
  #cookie = 0n;

  constructor() {
    const { host } = this;
    host.device = (command) => {
      this.#due.set(command, this.#finishNs(command.port));
      return undefined;
    };
    const { unit, paths } = host.unit({ blocks: BigInt(UNIT_BYTES / 512), paths: PATHS, identity: NAA });
    this.unit = unit;
    this.paths = paths;
    this.#clients = Array.from({ length: CLIENTS }, () => host.connect(unit));
    for (const client of this.#clients) for (let i = 0; i < DEPTH; i++) this.#send(client);
  }

  pick(below: number): number {
    return this.#random.next().value % below;
  }

  /** When a command that arrives now is done: at once by a free server of the port, else behind the first that gets free. */
  #finishNs(port: number): bigint {
    const servers = this.#ports.get(port) ?? Array.from({ length: PORT_SERVERS }, () => 0n);
    this.#ports.set(port, servers);
    const first = servers.reduce((best, free, index) => (free < (servers[best] ?? 0n) ? index : best), 0);
    const begin = (servers[first] ?? 0n) > this.host.now ? (servers[first] ?? 0n) : this.host.now;
    servers[first] = begin + SERVICE_NS;
    return begin + SERVICE_NS;
  }

  #send(client: Client): void {
    const cookie = ++this.#cookie;
    const kind = this.pick(40) === 0 ? FLUSH : this.pick(2) === 0 ? READ : WRITE;
    const offset = BigInt(this.pick(UNIT_BYTES / BYTES) * BYTES);
    this.#sent.set(cookie, this.host.now);
    if (kind === FLUSH) client.send(request(FLUSH, cookie, 0n, 0));
    else if (kind === READ) client.send(request(READ, cookie, offset, BYTES));
    else client.send(request(WRITE, cookie, offset, BYTES), Buffer.alloc(BYTES, Number(cookie & 0xffn)));
    this.#lengths.set(cookie, kind === READ ? BYTES : 0);
  }

  /** Lets `steps` steps of time go by; `change` is called between turns, as control's calls are. */
  run(steps: number, change?: () => void): void {
    const { host } = this;
    for (let step = 0; step < steps; step++) {
      if (change !== undefined && step % CHANGE_EVERY_STEPS === 0) change();
      host.now += STEP_NS;
      for (const [command, dueNs] of this.#due) {
        if (dueNs > host.now) continue;
        this.#due.delete(command);
        host.answer(command, this.#disk.execute(host, command));
      }
      host.settle();
      for (const client of this.#clients) this.#take(client);
      host.settle();
    }
  }

  #take(client: Client): void {
    for (const { cookie, error } of replies(client.received, this.#lengths)) {
      const sent = this.#sent.get(cookie);
      if (sent === undefined) throw new Error(`a reply to ${cookie}, which nobody waits for`);
      this.#sent.delete(cookie);
      this.#lengths.delete(cookie);
      this.answered++;
      if (error !== 0) this.errors.push(error);
      if (this.host.now - sent > this.longestNs) this.longestNs = this.host.now - sent;
      this.#send(client);
    }
  }

  /** Requests that wait for their reply, and the longest any of them has waited. */
  get oldestNs(): bigint {
    return [...this.#sent.values()].reduce(
      (most, sent) => (this.host.now - sent > most ? this.host.now - sent : most),
      0n,
    );
  }
}

/** Each kind of change, done once; it has to be accepted. */
type Change = (load: Load, core: Host["core"]) => number;

const anyPath = (load: Load): number => load.paths[load.pick(PATHS)] ?? 0;
const unitSet =
  (property: number, value: (load: Load) => number): Change =>
  (load, core) =>
    core.unitSet(load.unit, property, BigInt(value(load)));
const pathSet =
  (property: number, value: (load: Load) => number): Change =>
  (load, core) =>
    core.pathSet(anyPath(load), property, BigInt(value(load)));
const modeSet =
  (mode: number, value: (load: Load) => number): Change =>
  (load, core) =>
    core.modeSet(mode, BigInt(value(load)));

/** One path out of service at a time; the one before comes back. */
const disableAnother: Change = (load, core) => {
  for (const path of load.paths) core.pathSet(path, abi.PATH_SET_ENABLED, 1n);
  return core.pathSet(anyPath(load), abi.PATH_SET_ENABLED, 0n);
};

let fresh = 100;
const CHANGES: Readonly<Record<string, Change>> = {
  policy: unitSet(abi.UNIT_SET_POLICY, (load) => load.pick(abi.POLICY_COUNT)),
  enabling: disableAnother,
  "a priority": pathSet(abi.PATH_SET_PRIORITY, () => (fresh = fresh === 250 ? 100 : fresh + 1)),
  "a swap": (load, core) => core.pathSwap(load.paths[0] ?? 0, load.paths[1 + load.pick(PATHS - 1)] ?? 0),
  "a weight": pathSet(abi.PATH_SET_WEIGHT, (load) => 1 + load.pick(100)),
  "a depth": pathSet(abi.PATH_SET_DEPTH, (load) => 32 + load.pick(96)),
  "the identity": (load, core) => {
    load.host.bytes(core.scratch(), NAA.length).set(NAA);
    return core.unitIdentity(load.unit, NAA.length);
  },
  hedging: unitSet(abi.UNIT_SET_HEDGE_BUDGET, (load) => load.pick(500)),
  "the deadline of an I/O": unitSet(abi.UNIT_SET_IO_TIMEOUT_MS, (load) => 1000 + load.pick(60_000)),
  "the wait without paths": unitSet(abi.UNIT_SET_NO_PATH_TIMEOUT_MS, (load) => load.pick(60_000)),
  "the stall rule": unitSet(abi.UNIT_SET_STALL_MIN_MS, (load) => 20 + load.pick(100)),
  "the most of the stall rule": unitSet(abi.UNIT_SET_STALL_MAX_MS, (load) => 500 + load.pick(2000)),
  "reset of orphans": unitSet(abi.UNIT_SET_ORPHAN_RESET_MS, (load) => load.pick(60_000)),
  "reads by patrol": unitSet(abi.UNIT_SET_PATROL_READ, (load) => load.pick(2)),
  "explicit ALUA": unitSet(abi.UNIT_SET_ALUA_EXPLICIT, (load) => load.pick(2)),
  "the largest transfer": unitSet(abi.UNIT_SET_TRANSFER_BLOCKS_MAX, (load) => 8 + load.pick(2000)),
  "counters anew": unitSet(abi.UNIT_SET_STATISTICS_RESET, () => 1),
  failback: modeSet(abi.MODE_FAILBACK, (load) => load.pick(2)),
  "cluster mode": (_, core) => {
    const on = core.modeSet(abi.MODE_CLUSTER, 1n);
    return on < 0 ? on : core.modeSet(abi.MODE_CLUSTER, 0n);
  },
  patrol: modeSet(abi.MODE_PATROL, (load) => load.pick(4)),
  "interval of patrol": modeSet(abi.MODE_PATROL_INTERVAL_MS, (load) => 10 + load.pick(100)),
  "threshold of patrol": modeSet(abi.MODE_PATROL_THRESHOLD_MS, (load) => 10 + load.pick(100)),
  "timeout of patrol": modeSet(abi.MODE_PATROL_TIMEOUT_MS, (load) => 1000 + load.pick(1000)),
  "marginal paths": modeSet(abi.MODE_MARGINAL, (load) => load.pick(2)),
  "when a path is marginal": modeSet(abi.MODE_MARGINAL_COUNT, (load) => 1 + load.pick(10)),
  "coming and going": (load, core) => {
    const [gone = 0] = load.paths.splice(load.pick(PATHS), 1);
    const removed = core.pathRemove(gone);
    const port = 1000 + load.answered;
    load.paths.push(
      load.host.must(core.pathAdd(load.unit, 0, port, (fresh = fresh === 250 ? 100 : fresh + 1), 1, 128)),
    );
    return removed;
  },
};

/** The longest a request takes when nothing is set, however the unit is balanced. */
function undisturbedNs(): bigint {
  let longest = 0n;
  for (let policy = 0; policy < abi.POLICY_COUNT; policy++) {
    const load = new Load();
    load.host.must(load.host.core.unitSet(load.unit, abi.UNIT_SET_POLICY, BigInt(policy)));
    load.run(400);
    if (load.longestNs > longest) longest = load.longestNs;
  }
  return longest;
}

const undisturbed = undisturbedNs();

function holds(t: ExecutionContext, load: Load): void {
  t.deepEqual(load.errors, []);
  const longest = load.longestNs > load.oldestNs ? load.longestNs : load.oldestNs;
  t.log(`longest ${longest / 1000n} us, undisturbed ${undisturbed / 1000n} us`);
  t.true(longest <= undisturbed + STALL_NS_MAX, `${longest / 1000n} us against ${undisturbed / 1000n} us undisturbed`);
}

for (const [what, change] of Object.entries(CHANGES)) {
  test(`${what}: set again and again under full load, no error and no stall`, (t) => {
    const load = new Load();
    load.run(200);
    // What the first burst took, before the paths were verified, is not what is asked here.
    load.longestNs = 0n;
    const before = load.answered;
    load.run(1500, () => load.host.must(change(load, load.host.core)));
    load.run(200);
    t.true(load.answered > before + 1000, `${load.answered - before} answers`);
    holds(t, load);
  });
}

test("everything at once, in any order: no error and no stall", (t) => {
  const load = new Load();
  const changes = Object.values(CHANGES);
  load.run(200);
  load.longestNs = 0n;
  load.run(8000, () => {
    const change = changes[load.pick(changes.length)];
    // What excludes another (a depth for a path just removed) may be refused; what is accepted does no harm.
    change?.(load, load.host.core);
  });
  load.run(400);
  t.true(load.answered > 10_000, `${load.answered} answers`);
  holds(t, load);
});
