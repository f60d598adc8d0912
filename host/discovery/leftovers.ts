// Commands that a daemon before this one has left in the kernel. The sg driver ends nothing when a descriptor is closed:
// what was under way when the daemon was killed goes on, and a write that a silent path has held back may be carried out
// long after this daemon has answered newer ones.
//
// The driver lists what is under way in /proc/scsi/sg/debug, also of descriptors that are closed already
// (drivers/scsi/sg.c, sg_proc_debug_helper).

import { readFile } from "node:fs/promises";

const LIST = "/proc/scsi/sg/debug";

/** Operation codes that change the medium (SBC-4): WRITE, WRITE SAME and UNMAP in all their lengths, and their kin. */
const CHANGING: ReadonlySet<number> = new Set([
  0x04, 0x0a, 0x2a, 0x2e, 0x3b, 0x41, 0x42, 0x53, 0x83, 0x89, 0x8a, 0x8e, 0x93, 0x9c, 0xaa, 0xae,
]);

/** A command under way. */
export interface UnderWay {
  /** Path number, host:channel:target:lun. */
  readonly path: string;
  readonly operation: number;
  /** Since when it is under way, and after how long the kernel ends it, ms. */
  readonly elapsedMs: number;
  readonly timeoutMs: number;
}

/** The list of the sg driver, or null where the kernel has none (CONFIG_SCSI_PROC_FS) or it cannot be read. */
export async function readUnderWay(): Promise<string | null> {
  return readFile(LIST, "utf8").catch(() => null);
}

/** What the list says is under way; lines that are not understood are passed over. */
export function parseUnderWay(text: string): UnderWay[] {
  const found: UnderWay[] = [];
  let path: string | null = null;
  for (const line of text.split("\n")) {
    if (line.includes(">>> device=")) path = /\b(\d+:\d+:\d+:\d+)\b/.exec(line)?.[1] ?? null;
    const command = /\bact:.*t_o\/elap=(\d+)\/(\d+)ms.*\bop=0x([0-9a-f]+)/.exec(line);
    if (command === null || path === null) continue;
    const [, timeout, elapsed, operation = ""] = command;
    const [timeoutMs, elapsedMs] = [Number(timeout), Number(elapsed)];
    found.push({ path, operation: Number.parseInt(operation, 16), elapsedMs, timeoutMs });
  }
  return found;
}

/** The driver counts in timer ticks, of 10 ms at most. */
const TICKS_MS = 100;

/**
 * What is under way since before a moment and may still change the medium.
 * @param sinceMs how long ago the moment was, ms
 */
export function leftoversIn(text: string, sinceMs: number): UnderWay[] {
  return parseUnderWay(text).filter(
    ({ operation, elapsedMs }) => CHANGING.has(operation) && elapsedMs + TICKS_MS >= sinceMs,
  );
}
