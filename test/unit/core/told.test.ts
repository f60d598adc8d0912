// Events say what they say to the last argument, and what is not worth telling is not told.
import test from "ava";
import * as abi from "../../../host/abi.ts";
import { Disk } from "./fixtures/disk.ts";
import { Host, type CoreEvent } from "./fixtures/harness.ts";
import { errors, scene } from "./fixtures/holes.ts";
import { FLUSH, READ, WRITE, request } from "./fixtures/nbd-client.ts";
import { read, scene as pathScene } from "./fixtures/scene.ts";
import { check, deferred, type Answer } from "./fixtures/scsi.ts";

const EIO = 5;

const of = (host: Host, kind: number): CoreEvent[] => host.events.filter((event) => event.kind === kind);

for (const [name, answer, kind, isDeferred, sense] of [
  ["a flush", check(3, 0x0c, 2), FLUSH, 0, 0x02_0c_03_02],
  ["a deferred error", deferred(4, 0x0c, 1), WRITE, 1, 0x01_0c_04_02],
] as const) {
  test(`lost data, told by ${name}: by which path, with its sense, and whether it was deferred`, (t) => {
    const host = new Host();
    const disk = new Disk(1 << 20);
    const answers: Answer[] = [answer];
    host.device = (command) => (command.check ? undefined : answers.shift()) ?? disk.execute(host, command);
    const { unit, paths } = host.unit({ blocks: 2048n, capabilities: abi.UNIT_CAN_CACHE_WRITES });
    const client = host.connect(unit);
    client.send(request(kind, 1n, 0n, kind === FLUSH ? 0 : 512), Buffer.alloc(kind === FLUSH ? 0 : 512));
    host.settle();
    t.deepEqual(of(host, abi.EVENT_DATA_LOST), [
      {
        kind: abi.EVENT_DATA_LOST,
        reason: abi.REASON_IO,
        unit,
        path: paths[0] ?? -1,
        arg0: isDeferred,
        arg1: 0,
        sense,
        hostStatus: 0,
      },
    ]);
  });
}

/** A write at 0 that path 0 swallows and path 1 has carried out; `s.held` has it. */
function orphanScene(): ReturnType<typeof scene> {
  const s = scene();
  s.holes.add(0);
  s.client.send(request(WRITE, 1n, 0n, 512), Buffer.alloc(512, 1));
  s.host.advance(100);
  return s;
}

test("an orphan that comes back a little late is not told of", (t) => {
  const s = orphanScene();
  t.deepEqual(errors(s.client), [[1n, 0]]);
  for (const command of s.held) s.host.answer(command, {});
  s.host.settle();
  t.is(s.host.unitField(s.unit, abi.UNIT_ORPHANS), 0);
  t.deepEqual(of(s.host, abi.EVENT_ORPHAN_SETTLED), []);
});

test("an orphan whose path has answered others since is told of when it comes back: how, and after how long", (t) => {
  const s = scene(1);
  s.holes.add(0);
  s.client.send(request(WRITE, 1n, 0n, 512), Buffer.alloc(512, 1));
  s.host.advance(1);
  s.holes.clear();
  for (let i = 0; i < 5; i++) {
    s.client.send(request(READ, 2n, 8192n, 512));
    s.host.advance(1);
  }
  s.host.advance(100);
  const [lost] = s.held;
  if (lost === undefined) return t.fail();
  s.host.advance(894);
  s.host.answer(lost, {});
  s.host.settle();
  t.deepEqual(
    of(s.host, abi.EVENT_ORPHAN_SETTLED).map(({ unit, path, arg0, arg1 }) => [unit, path, arg0, arg1]),
    [[s.unit, s.paths[0], abi.SETTLED_COMPLETED, 1000]],
  );
});

test("an orphan that a reset has ended is told of", (t) => {
  const s = orphanScene();
  s.host.must(s.host.core.unitSet(s.unit, abi.UNIT_SET_ORPHAN_RESET_MS, 10_000n));
  s.holes.clear();
  // Its path answers again, so what it had before the reset was there when that came.
  s.host.must(s.host.core.pathSet(s.paths[1] ?? -1, abi.PATH_SET_ENABLED, 0n));
  s.client.send(request(READ, 2n, 8192n, 512));
  s.host.advance(10_000);
  const [reset] = s.host.resets;
  if (reset === undefined) return t.fail("there was no reset");
  s.host.complete(reset.tag, 0);
  s.host.settle();
  t.deepEqual(
    of(s.host, abi.EVENT_ORPHAN_SETTLED).map(({ unit, path, arg0 }) => [unit, path, arg0]),
    [[s.unit, s.paths[0], abi.SETTLED_RESET]],
  );
});

test("who releases a unit that nothing waits for is told of no failed request; else of how many", (t) => {
  const host = new Host();
  const { unit, paths } = host.unit({ blocks: 2048n });
  host.settle();
  for (const path of paths) host.must(host.core.pathSet(path, abi.PATH_SET_FAILED, 1n));
  host.settle();
  host.must(host.core.unitSet(unit, abi.UNIT_SET_RELEASED, 1n));
  host.settle();
  t.deepEqual(of(host, abi.EVENT_NO_PATH_FAILED), []);
  host.must(host.core.unitSet(unit, abi.UNIT_SET_RELEASED, 0n));
  const client = host.connect(unit);
  client.send(request(READ, 2n, 0n, 512), request(READ, 4n, 0n, 512), request(READ, 6n, 0n, 512));
  host.settle();
  host.must(host.core.unitSet(unit, abi.UNIT_SET_RELEASED, 1n));
  host.settle();
  t.deepEqual(
    of(host, abi.EVENT_NO_PATH_FAILED).map((event) => [event.unit, event.reason, event.arg0]),
    [[unit, abi.REASON_OPERATOR, 3]],
  );
  t.deepEqual(
    errors(client).map(([, error]) => error),
    [EIO, EIO, EIO],
  );
});

test("each time that requests wait for a path is told, also of a unit that is as old as the clock", (t) => {
  const host = new Host({ nowNs: 0n });
  const { unit, paths } = host.unit({ blocks: 2048n });
  host.must(host.core.modeSet(abi.MODE_PATROL, 0n));
  const client = host.connect(unit);
  for (let time = 1; time <= 3; time++) {
    for (const path of paths) host.must(host.core.pathSet(path, abi.PATH_SET_FAILED, 1n));
    client.send(request(READ, BigInt(time), 0n, 512));
    host.advance(100);
    t.is(of(host, abi.EVENT_NO_PATH_WAITING).length, time);
    for (const path of paths) host.must(host.core.pathSet(path, abi.PATH_SET_FAILED, 0n));
    host.advance(100);
  }
});

test("a check without an answer: its path has failed by a timeout, without sense or host status", (t) => {
  const host = new Host();
  host.device = (command) => (command.check && command.port === 0 ? undefined : {});
  const { paths } = host.unit({ blocks: 2048n });
  host.must(host.core.modeSet(abi.MODE_PATROL_INTERVAL_MS, 1000n));
  host.advance(20_000);
  t.deepEqual(
    of(host, abi.EVENT_PATH_ERROR_CHECK).map(({ path, reason, arg0, arg1, sense, hostStatus }) => {
      return [path, reason, arg0, arg1, sense, hostStatus];
    }),
    [[paths[0], abi.REASON_TIMEOUT, 0, 0, 0, 0]],
  );
});

test("the longest time a request took is kept, until control asks for it to be counted anew", (t) => {
  const host = new Host();
  host.device = ({ check: isCheck }) => (isCheck ? {} : undefined);
  const { unit } = host.unit({ blocks: 2048n });
  const client = host.connect(unit);
  const longestMs = (): number => {
    const at = host.core.unitTable() + unit * abi.UNIT_BYTES + abi.UNIT_LATENCY_NS_MAX;
    return Number(host.view.getBigUint64(at, true)) / 1e6;
  };
  const after = (...times: readonly number[]): number => {
    for (const ms of times) {
      client.send(request(READ, 2n, 0n, 512));
      host.settle();
      host.advance(ms);
      for (const command of host.outstanding.slice()) host.answer(command, {});
      host.settle();
    }
    return longestMs();
  };
  t.is(after(3), 3);
  t.is(after(7, 5, 2), 7);
  t.is(after(20), 20);
  host.must(host.core.unitSet(unit, abi.UNIT_SET_STATISTICS_RESET, 1n));
  t.is(longestMs(), 0);
  t.is(after(4, 1), 4);
});

test("that requests wait for a path is told with how long they may, and that no transition is the reason", (t) => {
  const host = new Host();
  const { unit, paths } = host.unit({ blocks: 2048n });
  host.must(host.core.modeSet(abi.MODE_PATROL, 0n));
  host.must(host.core.unitSet(unit, abi.UNIT_SET_NO_PATH_TIMEOUT_MS, 7000n));
  const client = host.connect(unit);
  for (const path of paths) host.must(host.core.pathSet(path, abi.PATH_SET_FAILED, 1n));
  client.send(request(READ, 1n, 0n, 512));
  host.advance(100);
  const told = of(host, abi.EVENT_NO_PATH_WAITING);
  t.deepEqual(
    told.map(({ arg0, arg1, sense, hostStatus }) => [arg0, arg1, sense, hostStatus]),
    [[7000, 0, 0, 0]],
  );
});

test("sense data of two bytes in descriptor format is a key and nothing else", (t) => {
  const host = new Host();
  const { unit, paths } = host.unit({ blocks: 2048n });
  host.must(host.core.modeSet(abi.MODE_PATROL, 0n));
  host.device = ({ port, check: checks }) => (port === 0 && !checks ? { status: 2, sense: [0x72, 2] } : {});
  host.connect(unit).send(request(READ, 1n, 0n, 512));
  host.advance(100);
  const told = host.events.filter(({ path, sense }) => path === paths[0] && sense !== 0);
  t.true(told.length > 0);
  for (const { sense } of told) t.is(sense, 0x00_00_02_02);
});

test("a unit whose paths are back waits for a path again when they fail again, released or not the time before", (t) => {
  const host = new Host();
  const { unit, paths } = host.unit({ blocks: 2048n });
  host.must(host.core.modeSet(abi.MODE_PATROL, 0n));
  const all = (failed: bigint): void => {
    for (const path of paths) host.must(host.core.pathSet(path, abi.PATH_SET_FAILED, failed));
    host.advance(100);
  };
  all(1n);
  host.must(host.core.unitSet(unit, abi.UNIT_SET_RELEASED, 1n));
  all(0n);
  all(1n);
  const client = host.connect(unit);
  client.send(request(READ, 2n, 0n, 512));
  host.advance(100);
  host.must(host.core.unitSet(unit, abi.UNIT_SET_RELEASED, 0n));
  host.advance(100);
  t.deepEqual(errors(client), [], "nor does it fail when nobody releases it");
  all(0n);
  t.deepEqual(errors(client), [[2n, 0]]);
});

test("each of many units fails what waits for a path at its own time, in whatever order they are due", (t) => {
  const limits = [700, 300, 500, 100, 800, 200, 600, 400];
  const host = new Host();
  host.must(host.core.modeSet(abi.MODE_PATROL, 0n));
  const clients = limits.map((ms) => {
    const { unit, paths } = host.unit({ blocks: 2048n });
    host.must(host.core.unitSet(unit, abi.UNIT_SET_NO_PATH_TIMEOUT_MS, BigInt(ms)));
    for (const path of paths) host.must(host.core.pathSet(path, abi.PATH_SET_FAILED, 1n));
    const client = host.connect(unit);
    client.send(request(READ, 2n, 0n, 512));
    return client;
  });
  host.settle();
  for (let ms = 50; ms <= 850; ms += 100) {
    host.advance(ms === 50 ? 50 : 100);
    const done = clients.map((client) => client.received.length > 0);
    t.deepEqual(
      done,
      limits.map((limit) => limit < ms),
      `after ${ms} ms`,
    );
  }
});

test("a failover is told with the path that was left, why, and the one that is used now", (t) => {
  const { host, unit, paths, faults } = pathScene();
  const [first = -1, second = -1] = paths;
  host.advance(100);
  host.events.length = 0;
  faults.set(0, () => ({ hostStatus: 1 }));
  read(host, unit);
  const common = { reason: abi.REASON_IO, unit, arg1: 0, sense: 0 };
  t.deepEqual(of(host, abi.EVENT_FAILOVER_STARTED), [
    { ...common, kind: abi.EVENT_FAILOVER_STARTED, path: first, arg0: 0, hostStatus: 1 },
  ]);
  t.deepEqual(of(host, abi.EVENT_FAILOVER_DONE), [
    { ...common, kind: abi.EVENT_FAILOVER_DONE, path: second, arg0: first, hostStatus: 0 },
  ]);
});

test("that a failback an operator asked for has failed is told once, whatever its checks say later", (t) => {
  const { host, unit, paths, faults } = pathScene();
  const [first = -1] = paths;
  host.must(host.core.modeSet(abi.MODE_PATROL, 0n));
  host.advance(100);
  faults.set(0, () => ({ hostStatus: 1 }));
  read(host, unit);
  host.must(host.core.pathSet(first, abi.PATH_SET_FAILED, 0n));
  host.advance(100);
  t.is(of(host, abi.EVENT_FAILBACK_FAILED).length, 1);
  // Another check, which nobody asked for to have the path back.
  host.must(host.core.pathSet(first, abi.PATH_SET_UNVERIFIED, 1n));
  host.advance(1000);
  t.is(of(host, abi.EVENT_FAILBACK_FAILED).length, 1);
  faults.clear();
  host.must(host.core.pathSet(first, abi.PATH_SET_UNVERIFIED, 1n));
  host.advance(1000);
  t.truthy(host.flags(first) & abi.PATH_FLAG_FAILED, "nobody has asked for it since");
});

test("no event is lost as long as they are fetched, however many there were", (t) => {
  const { host, paths } = pathScene();
  host.settle();
  host.events.length = 0;
  for (let times = 0; times < 1200; times++) {
    host.must(host.core.pathSet(paths[0] ?? -1, abi.PATH_SET_ENABLED, BigInt(times % 2)));
    host.settle();
  }
  t.true(of(host, abi.EVENT_PATH_STATE).length >= 1200);
  t.is(host.view.getBigUint64(host.control + abi.CONTROL_EVENTS_LOST, true), 0n);
});
