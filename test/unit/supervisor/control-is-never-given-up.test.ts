import test from "ava";
import { DEATHS_MAX, DEATHS_WITHIN_MS, Pace } from "../../../host/supervisor/restart-pace.ts";

test("a control that lived for long is started again at once, one that dies young again and again later and later", (t) => {
  const pace = new Pace();
  const pauses = Array.from({ length: 10 }, (_, i) => pace.died(i * 1000, 10).pauseMs);
  t.deepEqual(pauses, [0, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000, 30_000]);
  t.is(pace.died(20_000_000, 3_600_000).pauseMs, 0);
  t.is(pace.died(20_001_000, 10).pauseMs, 0, "then it begins anew");
});

test("so many deaths in so short a time are said loudly, the same number over days is not", (t) => {
  const often = new Pace();
  const verdicts = Array.from({ length: DEATHS_MAX }, (_, i) => often.died(i * 1000, 70_000));
  t.deepEqual(
    verdicts.map(({ isUnsteady }) => isUnsteady),
    [...Array<boolean>(DEATHS_MAX - 1).fill(false), true],
  );
  const seldom = new Pace();
  for (let i = 0; i < 5 * DEATHS_MAX; i++) {
    const { deaths, isUnsteady } = seldom.died(i * DEATHS_WITHIN_MS, DEATHS_WITHIN_MS);
    t.is(deaths, 1);
    t.false(isUnsteady);
  }
});
