// The faults in force on one port, in the form that commands meet.

import type { Command } from "../commands/command.ts";
import type { Fault, FaultFilter } from "./faults.ts";
import { blocksOf, bytesOfHex, lbaOf } from "../fields.ts";
import { INQUIRY, isMediumRead, isMediumWrite, UNMAP } from "../scsi.ts";

/** A source of random numbers 0 <= x < 1 from a seed: the same seed, the same faults. Mulberry32. */
export class SeededRandom {
  #state: number;

  constructor(seed: number) {
    this.#state = seed | 0;
  }

  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  }
}

/** One fault on one port, with its state there. */
export class PortFault {
  readonly id: number;
  readonly fault: Fault;
  readonly #filter: FaultFilter;
  readonly #random: SeededRandom;
  #left: number;
  /** Commands seen, for faults that affect every n-th one. */
  seen = 0;
  /** Flapping: whether the port is gone at the moment. */
  down = true;

  constructor(id: number, fault: Fault, filter: FaultFilter, random: SeededRandom) {
    this.id = id;
    this.fault = fault;
    this.#filter = filter;
    this.#random = random;
    this.#left = filter.times ?? Infinity;
  }

  /** True if the fault affects this command; uses up one of its `times`. */
  strikes(command: Command): boolean {
    if (this.#left <= 0 || !this.#concerns(command)) return false;
    const { probability } = this.#filter;
    if (probability !== undefined && this.#random.next() >= probability) return false;
    this.#left--;
    return true;
  }

  /** Whether the filter selects commands by operation code or page. */
  get namesCommands(): boolean {
    const { opcode, page, commands } = this.#filter;
    return opcode !== undefined || page !== undefined || commands === "inquiry";
  }

  #isNamed(command: Command): boolean {
    const { opcode, page, bits = 0 } = this.#filter;
    if (opcode !== undefined && command.cdb(0) !== opcode) return false;
    if ((command.cdb(1) & bits) !== bits) return false;
    return page === undefined || (command.cdb(0) === INQUIRY && (command.cdb(1) & 1) !== 0 && command.cdb(2) === page);
  }

  #concerns(command: Command): boolean {
    if (!this.#isNamed(command)) return false;
    const opcode = command.cdb(0);
    const reads = isMediumRead(opcode);
    const writes = isMediumWrite(opcode);
    switch (this.#filter.commands ?? "all") {
      case "io":
        if (!reads && !writes) return false;
        break;
      case "reads":
        if (!reads) return false;
        break;
      case "writes":
        if (!writes) return false;
        break;
      case "other":
        if (reads || writes) return false;
        break;
      case "inquiry":
        if (opcode !== INQUIRY || (command.cdb(1) & 1) !== 0) return false;
        break;
      default:
    }
    const { firstLba, lastLba } = this.#filter;
    if (firstLba === undefined && lastLba === undefined) return true;
    if (!reads && !writes) return false;
    if (opcode === UNMAP) return unmaps(command, firstLba ?? 0, lastLba ?? Infinity);
    const lba = lbaOf(command);
    return lba <= (lastLba ?? Infinity) && lba + blocksOf(command) > (firstLba ?? 0);
  }
}

/** Bytes of an UNMAP's parameter list before its descriptors, and of one descriptor (SBC-3 5.28). */
const LIST_HEADER_BYTES = 8;
const DESCRIPTOR_BYTES = 16;

/** Whether one of an UNMAP's descriptors, which are in its data, touches a block in the range. */
function unmaps(command: Command, firstLba: number, lastLba: number): boolean {
  const { bytes, buffer } = command;
  const view = new DataView(bytes.buffer, bytes.byteOffset + buffer, command.bufferBytes);
  for (let at = LIST_HEADER_BYTES; at + DESCRIPTOR_BYTES <= view.byteLength; at += DESCRIPTOR_BYTES) {
    const lba = Number(view.getBigUint64(at));
    if (lba <= lastLba && lba + view.getUint32(at + 8) > firstLba) return true;
  }
  return false;
}

/** Every fault in force on one port. */
export class PortFaults {
  readonly list: PortFault[] = [];
  nonsensePages = false;
  corruptSense = false;
  /** Payloads of VPD pages that replace the unit's own. */
  readonly pages = new Map<number, Uint8Array>();
  /** The host holds back commands for the port. */
  queued = false;

  /** Has to be called whenever `list` has changed. */
  refresh(): void {
    this.nonsensePages = this.list.some(({ fault }) => fault.kind === "nonsense-pages");
    this.queued = this.list.some(({ fault }) => fault.kind === "queued");
    this.pages.clear();
    for (const { fault } of this.list) {
      if (fault.kind === "vpd-page") this.pages.set(fault.page, bytesOfHex(fault.payload));
    }
    this.corruptSense = this.list.some(({ fault }) => fault.kind === "corrupt-sense");
  }
}
