// Several cores serve the units of one machine, and their hosts pass on what one has found out about a component.
import test from "ava";
import * as abi from "../../../host/abi.ts";
import { Host } from "./fixtures/harness.ts";
import { READ, replies, request } from "./fixtures/nbd-client.ts";
import type { Answer } from "./fixtures/scsi.ts";

const CORES = 4;
const UNITS = 16;
/** Two initiator ports by two target ports; a target port is 10 or 11. */
const PATHS = 4;
const NOTHING = 0xffffffff;

interface Machine {
  readonly hosts: readonly Host[];
  readonly clients: readonly (readonly ReturnType<Host["connect"]>[])[];
  /** Lets all turn for some ms, and passes on what they tell. */
  advance(ms: number): void;
  suspects(core: number): number;
}

function machine(): Machine {
  const hosts = Array.from(
    { length: CORES },
    () => new Host({ units: UNITS, paths: UNITS * PATHS, connections: UNITS }),
  );
  const heard = hosts.map(() => 0);
  const paths: number[][] = hosts.map(() => []);
  const clients = hosts.map((host, core) => {
    host.must(host.core.modeSet(abi.MODE_TELLS_SHARERS, 1n));
    host.must(host.core.modeSet(abi.MODE_PATROL, 0n));
    return Array.from({ length: UNITS }, () => {
      const added = host.unit({ paths: PATHS });
      host.must(host.core.unitSet(added.unit, abi.UNIT_SET_POLICY, BigInt(abi.POLICY_ROUND_ROBIN)));
      for (const [i, path] of added.paths.entries()) {
        host.must(host.core.pathSet(path, abi.PATH_SET_INITIATOR_PORT, BigInt(i % 2)));
        host.must(host.core.pathSet(path, abi.PATH_SET_TARGET_PORT, BigInt(10 + Math.floor(i / 2))));
      }
      paths[core]?.push(...added.paths);
      return host.connect(added.unit);
    });
  });
  const passOn = (): void => {
    for (const [from, host] of hosts.entries()) {
      const news = host.events.slice(heard[from]);
      heard[from] = host.events.length;
      for (const { kind, reason, arg0, arg1, sense } of news) {
        for (const other of hosts) {
          if (other === host) continue;
          if (kind === abi.EVENT_SHARED_FAULT) other.must(other.core.sharedFault(arg0, arg1, sense, reason, 2));
          if (kind === abi.EVENT_SHARED_ANSWER) other.must(other.core.sharedAnswer(arg0, arg1));
        }
      }
    }
  };
  return {
    hosts,
    clients,
    advance: (ms) => {
      for (let i = 0; i < ms; i++) {
        for (const host of hosts) host.advance(1);
        passOn();
      }
    },
    suspects: (core) =>
      paths[core]?.filter((path) => ((hosts[core]?.flags(path) ?? 0) & abi.PATH_FLAG_SUSPECT) !== 0).length ?? 0,
  };
}

test("a target port dies under one core: the others avoid it before they have lost a command to it", (t) => {
  for (const fault of [{ hostStatus: 1 }, "hang"] as (Answer | "hang")[]) {
    const { hosts, clients, advance, suspects } = machine();
    let dead = false;
    let probes = 0;
    const lost = hosts.map(() => 0);
    for (const [core, host] of hosts.entries()) {
      host.device = (command) => {
        if (dead && command.check) probes++;
        if (!dead || command.port % 100 > 1) return {};
        if (!command.check) lost[core] = (lost[core] ?? 0) + 1;
        return fault === "hang" ? undefined : fault;
      };
    }
    const ask = (core: number): void => {
      for (const client of clients[core] ?? []) client.send(request(READ, 1n, 0n, 512));
    };
    for (let i = 0; i < 20; i++) {
      for (let core = 0; core < CORES; core++) ask(core);
      advance(1);
    }
    dead = true;
    clients[0]?.[0]?.send(request(READ, 1n, 0n, 512));
    clients[0]?.[0]?.send(request(READ, 2n, 0n, 512));
    advance(100);
    for (let core = 1; core < CORES; core++) {
      t.is(suspects(core), (UNITS * PATHS) / 2, `core ${core}`);
      ask(core);
      ask(core);
    }
    advance(10);
    t.deepEqual(lost.slice(1), [0, 0, 0], "the other cores knew");
    t.true(probes >= 1 && probes <= 8 + 2 * (CORES - 1), `${probes} probes`);
    for (const client of clients.slice(1).flat()) {
      const answers = replies(client.received, new Map([[1n, 512]]));
      t.true(answers.length >= 22 && answers.every(({ error }) => error === 0));
    }
  }
});

test("a suspect that answers under one core is cleared under all", (t) => {
  const { hosts, clients, advance, suspects } = machine();
  let dead = true;
  for (const [core, host] of hosts.entries()) {
    // The first core loses one command; the probes of the others are never answered.
    host.device = (command) => {
      if (command.check) return core === 0 ? {} : undefined;
      if (core !== 0 || !dead || command.port !== 0) return {};
      dead = false;
      return { hostStatus: 1 };
    };
  }
  clients[0]?.[0]?.send(request(READ, 1n, 0n, 512));
  advance(1);
  t.false(dead);
  advance(20);
  for (let core = 0; core < CORES; core++) t.is(suspects(core), 0, `core ${core}`);
  const was = hosts[1]?.events.filter(({ kind, arg0 }) => kind === abi.EVENT_SUSPECT && arg0 === 1).length ?? 0;
  t.true(was > 0, "they were suspects for a moment");
});

const told = (host: Host): number =>
  host.events.filter(({ kind }) => kind === abi.EVENT_SHARED_FAULT || kind === abi.EVENT_SHARED_ANSWER).length;

test("a core that is alone tells nothing, and one that is told tells nobody else", (t) => {
  const alone = new Host();
  const [own, other] = [alone.unit({ paths: 2 }), alone.unit({ paths: 2 })];
  for (const { paths } of [own, other]) alone.must(alone.core.pathSet(paths[0] ?? -1, abi.PATH_SET_CONTROLLER, 5n));
  alone.device = (command) => (command.port === 0 ? { hostStatus: 1 } : {});
  alone.connect(own.unit).send(request(READ, 1n, 0n, 512));
  alone.advance(10);
  t.true(alone.events.some(({ kind }) => kind === abi.EVENT_SUSPECT));
  t.is(told(alone), 0);

  const one = new Host();
  one.must(one.core.modeSet(abi.MODE_TELLS_SHARERS, 1n));
  const { paths } = one.unit({ paths: 2 });
  one.must(one.core.pathSet(paths[0] ?? -1, abi.PATH_SET_CONTROLLER, 5n));
  one.must(one.core.sharedFault(NOTHING, NOTHING, 5, 0, 0));
  t.truthy(one.flags(paths[0] ?? -1) & abi.PATH_FLAG_SUSPECT);
  t.is(one.flags(paths[1] ?? -1) & abi.PATH_FLAG_SUSPECT, 0, "unknown components are nobody's");
  one.advance(1);
  t.is(told(one), 0);
  t.is(one.core.sharedFault(NOTHING, NOTHING, 5, 2, 0), -abi.ERROR_RANGE);
});
