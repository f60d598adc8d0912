// What becomes of a command that was not carried out: retried, sent elsewhere, answered; and what is shown of it.
import test from "ava";
import * as abi from "../../../host/abi.ts";
import { Disk } from "./fixtures/disk.ts";
import { Host } from "./fixtures/harness.ts";
import { READ, WRITE, replies, request } from "./fixtures/nbd-client.ts";
import { INQUIRY, scene as identityScene } from "./fixtures/scene.ts";
import { check, fixedSense } from "./fixtures/scsi.ts";
import type { Answer, Scsi } from "./fixtures/scsi.ts";

const EIO = 5;
/** What a failover may add to a request's time, in the core's clock. */
const FAILOVER_NS_MAX = 1_000_000;

interface Scene {
  host: Host;
  unit: number;
  paths: number[];
  /** Ports in the order commands went to them. */
  ports: number[];
  run: (kind?: number) => number | undefined;
}

/** `faulty(port, attempt)` answers the fault, or undefined for a good answer. */
function scene(faulty: (port: number, attempt: number) => Answer | undefined, pathCount = 2): Scene {
  const host = new Host();
  const disk = new Disk(1 << 20);
  host.must(host.core.modeSet(abi.MODE_PATROL, 0n));
  const { unit, paths } = host.unit({ blocks: 2048n, paths: pathCount });
  const ports: number[] = [];
  host.device = (command) => {
    if (![0x28, 0x2a, 0x88, 0x8a].includes(command.cdb[0] ?? 0)) return {};
    ports.push(command.port);
    return faulty(command.port, ports.length) ?? disk.execute(host, command);
  };
  const client = host.connect(unit);
  const run = (kind = READ): number | undefined => {
    client.send(request(kind, 1n, 0n, 512), kind === WRITE ? Buffer.alloc(512) : Buffer.alloc(0));
    host.advance(1000);
    return replies(client.received, new Map([[1n, 512]]))[0]?.error;
  };
  return { host, unit, paths, ports, run };
}

const failing: [string, Answer][] = [
  ["no connection", { hostStatus: 1 }],
  ["time out", { hostStatus: 3 }],
  ["bad target", { hostStatus: 4 }],
  ["transport disrupted", { hostStatus: 0x0e }],
  ["transport fail-fast", { hostStatus: 0x0f }],
  ["marginal transport", { hostStatus: 0x14 }],
  ["driver time out", { driverStatus: 6 }],
  ["not ready, manual intervention", check(2, 4, 3)],
  ["medium not present", check(2, 0x3a, 0)],
  ["logical unit not supported", check(5, 0x25, 0)],
  ["the host's own errno", { result: -5 }],
];

for (const [name, answer] of failing) {
  test(`${name}: the path fails, the command goes to the next, the client sees nothing`, (t) => {
    for (const kind of [READ, WRITE]) {
      const { host, paths, ports, run, unit } = scene((port) => (port === 0 ? answer : undefined));
      t.is(run(kind), 0);
      t.deepEqual(ports, [0, 1]);
      // The devices answer at once here, so all that the client waited for is the failover.
      t.true(host.unitField(unit, abi.UNIT_LATENCY_NS_MAX) <= FAILOVER_NS_MAX);
      const [first = -1, second = -1] = paths;
      t.truthy(host.flags(first) & abi.PATH_FLAG_FAILED);
      t.falsy(host.flags(first) & abi.PATH_FLAG_IN_USE);
      t.truthy(host.flags(second) & abi.PATH_FLAG_IN_USE);
      t.is(host.pathCount64(first, abi.PATH_ERRORS), 1n);
      t.is(host.unitField(unit, abi.UNIT_USABLE), 2);
      const story = host.events.filter((event) => event.kind >= 2 && event.kind <= 5);
      t.deepEqual(
        story.map((event) => [event.kind, event.path]),
        [
          [abi.EVENT_PATH_ERROR_IO, first],
          [abi.EVENT_FAILOVER_STARTED, first],
          [abi.EVENT_FAILOVER_DONE, second],
        ],
      );
    }
  });
}

const curable: [string, Answer, boolean][] = [
  ["aborted command", check(0x0b, 0, 0), true],
  ["adapter error", { hostStatus: 7 }, true],
  ["soft error", { hostStatus: 0x0b }, true],
  ["unknown host status", { hostStatus: 0x99 }, true],
  ["unknown status", { status: 0x77 }, true],
  ["check condition without sense", { status: 2 }, true],
  ["check condition with nonsense for sense", { status: 2, sense: [0x12, 0x34, 0x56] }, true],
  ["no sense", check(0, 0, 0), true],
  ["unit attention, power on", check(6, 0x29, 0), false],
  ["unit attention, capacity", check(6, 0x2a, 9), false],
  ["unit attention, parameters", check(6, 0x2a, 1), false],
  ["bus reset", { hostStatus: 8 }, false],
  ["task aborted", { status: 0x40 }, false],
  ["deferred error", { status: 2, sense: [0x71, 0, 3, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x0c, 0, 0, 0, 0, 0] }, false],
  ["short data with GOOD", { residual: 512 }, false],
  ["short data with recovered error", { ...check(1, 0x17, 1), residual: 8 }, false],
  ["more data than asked for", { residual: -512 }, false],
];

for (const [name, answer, blamed] of curable) {
  test(`${name}: a retry on the same path cures it; when it stays, another path ${blamed ? "and blame" : "without blame"}`, (t) => {
    const once = scene((_port, attempt) => (attempt === 1 ? answer : undefined));
    t.is(once.run(), 0);
    t.deepEqual(once.ports, [0, 0]);
    t.falsy(once.host.flags(once.paths[0] ?? -1) & abi.PATH_FLAG_FAILED);
    t.is(once.host.pathCount64(once.paths[0] ?? -1, abi.PATH_RETRIES), 1n);
    const stays = scene((port) => (port === 0 ? answer : undefined));
    t.is(stays.run(), 0);
    t.deepEqual(stays.ports, [0, 0, 0, 0, 1]);
    t.is((stays.host.flags(stays.paths[0] ?? -1) & abi.PATH_FLAG_FAILED) !== 0, blamed);
  });
}

test("recovered errors are good answers", (t) => {
  const { ports, run } = scene(() => undefined);
  t.is(run(), 0);
  t.is(ports.length, 1);
  const recovered = scene((_port, attempt) => (attempt === 1 ? check(1, 0x17, 1) : undefined));
  t.is(recovered.run(WRITE), 0);
  t.is(recovered.ports.length, 1);
});

const answers: [string, Answer, number, number][] = [
  ["medium error", check(3, 0x11, 0), EIO, READ],
  ["medium error, descriptor format", { status: 2, sense: [0x72, 3, 0x11, 0, 0, 0, 0, 0] }, EIO, READ],
  ["medium error, sense cut short", { status: 2, sense: fixedSense(3, 0x11, 0).slice(0, 3) }, EIO, READ],
  ["medium error, host's view", { hostStatus: 0x13 }, EIO, READ],
  ["target failure", { hostStatus: 0x10 }, EIO, READ],
  ["illegal request", check(5, 0x1a, 0), EIO, READ],
  ["invalid field", check(5, 0x24, 0), EIO, WRITE],
  ["write protected", check(7, 0x27, 0), 1, WRITE],
  ["no room", check(7, 0x27, 7), 28, WRITE],
  ["reservation conflict", { status: 0x18 }, 1, WRITE],
  ["miscompare", check(0x0e, 0, 0), EIO, READ],
];

for (const [name, answer, error, kind] of answers) {
  test(`${name}: the device's own answer goes to the client, without failover`, (t) => {
    const { host, paths, ports, run } = scene(() => answer);
    t.is(run(kind), error);
    t.is(ports.length, 1);
    t.falsy(host.flags(paths[0] ?? -1) & abi.PATH_FLAG_FAILED);
  });
}

test("invalid command: the shorter one is tried on the same path, then the client hears of it, without failover", (t) => {
  for (const kind of [READ, WRITE]) {
    const { host, paths, ports, run } = scene(() => check(5, 0x20, 0));
    t.is(run(kind), EIO);
    t.deepEqual(ports, [0, 0]);
    for (const path of paths) t.falsy(host.flags(path) & abi.PATH_FLAG_FAILED);
  }
});

test("a hardware error is tried on every path, then answered, and blames none", (t) => {
  const { host, paths, ports, run } = scene(() => check(4, 0x44, 0), 3);
  t.is(run(), EIO);
  t.deepEqual(new Set(ports), new Set([0, 1, 2]));
  for (const path of paths) t.falsy(host.flags(path) & abi.PATH_FLAG_FAILED);
});

test("short data on every path ends in EIO, never in data", (t) => {
  const { run } = scene(() => ({ residual: 1 }));
  t.is(run(), EIO);
});

test("BUSY and TASK SET FULL: another path, a lowered depth that rises again, and patience until the deadline", (t) => {
  for (const status of [0x08, 0x28]) {
    const { host, paths, ports, run } = scene((port, attempt) =>
      port === 0 && attempt === 1 ? { status } : undefined,
    );
    t.is(run(), 0);
    t.deepEqual(ports, [0, 1]);
    const [first = -1] = paths;
    t.is(host.pathField(first, abi.PATH_DEPTH), 1);
    for (let i = 0; i < 20_000 && host.pathField(first, abi.PATH_DEPTH) < 128; i++) run();
    t.is(host.pathField(first, abi.PATH_DEPTH), 128);
  }
  const busy = scene((_port, attempt) => (attempt < 30 ? { status: 8 } : undefined));
  t.is(busy.run(), 0, "the device was busy for half a second");
  t.true(busy.ports.length >= 30);
});

test("ALUA: a standby answer takes the path out without failing it", (t) => {
  for (const [ascq, state] of [
    [0x0a, abi.ALUA_TRANSITIONING],
    [0x0b, abi.ALUA_STANDBY],
    [0x0c, abi.ALUA_UNAVAILABLE],
    [0x12, abi.ALUA_OFFLINE],
  ] as const) {
    const { host, unit, paths, ports, run } = scene((port) => (port === 0 ? check(2, 4, ascq) : undefined));
    host.must(host.core.pathSet(paths[0] ?? -1, abi.PATH_SET_TARGET_PORT_GROUP, 1n));
    // Else a path that is ready when patrol asks it is used again at once.
    host.must(host.core.unitSet(unit, abi.UNIT_SET_CAPABILITIES, BigInt(abi.UNIT_CAN_ALUA)));
    t.is(run(), 0);
    t.deepEqual(ports, [0, 1]);
    const record = host.core.pathTable() + (paths[0] ?? -1) * abi.PATH_BYTES;
    t.is(host.view.getUint8(record + abi.PATH_ALUA), state);
    t.falsy(host.flags(paths[0] ?? -1) & abi.PATH_FLAG_FAILED);
  }
});

test("optimized paths are preferred, non-optimized ones serve when none is left", (t) => {
  const { host, paths, ports, run } = scene(() => undefined);
  const [first = -1, second = -1] = paths;
  host.core.pathSet(first, abi.PATH_SET_ALUA, BigInt(abi.ALUA_NON_OPTIMIZED));
  run();
  t.deepEqual(ports.splice(0), [1]);
  host.core.pathSet(second, abi.PATH_SET_ALUA, BigInt(abi.ALUA_UNAVAILABLE));
  run();
  t.deepEqual(ports.splice(0), [0]);
});

test("no path: requests wait, a path that comes back serves them, the time limit answers EIO, release at once", (t) => {
  const { host, unit, paths } = scene(() => undefined);
  host.must(host.core.modeSet(abi.MODE_PATROL, 0n));
  host.must(host.core.unitSet(unit, abi.UNIT_SET_NO_PATH_TIMEOUT_MS, 5000n));
  for (const path of paths) host.must(host.core.pathSet(path, abi.PATH_SET_FAILED, 1n));
  const client = host.connect(unit);
  client.send(request(WRITE, 1n, 0n, 512), Buffer.alloc(512));
  host.advance(4000);
  t.is(replies(client.received).length, 0);
  t.is(host.unitField(unit, abi.UNIT_WAITING), 1);
  host.must(host.core.pathSet(paths[1] ?? -1, abi.PATH_SET_FAILED, 0n));
  host.advance(100);
  t.is(replies(client.received)[0]?.error, 0);
  host.must(host.core.pathSet(paths[1] ?? -1, abi.PATH_SET_FAILED, 1n));
  client.send(request(READ, 2n, 0n, 512));
  host.advance(4900);
  t.is(replies(client.received).length, 0);
  host.advance(200);
  t.is(replies(client.received)[0]?.error, EIO);
  client.send(request(READ, 3n, 0n, 512));
  host.advance(100);
  host.must(host.core.unitSet(unit, abi.UNIT_SET_RELEASED, 1n));
  client.send(request(READ, 4n, 0n, 512));
  host.advance(0);
  t.deepEqual(
    replies(client.received).map((reply) => reply.error),
    [EIO, EIO],
  );
  t.true(host.kinds().includes(abi.EVENT_NO_PATH_FAILED));
  host.must(host.core.pathSet(paths[0] ?? -1, abi.PATH_SET_FAILED, 0n));
  client.send(request(READ, 5n, 0n, 512));
  host.advance(100);
  t.is(replies(client.received, new Map([[5n, 512]]))[0]?.error, 0);
});

test("the deadline answers EIO; what is in flight stays an orphan that holds back what overlaps", (t) => {
  const { host, unit } = scene(() => undefined);
  host.must(host.core.unitSet(unit, abi.UNIT_SET_STALL_MAX_MS, 0n));
  host.must(host.core.unitSet(unit, abi.UNIT_SET_IO_TIMEOUT_MS, 3000n));
  let hang = true;
  host.device = (command) => (hang && command.cdb[0] === 0x8a ? undefined : {});
  const client = host.connect(unit);
  const free = [0, 1, 2].map((what) => host.core.inspect(what));
  client.send(request(WRITE, 1n, 4096n, 4096), Buffer.alloc(4096));
  host.advance(2999);
  t.is(replies(client.received).length, 0);
  host.advance(2);
  t.is(replies(client.received)[0]?.error, EIO);
  t.is(host.unitField(unit, abi.UNIT_ORPHANS), 1);
  hang = false;
  client.send(request(READ, 2n, 4096n, 512), request(WRITE, 3n, 7680n, 1024), Buffer.alloc(1024));
  client.send(request(READ, 4n, 8192n, 512), request(WRITE, 5n, 0n, 4096), Buffer.alloc(4096));
  host.advance(10);
  const done = replies(client.received, new Map([[4n, 512]]));
  t.deepEqual(done.map((reply) => reply.cookie).toSorted(), [4n, 5n], "only what does not overlap");
  const [orphan] = host.outstanding;
  if (orphan === undefined) return t.fail();
  host.answer(orphan, { hostStatus: 3 });
  host.advance(10);
  t.deepEqual(
    replies(client.received, new Map([[2n, 512]]))
      .map((reply) => reply.cookie)
      .toSorted(),
    [2n, 3n],
  );
  t.is(host.unitField(unit, abi.UNIT_ORPHANS), 0);
  t.deepEqual(
    [0, 1, 2].map((what) => host.core.inspect(what)),
    free,
  );
});

test("priorities, enabling and swapping act on the next I/O", (t) => {
  const { host, paths, ports, run } = scene(() => undefined, 3);
  const [a = -1, b = -1, c = -1] = paths;
  run();
  host.must(host.core.pathSwap(a, c));
  run();
  host.must(host.core.pathSet(c, abi.PATH_SET_ENABLED, 0n));
  run();
  host.must(host.core.pathSet(b, abi.PATH_SET_PRIORITY, 200n));
  host.must(host.core.pathSet(a, abi.PATH_SET_PRIORITY, 254n));
  run();
  t.deepEqual(ports, [0, 2, 1, 0]);
});

test("round robin uses every enabled path in turn", (t) => {
  const { host, unit, ports, run } = scene(() => undefined, 3);
  host.must(host.core.unitSet(unit, abi.UNIT_SET_POLICY, BigInt(abi.POLICY_ROUND_ROBIN)));
  for (let i = 0; i < 6; i++) run();
  t.deepEqual(ports.slice(0, 3).toSorted(), [0, 1, 2]);
  t.deepEqual(ports.slice(0, 3), ports.slice(3));
});

test("a removed path's handle is free when its last command is back", (t) => {
  const { host, unit, paths } = scene(() => undefined);
  host.device = (command) => (command.port === 0 ? undefined : {});
  const client = host.connect(unit);
  client.send(request(READ, 1n, 0n, 512));
  host.settle();
  const [first = -1] = paths;
  t.is(host.core.pathRemove(first), 0);
  host.settle();
  t.truthy(host.flags(first) & abi.PATH_FLAG_REMOVING);
  const [command] = host.outstanding;
  if (command === undefined) return t.fail();
  host.answer(command, { result: -19 });
  host.settle();
  t.is(host.flags(first), 0);
  t.is(replies(client.received, new Map([[1n, 512]]))[0]?.error, 0, "its I/O went elsewhere");
  t.is(host.core.pathAdd(unit, 0, 7, 2, 1, 8), first);
});

for (const [what, answer] of [
  ["refuses", check(4, 0x44, 0)],
  ["ends before it", check(5, 0x21, 0)],
] as const) {
  test(`a hardware error of all other paths is not the answer while the identity of one is being checked: the other one ${what}`, (t) => {
    const s = identityScene();
    const client = s.host.connect(s.unit);
    let told = false;
    const inquiries: Scsi[] = [];
    s.faults.set(0, (command) => {
      if (command.cdb[0] === INQUIRY && told) {
        inquiries.push(command);
        return "hang";
      }
      if (command.cdb[0] !== 0x88 || told) return undefined;
      told = true;
      return check(6, 0x3f, 3);
    });
    s.faults.set(1, (command) => (command.cdb[0] === 0x88 ? answer : undefined));
    s.host.must(s.host.core.unitSet(s.unit, abi.UNIT_SET_POLICY, BigInt(abi.POLICY_STATIC)));
    client.send(request(READ, 1n, 0n, 512));
    s.host.advance(2000);
    t.is(replies(client.received, new Map([[1n, 512]])).length, 0, "it waits for the path that is being checked");
    const [inquiry] = inquiries;
    if (inquiry === undefined) return t.fail();
    s.host.answer(inquiry, s.disk.execute(s.host, inquiry));
    s.host.advance(100);
    t.is(replies(client.received, new Map([[1n, 512]]))[0]?.error, 0);
  });
}

test("an address past the end is asked on every other path before the client hears of it, and no path is blamed", (t) => {
  for (const kind of [READ, WRITE]) {
    const grown = scene((port) => (port < 2 ? check(5, 0x21, 0) : undefined), 3);
    t.is(grown.run(kind), 0);
    t.deepEqual(grown.ports, [0, 1, 2]);
    t.is(grown.host.flags(grown.paths[0] ?? -1) & abi.PATH_FLAG_FAILED, 0);
    t.truthy(grown.host.events.some((event) => event.kind === abi.EVENT_CAPACITY_CHANGED));
    const shrunk = scene(() => check(5, 0x21, 0), 3);
    t.is(shrunk.run(kind), kind === READ ? 22 : 28);
    t.deepEqual(shrunk.ports, [0, 1, 2]);
  }
});

test("a path that said something else before has not said that the unit ends there: it is asked again", (t) => {
  for (const kind of [READ, WRITE]) {
    const s = scene((port, attempt) => {
      if (port === 1) return check(5, 0x21, 0);
      return attempt === 1 ? check(4, 0x44, 0) : undefined;
    });
    t.is(s.run(kind), 0);
    t.deepEqual(new Set(s.ports), new Set([0, 1]));
    t.is(s.ports.at(-1), 0);
  }
});

test("a path that is full makes way for another one, although it is its turn", (t) => {
  const host = new Host();
  const { unit, paths } = host.unit({ paths: 2 });
  host.must(host.core.modeSet(abi.MODE_PATROL, 0n));
  host.must(host.core.unitSet(unit, abi.UNIT_SET_STALL_MAX_MS, 0n));
  host.must(host.core.unitSet(unit, abi.UNIT_SET_POLICY, BigInt(abi.POLICY_ROUND_ROBIN)));
  host.must(host.core.unitSet(unit, abi.UNIT_SET_POLICY_PARAMETER, 1000n));
  for (const path of paths) host.must(host.core.pathSet(path, abi.PATH_SET_DEPTH, 1n));
  host.device = () => undefined;
  const client = host.connect(unit);
  for (let i = 1; i <= 3; i++) client.send(request(READ, BigInt(i), BigInt(i * 4096), 512));
  host.settle();
  t.is(new Set(host.outstanding.map(({ port }) => port)).size, 2);
});
