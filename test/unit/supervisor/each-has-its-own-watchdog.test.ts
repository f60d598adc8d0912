import test from "ava";
import type { Life } from "../../../host/supervisor/life.ts";
import {
  CONTROL_TICKS_MAX,
  ControlWatch,
  REACTOR_TICKS_MAX,
  ReactorWatch,
  START_TICKS_MAX,
} from "../../../host/supervisor/watch.ts";

function scene() {
  const asked: number[] = [];
  const stalls: boolean[] = [];
  const ended: string[] = [];
  const silent: number[] = [];
  const reactor = new ReactorWatch({
    ask: (id) => asked.push(id),
    stalled: (isStalled) => stalls.push(isStalled),
    silentFor: (ticks) => silent.push(ticks),
  });
  const control = new ControlWatch((_, reason) => ended.push(reason));
  const watch = {
    tick: (life: Life | null, isRunning: boolean) => {
      if (isRunning) reactor.tick();
      if (life !== null) control.tick(life);
    },
    answered: (id: number) => reactor.answered(id),
    get isTurning() {
      return reactor.isTurning;
    },
  };
  const pings: unknown[] = [];
  // As much of a life as the watch looks at.
  const life = { isReady: true, silentTicks: 0, send: (message: unknown) => pings.push(message) } as unknown as Life;
  return { watch, reactor, silent, asked, stalls, ended, pings, life };
}

test("a reactor that turns is asked again and again, and control that answers is left alone", (t) => {
  const { watch, asked, stalls, ended, pings, life } = scene();
  for (let tick = 0; tick < 50; tick++) {
    watch.tick(life, true);
    t.true(watch.answered(asked.at(-1) ?? 1));
    life.silentTicks = 0;
  }
  t.is(new Set(asked).size, 50);
  t.true(asked.every((id) => id < 0));
  t.false(watch.answered(1), "the answer to a call of control's");
  t.is(pings.length, 50);
  t.deepEqual([stalls, ended], [[], []]);
  t.true(watch.isTurning);
});

test("a reactor that does not turn is told of once, does not feed the watchdog, and is believed when it turns again", (t) => {
  const { watch, asked, stalls, ended, life } = scene();
  for (let tick = 0; tick < REACTOR_TICKS_MAX; tick++) {
    watch.tick(life, true);
    life.silentTicks = 0;
    t.true(watch.isTurning);
  }
  for (let tick = 0; tick < 5; tick++) watch.tick(null, true);
  t.false(watch.isTurning);
  t.deepEqual(stalls, [true]);
  t.deepEqual(ended, [], "control is not to blame");
  watch.answered(asked.at(-1) ?? 1);
  t.true(watch.isTurning);
  t.deepEqual(stalls, [true, false]);
});

test("control that does not answer is ended, while the reactor feeds the watchdog", (t) => {
  const { watch, asked, stalls, ended, pings, life } = scene();
  for (let tick = 0; tick < CONTROL_TICKS_MAX; tick++) {
    watch.tick(life, true);
    watch.answered(asked.at(-1) ?? 1);
  }
  t.deepEqual(ended, []);
  watch.tick(life, true);
  t.deepEqual(ended, [`it did not answer for ${CONTROL_TICKS_MAX} s and was ended`]);
  t.is(pings.length, 1, "what it does not read does not pile up");
  t.deepEqual(stalls, []);
  t.true(watch.isTurning);
});

test("control that never becomes ready is ended as well, later", (t) => {
  const { watch, ended, pings, life } = scene();
  life.isReady = false;
  for (let tick = 1; tick < START_TICKS_MAX; tick++) watch.tick(life, false);
  t.deepEqual(ended, []);
  watch.tick(life, false);
  t.is(ended.length, 1);
  t.deepEqual(pings, []);
});

test("a reactor that stays silent is told of tick by tick, and the one that begins in its place is asked anew", (t) => {
  const { watch, reactor, silent, asked } = scene();
  for (let tick = 0; tick <= REACTOR_TICKS_MAX + 2; tick++) watch.tick(null, true);
  t.deepEqual(silent, [0, 1, 2]);
  t.false(watch.isTurning);
  reactor.begin();
  t.true(watch.isTurning);
  const before = asked.length;
  watch.tick(null, true);
  t.is(asked.length, before + 1);
});
