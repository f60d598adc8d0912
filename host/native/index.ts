// The only place that loads the native addon. Code that needs the machine imports it from here.

import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import type * as Addon from "./addon.d.ts";

/** Thrown at import when there is no addon for this machine. */
export class NativeAddonMissing extends Error {
  readonly code = "ERR_NATIVE_ADDON_MISSING";
}

/** Thrown at import when the addon exists but cannot be loaded (another libc, a damaged file). */
export class NativeAddonUnusable extends Error {
  readonly code = "ERR_NATIVE_ADDON_UNUSABLE";
}

/** Platform, architecture and C library, as in the names of prebuilt addons: `linux-x64-gnu`. */
export function nativeTarget(): string {
  const report = process.report;
  // Otherwise the report lists the network interfaces, which can take long.
  Reflect.set(report, "excludeNetwork", true);
  const header: unknown = Reflect.get(report.getReport(), "header");
  const gnu = typeof header === "object" && header !== null && "glibcVersionRuntime" in header;
  return `${process.platform}-${process.arch}-${gnu ? "gnu" : "musl"}`;
}

/** Where the addon is: a prebuilt one beside this file, or the one made by `npm run build`. */
function locate(): string {
  const prebuilt = join(import.meta.dirname, "prebuilt");
  if (existsSync(prebuilt)) {
    const file = join(prebuilt, `pathmanager.${nativeTarget()}.node`);
    if (existsSync(file)) return file;
  }
  const built = join(import.meta.dirname, "..", "..", "build", "native", "pathmanager.node");
  if (existsSync(built)) return built;
  throw new NativeAddonMissing(
    `no native addon for ${nativeTarget()}: neither ${prebuilt} nor ${built} has one. ` +
      "Install Rust 1.88 or later (https://rustup.rs) and run `npm run build` in the package's folder.",
  );
}

/** The calls made for every turn or every I/O: plain functions of numbers (src/hot.rs), not in the generated types. */
interface HotCalls {
  ring_enter(token: number, maxWaitMicroseconds: number): number;
  media_read(token: number, address: number, block: number, blocks: number): number;
  media_write(token: number, address: number, block: number, blocks: number): number;
  media_fill(token: number, address: number, block: number, blocks: number): number;
  media_discard(token: number, block: number, blocks: number): number;
  media_run(token: number, block: number, blocks: number): number;
  media_flush(token: number): number;
}

function load(): typeof Addon & HotCalls {
  const file = locate();
  try {
    // A native addon has no types; addon.d.ts is generated from its source, and a test compares them.
    return createRequire(import.meta.url)(file) as typeof Addon & HotCalls;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new NativeAddonUnusable(`${file} cannot be loaded (${reason}); run \`npm run build\` anew`, { cause });
  }
}

const addon = load();

/** Thrown when the memory of a ring or medium was resized, transferred or detached: it may be gone. */
export class NativeMemoryChanged extends Error {
  readonly code = "ERR_NATIVE_MEMORY_CHANGED";
}

function memoryChanged(what: string): never {
  throw new NativeMemoryChanged(`${what}: its memory was resized or detached; memory must keep its size and place`);
}

const { ring_enter: ringEnter, media_read: mediaRead, media_write: mediaWrite } = addon;
const { media_fill: mediaFill, media_discard: mediaDiscard, media_flush: mediaFlush, media_run: mediaRun } = addon;

/** The I/O ring of one core. It belongs to the thread that created it. Its calls throw errors with a `code` ERR_NATIVE_*. */
export class Ring extends addon.Ring {
  readonly #token = this.token;
  readonly #memory: Uint8Array;
  readonly #bytes: number;

  constructor(memory: Uint8Array, controlBlock: number, options: Addon.RingOptions) {
    super(memory, controlBlock, options);
    this.#memory = memory;
    this.#bytes = memory.length;
  }

  /**
   * One turn: takes the core's submissions, waits until something has completed, `wake` was called, the core's deadline is
   * reached or `maxWaitMicroseconds` have passed (negative: no such limit; 0: does not wait), then stores completions and
   * CONTROL_NOW_NS. Returns the sum of 1: it was woken; 2: `nextScattered` or `nextEndedUblk` has something. Allocates nothing.
   */
  enter(maxWaitMicroseconds: number): number {
    if (this.#memory.length !== this.#bytes) memoryChanged("ring");
    return ringEnter(this.#token, maxWaitMicroseconds);
  }
}

/**
 * The data of emulated units: memory or a sparse file, in blocks of 512 bytes, initially all zeroes. Copies are between the
 * medium and the memory given to `bind`; each returns 0 or a negated errno: -EFAULT when the address is outside that memory,
 * -ERANGE when the blocks are outside the medium, -EBADF after `close` or before `bind`, -EIO, -ENOSPC. They allocate
 * nothing as long as numbers stay below 2^31.
 */
export class Media extends addon.Media {
  readonly #token = this.token;
  #memory: Uint8Array = new Uint8Array(0);
  #bytes = 0;

  /** Binds the memory that addresses refer to from now on. */
  override bind(memory: Uint8Array): void {
    super.bind(memory);
    this.#memory = memory;
    this.#bytes = memory.length;
  }

  #check(): void {
    if (this.#memory.length !== this.#bytes) memoryChanged("media");
  }

  /** Copies `blocks` blocks, starting at `block`, to `address`. */
  read(address: number, block: number, blocks: number): number {
    this.#check();
    return mediaRead(this.#token, address, block, blocks);
  }

  /** Copies `blocks` blocks from `address` to the medium, starting at `block`. */
  write(address: number, block: number, blocks: number): number {
    this.#check();
    return mediaWrite(this.#token, address, block, blocks);
  }

  /** Writes the one block at `address` to each of `blocks` blocks, starting at `block` (WRITE SAME). */
  fill(address: number, block: number, blocks: number): number {
    this.#check();
    return mediaFill(this.#token, address, block, blocks);
  }

  /** Makes `blocks` blocks from `block` on read as zeroes; releases the space of the whole pages among them. */
  discard(block: number, blocks: number): number {
    return mediaDiscard(this.#token, block, blocks);
  }

  /**
   * Number of blocks from `block` on, `blocks` at most, that are alike: positive when they were written, negative when they
   * are holes that read as zeroes, 0 when this cannot be determined.
   */
  run(block: number, blocks: number): number {
    return mediaRun(this.#token, block, blocks);
  }

  /** Brings written data to stable storage (fdatasync for a file). */
  flush(): number {
    return mediaFlush(this.#token);
  }
}

export const UeventMonitor = addon.UeventMonitor;
export type UeventMonitor = Addon.UeventMonitor;
export const clockNs = addon.clockNs;
export const wake = addon.wake;
export const leftCommands = addon.leftCommands;
export const duplicate = addon.duplicate;
export const isBroken = addon.isBroken;
export const openExclusive = addon.openExclusive;
export const closeDevice = addon.closeDevice;
export const writeAttribute = addon.writeAttribute;
export const closeDescriptor = addon.closeDescriptor;
export const socketPair = addon.socketPair;
export const sendDescriptor = addon.sendDescriptor;
export const receiveDescriptor = addon.receiveDescriptor;
export const receiveMessage = addon.receiveMessage;
export const dieWithParent = addon.dieWithParent;
export const peerCredentials = addon.peerCredentials;
export const becomeIoFlusher = addon.becomeIoFlusher;
export const requestSlice = addon.requestSlice;
export const requestNiceness = addon.requestNiceness;
export const schedulingOf = addon.schedulingOf;
// A function declaration, because only with one does the compiler know that nothing runs after the call.
export function endProcess(status: number): never {
  return addon.endProcess(status);
}
export const writeNow = addon.writeNow;
export const bindDatagram = addon.bindDatagram;
export const sendDatagram = addon.sendDatagram;
export const scsiCommand = addon.scsiCommand;
export const countRecords = addon.countRecords;
export const copyRecords = addon.copyRecords;
export const addUpHistograms = addon.addUpHistograms;
export const writeSamples = addon.writeSamples;
export const nbdAttach = addon.nbdAttach;
export const nbdReconfigure = addon.nbdReconfigure;
export const nbdDetach = addon.nbdDetach;
export const nbdStatus = addon.nbdStatus;
export const ublkCheck = addon.ublkCheck;
export const ublkAdd = addon.ublkAdd;
export const ublkSet = addon.ublkSet;
export const ublkStart = addon.ublkStart;
export const ublkRecover = addon.ublkRecover;
export const ublkStop = addon.ublkStop;
export const ublkDelete = addon.ublkDelete;
export const ublkResize = addon.ublkResize;
export const ublkStatus = addon.ublkStatus;
export type {
  LeftCommands,
  NbdAttachOptions,
  NbdDevice,
  NbdReconfigureOptions,
  PeerCredentials,
  RingOptions,
  ScsiResult,
  UblkDevice,
  UblkParameters,
  Uevent,
} from "./addon.d.ts";
