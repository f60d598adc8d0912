// How many devices are asked at once. A command blocks a thread of the addon's until the kernel gives it back, which for a
// silent device can take much longer than anybody waits for it. So every host adapter has a queue of its own: as many silent
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

interface AdapterQueue {
  readonly waiting: Set<Waiter>;
  taken: number;
  /** When one last left, or the first began to wait. */
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
   * @param patienceMs how long nobody may leave before it is given up
   * @returns how to leave, or null when it was given up
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

  /** Lets in who waits, in their order, while there is room. */
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

  /** Sends away who waits in a queue that does not move. */
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

/** The queues of this machine's host adapters. A device that still hangs from one rescan holds its place in the next. */
export const KERNEL_QUEUES = new AdapterQueues();

/**
 * Talks to a device in the queue of its host adapter. The place is left when the last command has come back, however long
 * before `work` gave it up.
 * @param number path number of the device
 * @returns null when the queue does not move
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
