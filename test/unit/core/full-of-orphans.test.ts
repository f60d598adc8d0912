// A path whose depth is used up by commands that it may never answer: I/O does not wait for them while other paths are free.
import test from "ava";
import * as abi from "../../../host/abi.ts";
import { errors, scene, type Scene } from "./fixtures/holes.ts";
import { READ, WRITE, request } from "./fixtures/nbd-client.ts";
import type { Scsi } from "./fixtures/scsi.ts";

const BUSY = 0x08;

/** The first path has lost a command, which went elsewhere, and has answered its check since; it takes no second command. */
function withOrphan(policy: number, pathCount = 2): Scene & { ports: number[]; settle: (command: Scsi) => void } {
  const s = scene(pathCount);
  s.host.must(s.host.core.unitSet(s.unit, abi.UNIT_SET_POLICY, BigInt(policy)));
  const ports: number[] = [];
  const answers: number[] = [BUSY];
  s.host.device = (command) => {
    if (command.port !== 0 || command.check) return s.disk.execute(s.host, command);
    const status = answers.shift();
    if (status !== undefined) return { status };
    s.held.push(command);
    return undefined;
  };
  // BUSY lowers the depth to 1; the next command is lost.
  for (let i = 0; i < 2; i++) {
    s.client.send(request(READ, 0n, 0n, 512));
    s.host.advance(20);
  }
  s.host.advance(200);
  errors(s.client);
  s.host.device = (command) => {
    if (!command.check) ports.push(command.port);
    return s.disk.execute(s.host, command);
  };
  const settle = (command: Scsi): void => {
    s.host.answer(command, s.disk.execute(s.host, command));
    s.host.settle();
  };
  return { ...s, ports, settle };
}

test("static: I/O goes to the next path while the first is full of orphans, and back once it is not", (t) => {
  const s = withOrphan(abi.POLICY_STATIC);
  const [first = -1] = s.paths;
  t.is(s.held.length, 1);
  t.is(s.host.pathField(first, abi.PATH_DEPTH), 1);
  t.is(s.host.pathField(first, abi.PATH_ORPHANS), 1);
  t.is(s.host.flags(first) & (abi.PATH_FLAG_FAILED | abi.PATH_FLAG_STALLED), 0, "it answers");
  for (const kind of [READ, WRITE]) {
    s.client.send(request(kind, kind === READ ? 2n : 3n, 4096n, 512), Buffer.alloc(kind === READ ? 0 : 512));
    s.host.settle();
    t.deepEqual(errors(s.client), [[kind === READ ? 2n : 3n, 0]]);
    t.deepEqual(s.ports.splice(0), [1]);
  }
  for (const command of s.held) s.settle(command);
  s.client.send(request(READ, 4n, 0n, 512));
  s.host.settle();
  t.deepEqual(errors(s.client), [[4n, 0]]);
  t.deepEqual(s.ports, [0]);
});

test("static: it waits for the first path while something there is going to be answered", (t) => {
  const s = withOrphan(abi.POLICY_STATIC);
  for (const command of s.held.splice(0)) s.settle(command);
  s.host.device = (command) => {
    if (!command.check) s.held.push(command);
    return undefined;
  };
  for (const cookie of [2n, 4n]) s.client.send(request(READ, cookie, 0n, 512));
  s.host.settle();
  t.deepEqual(
    s.held.map(({ port }) => port),
    [0],
  );
});

for (const [title, policy] of [
  ["static", abi.POLICY_STATIC],
  ["least in flight", abi.POLICY_LEAST_IN_FLIGHT],
] as const) {
  test(`${title}: paths that are not optimized carry I/O while the only optimized one is full of orphans`, (t) => {
    const s = withOrphan(policy);
    const [first = -1, second = -1] = s.paths;
    t.is(s.host.pathField(first, abi.PATH_ORPHANS), 1);
    s.host.must(s.host.core.pathSet(second, abi.PATH_SET_ALUA, BigInt(abi.ALUA_NON_OPTIMIZED)));
    s.host.settle();
    s.client.send(request(READ, 2n, 0n, 512));
    s.host.settle();
    t.deepEqual(errors(s.client), [[2n, 0]]);
    t.deepEqual(s.ports, [1]);
  });
}

test("what waits for room goes elsewhere as soon as what it waits for is an orphan", (t) => {
  const s = scene();
  const [first = -1] = s.paths;
  let count = 0;
  s.host.device = (command) => {
    if (command.port !== 0 || command.check) return s.disk.execute(s.host, command);
    if (count++ === 0) return { status: BUSY };
    s.held.push(command);
    return undefined;
  };
  for (const cookie of [0n, 2n, 4n]) {
    s.client.send(request(READ, cookie, 0n, 512));
    s.host.advance(cookie === 0n ? 20 : 0);
  }
  t.deepEqual([s.host.pathField(first, abi.PATH_DEPTH), s.held.length], [1, 1]);
  t.deepEqual(errors(s.client), [[0n, 0]]);
  // So many ms as the command has, and not the deadline's thirty seconds.
  s.host.advance(100);
  t.is(s.host.pathField(first, abi.PATH_ORPHANS), 1);
  t.deepEqual(errors(s.client).toSorted(), [
    [2n, 0],
    [4n, 0],
  ]);
});
