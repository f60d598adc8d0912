// The daemon's privileges. It carries others' I/O, and those others must not be able to starve it: what waits for
// memory or a processor may be waiting for I/O that passes through here.

import type { Privileges } from "./protocol.ts";
import { getPriority, setPriority } from "node:os";

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
  setNiceness(value: number): void;
  /** Asks for time slices of this length, in microseconds. */
  requestSlice(sliceUs: number): void;
}

/** The real ones. @param native of the native addon */
export function privilegeCalls(native: Pick<PrivilegeCalls, "becomeIoFlusher" | "requestSlice">): PrivilegeCalls {
  return { ...native, niceness: () => getPriority(0), setNiceness: (value) => setPriority(0, value) };
}

/**
 * Takes the privileges of a process that serves a block device, for the calling thread and those started after it, so call it
 * before the reactor is started. What is not permitted is reported and skipped: I/O works without it.
 *
 * @param wanted `nice` is -20..19, and nothing is requested if the process has that niceness already; `sliceUs` 0 leaves the kernel's
 * @param calls how it is requested
 * @param logger told what is refused: as a warning, unless `wanted.emulated`, since without real devices nobody's memory waits for
 *   this process
 */
export function takePrivileges(wanted: Privileges, calls: PrivilegeCalls, logger: PrivilegeLog): void {
  const { nice, sliceUs, emulated } = wanted;
  const told = emulated ? logger.debug : logger.warning;
  try {
    calls.becomeIoFlusher();
  } catch (thrown) {
    told(
      `${reasonOf(thrown)}: when memory is short, the kernel may wait for pages that have to be written through this daemon; ` +
        "run it as root or with CAP_SYS_RESOURCE, on Linux 5.6 or later",
    );
  }
  try {
    if (sliceUs > 0) calls.requestSlice(sliceUs);
  } catch (thrown) {
    told(`process.slice_us: ${reasonOf(thrown)}: busy programs may delay I/O; set it to 0 to leave the kernel's`);
  }
  if (calls.niceness() === nice) return;
  try {
    calls.setNiceness(nice);
  } catch (thrown) {
    told(
      `process.nice: cannot become ${nice} (${reasonOf(thrown)}): busy programs may delay I/O; ` +
        `run it as root, with CAP_SYS_NICE, or with Nice=${nice} in its systemd unit`,
    );
  }
}
