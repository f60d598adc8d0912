import test from "ava";
import { fitted, predicted } from "../../../bench/scaling-law.ts";

const near = (a: number, b: number): boolean => Math.abs(a - b) < 1e-9;

test("a law is found again in the gains that it predicts", (t) => {
  for (const law of [
    { contention: 0, coherence: 0 },
    { contention: 0.05, coherence: 0 },
    { contention: 0.02, coherence: 0.001 },
  ]) {
    const found = fitted([1, 2, 3, 4, 8].map((_, at) => predicted(at + 1, law)));
    t.true(near(found.contention, law.contention) && near(found.coherence, law.coherence), JSON.stringify(found));
  }
});

test("two points give contention alone, one none at all; better than linear counts as linear", (t) => {
  t.true(near(fitted([1, 1.6]).contention, 0.25));
  t.is(fitted([1, 1.6]).coherence, 0);
  t.deepEqual(fitted([1]), { contention: 0, coherence: 0 });
  t.is(predicted(64, fitted([1, 2.1])), 64);
});
