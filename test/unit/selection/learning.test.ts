// What adaptive learns of a device whose times the test knows: service times by class, servers, changes; and when it learns.

import test from "ava";
import fc from "fast-check";
import * as abi from "../../../host/abi.ts";
import { Bed } from "./bed.ts";
import { Devices, luckOf } from "./device.ts";

const US = 1000;
const MS = 1_000_000;
/** Reads and writes at either end of each class of sizes, and what transfers no block. */
const SIZES = [512, 8192, 8193, 32_768, 32_769, 131_072, 131_073, 524_288, 524_289, 1 << 20];

const adaptive = (paths: number): Bed => new Bed(paths, abi.POLICY_ADAPTIVE);

const costNs = (bed: Bed, slot = 0, bytes = 4096, write = 0): number => bed.policies.costNs(bed.s, slot, bytes, write);

/** One command on a slot that nothing else is in flight on. */
function one(bed: Bed, serviceNs: number, slot = 0, bytes = 4096, good = 1): void {
  bed.send(bytes, 0, 1 << slot);
  bed.nowNs += serviceNs;
  bed.finish(0, good);
}

function many(bed: Bed, count: number, serviceNs: number, slot = 0, bytes = 4096): void {
  for (let i = 0; i < count; i++) one(bed, serviceNs, slot, bytes);
}

const isNear = (value: number, expected: number, part: number): boolean =>
  Math.abs(value - expected) <= part * expected;

for (const servers of [1, 2, 3, 4, 6, 8, 12, 16, 24, 32]) {
  test(`a busy path that works on ${servers} commands at a time is learned to do so`, (t) => {
    const bed = adaptive(1);
    const luck = luckOf(servers);
    const devices = new Devices(bed, [{ servers, serviceNs: () => (90 + 20 * luck()) * US }]);
    for (let part = 0; part < 3; part++) {
      devices.run(1500, 2 * servers + 2);
      const count = bed.policies.servers(bed.s, 0);
      t.true(isNear(count, servers, 0.15), `${count} servers`);
      t.true(isNear(costNs(bed) / count, (100 * US) / servers, 0.12), `${costNs(bed)} ns, ${count} servers`);
    }
  });

  test(`a path of ${servers} servers whose commands take very different times: its speed is learned`, (t) => {
    const bed = adaptive(1);
    const luck = luckOf(servers);
    const devices = new Devices(bed, [{ servers, serviceNs: () => (50 + 100 * luck()) * US }]);
    devices.run(2000, 2 * servers + 2);
    const apartNs = costNs(bed) / bed.policies.servers(bed.s, 0);
    t.true(isNear(apartNs, (100 * US) / servers, 0.12), `${apartNs} ns for each command`);
  });
}

for (const [depth, together] of [
  [32, 8],
  [16, 16],
  [64, 64],
  [16, 5],
] as const) {
  test(`a host that fetches ${together} answers at once, of ${depth} in flight: the speed is learned, and learning rests`, (t) => {
    const bed = adaptive(1);
    const everyNs = 50 * US;
    let rests = 0;
    for (let turn = 0; turn < 4000; turn++) {
      while (bed.commands.length < depth) bed.send();
      bed.nowNs += everyNs;
      for (let i = 0; i < together; i++) bed.finish(0);
      if (turn >= 2000 && bed.policies.learns(bed.s) === 0) rests++;
    }
    const apartNs = costNs(bed) / bed.policies.servers(bed.s, 0);
    t.true(isNear(apartNs, everyNs / together, 0.12), `${apartNs} ns for each command`);
    t.true(rests > 1000, `it rested for ${rests} turns of 2000`);
  });
}

test("a path that gets more servers, or loses some, is seen to", (t) => {
  const bed = adaptive(1);
  const luck = luckOf(5);
  const serviceNs = (): number => (90 + 20 * luck()) * US;
  for (const servers of [1, 8, 2, 16, 1]) {
    new Devices(bed, [{ servers, serviceNs }]).run(3000, 2 * servers + 2);
    const apartNs = costNs(bed) / bed.policies.servers(bed.s, 0);
    t.true(isNear(apartNs, (100 * US) / servers, 0.2), `${servers} servers: ${apartNs} ns for each command`);
  }
});

test("what was sent before a rest of learning, and is answered after it, has overtaken none of those answered meanwhile", (t) => {
  const bed = adaptive(1);
  const finish = (): void => {
    bed.nowNs += 100 * US;
    bed.finish(0);
  };
  new Devices(bed, [{ servers: 1, serviceNs: () => 100 * US }]).run(20_000, 4);
  for (let round = 0; round < 4; round++) {
    while (bed.policies.learns(bed.s) === 0) {
      bed.nowNs += 11 * MS;
      bed.send();
      finish();
    }
    while (bed.policies.learns(bed.s) !== 0) {
      bed.send();
      if (bed.commands.length > 20) finish();
    }
    // All but the last come back, in their order, while nothing is learned.
    while (bed.commands.length > 1) finish();
    bed.nowNs += 11 * MS;
    bed.send();
    while (bed.commands.length > 0) finish();
    t.is(bed.policies.servers(bed.s, 0), 1, `round ${round}`);
  }
});

test("paths that know little of themselves take over how many servers the first one has; others keep what they know", (t) => {
  const bed = adaptive(3);
  const luck = luckOf(2);
  const serviceNs = (): number => (90 + 20 * luck()) * US;
  const servers = (): number[] => [0, 1, 2].map((slot) => bed.policies.servers(bed.s, slot));
  const devices = new Devices(bed, [
    { servers: 4, serviceNs },
    { servers: 1, serviceNs },
    { servers: 1, serviceNs },
  ]);
  const before = servers();
  devices.run(40, 10, 4096, 0, 0b001);
  t.deepEqual(servers().slice(1), before.slice(1));
  devices.run(400, 10, 4096, 0, 0b001);
  const [first = 0, second = 0, third = 0] = servers();
  t.true(isNear(first, 4, 0.15), `${first}`);
  t.true(second < 6 && second === third, `${second} and ${third}`);
  devices.run(400, 4, 4096, 0, 0b010);
  t.true(isNear(servers()[0] ?? 0, 4, 0.15));
  // The third has shown nothing of its own yet.
  t.deepEqual(servers().slice(1), [1, 1]);
});

/** A time of its own for each class. */
function timeNs(bytes: number, write: number): number {
  const size = SIZES.find((edge, at) => at % 2 === 1 && bytes <= edge) ?? 0;
  return (bytes < 512 ? 20 : 50 + size / 2048 + 25 * write) * US;
}

test("each class of sizes has its own service time, reads and writes apart", (t) => {
  const bed = adaptive(1);
  const devices = new Devices(bed, [{ servers: 1, serviceNs: ({ bytes, write }) => timeNs(bytes, write) }]);
  const kinds = [0, 1].flatMap((write) => SIZES.map((bytes) => [bytes, write] as const));
  for (let round = 0; round < 60; round++)
    for (const [bytes, write] of [[0, 0], [0, 1], ...kinds] as const) devices.run(1, 1, bytes, write);
  for (const [bytes, write] of [[0, 0], [0, 1], [511, 1], ...kinds] as const) {
    const learned = costNs(bed, 0, bytes, write);
    t.true(isNear(learned, timeNs(bytes, write), 0.02), `${bytes} ${write}: ${learned} ns`);
  }
});

test("what is in flight is worth what it costs by the present estimate, on every path at every moment", (t) => {
  const step = fc.record({
    bytes: fc.constantFrom(0, 4096, 16_384, 65_536, 262_144, 1_048_576),
    write: fc.constantFrom(0, 1),
    waitNs: fc.integer({ min: 1 * US, max: 300 * US }),
    ends: fc.nat(2),
    which: fc.nat(),
  });
  t.notThrows(() =>
    fc.assert(
      fc.property(fc.array(step, { minLength: 20, maxLength: 300 }), (steps) => {
        const bed = adaptive(3);
        return steps.every(({ bytes, write, waitNs, ends, which }) => {
          bed.send(bytes, write);
          bed.nowNs += waitNs;
          for (let i = 0; i < ends && bed.commands.length > 0; i++) bed.finish(which % bed.commands.length);
          return [0, 1, 2].every((slot) => {
            const there = bed.commands.filter((command) => command.slot === slot);
            const sum = there.reduce((all, command) => all + costNs(bed, slot, command.bytes, command.write), 0);
            return Math.abs(bed.policies.backlogNs(bed.s, slot) - sum) <= 0.001 * sum;
          });
        });
      }),
      { numRuns: 200 },
    ),
  );
});

test("the first sample is taken whole; who knows nothing of a class expects the least that others have shown", (t) => {
  const bed = adaptive(4);
  t.is(new Set([0, 1, 2, 3].map((slot) => costNs(bed, slot))).size, 1);
  const costs = (bytes?: number): number[] => [0, 1, 2, 3].map((slot) => costNs(bed, slot, bytes));
  const unknown = costs(65_536);
  one(bed, 300 * US, 0);
  t.deepEqual(costs(), [300 * US, 300 * US, 300 * US, 300 * US]);
  // What others have shown counts as much as the first of its own.
  one(bed, 200 * US, 1);
  t.deepEqual(costs(), [300 * US, 250 * US, 250 * US, 250 * US]);
  one(bed, 500 * US, 2);
  t.deepEqual(costs(), [300 * US, 250 * US, 375 * US, 250 * US]);
  t.deepEqual(costs(65_536), unknown);
  bed.policies.clearPath(bed.s, 0);
  bed.policies.setPath(bed.s, 0, 1, 1);
  t.deepEqual(costs(), [250 * US, 250 * US, 375 * US, 250 * US]);
});

test("a service time is the mean of the samples, and one stalled command moves it little", (t) => {
  const bed = adaptive(1);
  for (let i = 0; i < 250; i++) {
    one(bed, 50 * US);
    one(bed, 150 * US);
  }
  t.true(isNear(costNs(bed), 100 * US, 0.01), `${costNs(bed)} ns`);
  one(bed, 100 * MS);
  t.true(costNs(bed) > 101 * US && costNs(bed) < 104 * US, `${costNs(bed)} ns`);
});

test("a mean of the first samples gives each the same weight", (t) => {
  const bed = adaptive(1);
  const samples = [100, 130, 85, 110, 95, 140, 90].map((us) => us * US);
  for (const [at, sample] of samples.entries()) {
    one(bed, sample);
    const mean = samples.slice(0, at + 1).reduce((a, b) => a + b) / (at + 1);
    t.true(isNear(costNs(bed), mean, 0.001), `${at + 1} samples: ${costNs(bed)} ns`);
  }
});

test("a path that became 3.5 times slower, or 4 times faster, is seen to within 32 commands, in all its classes", (t) => {
  for (const factor of [3.5, 0.25]) {
    const bed = adaptive(2);
    for (let i = 0; i < 300; i++) {
      one(bed, 100 * US);
      one(bed, 300 * US, 0, 65_536);
      one(bed, 100 * US, 1);
    }
    many(bed, 32, 100 * US * factor);
    t.true(isNear(costNs(bed), 100 * US * factor, 0.25), `${factor}: ${costNs(bed)} ns`);
    // Of the other class nothing was seen meanwhile: it follows as far as was clear when the change was.
    const other = costNs(bed, 0, 65_536) / (300 * US);
    t.true(factor > 1 ? other > 2.4 && other <= factor : other < 0.36 && other >= factor, `${factor}: ${other}`);
    t.true(isNear(costNs(bed, 1), 100 * US, 0.01));
  }
});

test("twice the time is no sudden change: it is followed as the mean of some 256 samples does", (t) => {
  const bed = adaptive(1);
  many(bed, 500, 100 * US);
  many(bed, 100, 200 * US);
  t.true(costNs(bed) > 115 * US && costNs(bed) < 145 * US, `${costNs(bed)} ns after 100`);
  many(bed, 900, 200 * US);
  t.true(isNear(costNs(bed), 200 * US, 0.1), `${costNs(bed)} ns after 1000`);
});

test("what was learned long ago gives way: after 100 ms without I/O one sample counts for a third", (t) => {
  for (const [idleMs, weight] of [
    [99, 1 / 256],
    [101, 1 / 3],
  ] as const) {
    const bed = adaptive(1);
    many(bed, 500, 100 * US);
    const before = costNs(bed);
    bed.nowNs += idleMs * MS;
    one(bed, 190 * US);
    const moved = (costNs(bed) - before) / (190 * US - before);
    t.true(moved < 1.2 * weight, `${idleMs} ms: ${moved}`);
    if (idleMs > 100) t.true(moved > 0.8 * weight, `${idleMs} ms: ${moved}`);
  }
});

test("an error that comes back quickly teaches nothing about speed, one that took long does", (t) => {
  const bed = adaptive(1);
  many(bed, 100, 100 * US);
  const before = costNs(bed);
  one(bed, 10 * US, 0, 4096, 0);
  t.is(costNs(bed), before);
  one(bed, 400 * US, 0, 4096, 0);
  t.true(costNs(bed) > before);
});

test("a path whose only command is late gets no more after 8 times what it should take, and not before", (t) => {
  for (const [times, taken] of [
    [7.8, 0],
    [8.2, 1],
  ] as const) {
    const bed = adaptive(2);
    many(bed, 1000, 100 * US, 0);
    many(bed, 1000, 2 * MS, 1);
    many(bed, 300, 100 * US, 0);
    bed.send(4096, 0, 0b01);
    bed.nowNs += times * 100 * US;
    t.is(bed.send(), taken, `${times} times`);
  }
});

test("a path is late by what its largest command takes, not by what its smallest does", (t) => {
  const bed = adaptive(2);
  for (let i = 0; i < 1000; i++) {
    one(bed, 100 * US, 0);
    one(bed, 4 * MS, 0, 1 << 20);
    one(bed, 40 * MS, 1);
  }
  bed.send(1 << 20, 0, 0b01);
  for (let i = 0; i < 6; i++) bed.send(4096, 0, 0b01);
  // So long is much for seven commands of which six are small, and not for the large one among them.
  bed.nowNs += 25 * MS;
  t.is(bed.send(), 0);
  bed.nowNs += 10 * MS;
  t.is(bed.send(), 1);
});

/** The places, in a row of `count` commands with `depth` of them in flight, at which learning begins or rests. */
function turns(
  bed: Bed,
  devices: Devices,
  count: number,
  depth: number,
): { at: number; learns: boolean; nowNs: number }[] {
  const found: { at: number; learns: boolean; nowNs: number }[] = [];
  for (let at = 0; at < count; at++) {
    if (bed.commands.length === depth) devices.finishNext();
    devices.send();
    const learns = bed.policies.learns(bed.s) === 1;
    if (learns !== (found.at(-1)?.learns ?? true)) found.push({ at, learns, nowNs: bed.nowNs });
  }
  return found;
}

for (const depth of [1, 16]) {
  test(`learning rests for 10 ms after 64 commands and 8 for each in flight: ${depth} in flight`, (t) => {
    const bed = adaptive(2);
    const path = { servers: 1, serviceNs: () => 100 * US };
    const found = turns(bed, new Devices(bed, [path, path]), 4000, depth);
    const [first] = found;
    t.true(first !== undefined && !first.learns && first.at >= 512, "it does not rest before it has seen enough");
    t.true(found.length >= 8);
    for (const [index, { at, learns, nowNs }] of found.entries()) {
      const before = found[index - 1];
      if (before === undefined) continue;
      if (learns) t.true(isNear(nowNs - before.nowNs, 10 * MS, 0.05), `a rest of ${nowNs - before.nowNs} ns`);
      else t.is(at - before.at, 64 + 8 * depth);
    }
  });
}

test("learning does not rest before the paths in use have given 512 samples each, or 16384 commands have gone by", (t) => {
  const bed = adaptive(2);
  const path = { servers: 1, serviceNs: () => 100 * US };
  const devices = new Devices(bed, [path, path]);
  // The second path gets one command of sixteen: of 4096 only 256.
  let sent = 0;
  let restAt = 0;
  while (restAt === 0 && sent < 20_000) {
    devices.run(1, 1, 4096, 0, sent % 16 === 0 ? 0b10 : 0b01);
    sent++;
    if (bed.policies.learns(bed.s) === 0) restAt = sent;
  }
  t.true(restAt > 16 * 512 && restAt < 16 * 512 + 2000, `it rests after ${restAt}`);
});

test("a path that has hardly any I/O keeps learning from resting for 16384 commands at most", (t) => {
  const bed = adaptive(2);
  const path = { servers: 1, serviceNs: () => 100 * US };
  const devices = new Devices(bed, [path, path]);
  let sent = 0;
  while (bed.policies.learns(bed.s) === 1 && sent < 40_000) {
    devices.run(1, 1, 4096, 0, sent % 60 === 0 ? 0b10 : 0b01);
    sent++;
  }
  t.true(sent >= 16_384 && sent < 17_500, `it rests after ${sent}`);
});

test("a command that takes 8 times what was to be expected ends a rest at once", (t) => {
  for (const [times, learns] of [
    [7.5, 0],
    [8.5, 1],
  ] as const) {
    const bed = adaptive(1);
    for (let i = 0; i < 3000 && (i < 1000 || bed.policies.learns(bed.s) === 1); i++) one(bed, 100 * US);
    t.is(bed.policies.learns(bed.s), 0);
    one(bed, times * costNs(bed));
    t.is(bed.policies.learns(bed.s), learns, `${times} times`);
  }
});

test("an idle path is tried again only after 100 ms without I/O", (t) => {
  for (const [idleMs, tried] of [
    [95, false],
    [108, true],
  ] as const) {
    const bed = adaptive(2);
    many(bed, 1000, 10 * MS, 1);
    many(bed, 12_000, 100 * US, 0);
    bed.send(4096, 0, 0b10);
    bed.nowNs += 10 * MS;
    bed.finish(0);
    const from = bed.nowNs;
    const slots = new Set<number>();
    while (bed.nowNs - from < idleMs * MS) {
      slots.add(bed.send());
      bed.nowNs += 100 * US;
      bed.finish(0);
    }
    t.is(slots.has(1), tried, `${idleMs} ms`);
  }
});

test("answers that never overtake each other, and yet come faster than a command takes, are of several servers", (t) => {
  const bed = adaptive(1);
  const serviceNs = (): number => 100 * US;
  new Devices(bed, [{ servers: 1, serviceNs }]).run(3000, 4);
  t.is(bed.policies.servers(bed.s, 0), 1);
  const devices = new Devices(bed, [{ servers: 4, serviceNs }]);
  for (let round = 0; round < 400; round++) {
    devices.run(1, 1);
    devices.run(20, 8);
  }
  const count = bed.policies.servers(bed.s, 0);
  const apartNs = costNs(bed) / count;
  t.true(count > 2 && isNear(apartNs, 25 * US, 0.3), `${count} servers, ${apartNs} ns for each command`);
});
