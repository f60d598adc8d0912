// How many commands a path may have in flight before the kernel makes the next one wait.
//
// Every command needs a tag. When none is left, the sg driver's write() sleeps until another command comes back, O_NONBLOCK or
// not: on a silent path that takes as long as the command timeout plus error recovery, and the writing thread stalls for all its
// paths. So a path never gets more commands than it has tags.
//
// With an I/O scheduler each queue has tags of its own, nr_requests of them. Without one, the units of a host adapter share the
// adapter's tags (can_queue), and the kernel gives each active unit an equal part (hctx_may_queue).

import { join } from "node:path";
import { readNames, readNumber, readText } from "./attributes.ts";

/** Tags of a queue of its own that are left to others: discovery, the kernel itself, smartd and the like. */
const SPARE_TAGS = 8;
/** A unit that the kernel is just scanning takes a part of the adapter's tags, too. */
const UNITS_SPARE = 1;

/** The tags of a host adapter. */
export interface HostTags {
  /** Commands it accepts at once, in each of its queues. */
  readonly tags: number;
  readonly queues: number;
  /** Units (of any type) that share them. */
  readonly units: number;
}

/** The scheduler in force, null for none; and those there are. */
export interface Schedulers {
  readonly current: string | null;
  readonly available: readonly string[];
}

/** Reads the resources of host adapters, each only once. */
export class HostReader {
  readonly #root: string;
  readonly #hosts = new Map<string, HostTags | null>();
  #units: Map<string, number> | null = null;

  constructor(root = "/sys") {
    this.#root = root;
  }

  /** @returns null when the kernel does not report it */
  read(host: string): HostTags | null {
    const known = this.#hosts.get(host);
    if (known !== undefined) return known;
    const folder = join(this.#root, "class/scsi_host", `host${host}`);
    const tags = readNumber(join(folder, "can_queue"));
    this.#units ??= this.#countUnits();
    const units = Math.max(1, this.#units.get(host) ?? 1);
    const queues = Math.max(1, readNumber(join(folder, "nr_hw_queues")) ?? 1);
    const read = tags === null || tags === 0 ? null : { tags, queues, units };
    this.#hosts.set(host, read);
    return read;
  }

  #countUnits(): Map<string, number> {
    const counts = new Map<string, number>();
    for (const name of readNames(join(this.#root, "class/scsi_device"))) {
      const host = name.split(":")[0] ?? "";
      counts.set(host, (counts.get(host) ?? 0) + 1);
    }
    return counts;
  }
}

/** Reads `[mq-deadline] kyber none`; a queue without such a file has no scheduler. */
export function readSchedulers(queue: string | null): Schedulers {
  const names = ((queue === null ? null : readText(join(queue, "scheduler"))) ?? "none").split(/\s+/);
  const current = names.find((name) => name.startsWith("["))?.slice(1, -1) ?? "none";
  const available = names.map((name) => name.replaceAll(/[[\]]/g, "")).filter((name) => name !== "none" && name !== "");
  return { current: current === "none" ? null : current, available };
}

/** Commands that a queue with `tags` tags of its own takes, with a tag left for the next one. */
const roomOfTags = (tags: number): number => Math.max(1, tags - Math.min(SPARE_TAGS, Math.ceil(tags / 2)));

/** Tags that a queue of its own needs for this many commands. */
export const tagsFor = (commands: number): number => commands + SPARE_TAGS;

/** Commands that one of the units sharing a host adapter's tags may have in flight. */
const roomOfShare = ({ tags, units }: HostTags): number => Math.max(1, Math.floor(tags / (units + UNITS_SPARE)) - 1);

/**
 * Commands that may be in flight on a path; null when the kernel does not report it.
 * @param queue folder of the block device's queue; null for a path without one, which has no scheduler
 */
export function readCommandsMax(queue: string | null, host: HostTags | null): number | null {
  const requests = queue === null ? null : readNumber(join(queue, "nr_requests"));
  if (requests !== null && readSchedulers(queue).current !== null) return roomOfTags(requests);
  return host === null ? null : roomOfShare(host);
}
