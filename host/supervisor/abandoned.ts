// ublk devices that no daemon serves. The driver lets their requests wait without limit, and nobody who could end that is left:
// `pathmanagerd --give-up-devices` is that somebody, started when the service has ended. It removes a device whose dead-connection
// timeout has passed; what waited fails at once.

import { existsSync, readdirSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { ublkDelete, ublkStatus, type UblkDevice } from "../native/index.ts";

const DEVICES = "/sys/class/ublk-char";
const PAUSE_MS = 500;

/** The driver, the clock, and whom to tell. */
export interface AbandonedCalls {
  /** N of every /dev/ublkbN there is. */
  readonly list: () => readonly number[];
  readonly status: (index: number) => Promise<UblkDevice | null>;
  readonly remove: (index: number) => Promise<void>;
  readonly isRunning: (pid: number) => boolean;
  readonly nowMs: () => number;
  readonly pause: (ms: number) => Promise<unknown>;
  readonly say: (text: string) => void;
}

const KERNEL: Omit<AbandonedCalls, "say"> = {
  list: () =>
    (existsSync(DEVICES) ? readdirSync(DEVICES) : []).flatMap((name) => {
      const index = /^ublkc(\d+)$/.exec(name)?.[1];
      return index === undefined ? [] : [Number(index)];
    }),
  status: ublkStatus,
  remove: ublkDelete,
  isRunning: (pid) => existsSync(`/proc/${pid}`),
  nowMs: () => performance.now(),
  pause: (ms) => sleep(ms),
};

const reason = (thrown: unknown): string => (thrown instanceof Error ? thrown.message : String(thrown));

class Watch {
  readonly #calls: AbandonedCalls;
  /** Since when each device has had no server, as far as is known here. */
  readonly #since = new Map<number, number>();
  /** Devices that could not be removed: said once, tried again. */
  readonly #stuck = new Set<number>();

  constructor(calls: AbandonedCalls) {
    this.#calls = calls;
  }

  /** @returns whether any device waits for a server */
  async look(): Promise<boolean> {
    let isAnyWaiting = false;
    for (const index of this.#calls.list()) {
      const device = await this.#calls.status(index);
      if (device?.owner === undefined || this.#isServed(device)) this.#since.delete(index);
      else if (await this.#waits(device)) isAnyWaiting = true;
    }
    return isAnyWaiting;
  }

  /** A killed server's device is live until the driver has noticed. */
  #isServed({ state, serverPid }: UblkDevice): boolean {
    return state === "live" && this.#calls.isRunning(serverPid);
  }

  async #waits({ index, deadConnectionTimeoutSeconds: limitS }: UblkDevice): Promise<boolean> {
    const { nowMs, remove, say } = this.#calls;
    const since = this.#since.get(index) ?? nowMs();
    if (!this.#since.has(index)) {
      this.#since.set(index, since);
      say(`/dev/ublkb${index} has no daemon; its I/O waits ${limitS} s for one`);
    }
    if (nowMs() - since < limitS * 1000) return true;
    try {
      await remove(index);
      say(`/dev/ublkb${index} is removed, as no daemon came within ${limitS} s; what waited has failed`);
      return false;
    } catch (thrown) {
      if (!this.#stuck.has(index)) say(`/dev/ublkb${index} cannot be removed: ${reason(thrown)}`);
      this.#stuck.add(index);
      return true;
    }
  }
}

/** Ends when no device of this program waits for a daemon any more: each has one again, or is removed. */
export async function giveUpAbandoned(
  say: (text: string) => void,
  kernel: Omit<AbandonedCalls, "say"> = KERNEL,
): Promise<void> {
  const watch = new Watch({ ...kernel, say });
  while (await watch.look()) await kernel.pause(PAUSE_MS);
}
