// The self-test of the simulation: the supermarket model. With N queues, Poisson arrivals at load x and exponential
// service, two random choices give a mean time in system of sum x^(2^i - 2), i = 1, 2, ... as N grows (Vvedenskaya,
// Dobrushin, Karpelevich 1996; Mitzenmacher 1996). N queues give a little more; how much is computed by a second method, the
// Markov chain of the queues' lengths, which shares only the random numbers with the simulation.
//
// It needs 100 queues, more than the 32 paths a unit can have; so the policy's own draw of two (drawTwo, the same code)
// runs on a larger table here.

import { readFileSync } from "node:fs";
import { instantiate } from "../policies.ts";
import { Random } from "./random.ts";
import { Agenda } from "./queues.ts";

interface DrawModule {
  init(seed: number): void;
  /** first + 65536 x second. */
  draw(count: number): number;
}

/** Mean time in system in the model with infinitely many queues, service time 1. */
export function expectedTime(load: number): number {
  let sum = 0;
  for (let i = 1; i < 12; i++) sum += load ** (2 ** i - 2);
  return sum;
}

/** Mean time in system of `count` commands, after as many others to warm up. */
export function simulatedTime(load: number, count: number, seed: number, queues = 100): number {
  const compiled = new WebAssembly.Module(readFileSync(new URL("../../build/bench/draw.wasm", import.meta.url)));
  const policy = instantiate<DrawModule>(compiled);
  policy.init(seed);
  const random = new Random(seed);
  const agenda = new Agenda();
  const length = new Uint32Array(queues);
  const free = new Float64Array(queues);
  const warm = count >> 1;
  let nowNs = 0;
  let sum = 0;
  for (let i = 0; i < count + warm; i++) {
    nowNs += random.exponential() / (load * queues);
    while (agenda.nextNs <= nowNs) {
      const queue = agenda.pop();
      length[queue] = (length[queue] ?? 0) - 1;
    }
    const drawn = policy.draw(queues);
    const a = drawn & 0xffff;
    const b = drawn >>> 16;
    const queue = (length[b] ?? 0) < (length[a] ?? 0) ? b : a;
    length[queue] = (length[queue] ?? 0) + 1;
    const end = Math.max(nowNs, free[queue] ?? 0) + random.exponential();
    free[queue] = end;
    agenda.push(end, queue);
    if (i >= warm) sum += end - nowNs;
  }
  return sum / count;
}

/**
 * Mean time in system with this many queues, by the Markov chain of their lengths: the next event is an arrival, or the end
 * of a service in one of the busy queues; the mean number in the system divided by the arrival rate is the time (Little).
 */
export function chainTime(load: number, queues: number, steps: number, seed: number): number {
  const random = new Random(seed);
  const length = new Uint32Array(queues);
  const busy = new Uint32Array(queues);
  const arrivals = load * queues;
  const warm = Math.floor(steps / 10);
  let working = 0;
  let commands = 0;
  let time = 0;
  let commandTime = 0;
  for (let step = 0; step < steps; step++) {
    const rate = arrivals + working;
    if (step >= warm) {
      time += 1 / rate;
      commandTime += commands / rate;
    }
    if (random.uniform() * rate < arrivals) {
      const a = Math.floor(random.uniform() * queues);
      const other = Math.floor(random.uniform() * (queues - 1));
      const b = other >= a ? other + 1 : other;
      const queue = (length[b] ?? 0) < (length[a] ?? 0) ? b : a;
      if (length[queue] === 0) busy[working++] = queue;
      length[queue] = (length[queue] ?? 0) + 1;
      commands++;
    } else {
      const at = Math.floor(random.uniform() * working);
      const queue = busy[at] ?? 0;
      length[queue] = (length[queue] ?? 0) - 1;
      if (length[queue] === 0) busy[at] = busy[--working] ?? 0;
      commands--;
    }
  }
  return commandTime / time / arrivals;
}
