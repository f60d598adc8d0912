// How long a target port takes: a queue in front of `parallelism` servers.

import type { SeededRandom } from "./fault-state.ts";
import type { PortService } from "./topology.ts";

export class PortServer {
  /** Nothing takes any time: commands are carried out the moment they arrive. */
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

  /** When a command that arrives at `nowNs` and moves `bytes` is done, made `factor` times and `delayNs` slower. */
  finishNs(nowNs: number, bytes: number, factor: number, delayNs: number): number {
    let service = this.#latencyNs;
    if (this.#exponential) service *= -Math.log(1 - this.#random.next());
    service = (service + bytes * this.#nsPerByte) * factor + delayNs;
    const free = this.#freeNs;
    if (free.length === 0) return nowNs + service;
    let first = 0;
    for (let i = 1; i < free.length; i++) if ((free[i] ?? 0) < (free[first] ?? 0)) first = i;
    const finish = Math.max(nowNs, free[first] ?? 0) + service;
    free[first] = finish;
    return finish;
  }
}
