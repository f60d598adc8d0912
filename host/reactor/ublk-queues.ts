// The reactor's ublk devices: each is a client of the core's block door. What a request needs is done by the ring; here is what
// happens once in the life of a device, and the rare READ whose data only the core can find.

import type { Ring } from "../native/index.ts";
import type { Core } from "./core-loader.ts";
import { coreAnswer } from "./reactor-errors.ts";

/** A device as the driver knows it. */
export interface UblkDriven {
  /** N of /dev/ublkcN. */
  readonly index: number;
  /** Requests that its queue takes at once. */
  readonly depth: number;
  /** The server copies data itself. */
  readonly userCopy: boolean;
}

/** A device that is served. */
export interface UblkQueue {
  /** N of /dev/ublkcN. */
  readonly index: number;
  readonly unit: number;
  /** Its handle at the block door. */
  readonly client: number;
  /** The process that serves it, for the driver. */
  readonly pid: number;
}

/** The bits of `Ring.enter`. */
export const ENTER_WOKEN = 1;
export const ENTER_ATTENTION = 2;

const EIO = 5;

export class UblkQueues {
  readonly #core: Core;
  readonly #ring: Ring;
  readonly #served = new Map<number, UblkQueue>();

  constructor(core: Core, ring: Ring) {
    this.#core = core;
    this.#ring = ring;
  }

  get list(): readonly UblkQueue[] {
    return [...this.#served.values()];
  }

  /** Serves a device that is not started yet. @param flags of `blockOpen` */
  open(unit: number, flags: number, { index, depth, userCopy }: UblkDriven): UblkQueue {
    const client = coreAnswer("blockOpen", this.#core.exports.blockOpen(unit, flags));
    try {
      this.#ring.addUblk({ index, depth, client, userCopy }, this.#core.doorTags);
    } catch (thrown) {
      this.#core.exports.blockClose(client);
      throw thrown;
    }
    const queue = { index, unit, client, pid: process.pid };
    this.#served.set(client, queue);
    return queue;
  }

  /** Requests of the device fail from now on, those under way too; it ends when the driver has stopped it. */
  close(client: number): void {
    this.#core.exports.blockClose(client);
  }

  /** The reactor stops: what is not answered yet is left to the next server. */
  leave(): void {
    if (this.#served.size === 0) return;
    this.#ring.leaveUblks();
    for (const client of this.#served.keys()) this.#core.exports.blockClose(client);
  }

  /** @param entered what `Ring.enter` returned */
  attend(entered: number): void {
    if ((entered & ENTER_ATTENTION) === 0) return;
    for (let read = this.#ring.nextScattered(); read !== null; read = this.#ring.nextScattered()) {
      this.#gather(read.tag, read.bytes);
    }
    for (let client = this.#ring.nextEndedUblk(); client !== null; client = this.#ring.nextEndedUblk()) {
      this.#served.delete(client);
      this.#core.exports.blockClose(client);
    }
  }

  #gather(tag: number, bytes: number): void {
    let errno = 0;
    for (let at = 0; at < bytes && errno === 0;) {
      const run = this.#core.exports.blockData(tag, at);
      const length = Number(BigInt.asUintN(64, run) >> 32n);
      try {
        if (length === 0) errno = EIO;
        else this.#ring.copyPart(tag, at, Number(BigInt.asUintN(32, run)), length);
      } catch {
        errno = EIO;
      }
      at += length;
    }
    this.#ring.endScattered(tag, errno);
  }
}
