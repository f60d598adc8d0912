// SCSI commands through the native ring, with rings in memory that the test fills: no core, no reactor.

import * as abi from "../../../host/abi.ts";
import { Bench, FREE, type Backend } from "../../unit/native/harness.ts";

const SLOT_BYTES = 256;
const SLOTS_MAX = 512;
const DATA = FREE + SLOTS_MAX * SLOT_BYTES;
/** Bytes of each slot's data buffer. */
const DATA_BYTES = 65536;

export const BLOCK_BYTES = 512;

/** The result of a command. */
export interface Outcome {
  /** Result of the op: 0 when a status was returned. */
  readonly result: number;
  readonly status: number;
  readonly hostStatus: number;
  /** Sense key, ASC, ASCQ in hexadecimal: "5/21/00"; empty without sense data. */
  readonly sense: string;
  readonly residual: number;
}

export interface Command {
  readonly cdb: readonly number[];
  readonly direction?: number;
  readonly bytes?: number;
  readonly timeoutMs?: number;
}

export const TEST_UNIT_READY: Command = { cdb: [0, 0, 0, 0, 0, 0] };

export function inquiry(bytes: number): Command {
  return { cdb: [0x12, 0, 0, bytes >> 8, bytes & 0xff, 0], direction: abi.DIRECTION_IN, bytes };
}

function transfer(opcode: number, direction: number, block: number, blocks: number): Command {
  const cdb = new DataView(new ArrayBuffer(16));
  cdb.setUint8(0, opcode);
  cdb.setBigUint64(2, BigInt(block));
  cdb.setUint32(10, blocks);
  return { cdb: [...new Uint8Array(cdb.buffer)], direction, bytes: blocks * BLOCK_BYTES };
}

/** READ(16) */
export function read(block: number, blocks: number): Command {
  return transfer(0x88, abi.DIRECTION_IN, block, blocks);
}

/** WRITE(16) */
export function write(block: number, blocks: number): Command {
  return transfer(0x8a, abi.DIRECTION_OUT, block, blocks);
}

/** A ring with one port to an sg device. */
export class Initiator {
  readonly bench: Bench;
  readonly port: number;

  constructor(backend: Backend, sg: string, depth: number) {
    this.bench = new Bench(backend, { bytes: DATA + SLOTS_MAX * DATA_BYTES });
    this.port = this.bench.ring.openPort(sg, depth);
  }

  /** The data buffer of slot `slot`. */
  data(slot: number): Buffer {
    return Buffer.from(this.bench.memory.buffer, DATA + slot * DATA_BYTES, DATA_BYTES);
  }

  /** Queues a command in slot `slot`, whose number is also the tag. */
  queue(slot: number, { cdb, direction = abi.DIRECTION_NONE, bytes = 0, timeoutMs = 10_000 }: Command): void {
    const at = FREE + slot * SLOT_BYTES;
    const { memory, view } = this.bench;
    memory.set(cdb, at + abi.COMMAND_CDB);
    memory.fill(0, at + abi.COMMAND_SENSE, at + abi.COMMAND_PRIVATE);
    view.setUint8(at + abi.COMMAND_CDB_BYTES, cdb.length);
    view.setUint8(at + abi.COMMAND_DIRECTION, direction);
    view.setUint32(at + abi.COMMAND_BUFFER, DATA + slot * DATA_BYTES, true);
    view.setUint32(at + abi.COMMAND_BUFFER_BYTES, bytes, true);
    view.setUint32(at + abi.COMMAND_TIMEOUT_MS, timeoutMs, true);
    this.bench.submit({ op: abi.OP_SCSI, tag: slot, handle: this.port, address: at });
  }

  #outcome(slot: number, result: number): Outcome {
    const at = FREE + slot * SLOT_BYTES;
    const { view, memory } = this.bench;
    const senseBytes = view.getUint8(at + abi.COMMAND_SENSE_BYTES);
    const sense = memory.subarray(at + abi.COMMAND_SENSE, at + abi.COMMAND_SENSE + senseBytes);
    const fixed = ((sense[0] ?? 0) & 0x7f) < 0x72;
    const [key, asc, ascq] = (fixed ? [2, 12, 13] : [1, 2, 3]).map((index) => sense[index] ?? 0);
    return {
      result,
      status: view.getUint8(at + abi.COMMAND_STATUS),
      hostStatus: view.getUint16(at + abi.COMMAND_HOST_STATUS, true),
      sense: senseBytes === 0 ? "" : [(key ?? 0) & 0xf, asc, ascq].map((one) => (one ?? 0).toString(16)).join("/"),
      residual: view.getInt32(at + abi.COMMAND_RESIDUAL, true),
    };
  }

  /** Waits until `count` commands have completed; returns their outcomes by slot. */
  wait(count: number): Map<number, Outcome> {
    const outcomes = new Map<number, Outcome>();
    for (const { tag, result } of this.bench.until(count)) {
      if (outcomes.has(tag)) throw new Error(`command ${tag} came back twice`);
      outcomes.set(tag, this.#outcome(tag, result));
    }
    return outcomes;
  }

  /** Executes one command in slot 0. */
  run(command: Command): Outcome {
    this.queue(0, command);
    const outcome = this.wait(1).get(0);
    if (outcome === undefined) throw new Error("another command came back");
    return outcome;
  }

  /** Repeats TEST UNIT READY until no unit attention is left. */
  settle(): void {
    for (let attempt = 0; attempt < 10; attempt++) if (this.run(TEST_UNIT_READY).status === 0) return;
    throw new Error("the unit does not become ready");
  }

  close(): void {
    this.bench.ring.close();
  }
}
