// The daemon's privileges. It carries others' I/O, and those others must not be able to starve it: what waits for
// memory or a processor may be waiting for I/O that passes through here.

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
}

/** The real ones. @param becomeIoFlusher of the native addon */
export function privilegeCalls(becomeIoFlusher: () => void): PrivilegeCalls {
  return { becomeIoFlusher, niceness: () => getPriority(0), setNiceness: (value) => setPriority(0, value) };
}

/**
 * Takes the privileges of a process that serves a block device, for the calling thread and those started after it, so call it
 * before the reactor is started. What is not permitted is reported and skipped: I/O works without it.
 *
 * @param nice -20..19; nothing is requested if the process has that niceness already
 * @param emulated without real devices nobody's memory waits for this process, so a refusal is not worth a warning
 */
export function takePrivileges(nice: number, emulated: boolean, calls: PrivilegeCalls, logger: PrivilegeLog): void {
  const told = emulated ? logger.debug : logger.warning;
  try {
    calls.becomeIoFlusher();
  } catch (thrown) {
    told(
      `${reasonOf(thrown)}: when memory is short, the kernel may wait for pages that have to be written through this daemon; ` +
        "run it as root or with CAP_SYS_RESOURCE, on Linux 5.6 or later",
    );
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
