// Gives the queue of a path tags of its own where its part of the host adapter's is too small for the wanted depth, and takes
// them back when the path is released. See queue-room.ts for the reason.
//
// This is done with an I/O scheduler, of which only the tags matter: SCSI generic commands bypass it. A change waits until the
// queue is empty and stops it meanwhile, so it is made only while nobody uses the path.

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
/** Each takes about a KiB of kernel memory for every hardware queue of the adapter: no more than a MiB per path. */
const REQUESTS_MAX = 1024;
/** The queue is empty, so a change takes milliseconds; anything longer is not awaited. */
const CHANGE_MS_MAX = 2000;

/** Where to look and how to write; a test provides its own. */
export interface QueueSources {
  readonly sysfs: string;
  readonly write: (file: string, text: string) => Promise<void>;
}

const KERNEL_QUEUES: QueueSources = { sysfs: "/sys", write: writeAttribute };

/** What was changed in a queue. */
export interface QueueChange {
  readonly device: string;
  readonly queue: string;
  /** The previous scheduler; null for none. */
  readonly scheduler: string | null;
  readonly requests: number;
  /** Commands that may be in flight now. */
  readonly commandsMax: number;
}

/** No command is in the queue that a change would have to wait for. */
function isIdle(device: string): boolean {
  return readText(join(device, "state")) === "running" && readNumber(join(device, "device_busy")) === 0;
}

/**
 * Makes room for `commands` on a path that nobody uses yet.
 * @param number host:channel:target:lun
 * @returns null when nothing was changed: it cannot be written, the adapter has so many queues that it would cost too much
 * memory, or the device is busy
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

/** Restores a queue when the path is no longer used. A device that is busy or gone is left alone. */
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
