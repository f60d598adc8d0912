// The self-test of the simulation: the supermarket model. With N queues, Poisson arrivals at load x and exponential
// service, two random choices give a mean time in system of sum x^((2^i - 2) / 1), i = 1, 2, ... as N grows (Vvedenskaya,
// Dobrushin, Karpelevich 1996; Mitzenmacher 1996).
//
// It takes 100 queues, more than the 32 paths a unit can have; so the policy's own draw of two (drawTwo, the same code)
// runs over a larger table here.

import { readFileSync } from "node:fs";
import { instantiate } from "../policies.ts";
import { Random } from "./random.ts";
import { Agenda } from "./queues.ts";

interface DrawModule {
  init(seed: number): void;
  /** first + 65536 x second. */
  draw(count: number): number;
}

/** Mean time in system of the model with infinitely many queues, service time 1. */
export function expectedTime(load: number): number {
  let sum = 0;
  for (let i = 1; i < 12; i++) sum += load ** (2 ** i - 2);
  return sum;
}

/** Mean time in system of `count` commands after as many again to warm up. */
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
