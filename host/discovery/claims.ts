// Holds the kernel's own block devices of our paths, so that nobody mounts one of them.
//
// A path is used through its sg device, which excludes nobody. So the disk device of the same path is held open exclusively as
// long as the path is ours. When a device disappears, its claim is released with its path: the kernel waits for nobody.

import { openExclusive, type Held } from "./exclusive-open.ts";
import { heldByAnother } from "./in-use.ts";

/** What is kept of a claim. */
interface Claim {
  readonly blockDevice: string;
  readonly handle: Held;
}

export class Claims<Owner extends object> {
  readonly #claims = new Map<Owner, Claim>();
  readonly #open: (device: string) => Promise<Held | string>;

  /** @param open opens a device exclusively; returns the errno name when that fails */
  constructor(open: (device: string) => Promise<Held | string> = openExclusive) {
    this.#open = open;
  }

  /** Takes over a claim that is open already. */
  adopt(owner: Owner, blockDevice: string, handle: Held): void {
    this.#claims.set(owner, { blockDevice, handle });
  }

  /**
   * Claims `sdX` for its path; an existing claim stays. A device that cannot be opened for another reason than being in use (no
   * permission, no medium at the moment) is not claimed: the next scan tries again.
   * @returns why it cannot be ours, or null
   */
  async claim(owner: Owner, blockDevice: string | null): Promise<string | null> {
    const held = this.#claims.get(owner);
    if (held?.blockDevice === blockDevice) return null;
    await this.release(owner);
    if (blockDevice === null) return null;
    const handle = await this.#open(`/dev/${blockDevice}`);
    if (typeof handle === "string") return handle === "EBUSY" ? heldByAnother(blockDevice) : null;
    this.#claims.set(owner, { blockDevice, handle });
    return null;
  }

  /** Releases the device of a path. */
  async release(owner: Owner): Promise<void> {
    const claim = this.#claims.get(owner);
    this.#claims.delete(owner);
    await claim?.handle.close().catch(() => undefined);
  }

  /** Releases all. */
  async releaseAll(): Promise<void> {
    await Promise.all([...this.#claims.keys()].map((owner) => this.release(owner)));
  }
}
