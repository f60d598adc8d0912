// Port groups of which nothing is known, and a device that refuses to have them set.
import test from "ava";
import * as abi from "../../../host/abi.ts";
import { aluaScene, report } from "./fixtures/alua-scene.ts";
import { READ, request } from "./fixtures/nbd-client.ts";
import { REPORT, SET, read, scene } from "./fixtures/scene.ts";
import { check } from "./fixtures/scsi.ts";

test("a device that refuses SET TARGET PORT GROUPS: it is told, asked a few times, and left alone for a while", (t) => {
  const { host, unit, paths, states, seen, faults } = aluaScene();
  host.must(host.core.unitSet(unit, abi.UNIT_SET_ALUA_EXPLICIT, 1n));
  const sets = (): number => seen.filter(({ operation }) => operation === SET).length;
  for (const port of [1, 3]) {
    const usual = faults.get(port);
    faults.set(port, (command) => (command.cdb[0] === SET ? check(5, 0x20, 0) : usual?.(command)));
  }
  for (const port of [0, 2]) host.must(host.core.pathSet(paths[port] ?? -1, abi.PATH_SET_FAILED, 1n));
  host.advance(6000);
  t.is(sets(), 4);
  const told = host.events.filter(({ kind }) => kind === abi.EVENT_ALUA_SET);
  t.deepEqual(
    told.map(({ arg0, arg1, sense, hostStatus }) => [arg0, arg1, sense, hostStatus]),
    [[2, 0, 0, 0]],
  );
  t.is(states[1], abi.ALUA_NON_OPTIMIZED);
  host.advance(50_000);
  t.is(sets(), 4);
  t.is(read(host, unit), 0, "the paths are none the worse for it");
  for (const port of [1, 3]) t.is(host.flags(paths[port] ?? -1) & abi.PATH_FLAG_FAILED, 0);
});

test("a device that accepts SET TARGET PORT GROUPS and changes nothing is told again, later each time", (t) => {
  const { host, unit, paths, seen, faults } = aluaScene();
  host.must(host.core.unitSet(unit, abi.UNIT_SET_ALUA_EXPLICIT, 1n));
  for (const port of [1, 3]) {
    const usual = faults.get(port);
    faults.set(port, (command) => (command.cdb[0] === SET ? {} : usual?.(command)));
  }
  for (const port of [0, 2]) {
    faults.set(port, () => ({ hostStatus: 1 }));
    host.must(host.core.pathSet(paths[port] ?? -1, abi.PATH_SET_FAILED, 1n));
  }
  const sets = (): number => seen.filter(({ operation }) => operation === SET).length;
  host.advance(6000);
  t.is(sets(), 1);
  host.advance(50_000);
  t.is(sets(), 1);
  host.advance(15_000);
  t.is(sets(), 2);
  host.advance(110_000);
  t.is(sets(), 2);
  host.advance(20_000);
  t.is(sets(), 3);
});

for (const [title, own, asked] of [
  ["covers all groups is asked of the path that surely answers", false, 0],
  ["leaves the path's group out is asked of the path itself", true, 1],
] as const) {
  test(`after a change that a path tells, a report that ${title}`, (t) => {
    const { host, unit, paths, seen, faults, states } = aluaScene(2);
    host.must(host.core.modeSet(abi.MODE_PATROL_INTERVAL_MS, 60_000n));
    states[1] = abi.ALUA_OPTIMIZED;
    host.must(host.core.pathSet(paths[1] ?? -1, abi.PATH_SET_ALUA, BigInt(abi.ALUA_OPTIMIZED)));
    host.must(host.core.pathSwap(paths[0] ?? -1, paths[1] ?? -1));
    let changed = false;
    for (const port of [0, 1]) {
      const usual = faults.get(port);
      faults.set(port, (command) => {
        if (command.cdb[0] === REPORT && own) {
          const bytes = report([{ id: port + 1, state: abi.ALUA_OPTIMIZED, ports: [port] }]);
          host.bytes(command.buffer, command.bytes).set(bytes);
          return { residual: command.bytes - bytes.length };
        }
        if (!changed || command.check) return usual?.(command);
        changed = false;
        return check(6, 0x2a, 0x06);
      });
    }
    host.advance(200_000);
    changed = true;
    seen.length = 0;
    t.is(read(host, unit), 0);
    t.false(changed);
    const reports = seen.filter(({ operation }) => operation === REPORT).map(({ port }) => port);
    t.deepEqual(reports, [asked]);
  });
}

test("the only path tells that it takes no I/O any more: it is asked itself", (t) => {
  const { host, unit, paths, seen, states } = aluaScene(1);
  host.must(host.core.modeSet(abi.MODE_PATROL_INTERVAL_MS, 60_000n));
  host.advance(100);
  states[0] = abi.ALUA_STANDBY;
  seen.length = 0;
  const client = host.connect(unit);
  client.send(request(READ, 1n, 0n, 512));
  host.advance(1);
  t.is(host.view.getUint8(host.core.pathTable() + (paths[0] ?? -1) * abi.PATH_BYTES + abi.PATH_ALUA), abi.ALUA_STANDBY);
  t.deepEqual(
    seen.map(({ operation, port }) => [operation, port]).filter(([operation]) => operation === REPORT),
    [[REPORT, 0]],
  );
});

test("no port group is set for a path whose group nobody has told", (t) => {
  const { host, unit, paths, seen } = scene([], 2, abi.UNIT_CAN_ALUA);
  for (const path of paths) host.must(host.core.pathSet(path, abi.PATH_SET_ALUA, BigInt(abi.ALUA_NON_OPTIMIZED)));
  host.must(host.core.unitSet(unit, abi.UNIT_SET_ALUA_EXPLICIT, 1n));
  host.advance(120_000);
  t.false(seen.some(({ operation }) => operation === SET));
});

test("a path whose group nobody has told takes no state from a report, and does not ask for one", (t) => {
  const { host, unit, paths, seen, faults } = scene([], 3, abi.UNIT_CAN_ALUA);
  const [, , last = -1] = paths;
  for (const path of paths.slice(0, 2)) host.must(host.core.pathSet(path, abi.PATH_SET_TARGET_PORT_GROUP, 1n));
  for (const port of [0, 1, 2]) {
    faults.set(port, (command) => {
      if (command.cdb[0] !== REPORT) return undefined;
      const bytes = report([
        { id: 0, state: abi.ALUA_STANDBY, ports: [9] },
        { id: 1, state: abi.ALUA_NON_OPTIMIZED, ports: [1] },
      ]);
      host.bytes(command.buffer, command.bytes).set(bytes);
      return { residual: command.bytes - bytes.length };
    });
  }
  const alua = (path: number): number =>
    host.view.getUint8(host.core.pathTable() + path * abi.PATH_BYTES + abi.PATH_ALUA);
  const before = alua(last);
  t.not(before, abi.ALUA_STANDBY);
  host.advance(25_000);
  t.deepEqual(paths.map(alua), [abi.ALUA_NON_OPTIMIZED, abi.ALUA_NON_OPTIMIZED, before]);
  const reports = seen.filter(({ operation }) => operation === REPORT).map(({ port }) => port);
  t.true(reports.length > 0);
  t.false(reports.includes(1), "one report serves both");
  t.is(read(host, unit), 0);
});

test("explicit ALUA: the group that is set is that of the usable path with the highest priority", (t) => {
  const { host, unit, paths, seen, faults, states } = aluaScene();
  host.must(host.core.unitSet(unit, abi.UNIT_SET_ALUA_EXPLICIT, 1n));
  host.must(host.core.pathSwap(paths[1] ?? -1, paths[3] ?? -1));
  for (const port of [0, 2]) {
    faults.set(port, () => ({ hostStatus: 1 }));
    host.must(host.core.pathSet(paths[port] ?? -1, abi.PATH_SET_FAILED, 1n));
  }
  host.advance(6000);
  t.deepEqual(
    seen.filter(({ operation }) => operation === SET).map(({ port }) => port),
    [3],
  );
  t.is(states[1], abi.ALUA_OPTIMIZED);
});

for (const [what, groups] of [
  // Each knows of one group only, which none of these paths is in.
  ["one other group", [{ id: 9, state: abi.ALUA_OPTIMIZED, ports: [9] }]],
  ["no group", []],
] as const) {
  test(`paths that a report of ${what} leaves out are asked at once, but not the one that told, nor a failed one`, (t) => {
    const { host, paths, seen, faults } = aluaScene(6);
    for (const port of [0, 1, 2, 3, 4, 5]) {
      faults.set(port, (command) => {
        if (command.cdb[0] !== REPORT) return undefined;
        const bytes = report(groups);
        host.bytes(command.buffer, command.bytes).set(bytes);
        return { residual: command.bytes - bytes.length };
      });
    }
    host.must(host.core.pathSet(paths[3] ?? -1, abi.PATH_SET_FAILED, 1n));
    host.advance(100);
    seen.length = 0;
    const reports = (): number[] => seen.filter(({ operation }) => operation === REPORT).map(({ port }) => port);
    while (reports().length === 0) host.advance(1);
    const [teller] = reports();
    t.deepEqual(reports().toSorted(), [0, 1, 2, 4, 5].toSorted(), `told by ${teller}`);
  });
}

test("as long as a group is in transition its state is asked for twice a second, and then no more", (t) => {
  const { host, seen, states } = aluaScene();
  const reports = (ms: number): number => {
    seen.length = 0;
    host.advance(ms);
    return seen.filter(({ operation }) => operation === REPORT).length;
  };
  host.must(host.core.modeSet(abi.MODE_PATROL_INTERVAL_MS, 60_000n));
  reports(1000);
  states[1] = abi.ALUA_TRANSITIONING;
  while (reports(100) === 0);
  const during = reports(5000);
  t.true(during >= 9 && during <= 25, `${during} in 5 s`);
  states[1] = abi.ALUA_NON_OPTIMIZED;
  reports(1000);
  const after = reports(5000);
  t.true(after <= 2, `${after} in 5 s`);
});

test("a path that cannot report its port groups is asked as often the next time", (t) => {
  const { host, unit, paths, seen, faults } = scene(undefined, 1, abi.UNIT_CAN_ALUA);
  host.must(host.core.modeSet(abi.MODE_PATROL, 0n));
  host.advance(10_000);
  faults.set(0, ({ cdb }) => (cdb[0] === REPORT ? { status: 8 } : undefined));
  const asked: number[] = [];
  for (let i = 0; i < 2; i++) {
    seen.length = 0;
    const usual = faults.get(0);
    let told = false;
    faults.set(0, (command) => {
      if (told || command.check) return usual?.(command);
      told = true;
      return check(6, 0x2a, 6);
    });
    read(host, unit);
    host.advance(400);
    asked.push(seen.filter(({ operation }) => operation === REPORT).length);
  }
  t.deepEqual(asked, [4, 4]);
  t.is(host.flags(paths[0] ?? -1) & abi.PATH_FLAG_FAILED, 0);
});
