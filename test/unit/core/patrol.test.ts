// Patrol, identity and failback: a path is used only when it answers and leads to its unit.
import test from "ava";
import * as abi from "../../../host/abi.ts";
import { Disk } from "./fixtures/disk.ts";
import { Host } from "./fixtures/harness.ts";
import { READ, request } from "./fixtures/nbd-client.ts";
import { INQUIRY, NAA, OTHER, TUR, read, scene } from "./fixtures/scene.ts";
import { check } from "./fixtures/scsi.ts";
import type { Answer } from "./fixtures/scsi.ts";

test("no I/O goes to a path before its identity was checked", (t) => {
  const { host, unit, paths, faults, seen } = scene();
  faults.set(0, (command) => (command.cdb[0] === INQUIRY ? "hang" : undefined));
  t.is(read(host, unit), 0);
  t.deepEqual(
    seen.filter((one) => one.operation === 0x88).map((one) => one.port),
    [1],
  );
  t.truthy(host.flags(paths[0] ?? -1) & abi.PATH_FLAG_UNVERIFIED);
});

test("a path to another unit never gets I/O, is shown as such, and is taken when it leads home again", (t) => {
  const { host, unit, paths, faults, seen } = scene();
  const wrong = new Disk(1 << 20, 512, OTHER);
  faults.set(0, (command) => wrong.execute(host, command));
  t.is(read(host, unit), 0);
  const [first = -1] = paths;
  t.truthy(host.flags(first) & abi.PATH_FLAG_WRONG_UNIT);
  // The device has said who it is, and no error: none is told of it.
  const told = host.events.filter(({ reason }) => reason === abi.REASON_IDENTITY);
  t.true(host.kinds().includes(abi.EVENT_WRONG_UNIT));
  t.true(told.length > 0);
  for (const event of told) t.like(event, { sense: 0, hostStatus: 0 });
  host.advance(20_000);
  read(host, unit);
  t.false(seen.some((one) => one.port === 0 && one.operation === 0x88));
  faults.clear();
  host.advance(10_000);
  t.is(host.flags(first) & (abi.PATH_FLAG_WRONG_UNIT | abi.PATH_FLAG_UNVERIFIED), 0);
  seen.length = 0;
  read(host, unit);
  t.true(seen.some((one) => one.port === 0 && one.operation === 0x88));
});

/** What is no page of its own is asked for again; what is one and names another unit makes the path another unit's. */
const NOT_IN_USE = abi.PATH_FLAG_WRONG_UNIT | abi.PATH_FLAG_FAILED | abi.PATH_FLAG_UNVERIFIED;

test("nonsense instead of page 0x83 is never taken for the unit", (t) => {
  const pages: (number[] | ((bytes: number) => number[]))[] = [
    [],
    [0, 0x83],
    [0, 0x83, 0xff, 0xff],
    [0, 0x83, 0, 12, 1, 3, 0, 200, ...NAA.slice(2)],
    [0x7f, 0x83, 0, 12, 1, 3, 0, 8, ...NAA.slice(2)],
    [0x20, 0x83, 0, 12, 1, 3, 0, 8, ...NAA.slice(2)],
    [0, 0x80, 0, 12, 1, 3, 0, 8, ...NAA.slice(2)],
    [0, 0x83, 0, 12, 1, 0x13, 0, 8, ...NAA.slice(2)],
    [0, 0x83, 0, 12, 2, 3, 0, 8, ...NAA.slice(2)],
    [0, 0x83, 0, 8, 1, 3, 0, 8, ...NAA.slice(2)],
    [0, 0x83, 0, 4, 0, 0, 0, 0],
  ];
  for (const page of pages) {
    const { host, unit, paths, faults, seen } = scene(NAA, 1);
    faults.set(0, (command) => {
      if (command.cdb[0] !== INQUIRY) return undefined;
      const bytes = typeof page === "function" ? page(command.bytes) : page;
      host.bytes(command.buffer, command.bytes).fill(0xff).set(bytes);
      return { residual: command.bytes - bytes.length };
    });
    t.is(read(host, unit), undefined);
    t.falsy(seen.some((one) => one.operation === 0x88));
    t.truthy(host.flags(paths[0] ?? -1) & NOT_IN_USE);
  }
});

const SERIAL = [abi.IDENTITY_TYPE_SERIAL, 0, ...Buffer.from("SN 17?")];
const serialPage = (serial: string): number[] => [0, 0x80, 0, serial.length, ...Buffer.from(serial, "latin1")];

for (const [title, page, isOurs] of [
  ["its serial number", serialPage("SN 17?"), true],
  ["its serial number, padded in front", serialPage("    SN 17?"), true],
  ["its serial number, padded behind", serialPage("SN 17?   "), true],
  ["its serial number, padded with zeroes", serialPage("\0SN 17?\0\0"), true],
  ["one that goes on behind a zero", serialPage("SN 17?\0garbage"), false],
  ["one with what cannot be printed where it has a question mark", serialPage("SN 17\u0007"), false],
  ["another serial number", serialPage("SN 18?"), false],
  ["a longer one", serialPage("SN 17?1"), false],
  ["a shorter one", serialPage("SN 17"), false],
  ["one that is cut off", serialPage("SN 17?").slice(0, 8), false],
  ["none", serialPage(""), false],
  ["blanks", serialPage("      "), false],
  ["no page", [], false],
  ["page 0x83", [0, 0x83, 0, 12, 1, 3, 0, 8, ...NAA.slice(2)], false],
  ["no unit", [0x7f, ...serialPage("SN 17?").slice(1)], false],
] as const) {
  test(`a unit without page 0x83 is compared by page 0x80: ${title} ${isOurs ? "is" : "is never taken for"} the unit`, (t) => {
    const { host, unit, paths, faults, seen } = scene(SERIAL, 1);
    const asked: number[] = [];
    faults.set(0, (command) => {
      if (command.cdb[0] !== INQUIRY) return undefined;
      asked.push(command.cdb[2] ?? -1);
      host.bytes(command.buffer, command.bytes).fill(0xff).set(page);
      return { residual: command.bytes - page.length };
    });
    t.is(read(host, unit), isOurs ? 0 : undefined);
    t.is(
      seen.some((one) => one.operation === 0x88),
      isOurs,
    );
    t.true(asked.length > 0 && asked.every((code) => code === 0x80));
    t.is((host.flags(paths[0] ?? -1) & NOT_IN_USE) === 0, isOurs);
  });
}

test("the designator is found behind others, and the residual is not believed blindly", (t) => {
  const { host, unit, faults } = scene(NAA, 1);
  faults.set(0, (command) => {
    if (command.cdb[0] !== INQUIRY) return undefined;
    const page = [
      0,
      0x83,
      0,
      36,
      2,
      1,
      0,
      8,
      ...Buffer.from("VENDOR  "),
      1,
      0x14,
      0,
      4,
      0,
      0,
      0,
      7,
      1,
      3,
      0,
      8,
      ...NAA.slice(2),
    ];
    host.bytes(command.buffer, command.bytes).set(page);
    return {};
  });
  t.is(read(host, unit), 0);
});

test("an idle path is checked in each interval, a busy one is not", (t) => {
  const { host, unit, paths, seen } = scene();
  host.advance(6000);
  seen.length = 0;
  const client = host.connect(unit);
  for (let i = 0; i < 300; i++) {
    client.send(request(READ, BigInt(i), 0n, 512));
    host.advance(100);
  }
  const turs = (port: number): number => seen.filter((one) => one.port === port && one.operation === TUR).length;
  t.is(turs(0), 0);
  t.true(turs(1) >= 4 && turs(1) <= 7, `${turs(1)} checks in 30 s`);
  t.true(host.pathCount64(paths[1] ?? -1, abi.PATH_CHECKS) > 4n);
});

test("checks of many paths are spread over the interval", (t) => {
  const host = new Host({ paths: 256, units: 64 });
  const times: bigint[] = [];
  host.device = (command) => {
    if (command.cdb[0] === TUR) times.push(host.now);
    return {};
  };
  for (let i = 0; i < 32; i++) host.unit({ paths: 8 });
  host.advance(5000);
  host.advance(20_000);
  const buckets = new Map<bigint, number>();
  for (const time of times.slice(256)) buckets.set(time / 50_000_000n, (buckets.get(time / 50_000_000n) ?? 0) + 1);
  t.true(times.length > 900);
  t.true(Math.max(...buckets.values()) < 20, "never more than a few in 50 ms");
});

for (const [name, fault, reason] of [
  ["an error", (): Answer => ({ hostStatus: 1 }), abi.REASON_PATROL],
  ["no answer", (): "hang" => "hang", abi.REASON_TIMEOUT],
] as const) {
  test(`a health check that meets ${name} leads to failover, the recovery check to failback`, (t) => {
    const { host, unit, paths, faults } = scene();
    const [first = -1, second = -1] = paths;
    host.advance(6000);
    host.events.length = 0;
    faults.set(0, fault);
    host.advance(30_000);
    t.truthy(host.flags(first) & abi.PATH_FLAG_FAILED);
    t.deepEqual(
      host.events
        .filter((event) => event.kind !== abi.EVENT_PATH_STATE)
        .map((event) => [event.kind, event.path, event.reason]),
      [
        [abi.EVENT_PATH_ERROR_CHECK, first, reason],
        [abi.EVENT_FAILOVER_STARTED, first, reason],
        [abi.EVENT_FAILOVER_DONE, second, reason],
      ],
    );
    t.is(read(host, unit), 0);
    faults.clear();
    host.events.length = 0;
    for (const command of host.outstanding.slice()) host.answer(command, { hostStatus: 3 });
    host.advance(10_000);
    t.is(host.flags(first) & abi.PATH_FLAG_FAILED, 0);
    t.truthy(host.flags(first) & abi.PATH_FLAG_IN_USE);
    const kinds = host
      .kinds()
      .filter((kind) => kind === abi.EVENT_FAILBACK_STARTED || kind === abi.EVENT_FAILBACK_DONE);
    t.deepEqual(kinds, [abi.EVENT_FAILBACK_STARTED, abi.EVENT_FAILBACK_DONE]);
  });
}

test("failback mode Standby leaves a recovered path disabled until an operator enables it", (t) => {
  const { host, unit, paths, faults } = scene();
  const [first = -1] = paths;
  host.must(host.core.modeSet(abi.MODE_FAILBACK, BigInt(abi.FAILBACK_MODE_STANDBY)));
  host.advance(1000);
  faults.set(0, () => ({ hostStatus: 0x0e }));
  read(host, unit);
  t.truthy(host.flags(first) & abi.PATH_FLAG_FAILED);
  faults.clear();
  host.advance(10_000);
  t.is(host.flags(first) & (abi.PATH_FLAG_FAILED | abi.PATH_FLAG_ENABLED | abi.PATH_FLAG_IN_USE), 0);
  host.must(host.core.pathSet(first, abi.PATH_SET_ENABLED, 1n));
  host.settle();
  t.truthy(host.flags(first) & abi.PATH_FLAG_IN_USE);
});

test("a recovered path that leads elsewhere now is not taken back, by patrol or by hand", (t) => {
  const { host, unit, paths, faults, seen } = scene();
  const [first = -1] = paths;
  host.advance(1000);
  faults.set(0, () => ({ hostStatus: 0x0e }));
  read(host, unit);
  const wrong = new Disk(1 << 20, 512, OTHER);
  faults.set(0, (command) => wrong.execute(host, command));
  host.events.length = 0;
  seen.length = 0;
  host.must(host.core.pathSet(first, abi.PATH_SET_FAILED, 0n));
  host.advance(10_000);
  const kinds = host.kinds();
  t.true(kinds.includes(abi.EVENT_FAILBACK_FAILED));
  t.false(kinds.includes(abi.EVENT_FAILBACK_DONE));
  t.truthy(host.flags(first) & abi.PATH_FLAG_WRONG_UNIT);
  t.false(seen.some((one) => one.port === 0 && one.operation === 0x88));
});

test("failback by hand: checks first, then done or failed, each with its event", (t) => {
  const { host, unit, paths, faults } = scene();
  const [first = -1] = paths;
  host.must(host.core.modeSet(abi.MODE_PATROL, 0n));
  host.advance(100);
  faults.set(0, () => ({ hostStatus: 0x0e }));
  read(host, unit);
  host.events.length = 0;
  host.must(host.core.pathSet(first, abi.PATH_SET_FAILED, 0n));
  host.advance(100);
  t.true(host.kinds().includes(abi.EVENT_FAILBACK_FAILED));
  t.truthy(host.flags(first) & abi.PATH_FLAG_FAILED);
  faults.clear();
  host.must(host.core.pathSet(first, abi.PATH_SET_FAILED, 0n));
  host.advance(100);
  const done = host.events.find((event) => event.kind === abi.EVENT_FAILBACK_DONE);
  t.like(done, { reason: abi.REASON_OPERATOR, arg0: 0, arg1: 0, sense: 0, hostStatus: 0 });
  t.is(host.flags(first) & abi.PATH_FLAG_FAILED, 0);
});

test("a path failed by order of control stays failed until ordered back", (t) => {
  const { host, paths } = scene();
  const [first = -1] = paths;
  host.advance(100);
  host.must(host.core.pathSet(first, abi.PATH_SET_FAILED, 1n));
  host.advance(60_000);
  t.truthy(host.flags(first) & abi.PATH_FLAG_FAILED);
  host.must(host.core.pathSet(first, abi.PATH_SET_FAILED, 0n));
  host.advance(100);
  t.is(host.flags(first) & abi.PATH_FLAG_FAILED, 0);
});

test("a unit attention about the inventory stops I/O on the path until its identity was checked again", (t) => {
  for (const [asc, ascq] of [
    [0x3f, 0x0e],
    [0x3f, 0x03],
    [0x3f, 0x05],
    [0x28, 0x00],
  ] as const) {
    const { host, unit, paths, faults, seen } = scene();
    const [first = -1] = paths;
    host.advance(100);
    seen.length = 0;
    let told = false;
    const wrong = new Disk(1 << 20, 512, OTHER);
    faults.set(0, (command) => {
      if (told) return wrong.execute(host, command);
      told = true;
      return check(6, asc, ascq);
    });
    t.is(read(host, unit), 0);
    host.advance(100);
    t.truthy(host.flags(first) & abi.PATH_FLAG_WRONG_UNIT);
    t.deepEqual(
      seen.filter((one) => one.port === 0).map((one) => one.operation),
      [0x88, INQUIRY],
    );
    t.true(host.kinds().includes(abi.EVENT_INQUIRY_CHANGED));
  }
});

test("a removed path with a check out keeps its handle until the check is back", (t) => {
  const { host, paths, faults } = scene();
  const [first = -1] = paths;
  faults.set(0, () => "hang");
  host.advance(30_000);
  t.is(host.core.pathRemove(first), 0);
  t.truthy(host.flags(first) & abi.PATH_FLAG_PRESENT);
  for (const command of host.outstanding.slice()) host.answer(command, { result: -19 });
  host.settle();
  t.is(host.flags(first), 0);
});

test("when a path has last answered is told: by I/O, by a check, not by what the host made up", (t) => {
  const { host, unit, paths, faults } = scene();
  const lastNs = (): bigint => host.pathCount64(paths[0] ?? -1, abi.PATH_LAST_ANSWER_NS);
  t.is(read(host, unit), 0);
  const ioNs = lastNs();
  t.true(ioNs > 0n && ioNs <= host.now);
  host.advance(12_000);
  const checkedNs = lastNs();
  t.true(checkedNs > ioNs && checkedNs <= host.now);
  faults.set(0, () => ({ hostStatus: 1 }));
  read(host, unit);
  host.advance(5000);
  t.is(lastNs(), checkedNs);
});

test("another interval holds at once: nobody is looked at as late as the one before had it", (t) => {
  const { host, paths, seen } = scene();
  host.must(host.core.modeSet(abi.MODE_PATROL_THRESHOLD_MS, 1n));
  host.must(host.core.modeSet(abi.MODE_PATROL_INTERVAL_MS, 600_000n));
  host.advance(1000);
  seen.length = 0;
  host.must(host.core.modeSet(abi.MODE_PATROL_INTERVAL_MS, 1000n));
  host.advance(2000);
  t.deepEqual(
    [...new Set(seen.map(({ port }) => port))].toSorted(),
    paths.map((_, port) => port),
  );
});

test("a path that is well when it is looked at is not asked who it is", (t) => {
  const { host, faults, seen } = scene();
  host.must(host.core.modeSet(abi.MODE_PATROL_INTERVAL_MS, 1000n));
  host.advance(3000);
  seen.length = 0;
  host.advance(10_000);
  t.true(seen.length >= 16, "each path in each interval");
  t.deepEqual([...new Set(seen.map(({ operation }) => operation))], [TUR]);
  t.is(faults.size, 0);
});

test("a check has as long as control says, also if that is more than a minute", (t) => {
  const { host, paths, faults } = scene();
  host.must(host.core.modeSet(abi.MODE_PATROL_INTERVAL_MS, 1000n));
  host.must(host.core.modeSet(abi.MODE_PATROL_TIMEOUT_MS, 100_000n));
  host.advance(3000);
  let timeoutMs = 0;
  faults.set(0, (command) => {
    timeoutMs = command.timeoutMs;
    return "hang";
  });
  host.advance(99_000);
  t.is(timeoutMs, 100_000);
  t.is(host.flags(paths[0] ?? -1) & abi.PATH_FLAG_FAILED, 0);
});
