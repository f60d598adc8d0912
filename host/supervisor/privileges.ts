// The daemon's privileges. It carries others' I/O, and those others must not be able to starve it: what waits for
// memory or a processor may be waiting for I/O that passes through here.

import type { Privileges } from "./protocol.ts";
import { getPriority } from "node:os";

/** Reports what is not permitted. */
export interface PrivilegeLog {
  debug(text: string): void;
  warning(text: string): void;
}

const reasonOf = (thrown: unknown): string => (thrown instanceof Error ? thrown.message : String(thrown));

/** The calls that change it; threads inherit both from the thread that starts them. */
export interface PrivilegeCalls {
  becomeIoFlusher(): void;
  /** Niceness of the calling thread, and how it is set: -20 (first) to 19. */
  niceness(): number;
  requestNiceness(value: number): void;
  /** Asks for time slices of this length, in microseconds; returns whether the kernel heeds it. */
  requestSlice(sliceUs: number): boolean;
}

/** What holds without a setting. With slices of 200 us instead, programs that compute on every CPU delayed I/O twelve times as long. */
const NICE = -10;
/** What holds where slices are set and the kernel heeds them: no larger share of a processor, but an earlier one. */
const SLICED_NICE = 0;

/** The real ones. @param native of the native addon */
export function privilegeCalls(native: Omit<PrivilegeCalls, "niceness">): PrivilegeCalls {
  return { ...native, niceness: () => getPriority(0) };
}

/**
 * Takes the privileges of a process that serves a block device, for the calling thread and those started after it, so call it
 * before the reactor is started. What is not permitted is reported and skipped: I/O works without it.
 *
 * @param wanted `nice` is -20..19, and nothing is requested if the process has that niceness already; `sliceUs` null or 0 leaves the kernel's
 * @param calls how it is requested
 * @param logger told what is refused: as a warning, unless `wanted.emulated`, since without real devices nobody's memory waits for
 *   this process
 */
export function takePrivileges(wanted: Privileges, calls: PrivilegeCalls, logger: PrivilegeLog): void {
  const told = wanted.emulated ? logger.debug : logger.warning;
  try {
    calls.becomeIoFlusher();
  } catch (thrown) {
    told(
      `${reasonOf(thrown)}: when memory is short, the kernel may wait for pages that have to be written through this daemon; ` +
        "run it as root or with CAP_SYS_RESOURCE, on Linux 5.6 or later",
    );
  }
  const isSliced = isHeeded(wanted, calls, told);
  const nice = wanted.nice ?? (isSliced ? SLICED_NICE : NICE);
  if (calls.niceness() === nice) return;
  try {
    calls.requestNiceness(nice);
  } catch (thrown) {
    told(
      `process.nice: cannot become ${nice} (${reasonOf(thrown)}): busy programs may delay I/O; ` +
        `run it as root, with CAP_SYS_NICE, or with Nice=${nice} in its systemd unit`,
    );
  }
}

/** Asks for the slice that is wanted. Returns whether the daemon goes before others because of it. */
function isHeeded({ sliceUs }: Privileges, calls: PrivilegeCalls, told: (text: string) => void): boolean {
  if (sliceUs === null || sliceUs === 0) return false;
  try {
    return calls.requestSlice(sliceUs);
  } catch (thrown) {
    told(`process.slice_us: ${reasonOf(thrown)}: busy programs may delay I/O; set it to 0 to leave the kernel's`);
    return false;
  }
}
