// What the kernel knows of a disk's limits, in bytes.

import { readFileSync } from "node:fs";

export interface QueueLimits {
  readonly physicalBytes: number;
  readonly minimumBytes: number;
  readonly optimalBytes: number;
  readonly discardGranularity: number;
}

/** @returns 0 for what is not known. @param blockDevice `sda`; undefined when there is none */
export function queueLimits(blockDevice: string | undefined, sys = "/sys"): QueueLimits {
  const read = (name: string): number => {
    if (blockDevice === undefined) return 0;
    try {
      return Number(readFileSync(`${sys}/block/${blockDevice}/queue/${name}`, "utf8")) || 0;
    } catch {
      return 0;
    }
  };
  return {
    physicalBytes: read("physical_block_size"),
    minimumBytes: read("minimum_io_size"),
    optimalBytes: read("optimal_io_size"),
    discardGranularity: read("discard_granularity"),
  };
}
