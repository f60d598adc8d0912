// Faults that have a common cause, and paths that are never quite well.
import test from "ava";
import * as abi from "../../../host/abi.ts";
import { Host } from "./fixtures/harness.ts";
import { READ, replies, request } from "./fixtures/nbd-client.ts";
import { check } from "./fixtures/scsi.ts";
import type { Answer } from "./fixtures/scsi.ts";

test("64 units of 4 paths, a target port dies: at most 8 probes, at most one failed command each", (t) => {
  for (const fault of [{ hostStatus: 1 }, "hang"] as (Answer | "hang")[]) {
    const host = new Host({ units: 64, paths: 256, connections: 64, requests: 1024, commands: 1024 });
    let dead = false;
    let probes = 0;
    const failed = new Map<number, number>();
    host.device = (command) => {
      if (command.check) probes++;
      if (!dead || command.port % 100 > 1) return {};
      const unit = Math.floor(command.port / 100);
      if (!command.check) failed.set(unit, (failed.get(unit) ?? 0) + 1);
      return fault === "hang" ? undefined : fault;
    };
    const clients = Array.from({ length: 64 }, () => {
      const { unit, paths } = host.unit({ paths: 4 });
      host.must(host.core.unitSet(unit, abi.UNIT_SET_POLICY, BigInt(abi.POLICY_ROUND_ROBIN)));
      paths.forEach((path, i) => {
        host.must(host.core.pathSet(path, abi.PATH_SET_INITIATOR_PORT, BigInt(i % 2)));
        host.must(host.core.pathSet(path, abi.PATH_SET_TARGET_PORT, BigInt(10 + Math.floor(i / 2))));
      });
      return host.connect(unit);
    });
    const round = (ms: number): void => {
      for (const client of clients) client.send(request(READ, 1n, 0n, 512));
      host.advance(ms);
    };
    for (let i = 0; i < 20; i++) round(1);
    host.advance(1);
    for (const client of clients) client.received.length = 0;
    dead = true;
    probes = 0;
    clients.slice(0, 3).forEach((client) => client.send(request(READ, 1n, 0n, 512)));
    host.advance(100);
    for (let i = 0; i < 20; i++) round(1);
    host.advance(100);
    t.true(probes <= 8, `${probes} probes`);
    t.true(Math.max(...failed.values()) <= 1, `failed: ${[...failed.values()].join()}`);
    const answers = clients.map((client) => replies(client.received, new Map([[1n, 512]])));
    t.true(answers.every((list) => list.length >= 20 && list.every((reply) => reply.error === 0)));
  }
});

test("a suspect that answers its probe clears the others of its nexus", (t) => {
  const host = new Host();
  const one = host.unit({ paths: 2 });
  const two = host.unit({ paths: 2 });
  host.must(host.core.modeSet(abi.MODE_PATROL, 0n));
  for (const path of [one.paths[0], two.paths[0]])
    host.must(host.core.pathSet(path ?? -1, abi.PATH_SET_CONTROLLER, 5n));
  host.device = (command) => (command.port === 0 ? { hostStatus: 1 } : {});
  const client = host.connect(one.unit);
  client.send(request(READ, 1n, 0n, 512));
  host.advance(10);
  t.truthy(host.flags(one.paths[0] ?? -1) & abi.PATH_FLAG_FAILED);
  t.is(host.flags(two.paths[0] ?? -1) & abi.PATH_FLAG_SUSPECT, 0);
  const told = host.events.filter((event) => event.kind === abi.EVENT_SUSPECT);
  t.deepEqual(
    told.map(({ arg0, arg1, sense, hostStatus }) => [arg0, arg1, sense, hostStatus]),
    [
      [1, 0, 0, 0],
      [0, 0, 0, 0],
    ],
  );
  const states = host.events.filter(({ kind, path }) => kind === abi.EVENT_PATH_STATE && path === two.paths[0]);
  t.true(states.length > 0);
  for (const { sense } of states) t.is(sense, 0, "it has reported nothing itself");
});

function marginalHost(): { host: Host; paths: number[]; fault: { on: boolean }; run: () => number[] } {
  const host = new Host();
  const { unit, paths } = host.unit({ paths: 2 });
  const fault = { on: false };
  let ports: number[] = [];
  host.must(host.core.modeSet(abi.MODE_MARGINAL_CLEAN_S, 60n));
  host.device = (command) => {
    if (command.cdb[0] === 0) return {};
    ports.push(command.port);
    if (!fault.on || command.port !== 0) return {};
    fault.on = false;
    return check(0x0b, 0x47, 0);
  };
  const client = host.connect(unit);
  const run = (): number[] => {
    ports = [];
    client.send(request(READ, 1n, 0n, 512));
    host.advance(10);
    client.received.length = 0;
    return ports;
  };
  return { host, paths, fault, run };
}

test("retries that cure count: the third within the window makes the path a last resort for a period that doubles", (t) => {
  const { host, paths, fault, run } = marginalHost();
  const [first = -1] = paths;
  const marginal = (): boolean => (host.flags(first) & abi.PATH_FLAG_MARGINAL) !== 0;
  for (const clean of [60, 120]) {
    for (let i = 0; i < 3; i++) {
      t.false(marginal());
      fault.on = true;
      run();
      host.advance(2000);
    }
    t.true(marginal());
    t.deepEqual(run(), [1], "the other path is used");
    host.advance((clean - 10) * 1000);
    t.true(marginal());
    host.advance(12_000);
    t.false(marginal());
    t.deepEqual(run(), [0]);
  }
});

test("a path that keeps flapping is held back longer each time, however far apart its faults are within the window", (t) => {
  for (const [spacingS, outS] of [
    [300, 480],
    [800, 960],
  ] as const) {
    const { host, paths, fault, run } = marginalHost();
    const [first = -1] = paths;
    for (let i = 0; i < 50; i++) {
      fault.on = true;
      host.core.pathSet(paths[1] ?? -1, abi.PATH_SET_ENABLED, 0n);
      run();
      host.core.pathSet(paths[1] ?? -1, abi.PATH_SET_ENABLED, 1n);
      host.advance(spacingS * 1000);
    }
    t.truthy(host.flags(first) & abi.PATH_FLAG_MARGINAL, `faults ${spacingS} s apart`);
    const out = host.events.filter((event) => event.kind === abi.EVENT_MARGINAL && event.arg0 === 1);
    t.is(out.at(-1)?.arg1, outS, "the last period is longer than the faults are apart, so it does not end");
  }
});

test("without a clean period a marginal path waits for an operator, whatever time passes", (t) => {
  const { host, paths, fault, run } = marginalHost();
  const [first = -1] = paths;
  const marginal = (): boolean => (host.flags(first) & abi.PATH_FLAG_MARGINAL) !== 0;
  host.must(host.core.modeSet(abi.MODE_MARGINAL_CLEAN_S, 0n));
  for (let i = 0; i < 3; i++) {
    fault.on = true;
    run();
    host.advance(2000);
  }
  t.true(marginal());
  host.advance(7 * 86_400_000);
  t.true(marginal());
  t.deepEqual(run(), [1]);
  host.must(host.core.pathSet(first, abi.PATH_SET_CLEAR_MARGINAL, 1n));
  t.deepEqual(run(), [0]);
  const told = host.events.filter((event) => event.kind === abi.EVENT_MARGINAL);
  t.deepEqual(
    told.map(({ reason, arg0, arg1 }) => [reason, arg0, arg1]),
    [
      [abi.REASON_MARGINAL, 1, 0],
      [abi.REASON_OPERATOR, 0, 0],
    ],
  );
});

test("a marginal path obeys a clean period that is set later, and is free when monitoring is turned off", (t) => {
  const { host, paths, fault, run } = marginalHost();
  const [first = -1] = paths;
  const marginal = (): boolean => (host.flags(first) & abi.PATH_FLAG_MARGINAL) !== 0;
  const makeMarginal = (): void => {
    for (let i = 0; i < 3; i++) {
      fault.on = true;
      run();
      host.advance(2000);
    }
    t.true(marginal());
  };
  host.must(host.core.modeSet(abi.MODE_MARGINAL_CLEAN_S, 0n));
  makeMarginal();
  host.must(host.core.modeSet(abi.MODE_MARGINAL_CLEAN_S, 60n));
  host.advance(50_000);
  t.true(marginal());
  host.advance(20_000);
  t.false(marginal());
  host.must(host.core.modeSet(abi.MODE_MARGINAL_CLEAN_S, 0n));
  makeMarginal();
  host.must(host.core.modeSet(abi.MODE_MARGINAL, 0n));
  t.false(marginal());
  t.deepEqual(run(), [0]);
});

test("faults from before a path was added count", (t) => {
  const { host, paths, fault, run } = marginalHost();
  const [first = -1] = paths;
  host.must(host.core.pathSet(first, abi.PATH_SET_FAULTS, 2n));
  t.deepEqual(run(), [0]);
  host.advance(2000);
  fault.on = true;
  run();
  t.truthy(host.flags(first) & abi.PATH_FLAG_MARGINAL);
  t.is(host.core.pathSet(first, abi.PATH_SET_FAULTS, 17n), -abi.ERROR_RANGE);
});

test("a marginal path is used when nothing else is left, and an operator can vouch for it", (t) => {
  const { host, paths, fault, run } = marginalHost();
  const [first = -1, second = -1] = paths;
  for (let i = 0; i < 3; i++) {
    fault.on = true;
    run();
    host.advance(2000);
  }
  t.truthy(host.flags(first) & abi.PATH_FLAG_MARGINAL);
  host.must(host.core.pathSet(second, abi.PATH_SET_ENABLED, 0n));
  t.deepEqual(run(), [0]);
  host.must(host.core.pathSet(second, abi.PATH_SET_ENABLED, 1n));
  t.deepEqual(run(), [1]);
  host.must(host.core.pathSet(first, abi.PATH_SET_CLEAR_MARGINAL, 1n));
  t.deepEqual(run(), [0]);
});

test("unit attentions do not make a path marginal, and monitoring can be turned off", (t) => {
  const { host, paths, fault, run } = marginalHost();
  host.must(host.core.modeSet(abi.MODE_MARGINAL, 0n));
  for (let i = 0; i < 5; i++) {
    fault.on = true;
    run();
    host.advance(2000);
  }
  t.is(host.flags(paths[0] ?? -1) & abi.PATH_FLAG_MARGINAL, 0);
  t.is(host.core.modeSet(abi.MODE_MARGINAL_COUNT, 17n), -abi.ERROR_RANGE);
});

test("a suspect is asked for what every better path has refused, before it has answered its probe", (t) => {
  const host = new Host();
  const { unit, paths } = host.unit({ paths: 3 });
  host.must(host.core.modeSet(abi.MODE_PATROL, 0n));
  for (const path of paths.slice(1)) host.must(host.core.pathSet(path, abi.PATH_SET_CONTROLLER, 5n));
  host.must(host.core.pathSet(paths[0] ?? -1, abi.PATH_SET_ENABLED, 0n));
  host.device = (command) => (!command.check && command.port === 1 ? { hostStatus: 1 } : undefined);
  const client = host.connect(unit);
  client.send(request(READ, 1n, 0n, 512));
  host.settle();
  t.truthy(host.flags(paths[1] ?? -1) & abi.PATH_FLAG_FAILED);
  t.truthy(host.flags(paths[2] ?? -1) & abi.PATH_FLAG_SUSPECT);
  host.must(host.core.pathSet(paths[0] ?? -1, abi.PATH_SET_ENABLED, 1n));
  const ports: number[] = [];
  host.device = (command) => {
    if (command.check) return undefined;
    ports.push(command.port);
    return command.port === 0 ? check(4, 0x44, 0) : {};
  };
  client.received.length = 0;
  client.send(request(READ, 2n, 0n, 512));
  host.settle();
  t.deepEqual(ports, [0, 2]);
  t.is(replies(client.received, new Map([[2n, 512]]))[0]?.error, 0);
});

test("a controller that fails puts all its paths under suspicion, and has eight of them probed at once", (t) => {
  const host = new Host({ units: 32 });
  let probes = 0;
  host.device = (command) => {
    if (!command.check) return command.port === 0 ? { hostStatus: 1 } : {};
    probes++;
    return undefined;
  };
  host.must(host.core.modeSet(abi.MODE_PATROL, 0n));
  const units = Array.from({ length: 20 }, () => host.unit({ paths: 1 }));
  for (const [at, { paths }] of units.entries()) {
    host.must(host.core.pathSet(paths[0] ?? -1, abi.PATH_SET_CONTROLLER, 5n));
    host.must(host.core.pathSet(paths[0] ?? -1, abi.PATH_SET_TARGET_PORT, BigInt(at)));
  }
  host.connect(units[0]?.unit ?? -1).send(request(READ, 1n, 0n, 512));
  host.settle();
  const suspects = units.filter(({ paths }) => (host.flags(paths[0] ?? -1) & abi.PATH_FLAG_SUSPECT) !== 0);
  t.is(suspects.length, 19);
  t.is(probes, 8);
});

test("faults that lie further apart than the window, or of a time without monitoring, make no path marginal", (t) => {
  const { host, paths, fault, run } = marginalHost();
  const [first = -1] = paths;
  host.must(host.core.modeSet(abi.MODE_MARGINAL_WINDOW_S, 60n));
  for (let i = 0; i < 6; i++) {
    fault.on = true;
    run();
    host.advance(40_000);
  }
  t.is(host.flags(first) & abi.PATH_FLAG_MARGINAL, 0);
  const other = marginalHost();
  other.host.must(other.host.core.modeSet(abi.MODE_MARGINAL, 0n));
  other.host.must(other.host.core.pathSet(other.paths[0] ?? -1, abi.PATH_SET_FAULTS, 16n));
  other.host.must(other.host.core.modeSet(abi.MODE_MARGINAL, 1n));
  other.host.advance(10);
  t.is(other.host.flags(other.paths[0] ?? -1) & abi.PATH_FLAG_MARGINAL, 0);
});

test("time in which a marginal path is down does not count as clean", (t) => {
  const { host, paths } = marginalHost();
  const [first = -1] = paths;
  const marginal = (): boolean => (host.flags(first) & abi.PATH_FLAG_MARGINAL) !== 0;
  host.must(host.core.pathSet(first, abi.PATH_SET_FAULTS, 3n));
  host.must(host.core.pathSet(first, abi.PATH_SET_FAILED, 1n));
  host.advance(600_000);
  t.true(marginal());
  host.must(host.core.pathSet(first, abi.PATH_SET_FAILED, 0n));
  host.advance(30_000);
  t.is(host.flags(first) & abi.PATH_FLAG_FAILED, 0);
  t.true(marginal());
  host.advance(40_000);
  t.false(marginal());
});
