// Limits how many devices are asked at once. A command blocks a thread of the addon until the kernel returns it, which for a
// silent device can take much longer than anyone waits. So every host adapter has a queue of its own: as many silent devices as it
// allows hold up that adapter's devices only, and waiting for a queue does not use up a device's own time.

import { hostOf } from "./sysfs.ts";
import type { ScsiTransport } from "./transport.ts";

/** Devices of one host adapter at once. */
const PER_HOST = 256;
/** All of them together: the addon has this many threads for SCSI commands (job.rs). */
const ALTOGETHER = 1024;

interface Waiter {
  readonly enter: (leave: (() => void) | null) => void;
  readonly patienceMs: number;
}

interface AdapterQueue {
  readonly waiting: Set<Waiter>;
  taken: number;
  /** When the last one left, or the first began to wait. */
  movedMs: number;
}

export class AdapterQueues {
  readonly #perHost: number;
  readonly #altogether: number;
  readonly #queues = new Map<string, AdapterQueue>();
  #taken = 0;
  #movedMs = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(perHost = PER_HOST, altogether = ALTOGETHER) {
    this.#perHost = perHost;
    this.#altogether = altogether;
  }

  /**
   * Waits for a place in the queue of a host adapter, as long as the queue moves.
   * @param patienceMs how long nobody may leave before waiting is given up
   * @returns how to leave, or null when waiting was given up
   */
  enter(host: string, patienceMs: number): Promise<(() => void) | null> {
    const queue = this.#queues.get(host) ?? { waiting: new Set(), taken: 0, movedMs: 0 };
    this.#queues.set(host, queue);
    return new Promise((enter) => {
      if (queue.waiting.size === 0) queue.movedMs = this.#movedMs = performance.now();
      queue.waiting.add({ enter, patienceMs });
      this.#advance(queue);
      if (queue.waiting.size > 0) this.#timer ??= setInterval(() => this.#giveUp(), patienceMs / 4);
    });
  }

  #isFull = (queue: AdapterQueue): boolean => queue.taken >= this.#perHost;

  /** Admits waiting devices in order while there is room. */
  #advance(queue: AdapterQueue): void {
    for (const waiter of queue.waiting) {
      if (this.#isFull(queue) || this.#taken >= this.#altogether) return;
      queue.waiting.delete(waiter);
      queue.taken++;
      this.#taken++;
      let isIn = true;
      waiter.enter(() => {
        if (isIn) this.#leave(queue);
        isIn = false;
      });
    }
  }

  #leave(queue: AdapterQueue): void {
    queue.taken--;
    this.#taken--;
    queue.movedMs = this.#movedMs = performance.now();
    this.#advance(queue);
    for (const other of this.#queues.values()) if (this.#taken < this.#altogether) this.#advance(other);
    this.#stopWhenDone();
  }

  /** Rejects devices that wait in a queue that is stuck. */
  #giveUp(): void {
    const nowMs = performance.now();
    for (const queue of this.#queues.values()) {
      const stillMs = nowMs - (this.#isFull(queue) ? queue.movedMs : this.#movedMs);
      for (const waiter of queue.waiting) {
        if (stillMs < waiter.patienceMs) continue;
        queue.waiting.delete(waiter);
        waiter.enter(null);
      }
    }
    this.#stopWhenDone();
  }

  #stopWhenDone(): void {
    if ([...this.#queues.values()].some((queue) => queue.waiting.size > 0)) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}

/** The queues of this machine's host adapters. A device that still hangs from one scan keeps its place in the next. */
export const KERNEL_QUEUES = new AdapterQueues();

/**
 * Talks to a device in the queue of its host adapter. The place is freed when the last command has come back, even if `work` gave
 * up long before.
 * @param number path number of the device
 * @returns null when the queue is stuck
 */
export async function inQueue<T>(
  queues: AdapterQueues,
  number: string,
  patienceMs: number,
  transport: ScsiTransport,
  work: (transport: ScsiTransport) => Promise<T>,
): Promise<T | null> {
  const leave = await queues.enter(hostOf(number), patienceMs);
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
