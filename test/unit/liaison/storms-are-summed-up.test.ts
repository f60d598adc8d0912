// Of a storm each message is counted: those beyond the limit in a summary.

import test from "ava";
import { kindOf, MESSAGES, sentence, type Message, type MessageName } from "../../../host/liaison/messages.ts";
import { SINGLES_MAX, Storms, WINDOW_MS } from "../../../host/liaison/storms.ts";

const failed = (unit: number, path = `5:0:0:${unit}`): Message => ({
  kind: "path-error-io",
  timeMs: 0,
  unit,
  path,
  detail: {},
});

test("ten thousand messages a second for a minute become a few, and none is uncounted", (t) => {
  const storms = new Storms();
  let singles = 0;
  const summaries: Message[] = [];
  const total = 600_000;
  for (let index = 0; index < total; index++) {
    const nowMs = index / 10;
    if (!storms.sums(failed(index % 20), nowMs)) singles++;
    summaries.push(...storms.summaries(nowMs, 0));
  }
  summaries.push(...storms.summaries(Infinity, 0));
  t.true(singles + summaries.length < 1000);
  const repeats = summaries.reduce((sum, { detail }) => sum + Number(detail["repeats"]), 0);
  t.is(singles + repeats, total);
});

test("a summary names the message, the units, the paths and the host they share", (t) => {
  const storms = new Storms();
  for (let index = 0; index < SINGLES_MAX + 20; index++) storms.sums(failed(index % 3), 0);
  t.is(storms.dueMs, WINDOW_MS);
  t.deepEqual(storms.summaries(WINDOW_MS - 1, 0), []);
  const [summary] = storms.summaries(WINDOW_MS, 7);
  t.is(
    sentence(summary as Message),
    "A message was repeated more often than is recorded (message 270, text Path error (an I/O failed), repeats 20, " +
      "within s 10, units 3: #1, #2, #0, paths 3: 5:0:0:1, 5:0:0:2, 5:0:0:0, over 1: host 5)",
  );
  t.is(storms.dueMs, null);
});

test("what comes slowly is never summed up", (t) => {
  const storms = new Storms();
  for (let index = 0; index < 1000; index++) t.false(storms.sums(failed(0), index * (WINDOW_MS / SINGLES_MAX + 1)));
});

test("what operators do is recorded each time", (t) => {
  const storms = new Storms();
  const acts = (Object.keys(MESSAGES) as MessageName[]).filter((kind) => kindOf(kind).each === true);
  for (const number of [264, 265, 266, 267, 268, 269, 275, 276, 277]) {
    t.true(
      acts.some((kind) => kindOf(kind).number === number),
      String(number),
    );
  }
  for (const kind of acts) {
    for (let index = 0; index < 2 * SINGLES_MAX; index++) t.false(storms.sums({ ...failed(0), kind }, 0), kind);
  }
});

test("a summary is small, however many units it is about", (t) => {
  const storms = new Storms();
  for (let index = 0; index < 100_000; index++) storms.sums(failed(index, `${index % 5000}:0:0:${index}`), 0);
  const [summary] = storms.summaries(Infinity, 0);
  t.true(sentence(summary as Message).length < 1000);
});
