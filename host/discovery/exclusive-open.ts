// Opening the kernel's block devices exclusively.

import { getSystemErrorName } from "node:util";
import * as native from "../native/index.ts";
import { KERNEL_TABLES, type InUseSources } from "./in-use.ts";
import { bounded } from "./transport.ts";

/** A block device held open. */
export interface Held {
  close(): Promise<void>;
}

/** Opens and closes devices: this process, or one that keeps them open when this one ends. */
export interface Opener {
  /** Returns what closes it again, or a negated errno. */
  open(device: string): Promise<number>;
  close(device: string, opened: number): Promise<void>;
}

const OURSELVES: Opener = {
  open: native.openExclusive,
  close: (_, opened) => native.closeDevice(opened),
};

/** How long to wait for an open; one that succeeds later is undone. */
const OPEN_MS_MAX = 5000;

/**
 * Opens a block device exclusively: while it is open, nobody can mount it, swap to it, or map it, and it cannot be opened this
 * way while someone does. Runs on a thread of the addon, because the kernel makes an open wait while it recovers a path, and four
 * that wait would block every other file operation of the process on libuv's pool.
 * @returns the device, or the errno name
 */
export async function openExclusive(device: string, opener: Opener = OURSELVES): Promise<Held | string> {
  const opening = opener.open(device);
  try {
    const opened = await bounded(opening, OPEN_MS_MAX, () => device);
    return opened < 0 ? getSystemErrorName(opened) : { close: () => opener.close(device, opened) };
  } catch {
    void opening.then(
      (opened) => (opened < 0 ? undefined : opener.close(device, opened)),
      () => undefined,
    );
    return "ETIMEDOUT";
  }
}

export const KERNEL_SOURCES: InUseSources = {
  ...KERNEL_TABLES,
  openExclusive: async (device) => {
    const opened = await openExclusive(device);
    if (typeof opened === "string") return opened;
    await opened.close();
    return null;
  },
};
