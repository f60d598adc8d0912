// The marks of the balance bench, in short runs: adaptive beside the oracle and beside least in flight.

import test from "ava";
import * as abi from "../../../host/abi.ts";
import { cases } from "../../../bench/balance/cases.ts";
import { oracleChooser, policyChooser, type Chooser } from "../../../bench/balance/choosers.ts";
import { makeLoad, type Case } from "../../../bench/balance/model.ts";
import { Queues } from "../../../bench/balance/queues.ts";
import { percentiles, simulate } from "../../../bench/balance/simulate.ts";
import { chainTime, expectedTime, simulatedTime } from "../../../bench/balance/supermarket.ts";

const COUNT = 60_000;

/** p99 of adaptive, of least in flight and of the oracle, over the same commands. */
function compare(what: Case): { adaptive: number; leastInFlight: number; oracle: number } {
  const load = makeLoad(what, COUNT, 11);
  const p99 = (...choosers: [Chooser, ...Chooser[]]): number =>
    percentiles(simulate(load, new Queues(what), ...choosers).latencyNs, COUNT * 0.2, [0.99])[0] ?? 0;
  const ofEach = (policy: number): [Chooser, ...Chooser[]] => {
    const others = Array.from({ length: (what.hosts ?? 1) - 1 }, () => policyChooser(what, policy));
    return [policyChooser(what, policy), ...others];
  };
  return {
    adaptive: p99(...ofEach(abi.POLICY_ADAPTIVE)),
    leastInFlight: p99(...ofEach(abi.POLICY_LEAST_IN_FLIGHT)),
    oracle: p99(oracleChooser(what)),
  };
}

function caseNamed(name: string): Case {
  const what = cases.find((one) => one.name === name);
  if (what === undefined) throw new RangeError(`name: no case "${name}"`);
  return what;
}

// Short runs are noisier than the bench's, and hold what is learned at the start: 5 % more is allowed here.
for (const what of cases.filter(({ stationary, hosts }) => stationary && hosts === undefined)) {
  test(`${what.name}: p99 of adaptive is near the oracle's`, (t) => {
    const { adaptive, oracle } = compare(what);
    t.true(adaptive <= 1.15 * oracle, `${(adaptive / oracle).toFixed(3)} x the oracle`);
  });
}

// The oracle sees the commands of all hosts, a host only its own.
for (const what of cases.filter(({ hosts }) => hosts !== undefined)) {
  test(`${what.name}: hosts that do not see each other do not run after the same path`, (t) => {
    const { adaptive, leastInFlight, oracle } = compare(what);
    t.true(adaptive <= 1.3 * oracle, `${(adaptive / oracle).toFixed(3)} x the oracle`);
    t.true(adaptive <= leastInFlight, `${(adaptive / leastInFlight).toFixed(3)} x least in flight`);
  });
}

test("a path as fast as a recorded disk: adaptive is near the oracle, and better than least in flight", (t) => {
  const { adaptive, leastInFlight, oracle } = compare(caseNamed("one of 4 as fast as a recorded disk"));
  t.true(adaptive <= 1.3 * oracle, `${(adaptive / oracle).toFixed(3)} x the oracle`);
  t.true(adaptive < leastInFlight, `${(adaptive / leastInFlight).toFixed(3)} x least in flight`);
});

test("unequal paths: adaptive is 1.8 x better than least in flight at 1:4, 3.5 x at 1:10", (t) => {
  const four = compare(caseNamed("2 fast + 2 slow, 1:4"));
  t.true(four.leastInFlight >= 1.8 * four.adaptive, `${four.leastInFlight / four.adaptive}`);
  const ten = compare(caseNamed("3 fast + 1 slow, 1:10"));
  t.true(ten.leastInFlight >= 3.5 * ten.adaptive, `${ten.leastInFlight / ten.adaptive}`);
});

test("equal paths: adaptive is within 3 % of least in flight", (t) => {
  const { adaptive, leastInFlight } = compare(caseNamed("4 equal paths"));
  t.true(adaptive <= 1.03 * leastInFlight, `${adaptive / leastInFlight}`);
});

test("the simulation agrees with the theory of two choices", (t) => {
  const value = simulatedTime(0.5, 300_000, 3);
  t.true(Math.abs(value / expectedTime(0.5) - 1) < 0.01, `${value}`);
  t.true(Math.abs(expectedTime(0.9) - 2.6141) < 0.0001);
});

test("two methods agree on what finitely many queues take, which is more than theory says of infinitely many", (t) => {
  const few = simulatedTime(0.8, 300_000, 3, 10);
  const chain = chainTime(0.8, 10, 1_500_000, 4);
  t.true(Math.abs(few / chain - 1) < 0.03, `${few} and ${chain}`);
  t.true(chain > 1.03 * expectedTime(0.8), `${chain}`);
});

test("changing the policy under load loses no command and no count", (t) => {
  const what = caseNamed("2 fast + 2 slow, 1:4");
  const load = makeLoad(what, 20_000, 5);
  const chooser = policyChooser(what, abi.POLICY_STATIC);
  let sent = 0;
  let back = 0;
  const outcome = simulate(load, new Queues(what), {
    send: (allowed, bytes, write, nowNs, luck) => {
      if (sent++ % 500 === 0) chooser.change(((sent / 500) % abi.POLICY_COUNT) | 0);
      return chooser.send(allowed, bytes, write, nowNs, luck);
    },
    finish: (...args) => {
      back++;
      chooser.finish(...args);
    },
  });
  t.is(back, 20_000);
  t.is(outcome.latencyNs.indexOf(0), -1);
  t.deepEqual(chooser.inFlight(), [0, 0, 0, 0]);
});
