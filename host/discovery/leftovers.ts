// Commands that an earlier daemon left in the kernel. The sg driver ends nothing when a descriptor is closed: commands in flight
// when the daemon was killed continue, and a write held back on a silent path may be carried out long after this daemon has
// answered newer ones.
//
// The driver lists commands in flight in /proc/scsi/sg/debug, including those of closed descriptors (drivers/scsi/sg.c,
// sg_proc_debug_helper).

import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";

const LIST = "/proc/scsi/sg/debug";
/** Counts every open descriptor of the driver, and every closed one that still has a command in flight (sg_add_sfp). */
const USERS = "/sys/module/sg/refcnt";

/** Operation codes that change the medium (SBC-4): WRITE, WRITE SAME and UNMAP in all their lengths, and related ones. */
const CHANGING: ReadonlySet<number> = new Set([
  0x04, 0x0a, 0x2a, 0x2e, 0x3b, 0x41, 0x42, 0x53, 0x83, 0x89, 0x8a, 0x8e, 0x93, 0x9c, 0xaa, 0xae,
]);

/** A command in flight. */
export interface UnderWay {
  /** Path number, host:channel:target:lun. */
  readonly path: string;
  readonly operation: number;
  /** How long it has been in flight, and after how long the kernel ends it, ms. */
  readonly elapsedMs: number;
  readonly timeoutMs: number;
}

/** The list of the sg driver, or null where the kernel has none (CONFIG_SCSI_PROC_FS) or it cannot be read. */
export async function readUnderWay(): Promise<string | null> {
  return readFile(LIST, "utf8").catch(() => null);
}

/** Whether nobody has a descriptor or a command at the sg driver: then nothing is left of anybody. False where it cannot be known. */
export function isDriverUnused(file = USERS): boolean {
  try {
    return readFileSync(file, "utf8").trim() === "0";
  } catch {
    // Built into the kernel.
    return false;
  }
}

/** The commands in flight in the list; lines that cannot be parsed are skipped. */
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

/** Whether a command is in flight since before a moment. @param sinceMs how long ago that moment was, ms */
export const isOlder = ({ elapsedMs }: UnderWay, sinceMs: number): boolean => elapsedMs + TICKS_MS >= sinceMs;

/**
 * Commands in flight since before a moment that may still change the medium.
 * @param sinceMs how long ago that moment was, ms
 */
export function leftoversIn(text: string, sinceMs: number): UnderWay[] {
  return parseUnderWay(text).filter((command) => CHANGING.has(command.operation) && isOlder(command, sinceMs));
}
