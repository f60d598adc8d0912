// The simulation's checkers find what they are there to find: a checker that never complains proves nothing.

import test from "ava";
import { stampBlocks, stampOf } from "../../simulation/blocks.ts";
import { History, ZERO } from "../../simulation/history.ts";

function written(history: History, stamp: number, from: number, to: number): void {
  history.writeStarted(0, 1, stamp, from, false).acknowledged(to);
}

test("a value that was replaced before the read began is stale", (t) => {
  const history = new History();
  written(history, 1, 10, 20);
  written(history, 2, 30, 40);
  t.is(history.read(0, 2, 50, 60), undefined);
  t.is(history.read(0, 1, 50, 60)?.rule, "stale");
  t.is(history.read(0, ZERO, 50, 60)?.rule, "stale");
});

test("while two writes overlap in time, either may be read, but not back and forth", (t) => {
  const history = new History();
  written(history, 1, 10, 40);
  written(history, 2, 20, 30);
  t.is(history.read(0, 1, 50, 60), undefined);
  t.is(history.read(0, 2, 50, 60), undefined);
  written(history, 3, 70, 100);
  t.is(history.read(0, 3, 80, 90), undefined);
  t.is(history.read(0, 1, 95, 96)?.rule, "back");
});

test("zeroes that an old write explains are not taken for those of a new one", (t) => {
  const history = new History();
  written(history, ZERO, 10, 20);
  const slow = history.writeStarted(0, 1, 1, 5, false);
  slow.acknowledged(50);
  history.writeStarted(0, 1, ZERO, 60, false);
  t.is(history.read(0, ZERO, 45, 65), undefined);
  t.is(history.read(0, 1, 70, 80), undefined);
});

test("a value cannot be read before it was written, nor one that nobody wrote", (t) => {
  const history = new History();
  written(history, 1, 100, 110);
  t.is(history.read(0, 1, 10, 20)?.rule, "future");
  t.is(history.read(0, 9, 10, 20)?.rule, "unknown");
});

test("a write answered with an error may have happened, but not on top of a later one", (t) => {
  const history = new History();
  history.writeStarted(0, 1, 1, 10, false).failed(20);
  t.is(history.read(0, 1, 30, 40), undefined);
  t.is(history.read(0, ZERO, 30, 40), undefined);
  written(history, 2, 50, 60);
  t.is(history.read(0, 1, 70, 80)?.rule, "stale");
});

test("a loss of power takes what was only in the cache, not what was flushed or written with FUA", (t) => {
  const history = new History();
  written(history, 1, 10, 20);
  history.flushed(30);
  written(history, 2, 40, 50);
  history.powerLost(55);
  t.is(history.read(0, 1, 60, 70), undefined);
  t.is(history.read(0, ZERO, 60, 70)?.rule, "stale");
  history.writeStarted(0, 1, 3, 80, true).acknowledged(90);
  history.powerLost(95);
  t.is(history.read(0, 1, 100, 110)?.rule, "stale");
});

test("a read that began before a loss of power says nothing about what may be read after it", (t) => {
  const history = new History();
  written(history, 1, 10, 20);
  history.flushed(30);
  written(history, 2, 40, 50);
  history.powerLost(65);
  t.is(history.read(0, 2, 60, 70), undefined);
  t.is(history.read(0, 1, 80, 90), undefined);
});

test("a write under way at a loss of power may be gone though it is answered later, unless it has FUA", (t) => {
  const history = new History();
  const plain = history.writeStarted(0, 1, 1, 10, false);
  history.powerLost(15);
  plain.acknowledged(20);
  t.is(history.read(0, 1, 30, 40), undefined);
  t.is(history.read(0, ZERO, 50, 60), undefined);
  const forced = history.writeStarted(0, 1, 2, 70, true);
  history.powerLost(75);
  forced.acknowledged(80);
  t.is(history.read(0, ZERO, 90, 100)?.rule, "stale");
});

test("a block of another place, another unit, or of two writes is recognised", (t) => {
  const data = new Uint8Array(1024);
  stampBlocks(data, 512, 1, 7, 2, 42);
  t.is(stampOf(data, 512, 1, 7, 0), 42);
  t.is(stampOf(data, 512, 1, 8, 1), 42);
  t.regex(String(stampOf(data, 512, 1, 9, 1)), /block 9 of unit 1 holds data of unit 1 block 8/);
  t.regex(String(stampOf(data, 512, 0, 7, 0)), /block 7 of unit 0 holds data of unit 1/);
  data[100] = 1;
  t.regex(String(stampOf(data, 512, 1, 7, 0)), /mixes/);
});
