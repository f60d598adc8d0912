// Hedged reads keep to their budget, follow the latencies, and are off unless asked for.

import test from "ava";
import fc from "fast-check";
import { ERROR_RANGE, POLICY_ADAPTIVE } from "../../../host/abi.ts";
import { hedging } from "../../../bench/balance/hedging.ts";
import { Bed } from "./bed.ts";

test("a budget over 100 % is refused and the old one stays; 0 turns hedging off", (t) => {
  const { policies, s } = new Bed(2, POLICY_ADAPTIVE);
  t.is(policies.setHedgeBudget(s, 10_000), 0);
  t.is(policies.setHedgeBudget(s, 10_001), -ERROR_RANGE);
  policies.hedgeAfter(s, 4096);
  t.is(policies.takeHedge(s), 1);
  t.is(policies.setHedgeBudget(s, 0), 0);
  t.is(policies.hedgeAfter(s, 4096), 0);
  t.is(policies.takeHedge(s), 0);
});

test("nothing is hedged before latencies were learned", (t) => {
  const { policies, s } = new Bed(2, POLICY_ADAPTIVE);
  policies.setHedgeBudget(s, 200);
  t.is(policies.hedgeAfter(s, 4096), 0);
  for (let i = 0; i < 1000; i++) policies.learnHedge(s, 4096, 100_000 + (i % 100) * 1000);
  t.true(policies.hedgeAfter(s, 4096) > 0);
  t.is(policies.hedgeAfter(s, 1 << 20), 0);
});

test("hedges never exceed the budget by more than what can be saved, however they are asked for", (t) => {
  t.notThrows(() =>
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 10_000 }),
        fc.array(fc.nat(4), { minLength: 1, maxLength: 500 }),
        (budget, asks) => {
          const { policies, s } = new Bed(2, POLICY_ADAPTIVE);
          policies.setHedgeBudget(s, budget);
          let hedges = 0;
          for (const ask of asks) {
            policies.hedgeAfter(s, 4096);
            for (let i = 0; i < ask; i++) hedges += policies.takeHedge(s);
          }
          return hedges <= (asks.length * budget) / 10_000;
        },
      ),
    ),
  );
});

test("the threshold is where the budget's part of the latencies lies above", (t) => {
  const { policies, s } = new Bed(2, POLICY_ADAPTIVE);
  policies.setHedgeBudget(s, 500);
  let above = 0;
  for (let i = 0; i < 20_000; i++) {
    const latencyNs = 50_000 + ((i * 7919) % 1000) * 1000;
    if (i >= 5000 && latencyNs > policies.hedgeAfter(s, 4096)) above++;
    policies.learnHedge(s, 4096, latencyNs);
  }
  const part = above / 15_000;
  t.true(part > 0.025 && part < 0.06, `${part} above`);
});

test("1 % of the I/Os stalled 100 times: p99.9 is cut five times at least, with at most 2 % more reads", (t) => {
  const rows = hedging(40_000, [1]);
  const tail = rows.find(({ metric }) => metric === "p99.9");
  const extra = rows.find(({ unit }) => unit === "%");
  t.true((tail?.ratio ?? 0) >= 5, `p99.9 cut ${tail?.ratio} times`);
  t.true((extra?.value ?? Infinity) <= 2, `${extra?.value} % extra reads`);
});
