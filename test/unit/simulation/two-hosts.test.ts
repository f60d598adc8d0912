// Two hosts with a daemon each at one array: they do not fight for the port groups, do not end each other's commands sooner than
// they must, and do not check their paths in step. All times are virtual.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import * as abi from "../../../host/abi.ts";
import { Pair } from "../../simulation/cluster/pair.ts";

const module = new WebAssembly.Module(readFileSync(join(import.meta.dirname, "../../../build/core.wasm")));
const HOUR_MS = 3_600_000;
const topology = {
  name: "pair",
  units: 1,
  unitBytes: 64 * 512,
  controllers: 2,
  portsPerController: 2,
  initiatorPorts: 2,
  paths: 8,
  service: { latencyUs: 200 },
} as const;

test("two hosts that each want another port group set it less and less often, and one of them goes on with what there is", (t) => {
  const pair = new Pair({
    seed: 1,
    module,
    topology,
    settings: [[abi.UNIT_SET_ALUA_EXPLICIT, 1]],
    modes: [[abi.MODE_PATROL_INTERVAL_MS, 10_000]],
  });
  // Each host sees one controller: host 0 the first, host 1 the second.
  pair.hosts.forEach((host, number) => {
    for (const { path, port } of host.paths) {
      if (pair.array.ports[port]?.controller === number) continue;
      host.must(host.core.exports.pathSet(path, abi.PATH_SET_FAILED, 1n));
    }
  });
  pair.ownedByOne(0);
  pair.advance(HOUR_MS);
  t.log(pair.hosts.map(({ setsMs }) => setsMs.length).join(" and "));
  for (const { setsMs } of pair.hosts) {
    t.true(setsMs.length >= 4 && setsMs.length <= 8, `${setsMs.length} times in an hour: ${setsMs.join(", ")}`);
    const gaps = setsMs.slice(1).map((ms, i) => ms - (setsMs[i] ?? 0));
    t.true(
      gaps.every((gap, i) => gap >= 59_000 * 2 ** i),
      `gaps: ${gaps.join(", ")}`,
    );
  }
});

function slowWrites(isShared: boolean): Pair {
  const pair = new Pair({
    seed: 2,
    module,
    topology,
    settings: [
      [abi.UNIT_SET_SHARED, isShared ? 1 : 0],
      [abi.UNIT_SET_STALL_MAX_MS, 200],
    ],
  });
  const ports = pair.hosts[0].paths.map(({ port }) => port);
  for (const opcode of [0x2a, 0x8a]) {
    for (const port of ports) {
      pair.array.addFault({
        fault: { kind: "late", delayMs: 4000 },
        where: { port },
        when: { opcode, probability: 0.02 },
      });
    }
  }
  for (const host of pair.hosts) host.load(10);
  pair.advance(120_000);
  return pair;
}

test("a host that knows of others waits for its slow writes, and resets nobody's unit", (t) => {
  const [alone, beside] = [slowWrites(false), slowWrites(true)];
  t.true(alone.hosts[0].resetsMs.length >= 10, `${alone.hosts[0].resetsMs.length} resets without others`);
  t.is(beside.hosts[0].resetsMs.length, 0);
  t.true(alone.hosts[1].resetsHeard > 0, "the neighbour hears of them");
  t.is(beside.hosts[1].resetsHeard, 0);
  for (const pair of [alone, beside]) for (const { errors } of pair.hosts) t.is(errors, 0);
  t.log(
    `without others: ${alone.hosts[0].resetsMs.length} resets, of which the neighbour hears by ${alone.hosts[1].resetsHeard} commands; ` +
      `with others: ${beside.hosts[0].resetsMs.length} and ${beside.hosts[1].resetsHeard}`,
  );
});

test("the checks of two hosts that begin at the same moment spread over the interval", (t) => {
  const intervalMs = 10_000;
  const nearMs = 50;
  const pair = new Pair({
    seed: 3,
    module,
    topology,
    modes: [
      [abi.MODE_PATROL, 3],
      [abi.MODE_PATROL_INTERVAL_MS, intervalMs],
      [abi.MODE_PATROL_THRESHOLD_MS, 1000],
    ],
  });
  pair.advance(HOUR_MS);
  // The first interval begins with the identity of every path, at once.
  const [mine, others] = pair.hosts.map(({ checks }) => checks.filter(({ ms }) => ms > intervalMs));
  const isNear = (ms: number): boolean => (others ?? []).some((other) => Math.abs(other.ms - ms) < nearMs);
  const near = (mine ?? []).filter(({ ms }) => isNear(ms)).length;
  const share = near / (mine?.length ?? 1);
  // By chance: each of the neighbour's checks covers twice that time.
  const byChance = ((others?.length ?? 0) * 2 * nearMs) / HOUR_MS;
  t.true((mine?.length ?? 0) > 1000, `${mine?.length} checks`);
  t.true(share < 2 * byChance, `${(share * 100).toFixed(1)} % beside ${(byChance * 100).toFixed(1)} % by chance`);
  t.log(
    `${mine?.length} checks, ${(share * 100).toFixed(1)} % within ${nearMs} ms of the neighbour's, by chance ${(byChance * 100).toFixed(1)} %`,
  );
});
