// Holds the block devices of our paths open: they stay ours while there is no control.

import { closeDevice, openExclusive } from "../native/index.ts";

export class KeptClaims {
  readonly #held = new Map<string, Promise<number>>();
  readonly #open: (device: string) => Promise<number>;
  readonly #close: (descriptor: number) => Promise<void>;
  /** Those that are open. */
  readonly #descriptors = new Map<string, number>();

  constructor(open = openExclusive, close = closeDevice) {
    this.#open = open;
    this.#close = close;
  }

  get devices(): string[] {
    return [...this.#descriptors.keys()];
  }

  /** Claims a device; returns 0, also when it is claimed already, or a negated errno. */
  async claim(device: string): Promise<number> {
    const opening = this.#held.get(device) ?? this.#open(device);
    this.#held.set(device, opening);
    const opened = await opening;
    if (this.#held.get(device) !== opening) return -1;
    if (opened < 0) this.#held.delete(device);
    else this.#descriptors.set(device, opened);
    return Math.min(0, opened);
  }

  /** Releases a device, even one that is still being opened. */
  async release(device: string): Promise<void> {
    const opening = this.#held.get(device);
    this.#held.delete(device);
    this.#descriptors.delete(device);
    const opened = (await opening) ?? -1;
    if (opened >= 0) await this.#close(opened);
  }
}
