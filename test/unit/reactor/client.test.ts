// The reactor as control sees it: calls, refusals, snapshots, events, connections.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { socketPair } from "../../../host/native/index.ts";
import {
  EVENT_PATH_STATE,
  MODE_CLUSTER,
  PATH_FLAG_FAILED,
  PATH_FLAG_PRESENT,
  PATH_SET_PRIORITY,
  POLICY_ROUND_ROBIN,
  UNIT_SET_POLICY,
} from "../../../host/abi.ts";
import { ReactorClient, type CoreEvent } from "../../../host/reactor/reactor-client.ts";
import { decodeStatistics } from "../../../host/reactor/decode-statistics.ts";
import { connect, NbdClient, PRELOAD_MAX, request, startRig, UNIT_BYTES } from "./fixture.ts";

/** Resolves with the first event that passes. */
function eventOf(reactor: ReactorClient, pass: (event: CoreEvent) => boolean): Promise<CoreEvent> {
  return new Promise((resolve) => {
    const off = reactor.onEvent((events) => {
      const found = events.find(pass);
      if (found === undefined) return;
      off();
      resolve(found);
    });
  });
}

for (const backend of ["io_uring", "epoll"] as const) {
  test(`${backend}: what a client writes it reads again, and the tables tell of it`, async (t) => {
    const rig = await startRig({ backend });
    t.is(rig.reactor.backend, backend);
    const client = await connect(rig);
    const data = Buffer.alloc(8192, 0x5a);
    t.is((await client.write(4096, data)).error, 0);
    t.deepEqual((await client.read(4096, 8192)).data, data);
    const { paths, units } = await rig.reactor.snapshot();
    t.is(units.length, 1);
    t.is(units[0]?.answered, 2);
    t.is(units[0]?.connections, 1);
    t.is(units[0]?.blocks, UNIT_BYTES / 512);
    t.is(paths.length, 4);
    t.deepEqual(
      paths.map(({ path, unit, slot }) => [path, unit, slot]),
      rig.paths.map((path, slot) => [path, rig.unit, slot]),
    );
    t.is(
      paths.reduce((sum, { bytesWritten }) => sum + bytesWritten, 0),
      8192,
    );
    t.true(paths.every(({ flags }) => (flags & PATH_FLAG_PRESENT) !== 0));
    client.end();
    t.is(await rig.reactor.stop(), "stopped");
  });
}

test("bytes that were received before the hand-over are served first", async (t) => {
  const rig = await startRig();
  const [ours, theirs] = socketPair("stream");
  const client = new NbdClient(theirs ?? -1);
  const replies = [client.expect(7001, 4096), client.expect(7002, 512)];
  await rig.reactor.addConnection(
    ours ?? -1,
    rig.unit,
    0,
    Buffer.concat([request(false, 7001, 0, 4096), request(false, 7002, 512, 512)]),
  );
  t.deepEqual(
    (await Promise.all(replies)).map(({ error, data }) => [error, data.length]),
    [
      [0, 4096],
      [0, 512],
    ],
  );
  client.end();
  await rig.reactor.stop();
});

test("each refusal of the core has its code, and changes nothing", async (t) => {
  const { reactor, unit, paths } = await startRig();
  const [first = 0, second = 0] = paths;
  await t.throwsAsync(reactor.pathSet(first, PATH_SET_PRIORITY, 2), { code: "CORE_PRIORITY_IN_USE" });
  await t.throwsAsync(reactor.pathSet(first, PATH_SET_PRIORITY, 0), { code: "CORE_RANGE" });
  await t.throwsAsync(reactor.pathSet(first, 999, 1), { code: "CORE_PROPERTY" });
  await t.throwsAsync(reactor.pathRemove(400), { code: "CORE_HANDLE" });
  await t.throwsAsync(reactor.unitSet(63, UNIT_SET_POLICY, 0), { code: "CORE_HANDLE" });
  await t.throwsAsync(reactor.unitSet(unit, UNIT_SET_POLICY, 99), { code: "CORE_RANGE" });
  await reactor.modeSet(MODE_CLUSTER, 1);
  await t.throwsAsync(reactor.unitSet(unit, UNIT_SET_POLICY, POLICY_ROUND_ROBIN), { code: "CORE_CLUSTER_MODE" });
  await reactor.pathSwap(first, second);
  t.deepEqual(
    (await reactor.snapshot()).paths.map(({ priority }) => priority),
    [2, 1, 3, 4],
  );
  await t.throwsAsync(reactor.unitIdentity(unit, new Uint8Array(999)), {
    code: "REACTOR_ARGUMENT",
    message: /999 bytes/,
  });
  await t.throwsAsync(reactor.unitSet(unit, UNIT_SET_POLICY, 1.5));
  await t.throwsAsync(reactor.openPort("/dev/null", 16));
  await reactor.stop();
});

test("a connection that the core refuses is closed: the other end sees it", async (t) => {
  const { reactor } = await startRig();
  for (const [unit, preloaded] of [
    [60, new Uint8Array()],
    [0, new Uint8Array(PRELOAD_MAX + 1)],
  ] as const) {
    const [ours, theirs] = socketPair("stream");
    const client = new NbdClient(theirs ?? -1);
    await t.throwsAsync(reactor.addConnection(ours ?? -1, unit, 0, preloaded));
    await client.closed;
  }
  t.is((await reactor.snapshot()).units[0]?.connections, 0);
  await reactor.stop();
});

test("closing a connection closes its socket", async (t) => {
  const rig = await startRig();
  const [ours, theirs] = socketPair("stream");
  const client = new NbdClient(theirs ?? -1);
  const connection = await rig.reactor.addConnection(ours ?? -1, rig.unit, 0);
  await rig.reactor.closeConnection(connection);
  await client.closed;
  t.is((await rig.reactor.snapshot()).units[0]?.connections, 0);
  await rig.reactor.stop();
});

test("a dead controller fails its paths, I/O goes on, and events say so", async (t) => {
  const rig = await startRig();
  const client = await connect(rig);
  await rig.reactor.unitSet(rig.unit, UNIT_SET_POLICY, POLICY_ROUND_ROBIN);
  const failed = eventOf(rig.reactor, ({ kind, arg1 }) => kind === EVENT_PATH_STATE && (arg1 & PATH_FLAG_FAILED) !== 0);
  const id = await rig.reactor.addFault({ fault: { kind: "port-down" }, where: { controller: 0 } });
  t.deepEqual(
    (await rig.reactor.faults()).map((fault) => [fault.id, fault.ports]),
    [[id, 2]],
  );
  for (let i = 0; i < 8; i++) t.is((await client.read(i * 4096, 4096)).error, 0);
  const event = await failed;
  t.true(event.path === rig.paths[0] || event.path === rig.paths[2]);
  t.is(event.unit, rig.unit);
  t.true(event.timeNs > 0);
  t.true(await rig.reactor.liftFault(id));
  client.end();
  await rig.reactor.stop();
});

test("emulated ports answer commands past the rings, and say where they are", async (t) => {
  const { reactor } = await startRig();
  const ports = await reactor.arrayPorts();
  t.deepEqual(
    ports.map(({ path }) => path),
    ["4:0:0:0", "5:0:2:0", "4:0:1:0", "5:0:3:0"],
  );
  const inquiry = await reactor.arrayCommand(0, Uint8Array.of(0x12, 1, 0x83, 0, 255, 0), 255);
  t.is(inquiry.status, 0);
  t.is(inquiry.data[1], 0x83);
  await t.throwsAsync(reactor.arrayCommand(99, Uint8Array.of(0, 0, 0, 0, 0, 0)), { code: "ARRAY_PORT" });
  await t.throwsAsync(reactor.addFault({ fault: { kind: "slow", factor: -1 } }), {
    code: "ARRAY_FAULT",
    message: /factor/,
  });
  await reactor.stop();
});

test("statistics of paths and units are copied by handle", async (t) => {
  const rig = await startRig();
  const client = await connect(rig);
  for (let i = 0; i < 3; i++) await client.read(0, 4096);
  const copies = await rig.reactor.statistics({ units: [rig.unit, 63], paths: rig.paths });
  t.deepEqual([...copies.units.keys()], [rig.unit]);
  t.is(decodeStatistics(copies.units.get(rig.unit) ?? new Uint8Array()).reads.ios, 3);
  const ofPaths = [...copies.paths.values()].map((copy) => decodeStatistics(copy).reads.ios);
  t.is(
    ofPaths.reduce((sum, ios) => sum + ios, 0),
    3,
  );
  client.end();
  await rig.reactor.stop();
});

test("a file behind a unit keeps what was written when the reactor starts anew", async (t) => {
  const directory = mkdtempSync(join(tmpdir(), "pm-reactor-"));
  t.teardown(() => rmSync(directory, { recursive: true }));
  const data = Buffer.alloc(4096, 7);
  for (const write of [true, false]) {
    const rig = await startRig({ arrays: [{ units: 1, unitBytes: UNIT_BYTES, directory }] });
    const client = await connect(rig);
    if (write) t.is((await client.write(8192, data)).error, 0);
    else t.deepEqual((await client.read(8192, 4096)).data, data);
    client.end();
    await rig.reactor.stop();
  }
});

test("what cannot start says why, and two reactors do not meet", async (t) => {
  await t.throwsAsync(ReactorClient.start({ limits: { poolBytes: 5 } }), { code: "CORE_RANGE" });
  await t.throwsAsync(ReactorClient.start({ arrays: [{ units: 0 }] }), { code: "ARRAY_TOPOLOGY" });
  const [one, two] = await Promise.all([startRig(), startRig()]);
  const client = await connect(one);
  await client.write(0, Buffer.alloc(512, 1));
  t.is((await two.reactor.snapshot()).units[0]?.answered, 0);
  client.end();
  t.deepEqual(await Promise.all([one.reactor.stop(), two.reactor.stop()]), ["stopped", "stopped"]);
});
