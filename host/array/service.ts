// How long a target port takes: a queue in front of `parallelism` servers.

import { TIME_DELAY, TIME_FACTOR, TIME_FINISH, TIME_NOW } from "./times.ts";
import type { SeededRandom } from "./faults/fault-state.ts";
import type { PortService } from "./array-topology.ts";

export class PortServer {
  /** Commands take no time: they are carried out the moment they arrive. */
  readonly instant: boolean;
  readonly #latencyNs: number;
  readonly #nsPerByte: number;
  readonly #exponential: boolean;
  readonly #random: SeededRandom;
  /** When each server is free again, ns. */
  readonly #freeNs: Float64Array;

  constructor(service: Required<PortService>, random: SeededRandom) {
    this.#latencyNs = service.latencyUs * 1000;
    this.#nsPerByte = service.bytesPerSecond === 0 ? 0 : 1e9 / service.bytesPerSecond;
    this.#exponential = service.distribution === "exponential";
    this.#random = random;
    this.#freeNs = new Float64Array(service.parallelism);
    this.instant = this.#latencyNs === 0 && this.#nsPerByte === 0;
  }

  /** Sets TIME_FINISH: when a command that arrives at TIME_NOW and transfers `bytes` is done, given TIME_FACTOR and TIME_DELAY. */
  finish(times: Float64Array, bytes: number): void {
    let service = this.#latencyNs;
    if (this.#exponential) service *= -Math.log(1 - this.#random.next());
    service = (service + bytes * this.#nsPerByte) * (times[TIME_FACTOR] as number) + (times[TIME_DELAY] as number);
    const free = this.#freeNs;
    let start = times[TIME_NOW] as number;
    if (free.length === 0) {
      times[TIME_FINISH] = start + service;
      return;
    }
    let first = 0;
    for (let i = 1; i < free.length; i++) if ((free[i] as number) < (free[first] as number)) first = i;
    const freed = free[first] as number;
    if (freed > start) start = freed;
    free[first] = start + service;
    times[TIME_FINISH] = start + service;
  }
}
