// How many devices are asked at once. A command blocks a thread of the addon's until the kernel gives it back, which for a
// silent device can take much longer than anybody waits for it. So every host adapter has a lane of its own: as many silent
// devices as it may have hold up its own devices only, and none of those that wait loses any of its time by waiting.

import { hostOf } from "./sysfs.ts";
import type { ScsiTransport } from "./transport.ts";

/** Devices of one host adapter at once. */
const PER_HOST = 256;
/** All of them together: the addon has so many threads for SCSI commands (job.rs). */
const ALTOGETHER = 1024;

interface Waiter {
  readonly enter: (leave: (() => void) | null) => void;
  readonly patienceMs: number;
}

interface Lane {
  readonly waiting: Set<Waiter>;
  taken: number;
  /** When one last left, or the first began to wait. */
  movedMs: number;
}

export class Lanes {
  readonly #perHost: number;
  readonly #altogether: number;
  readonly #lanes = new Map<string, Lane>();
  #taken = 0;
  #movedMs = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(perHost = PER_HOST, altogether = ALTOGETHER) {
    this.#perHost = perHost;
    this.#altogether = altogether;
  }

  /**
   * Waits for a place in the lane of a host adapter, as long as the lane moves.
   * @param patienceMs how long nobody may leave before it is given up
   * @returns how to leave, or null when it was given up
   */
  enter(host: string, patienceMs: number): Promise<(() => void) | null> {
    const lane = this.#lanes.get(host) ?? { waiting: new Set(), taken: 0, movedMs: 0 };
    this.#lanes.set(host, lane);
    return new Promise((enter) => {
      if (lane.waiting.size === 0) lane.movedMs = this.#movedMs = performance.now();
      lane.waiting.add({ enter, patienceMs });
      this.#advance(lane);
      if (lane.waiting.size > 0) this.#timer ??= setInterval(() => this.#giveUp(), patienceMs / 4);
    });
  }

  #isFull = (lane: Lane): boolean => lane.taken >= this.#perHost;

  /** Lets in who waits, in their order, while there is room. */
  #advance(lane: Lane): void {
    for (const waiter of lane.waiting) {
      if (this.#isFull(lane) || this.#taken >= this.#altogether) return;
      lane.waiting.delete(waiter);
      lane.taken++;
      this.#taken++;
      let isIn = true;
      waiter.enter(() => {
        if (isIn) this.#leave(lane);
        isIn = false;
      });
    }
  }

  #leave(lane: Lane): void {
    lane.taken--;
    this.#taken--;
    lane.movedMs = this.#movedMs = performance.now();
    this.#advance(lane);
    for (const other of this.#lanes.values()) if (this.#taken < this.#altogether) this.#advance(other);
    this.#stopWhenDone();
  }

  /** Sends away who waits in a lane that does not move. */
  #giveUp(): void {
    const nowMs = performance.now();
    for (const lane of this.#lanes.values()) {
      const stillMs = nowMs - (this.#isFull(lane) ? lane.movedMs : this.#movedMs);
      for (const waiter of lane.waiting) {
        if (stillMs < waiter.patienceMs) continue;
        lane.waiting.delete(waiter);
        waiter.enter(null);
      }
    }
    this.#stopWhenDone();
  }

  #stopWhenDone(): void {
    if ([...this.#lanes.values()].some((lane) => lane.waiting.size > 0)) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}

/** The lanes of this machine's host adapters. A device that still hangs from one look holds its place in the next. */
export const KERNEL_LANES = new Lanes();

/**
 * Talks to a device in the lane of its host adapter. The place is left when the last command has come back, however long
 * before `work` gave it up.
 * @param number path number of the device
 * @returns null when the lane does not move
 */
export async function inLane<T>(
  lanes: Lanes,
  number: string,
  patienceMs: number,
  transport: ScsiTransport,
  work: (transport: ScsiTransport) => Promise<T>,
): Promise<T | null> {
  const leave = await lanes.enter(hostOf(number), patienceMs);
  if (leave === null) return null;
  let last: Promise<unknown> = Promise.resolve();
  const command: ScsiTransport["command"] = (...how) => {
    const sent = transport.command(...how);
    last = sent;
    return sent;
  };
  try {
    return await work({ command });
  } finally {
    last.then(leave, leave);
  }
}
