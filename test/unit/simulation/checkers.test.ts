// The simulation's checkers find what they are there to find: a checker that never complains proves nothing.

import test from "ava";
import { fillContent, Layout, Sight, ZERO } from "../../simulation/blocks.ts";
import { AGREED, expected, refusals, type Offer, type Trouble } from "../../simulation/expected.ts";
import { type Found, History } from "../../simulation/history.ts";
import { Losses } from "../../simulation/losses.ts";
import { Sizes } from "../../simulation/sizes.ts";
import { NBD, type Header } from "../../simulation/wire.ts";
import { foundIn } from "../../simulation/witness.ts";

/** A cell with the content of one write. */
function whole(stamp: number): Found {
  return { stamp, certain: stamp !== ZERO, holds: (other) => other === stamp };
}

function written(history: History, stamp: number, from: number, to: number): void {
  history.writeStarted(0, 1, stamp, from, false).acknowledged(to);
}

test("a value that was replaced before the read began is stale", (t) => {
  const history = new History();
  written(history, 1, 10, 20);
  written(history, 2, 30, 40);
  t.is(history.read(0, whole(2), 50, 60), undefined);
  t.is(history.read(0, whole(1), 50, 60)?.rule, "stale");
  t.is(history.read(0, whole(ZERO), 50, 60)?.rule, "stale");
});

test("while two writes overlap in time, either may be read, but not back and forth", (t) => {
  const history = new History();
  written(history, 1, 10, 40);
  written(history, 2, 20, 30);
  t.is(history.read(0, whole(1), 50, 60), undefined);
  t.is(history.read(0, whole(2), 50, 60), undefined);
  written(history, 3, 70, 100);
  t.is(history.read(0, whole(3), 80, 90), undefined);
  t.is(history.read(0, whole(1), 95, 96)?.rule, "back");
});

test("zeroes that an old write explains are not taken for those of a new one", (t) => {
  const history = new History();
  written(history, ZERO, 10, 20);
  const slow = history.writeStarted(0, 1, 1, 5, false);
  slow.acknowledged(50);
  history.writeStarted(0, 1, ZERO, 60, false);
  t.is(history.read(0, whole(ZERO), 45, 65), undefined);
  t.is(history.read(0, whole(1), 70, 80), undefined);
});

test("a value cannot be read before it was written, nor one that nobody wrote", (t) => {
  const history = new History();
  written(history, 1, 100, 110);
  t.is(history.read(0, whole(1), 10, 20)?.rule, "future");
  t.is(history.read(0, whole(9), 10, 20)?.rule, "unknown");
});

test("a write answered with an error may have happened, but not on top of a later one", (t) => {
  const history = new History();
  history.writeStarted(0, 1, 1, 10, false).failed(20);
  t.is(history.read(0, whole(1), 30, 40), undefined);
  t.is(history.read(0, whole(ZERO), 30, 40), undefined);
  written(history, 2, 50, 60);
  t.is(history.read(0, whole(1), 70, 80)?.rule, "stale");
});

test("a loss of power takes what was only in the cache, not what was flushed or written with FUA", (t) => {
  const history = new History();
  written(history, 1, 10, 20);
  history.flushed(30);
  written(history, 2, 40, 50);
  history.powerLost(55);
  t.is(history.read(0, whole(1), 60, 70), undefined);
  t.is(history.read(0, whole(ZERO), 60, 70)?.rule, "stale");
  history.writeStarted(0, 1, 3, 80, true).acknowledged(90);
  history.powerLost(95);
  t.is(history.read(0, whole(1), 100, 110)?.rule, "stale");
});

test("a read that began before a loss of power says nothing about what may be read after it", (t) => {
  const history = new History();
  written(history, 1, 10, 20);
  history.flushed(30);
  written(history, 2, 40, 50);
  history.powerLost(65);
  t.is(history.read(0, whole(2), 60, 70), undefined);
  t.is(history.read(0, whole(1), 80, 90), undefined);
});

test("a write under way at a loss of power may be gone though it is answered later, unless it has FUA", (t) => {
  const history = new History();
  const plain = history.writeStarted(0, 1, 1, 10, false);
  history.powerLost(15);
  plain.acknowledged(20);
  t.is(history.read(0, whole(1), 30, 40), undefined);
  t.is(history.read(0, whole(ZERO), 50, 60), undefined);
  const forced = history.writeStarted(0, 1, 2, 70, true);
  history.powerLost(75);
  forced.acknowledged(80);
  t.is(history.read(0, whole(ZERO), 90, 100)?.rule, "stale");
});

test("what a power failure would leave has to have what was flushed or written with FUA", (t) => {
  const history = new History();
  written(history, 1, 10, 20);
  t.is(history.medium(0, whole(ZERO)), undefined);
  t.deepEqual(history.flushed(30).length, 1);
  t.is(history.medium(0, whole(ZERO))?.rule, "lost");
  t.is(history.medium(0, whole(1)), undefined);
  written(history, 2, 40, 50);
  t.is(history.medium(0, whole(1)), undefined);
  t.is(history.medium(0, whole(2)), undefined);
  history.writeStarted(0, 1, 3, 60, true).acknowledged(70);
  t.is(history.medium(0, whole(2))?.rule, "lost");
});

test("every 64 bytes have a place: moved, exchanged or mixed they are recognised", (t) => {
  const layout = new Layout(512);
  const data = new Uint8Array(1024);
  fillContent(data, 1, 7 * 512, 40);
  const seen = (unit: number, block: number, bytes = data): Found =>
    foundIn(new Sight(bytes, unit, block * 512), layout, block);
  t.is(seen(1, 7).stamp, 40);
  t.true(seen(1, 7).certain);
  t.is(seen(1, 8).stamp, undefined);
  t.is(seen(0, 7).stamp, undefined);
  t.regex(new Sight(data, 0, 512).describe(512, 512), /byte 512 of unit 0 holds stamp 40 of unit 1 byte 3584/);
  const swapped = Uint8Array.from(data);
  swapped.copyWithin(64, 128, 192);
  t.is(seen(1, 7, swapped).stamp, undefined);
  const mixed = Uint8Array.from(data);
  fillContent(mixed.subarray(448, 512), 1, 7 * 512 + 448, 48);
  t.is(seen(1, 7, mixed).stamp, undefined);
  for (const at of [0, 63, 64, 511]) {
    const changed = Uint8Array.from(data);
    changed[at] = (changed[at] ?? 0) ^ 1;
    t.is(seen(1, 7, changed).stamp, undefined, `byte ${at}`);
  }
});

test("beyond 32 bits places differ", (t) => {
  const layout = new Layout(512);
  const low = new Uint8Array(512);
  fillContent(low, 0, 512 * 5, 8);
  for (const block of [2 ** 32 + 5, 2 ** 40 + 5]) {
    t.is(foundIn(new Sight(low, 0, block * 512), layout, block).stamp, undefined);
    const high = new Uint8Array(512);
    fillContent(high, 0, block * 512, 8);
    t.is(foundIn(new Sight(high, 0, block * 512), layout, block).stamp, 8);
  }
});

test("some writes are partly zeroes, and such a cell may be several writes'", (t) => {
  const layout = new Layout(512);
  let full = 0;
  let partly = 0;
  let zero = 0;
  for (let stamp = 1; stamp <= 800; stamp++) {
    const data = new Uint8Array(512);
    fillContent(data, 0, 512 * 1000, stamp);
    const found = foundIn(new Sight(data, 0, 512 * 1000), layout, 1000);
    t.true(found.holds(stamp));
    const zeroes = data.filter((byte) => byte === 0).length;
    if (zeroes === 512) zero++;
    else if (zeroes > 64) partly++;
    else full++;
    if (zeroes === 512) t.false(found.certain);
  }
  t.true(full > 400 && partly > 40 && zero > 40, `${full} full, ${partly} partly, ${zero} zero`);
  const history = new History();
  history.writeStarted(0, 1, 5, 10, false).acknowledged(20);
  history.writeStarted(0, 1, 6, 30, false).acknowledged(40);
  const either: Found = { stamp: 5, certain: false, holds: (stamp) => stamp >= 5 };
  t.is(history.read(0, either, 50, 60), undefined);
  t.is(history.read(0, { ...either, holds: (stamp) => stamp === 5 }, 50, 60)?.rule, "stale");
});

const OFFER: Offer = { bytes: 1 << 20, blockBytes: 512, zeroesFast: "yes" };
const READ = { command: NBD.read, flags: 0, offset: 0n, bytes: 512 };
const WRITE = { ...READ, command: NBD.write };
const ALL = { ...AGREED, trim: true, fastZero: true, allocation: true };

function refused(asked: Partial<typeof READ> | object, agreed = ALL, offer = OFFER): number[] {
  return [...refusals({ ...READ, ...asked }, agreed, offer)];
}

test("the model of errors: what is wrong with a request itself", (t) => {
  t.deepEqual(refused({}), []);
  t.deepEqual(refused({ command: 8 }), [NBD.einval]);
  t.deepEqual(refused({ flags: 64 }), [NBD.einval]);
  t.deepEqual(refused({ flags: NBD.flagDf }), []);
  t.deepEqual(refused({ flags: NBD.flagDf }, { ...ALL, replies: "simple" }), [NBD.einval]);
  t.deepEqual(refused({ offset: 1n }), [NBD.einval]);
  t.deepEqual(refused({ offset: 1n }, { ...ALL, unaligned: true }), []);
  t.deepEqual(refused({ offset: 1n << 20n }), [NBD.einval]);
  t.deepEqual(refused({ command: NBD.write, offset: 1n << 20n }), [NBD.enospc]);
  t.deepEqual(refused({ command: NBD.writeZeroes, bytes: 2 ** 21 }), [NBD.enospc]);
  t.deepEqual(refused({ command: NBD.trim, bytes: 2 ** 21 }), [NBD.einval]);
  t.deepEqual(refused({ command: NBD.trim }, { ...ALL, trim: false }), [NBD.einval]);
  t.deepEqual(refused({ command: NBD.blockStatus }, { ...ALL, allocation: false }), [NBD.einval]);
  t.deepEqual(refused({ command: NBD.blockStatus, bytes: 0 }), [NBD.einval]);
  for (const command of [NBD.write, NBD.trim, NBD.writeZeroes]) {
    t.deepEqual(refused({ command }, { ...ALL, readOnly: true }), [NBD.eperm]);
  }
  const large = { ...OFFER, bytes: 2 ** 40 };
  t.deepEqual(refused({ bytes: 2 ** 26 }, ALL, large), [NBD.einval]);
  t.deepEqual(refused({ bytes: 2 ** 26, flags: NBD.flagDf }, ALL, large), [NBD.eoverflow]);
  t.deepEqual(refused({ bytes: 2 ** 26, command: NBD.write }, ALL, large), [NBD.eoverflow]);
  const fast = { command: NBD.writeZeroes, flags: NBD.flagFastZero };
  t.deepEqual(refused(fast), []);
  t.deepEqual(refused(fast, ALL, { ...OFFER, zeroesFast: "no" }), [NBD.enotsup]);
  t.deepEqual(refused(fast, { ...ALL, fastZero: false }), [NBD.einval]);
});

test("the model of errors: what is the matter with the device", (t) => {
  const trouble: Trouble = {
    fromNs: 100,
    untilNs: 200,
    unit: undefined,
    blocks: { first: 4, last: 7 },
    strikes: "io",
    error: NBD.eio,
    always: true,
  };
  const answers = (asked: object, from: number, to: number, more: Partial<Trouble> = {}): number[] =>
    [...expected({ ...READ, ...asked }, ALL, OFFER, 0, [{ ...trouble, ...more }], from, to)].toSorted((a, b) => a - b);
  t.deepEqual(answers({ offset: 2048n }, 110, 120), [NBD.eio]);
  t.deepEqual(answers({ offset: 2048n }, 90, 120), [0, NBD.eio]);
  t.deepEqual(answers({ offset: 2048n }, 110, 210), [0, NBD.eio]);
  t.deepEqual(answers({ offset: 2048n }, 10, 20), [0]);
  t.deepEqual(answers({ offset: 2048n }, 110, 120, { always: false }), [0, NBD.eio]);
  t.deepEqual(answers({ offset: 1536n }, 110, 120), [0]);
  t.deepEqual(answers({ offset: 4096n }, 110, 120), [0]);
  t.deepEqual(answers({ offset: 2048n }, 110, 120, { unit: 1 }), [0]);
  t.deepEqual(answers({ offset: 2048n }, 110, 120, { strikes: "writes" }), [0]);
  t.deepEqual(answers({ ...WRITE, offset: 2048n }, 110, 120, { strikes: "writes", error: NBD.enospc }), [NBD.enospc]);
  t.deepEqual(answers({ command: NBD.trim, offset: 2048n }, 110, 120), [0, NBD.eio]);
  t.deepEqual(answers({ ...WRITE, offset: 2048n }, 110, 120, { error: "past the end" }), [NBD.enospc]);
  const slow: Offer = { ...OFFER, zeroesFast: "it is said" };
  const zero = { ...READ, command: NBD.writeZeroes, flags: NBD.flagFastZero };
  t.deepEqual([...expected(zero, ALL, slow, 0, [], 0, 1)], [NBD.enotsup]);
  t.deepEqual([...expected({ ...zero, offset: 1n }, { ...ALL, unaligned: true }, slow, 0, [], 0, 1)], [NBD.enotsup, 0]);
  const flush = { command: NBD.flush, bytes: 0 };
  t.deepEqual(answers(flush, 110, 120, { blocks: undefined }), [0]);
  t.deepEqual(answers(flush, 110, 120, { blocks: undefined, strikes: "writes and flushes" }), [0, NBD.eio]);
});

test("a flush that is sent after a deferred error has to fail, once", (t) => {
  const losses = new Losses(1);
  t.is(losses.flushed(0, 0, 10, 20), undefined);
  losses.told(0, 30);
  t.is(losses.flushed(0, 0, 25, 40), undefined);
  t.true(losses.toldSince(0, 100));
  t.regex(String(losses.flushed(0, 0, 40, 50)), /answered without an error/);
  losses.told(0, 60);
  losses.flushSent(0);
  losses.flushSent(0);
  t.is(losses.flushed(0, 0, 70, 80), undefined);
  t.is(losses.flushed(0, NBD.eio, 71, 81), undefined);
  t.is(losses.flushed(0, 0, 90, 99), undefined);
  t.false(losses.toldSince(0, 200));
});

test("a refused flush reports no loss: the next one still has to fail", (t) => {
  const losses = new Losses(1);
  losses.told(0, 30);
  t.is(losses.flushed(0, NBD.eperm, 35, 40), undefined);
  t.is(losses.flushed(0, NBD.eperm, 45, 50), undefined);
  t.true(losses.toldSince(0, 60));
  t.is(losses.flushed(0, NBD.eio, 60, 70), undefined);
  t.false(losses.toldSince(0, 80));
  losses.told(0, 90);
  t.is(losses.flushed(0, NBD.eperm, 95, 100), undefined);
  t.regex(String(losses.flushed(0, 0, 105, 110)), /answered without an error/);
});

test("while a unit changes its size, a request may meet either end; before and after that, only one", (t) => {
  const sizes = new Sizes(8 * 512);
  sizes.array.set(100, 16 * 512);
  sizes.core.set(200, 16 * 512);
  const answers = (from: number, to: number, asked: Partial<Header>): number[] => {
    const ends = sizes.during(from, to);
    const offer = { ...OFFER, bytes: 16 * 512 };
    return [...expected({ ...READ, ...asked }, ALL, offer, 0, [], from, to, ends)].toSorted((a, b) => a - b);
  };
  const beyond = { offset: BigInt(8 * 512), bytes: 512 };
  t.deepEqual(answers(0, 199, beyond), [NBD.einval]);
  t.deepEqual(answers(150, 210, beyond), [0, NBD.einval]);
  t.deepEqual(answers(201, 210, beyond), [0]);
  t.deepEqual(answers(0, 210, { offset: 0n, bytes: 512 }), [0]);
  sizes.array.set(300, 8 * 512);
  t.deepEqual(answers(250, 310, { ...beyond, command: NBD.write }), [0, NBD.enospc]);
  // The core does not know yet; the device does.
  t.deepEqual(answers(310, 320, { ...beyond, command: NBD.write }), [NBD.enospc]);
  t.deepEqual(answers(310, 320, { ...beyond, command: NBD.trim }), [0, NBD.einval]);
  sizes.core.set(400, 8 * 512);
  t.deepEqual(answers(400, 410, { ...beyond, command: NBD.trim }), [NBD.einval]);
});
