// Gives the queue of a path tags of its own, where its part of the host adapter's is too small for the depth that is
// wanted; and takes them back when the path is given back. See queue-room.ts for why.
//
// It is done by an I/O scheduler, of which nothing but the tags matters: SCSI generic commands pass it by. A change waits
// until the queue is empty and stops it meanwhile, so it is made only while nobody uses the path.

import { join } from "node:path";
import { writeAttribute } from "../native/index.ts";
import { HostReader, readCommandsMax, readSchedulers, tagsFor } from "./queue-room.ts";
import { readNumber, readText } from "./attributes.ts";
import { hostOf } from "./sysfs.ts";
import { bounded } from "./transport.ts";

/** The cheapest first; any will do. */
const PREFERRED = ["mq-deadline", "kyber", "bfq"];
/** A scheduler's own default: twice the adapter's tags, or twice this. */
const SCHEDULER_TAGS_MAX = 128;
/** About a KiB of kernel memory each, for every hardware queue of the adapter: no more than a MiB for a path. */
const REQUESTS_MAX = 1024;
/** The queue is empty, so a change is a matter of milliseconds; what takes longer is not waited for. */
const CHANGE_MS_MAX = 2000;

/** Where to look and how to write; a test lays out its own. */
export interface QueueSources {
  readonly sysfs: string;
  readonly write: (file: string, text: string) => Promise<void>;
}

export const KERNEL_QUEUES: QueueSources = { sysfs: "/sys", write: writeAttribute };

/** What was changed of a queue. */
export interface QueueChange {
  readonly device: string;
  readonly queue: string;
  /** As it was: null for no scheduler. */
  readonly scheduler: string | null;
  readonly requests: number;
  /** Commands that may be under way now. */
  readonly commandsMax: number;
}

/** No command is in it that a change would have to wait for. */
function isIdle(device: string): boolean {
  return readText(join(device, "state")) === "running" && readNumber(join(device, "device_busy")) === 0;
}

/**
 * Makes room for `commands` on a path that nobody uses yet.
 * @param number host:channel:target:lun
 * @returns null when it was left as it was: nothing can be written there, the adapter has so many queues that it would
 * cost too much memory, or the device is busy
 */
export async function makeRoom(
  number: string,
  blockDevice: string,
  commands: number,
  sources: QueueSources = KERNEL_QUEUES,
): Promise<QueueChange | null> {
  const device = join(sources.sysfs, "class/scsi_device", number, "device");
  const queue = join(device, "block", blockDevice, "queue");
  const host = new HostReader(sources.sysfs).read(hostOf(number));
  const requests = readNumber(join(queue, "nr_requests"));
  if (host === null || requests === null || !isIdle(device)) return null;
  const wanted = tagsFor(commands);
  const made = Math.max(wanted, 2 * Math.min(host.tags, SCHEDULER_TAGS_MAX));
  if (made * host.queues > REQUESTS_MAX) return null;
  const { current, available } = readSchedulers(queue);
  const chosen = current ?? PREFERRED.find((name) => available.includes(name));
  if (chosen === undefined) return null;
  const change = { device, queue, scheduler: current, requests, commandsMax: 0 };
  const work = async (): Promise<void> => {
    if (current === null) await sources.write(join(queue, "scheduler"), chosen);
    const present = readNumber(join(queue, "nr_requests")) ?? 0;
    if (present < wanted) await sources.write(join(queue, "nr_requests"), String(wanted));
  };
  try {
    await bounded(work(), CHANGE_MS_MAX, () => `changing ${queue}`);
  } catch {
    await undoRoom(change, sources);
    return null;
  }
  return { ...change, commandsMax: readCommandsMax(queue, host) ?? 1 };
}

/** Makes a queue what it was, when the path is not used any more. A device that is busy or gone is left alone. */
export async function undoRoom(change: QueueChange, sources: QueueSources = KERNEL_QUEUES): Promise<void> {
  const { device, queue, scheduler, requests } = change;
  const work = async (): Promise<void> => {
    if (scheduler === null && readSchedulers(queue).current !== null) {
      await sources.write(join(queue, "scheduler"), "none");
    }
    const left = readNumber(join(queue, "nr_requests"));
    if (left !== null && left !== requests) await sources.write(join(queue, "nr_requests"), String(requests));
  };
  if (!isIdle(device)) return;
  await bounded(work(), CHANGE_MS_MAX, () => `changing ${queue}`).catch(() => undefined);
}
