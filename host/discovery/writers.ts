// Who else has one of our sg devices open for writing. The kernel's sg driver knows only "one descriptor" (O_EXCL) or "everyone",
// and a path needs several descriptors; so nobody can be kept out, but they can be reported.

import { join } from "node:path";
import { readText } from "./attributes.ts";
import { deviceNumber, isOwn, linkOf, namesIn, processes, processName } from "./uses.ts";

/** Access mode of open(2) in the flags that /proc shows, in octal. */
const ACCESS_MODE = 3;
const READ_ONLY = 0;

const isWritable = (info: string | null): boolean => {
  const flags = /^flags:\s*([0-7]+)/m.exec(info ?? "")?.[1];
  return flags !== undefined && (Number.parseInt(flags, 8) & ACCESS_MODE) !== READ_ONLY;
};

/** By device file: every process, except our own, that has it open for writing, as `process 812 (sg_dd)`. */
export function writersOf(devices: readonly string[], proc: string): ReadonlyMap<string, readonly string[]> {
  const byNumber = new Map<string, string>();
  for (const device of devices) {
    const number = deviceNumber(device);
    if (number !== null) byNumber.set(number, device);
  }
  const found = new Map<string, string[]>();
  if (byNumber.size === 0) return found;
  for (const pid of processes(proc)) {
    if (isOwn(pid)) continue;
    for (const device of writtenBy(join(proc, pid), byNumber)) {
      const writers = found.get(device) ?? [];
      writers.push(processName(proc, pid));
      found.set(device, writers);
    }
  }
  return found;
}

/** Which of the devices a process has open for writing. */
function writtenBy(folder: string, byNumber: ReadonlyMap<string, string>): ReadonlySet<string> {
  const written = new Set<string>();
  for (const fd of namesIn(join(folder, "fd"))) {
    const link = join(folder, "fd", fd);
    // Only files below /dev are examined: a file elsewhere may be on a server that does not answer.
    if (linkOf(link)?.startsWith("/dev/") !== true) continue;
    const device = byNumber.get(deviceNumber(link) ?? "");
    if (device !== undefined && isWritable(readText(join(folder, "fdinfo", fd)))) written.add(device);
  }
  return written;
}
