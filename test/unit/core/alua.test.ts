// Asymmetric access: port groups that change by themselves are followed, and set only with restraint.
import test from "ava";
import * as abi from "../../../host/abi.ts";
import { aluaScene, report } from "./fixtures/alua-scene.ts";
import { Disk } from "./fixtures/disk.ts";
import { READ, replies, request } from "./fixtures/nbd-client.ts";
import type { Scene } from "./fixtures/scene.ts";
import { INQUIRY, NAA, OTHER, REPORT, SET, read, scene } from "./fixtures/scene.ts";
import type { Answer, Scsi } from "./fixtures/scsi.ts";
import { check } from "./fixtures/scsi.ts";

test("ALUA: a changed group is followed by unit attention, by a standby answer, and by patrol", (t) => {
  const byAnswer = aluaScene();
  byAnswer.states[0] = abi.ALUA_STANDBY;
  byAnswer.states[1] = abi.ALUA_OPTIMIZED;
  t.is(read(byAnswer.host, byAnswer.unit), 0);
  t.deepEqual(byAnswer.paths.map(byAnswer.alua), [2, 0, 2, 0], "one report serves every path");
  const byAttention = aluaScene();
  const usual = byAttention.faults.get(0);
  let told = false;
  byAttention.faults.set(0, (command) => {
    if (told) return usual?.(command);
    told = true;
    return check(6, 0x2a, 6);
  });
  byAttention.states[1] = abi.ALUA_UNAVAILABLE;
  t.is(read(byAttention.host, byAttention.unit), 0);
  t.deepEqual(byAttention.paths.map(byAttention.alua), [0, 3, 0, 3]);
  const byPatrol = aluaScene();
  byPatrol.states[1] = abi.ALUA_STANDBY;
  byPatrol.host.advance(12_000);
  t.deepEqual(byPatrol.paths.map(byPatrol.alua), [0, 2, 0, 2]);
  t.falsy(byPatrol.paths.some((path) => (byPatrol.host.flags(path) & abi.PATH_FLAG_FAILED) !== 0));
});

test("ALUA: all groups in transition, requests wait, and go on soon after it ends", (t) => {
  const { host, unit, states } = aluaScene();
  states.fill(abi.ALUA_TRANSITIONING);
  const client = host.connect(unit);
  client.send(request(READ, 1n, 0n, 512));
  host.advance(3000);
  t.is(replies(client.received).length, 0);
  states.fill(abi.ALUA_OPTIMIZED);
  host.advance(1500);
  t.is(replies(client.received, new Map([[1n, 512]]))[0]?.error, 0);
});

for (const asked of [false, true]) {
  const when = asked ? "that was asked for before the path was found to lead there" : "on a path that was failed";
  test(`ALUA: what another unit says of its port groups does not concern ours: a report ${when}`, (t) => {
    const { host, unit, paths, faults, seen, alua } = aluaScene(4, NAA);
    const other = new Disk(1 << 20, 512, OTHER);
    const foreign = (command: Scsi): Answer => {
      if (command.cdb[0] !== REPORT) return other.execute(host, command);
      const bytes = report([1, 2].map((id) => ({ id, state: abi.ALUA_STANDBY, ports: [id] })));
      host.bytes(command.buffer, command.bytes).set(bytes);
      return { residual: command.bytes - bytes.length };
    };
    const usual = faults.get(0);
    const [first = -1] = paths;
    t.is(read(host, unit), 0);
    host.kinds();
    if (asked) {
      // The report is out when a unit attention puts the path in doubt.
      const held: Scsi[] = [];
      faults.set(0, (command) => {
        if (command.cdb[0] !== REPORT && command.cdb[0] !== 0x88) return usual?.(command);
        held.push(command);
        return "hang";
      });
      host.connect(unit).send(request(READ, 1n, 0n, 512), request(READ, 2n, 0n, 512));
      host.settle();
      const [io1, io2] = held;
      if (io1 === undefined || io2 === undefined) return t.fail();
      host.answer(io1, check(6, 0x2a, 6));
      host.settle();
      const out = held.find((command) => command.cdb[0] === REPORT);
      if (out === undefined) return t.fail();
      faults.set(0, foreign);
      host.answer(io2, check(6, 0x3f, 0x0e));
      host.answer(out, foreign(out));
    } else {
      faults.set(0, () => ({ hostStatus: 0x0e }));
      t.is(read(host, unit), 0);
      t.truthy(host.flags(first) & abi.PATH_FLAG_FAILED);
      faults.set(0, foreign);
    }
    seen.length = 0;
    host.advance(asked ? 1000 : 12_000);
    t.true(seen.some((one) => one.port === 0 && one.operation === INQUIRY));
    t.truthy(host.flags(first) & abi.PATH_FLAG_WRONG_UNIT);
    t.false(host.kinds().includes(abi.EVENT_ALUA_CHANGED));
    t.deepEqual(paths.slice(1).map(alua), [1, 0, 1]);
    t.false(seen.some((one) => one.port === 0 && one.operation === REPORT));
    t.is(read(host, unit), 0);
  });
}

test("ALUA: hostile reports are believed only as far as they reach", (t) => {
  for (const bytes of [
    [],
    [0xff, 0xff, 0xff, 0xff],
    [0, 0, 0, 8, 2, 0, 0],
    [0xff, 0xff, 0xff, 0xff, 2, 0, 0, 99, 0, 0, 0, 255],
    [0, 0, 0, 0, 2, 0, 0, 1, 0, 0, 0, 0],
  ]) {
    const { host, unit, paths, faults, alua } = aluaScene(2);
    for (const port of [0, 1]) {
      faults.set(port, (command) => {
        if (command.cdb[0] !== REPORT) return undefined;
        host.bytes(command.buffer, command.bytes).fill(0xff).set(bytes);
        return { residual: command.bytes - bytes.length };
      });
    }
    host.advance(12_000);
    t.deepEqual(paths.map(alua), [0, 1]);
    t.is(read(host, unit), 0);
  }
});

test("explicit ALUA: set once after a while without an optimized path, then damped", (t) => {
  const { host, unit, paths, states, seen, faults } = aluaScene();
  host.must(host.core.unitSet(unit, abi.UNIT_SET_ALUA_EXPLICIT, 1n));
  const sets = (): number => seen.filter((one) => one.operation === SET).length;
  for (const port of [0, 2]) faults.set(port, () => ({ hostStatus: 1 }));
  for (const port of [0, 2]) host.must(host.core.pathSet(paths[port] ?? -1, abi.PATH_SET_FAILED, 1n));
  host.advance(1000);
  t.is(sets(), 0);
  host.advance(5000);
  t.is(sets(), 1);
  t.is(states[1], abi.ALUA_OPTIMIZED);
  t.true(host.kinds().includes(abi.EVENT_ALUA_SET));
  states[1] = abi.ALUA_NON_OPTIMIZED;
  host.advance(50_000);
  t.is(sets(), 1, "another host set it back: no ping-pong");
  host.advance(30_000);
  t.is(sets(), 2);
  states[1] = abi.ALUA_NON_OPTIMIZED;
  host.advance(60_000);
  t.is(sets(), 2, "the pause has doubled");
  host.advance(60_000);
  t.is(sets(), 3);
  // Nobody sets it back for long: then the next fight begins with short pauses.
  host.advance(2 * 3_600_000);
  for (const count of [4, 5]) {
    states[1] = abi.ALUA_NON_OPTIMIZED;
    host.advance(70_000);
    t.is(sets(), count, `${count} times`);
  }
});

const noReport = (command: Scsi): Answer | undefined => (command.cdb[0] === REPORT ? check(5, 0x20, 0) : undefined);

test("ALUA: a path of a unit that tells of no port groups is used again once it is ready after a standby answer", (t) => {
  // The designator names a target port group (type 5), but the unit has no capability to report them, nor does it.
  const { host, unit, paths, faults } = scene(NAA, 2, 0);
  const alua = (path: number): number =>
    host.view.getUint8(host.core.pathTable() + (paths[path] ?? -1) * abi.PATH_BYTES + abi.PATH_ALUA);
  host.settle();
  for (const path of paths) host.must(host.core.pathSet(path, abi.PATH_SET_TARGET_PORT_GROUP, 1n));
  let told = false;
  faults.set(1, noReport);
  faults.set(0, (command) => {
    if (told || command.cdb[0] !== 0x88) return noReport(command);
    told = true;
    return check(2, 4, 0x0b);
  });
  for (let reads = 0; reads < paths.length; reads++) t.is(read(host, unit), 0);
  t.true(told);
  t.is(alua(0), abi.ALUA_STANDBY);
  host.advance(12_000);
  t.true(alua(0) <= abi.ALUA_NON_OPTIMIZED, `state ${alua(0)}`);
});

/** A report with the extended header (SPC-4 6.37): an implicit transition may take `seconds`. */
function extended(seconds: number, plain: Buffer): Buffer {
  const header = Buffer.from([0, 0, 0, 0, 0x10, seconds, 0, 0]);
  header.writeUInt32BE(plain.length);
  return Buffer.concat([header, plain.subarray(4)]);
}

/** All groups are in transition; the device tells how long that may take, or does not know the extended header (null). */
function transition(seconds: number | null, settings: readonly (readonly [number, bigint])[] = []): Transition {
  const made = aluaScene();
  const { host, unit, states, faults } = made;
  for (const [property, value] of settings) host.must(host.core.unitSet(unit, property, value));
  const formats: number[] = [];
  const usual = faults.get(0);
  for (const port of [0, 1, 2, 3]) {
    faults.set(port, (command) => {
      if (command.cdb[0] !== REPORT) return port % 2 === 0 ? usual?.(command) : check(2, 4, 0x0a);
      formats.push((command.cdb[1] ?? 0) >> 5);
      const plain = report(states.map((one, id) => ({ id: id + 1, state: one, ports: [id] })));
      const wantsExtended = (command.cdb[1] ?? 0) >> 5 === 1;
      if (wantsExtended && seconds === null) return check(5, 0x24, 0);
      const bytes = wantsExtended ? extended(seconds ?? 0, plain) : plain;
      host.bytes(command.buffer, command.bytes).set(bytes);
      return { residual: command.bytes - bytes.length };
    });
  }
  states.fill(abi.ALUA_TRANSITIONING);
  const client = host.connect(unit);
  client.send(request(READ, 1n, 0n, 512));
  const error = (): number | undefined => replies(client.received, new Map([[1n, 512]]))[0]?.error;
  const end = (state: number): void => {
    states.fill(state);
    for (const port of [1, 3]) faults.set(port, usual ?? ((): undefined => undefined));
  };
  return { ...made, error, end, formats };
}

interface Transition extends Scene {
  readonly error: () => number | undefined;
  readonly end: (state: number) => void;
  /** Parameter data formats asked for. */
  readonly formats: number[];
}

for (const [name, seconds] of [
  ["says how long it may take", 120],
  ["does not say how long it may take", 0],
  ["does not know the extended header", null],
] as const) {
  test(`ALUA: I/O waits for a transition longer than no_path_ms; the device ${name}`, (t) => {
    const s = transition(seconds);
    s.host.advance(50_000);
    t.is(s.error(), undefined);
    t.true(s.formats.includes(1));
    if (seconds === null) t.deepEqual(s.formats.lastIndexOf(1), 0, "it is not asked for that again");
    s.end(abi.ALUA_OPTIMIZED);
    s.host.advance(2000);
    t.is(s.error(), 0);
    const waiting = s.host.events.find(({ kind }) => kind === abi.EVENT_NO_PATH_WAITING);
    t.true((waiting?.arg0 ?? 0) >= 60_000 || seconds !== null, "the operator is told how long that may be");
  });
}

test("ALUA: I/O waits as long as the device says that a transition takes, beyond its own time, and no longer", (t) => {
  const ends = transition(200);
  ends.host.advance(190_000);
  t.is(ends.error(), undefined);
  ends.end(abi.ALUA_NON_OPTIMIZED);
  ends.host.advance(2000);
  t.is(ends.error(), 0);
  const stays = transition(200);
  stays.host.advance(199_000);
  t.is(stays.error(), undefined);
  stays.host.advance(5000);
  t.is(stays.error(), 5);
  const silent = transition(0);
  silent.host.advance(59_000);
  t.is(silent.error(), undefined);
  silent.host.advance(2000);
  t.is(silent.error(), 5);
});

test("ALUA: when a transition ends in a state that takes no I/O, no_path_ms counts again", (t) => {
  const s = transition(200);
  s.host.advance(20_000);
  s.end(abi.ALUA_UNAVAILABLE);
  s.host.advance(9000);
  t.is(s.error(), undefined);
  s.host.advance(3000);
  t.is(s.error(), 5);
});

test("ALUA: with no_path_ms 0 I/O fails at once without a path, and waits for a transition all the same", (t) => {
  const s = transition(60, [[abi.UNIT_SET_NO_PATH_TIMEOUT_MS, 0n]]);
  s.host.advance(30_000);
  t.is(s.error(), undefined);
  s.end(abi.ALUA_OPTIMIZED);
  s.host.advance(2000);
  t.is(s.error(), 0);
});

test("ALUA: an extended header is read only where it is one", (t) => {
  for (const bytes of [
    [0, 0, 0, 4, 0x10, 9, 0, 0],
    [0, 0, 0, 12, 0x10, 0, 0, 0, 2, 0, 0, 1],
    [0, 0, 0, 1, 0x10],
  ]) {
    const { host, unit, paths, faults, alua } = aluaScene(2);
    for (const port of [0, 1]) {
      faults.set(port, (command) => {
        if (command.cdb[0] !== REPORT) return undefined;
        host.bytes(command.buffer, command.bytes).fill(0xff).set(bytes);
        return { residual: command.bytes - bytes.length };
      });
    }
    host.advance(12_000);
    t.deepEqual(paths.map(alua), [0, 1]);
    t.is(read(host, unit), 0);
  }
});

/** An array each of whose ports tells of its own group alone. */
function apartScene(): ReturnType<typeof aluaScene> {
  const made = aluaScene();
  for (let i = 0; i < 4; i++) {
    const usual = made.faults.get(i);
    made.faults.set(i, (command) => {
      if (command.cdb[0] !== REPORT) return usual?.(command);
      const bytes = report([{ id: (i % 2) + 1, state: made.states[i % 2] ?? 0, ports: [i] }]);
      made.host.bytes(command.buffer, command.bytes).set(bytes);
      return { residual: command.bytes - bytes.length };
    });
  }
  return made;
}

test("ALUA: a group that a report lacks is asked for over a path of its own, and followed from then on", (t) => {
  const { host, paths, states, alua } = apartScene();
  // Control knows only what the first path told.
  for (const path of [1, 3])
    host.must(host.core.pathSet(paths[path] ?? -1, abi.PATH_SET_ALUA, BigInt(abi.ALUA_UNKNOWN)));
  t.deepEqual(paths.map(alua), [0, abi.ALUA_UNKNOWN, 0, abi.ALUA_UNKNOWN]);
  host.advance(12_000);
  t.deepEqual(paths.map(alua), [0, 1, 0, 1]);
  states[1] = abi.ALUA_STANDBY;
  host.advance(24_000);
  t.deepEqual(paths.map(alua), [0, 2, 0, 2]);
  states[0] = abi.ALUA_NON_OPTIMIZED;
  states[1] = abi.ALUA_OPTIMIZED;
  host.advance(24_000);
  t.deepEqual(paths.map(alua), [1, 0, 1, 0]);
});

test("ALUA: of paths that tell of themselves alone each is asked once in an interval, not to and fro", (t) => {
  const { host, seen } = apartScene();
  host.advance(24_000);
  host.kinds();
  const before = seen.filter(({ operation }) => operation === REPORT).length;
  host.advance(100_000);
  const reports = seen.filter(({ operation }) => operation === REPORT).length - before;
  // An interval is 5 s, each between 7/8 and 9/8 of it, and there are four paths.
  t.true(reports > 4 * 16 && reports <= 4 * 24, `${reports} reports`);
});

test("ALUA: a path of which nobody has told the state takes no I/O while another is known to be optimized", (t) => {
  const { host, unit, paths, disk } = scene([], 2, 0);
  host.settle();
  const [first = -1, second = -1] = paths;
  host.must(host.core.pathSet(first, abi.PATH_SET_ALUA, BigInt(abi.ALUA_UNKNOWN)));
  t.is(host.core.pathSet(first, abi.PATH_SET_ALUA, BigInt(abi.ALUA_UNKNOWN + 1)), -abi.ERROR_RANGE);
  for (let i = 0; i < 8; i++) t.is(read(host, unit), 0);
  const ios = (path: number): bigint =>
    host.view.getBigUint64(host.core.pathTable() + path * abi.PATH_BYTES + abi.PATH_IOS, true);
  t.is(ios(first), 0n);
  t.is(ios(second), 8n);
  host.must(host.core.pathSet(second, abi.PATH_SET_ENABLED, 0n));
  t.is(read(host, unit), 0, "it is better than none");
  t.truthy(disk);
});
