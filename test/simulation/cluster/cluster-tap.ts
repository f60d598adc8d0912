// What one host exchanges with the array, seen from outside the core: which commands go out on which path, and what comes back.

import {
  COMMAND_BUFFER,
  COMMAND_HOST_STATUS,
  COMMAND_SENSE,
  COMMAND_STATUS,
  COMPLETION_BYTES,
  COMPLETION_TAG,
  CONTROL_ARRAY_QUEUE,
  CONTROL_COMPLETION_QUEUE,
  OP_SCSI,
  RING_BASE,
  RING_CAPACITY,
  RING_HEAD,
  RING_TAIL,
  SUBMISSION_ADDRESS,
  SUBMISSION_BYTES,
  SUBMISSION_HANDLE,
  SUBMISSION_OP,
  SUBMISSION_TAG,
} from "../../../host/abi.ts";
import type { SimulatedCore } from "../core.ts";

const TAG_INDEX_MASK = 0xfffff;
const WRITE_10 = 0x2a;
const WRITE_16 = 0x8a;

/** A command of the core. */
export interface Sent {
  readonly port: number;
  readonly slot: number;
  readonly isCheck: boolean;
  /** What a write writes; 0: it is none. */
  readonly stamp: number;
}

/** The end of one. `sense`: key, ASC, ASCQ. */
export interface Came extends Sent {
  readonly status: number;
  readonly hostStatus: number;
  readonly sense: readonly number[];
}

export class ClusterTap {
  readonly #core: SimulatedCore;
  readonly #commands: number;
  readonly #sent = new Map<number, Sent>();
  #seen = 0;

  /** @param commands command slots for I/O; those behind them are for checks */
  constructor(core: SimulatedCore, commands: number) {
    this.#core = core;
    this.#commands = commands;
  }

  /** Submissions that the array is about to take. `reset`: a port that is to be reset. */
  submitted(sent: (command: Sent) => void, reset: (port: number) => void): void {
    const { view, control } = this.#core;
    const ring = control + CONTROL_ARRAY_QUEUE;
    const mask = view.getUint32(ring + RING_CAPACITY, true) - 1;
    const tail = view.getUint32(ring + RING_TAIL, true);
    for (let head = view.getUint32(ring + RING_HEAD, true); head !== tail; head = (head + 1) >>> 0) {
      const entry = view.getUint32(ring + RING_BASE, true) + (head & mask) * SUBMISSION_BYTES;
      const port = view.getUint32(entry + SUBMISSION_HANDLE, true);
      if (view.getUint8(entry + SUBMISSION_OP) !== OP_SCSI) {
        reset(port);
        continue;
      }
      const tag = view.getUint32(entry + SUBMISSION_TAG, true);
      const slot = view.getUint32(entry + SUBMISSION_ADDRESS, true);
      const opcode = view.getUint8(slot);
      const isWrite = opcode === WRITE_10 || opcode === WRITE_16;
      const stamp = isWrite ? view.getUint32(view.getUint32(slot + COMMAND_BUFFER, true), true) : 0;
      const command = { port, slot, isCheck: (tag & TAG_INDEX_MASK) >= this.#commands, stamp };
      this.#sent.set(tag, command);
      sent(command);
    }
  }

  /** Completions that the core is about to take. */
  completed(came: (command: Came) => void): void {
    const { view, control, memory } = this.#core;
    const ring = control + CONTROL_COMPLETION_QUEUE;
    const mask = view.getUint32(ring + RING_CAPACITY, true) - 1;
    const tail = view.getUint32(ring + RING_TAIL, true);
    for (; this.#seen !== tail; this.#seen = (this.#seen + 1) >>> 0) {
      const entry = view.getUint32(ring + RING_BASE, true) + (this.#seen & mask) * COMPLETION_BYTES;
      const tag = view.getUint32(entry + COMPLETION_TAG, true);
      const sent = this.#sent.get(tag);
      if (sent === undefined) continue;
      this.#sent.delete(tag);
      const { slot } = sent;
      const at = slot + COMMAND_SENSE;
      came({
        ...sent,
        status: view.getUint8(slot + COMMAND_STATUS),
        hostStatus: view.getUint16(slot + COMMAND_HOST_STATUS, true),
        sense: [(memory[at + 2] ?? 0) & 15, memory[at + 12] ?? 0, memory[at + 13] ?? 0],
      });
    }
  }
}
