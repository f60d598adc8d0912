// One SCSI command while the emulated array carries it out: its place in memory, and its answer in the making.
//
// One object serves every command of a memory, one after the other, so that nothing is allocated per command.

import {
  COMMAND_BUFFER,
  COMMAND_BUFFER_BYTES,
  COMMAND_CDB_BYTES,
  COMMAND_DIRECTION,
  COMMAND_DRIVER_STATUS,
  COMMAND_HOST_STATUS,
  COMMAND_RESIDUAL,
  COMMAND_SENSE,
  COMMAND_SENSE_BYTES,
  COMMAND_STATUS,
  DIRECTION_IN,
} from "../../abi.ts";
import {
  ASC_INVALID_FIELD_IN_CDB,
  ASC_INVALID_FIELD_IN_LIST,
  KEY_ILLEGAL_REQUEST,
  STATUS_CHECK_CONDITION,
  STATUS_GOOD,
  STATUS_TASK_SET_FULL,
} from "../scsi.ts";

/** Largest parameter data the array returns: REPORT LUNS with 4096 units needs 32 KiB + 8. */
const RESPONSE_BYTES = 65_536;

export class Command {
  readonly bytes: Uint8Array;
  readonly words: Int32Array;
  /** Parameter data (INQUIRY, MODE SENSE, ...) is built here and then copied out. */
  readonly response = new Uint8Array(RESPONSE_BYTES);
  readonly responseView = new DataView(this.response.buffer);

  slot = 0;
  cdbBytes = 0;
  direction = 0;
  buffer = 0;
  bufferBytes = 0;

  status = STATUS_GOOD;
  senseKey = 0;
  /** asc << 8 | ascq. */
  asc = 0;
  /** Sense-key specific bytes 0 and field pointer, as 0x80.. << 16 | pointer; 0 if there are none. */
  pointer = 0;
  /** The sense data is about earlier commands. */
  deferred = false;
  /** LBA for the information field, in halves; valid when `hasInformation`. */
  hasInformation = false;
  informationHigh = 0;
  informationLow = 0;
  /** Bytes transferred, and bytes requested: more than the buffer has is an overrun, whatever the status. */
  moved = 0;
  wanted = 0;
  /** Bytes of the medium that were zeroed: work that its data does not show. */
  zeroedBytes = 0;

  /** @param bytes the memory with slots and buffers; starts at a multiple of 4 */
  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.words = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength >>> 2);
  }

  /** Opens the slot at `slot` (a multiple of 4). Returns false if its buffer is outside the memory. */
  open(slot: number): boolean {
    const { bytes, words } = this;
    this.slot = slot;
    this.cdbBytes = bytes[slot + COMMAND_CDB_BYTES] ?? 0;
    this.direction = bytes[slot + COMMAND_DIRECTION] ?? 0;
    this.buffer = (words[(slot + COMMAND_BUFFER) >>> 2] ?? 0) >>> 0;
    this.bufferBytes = (words[(slot + COMMAND_BUFFER_BYTES) >>> 2] ?? 0) >>> 0;
    this.status = STATUS_GOOD;
    this.senseKey = 0;
    this.asc = 0;
    this.pointer = 0;
    this.hasInformation = false;
    this.moved = 0;
    this.wanted = 0;
    this.zeroedBytes = 0;
    if (this.direction === 0) this.bufferBytes = 0;
    return this.buffer + this.bufferBytes <= bytes.length;
  }

  /** Byte `index` of the CDB. */
  cdb(index: number): number {
    return this.bytes[this.slot + index] ?? 0;
  }

  cdb16(index: number): number {
    return (this.cdb(index) << 8) | this.cdb(index + 1);
  }

  cdb32(index: number): number {
    return ((this.cdb16(index) << 16) | this.cdb16(index + 2)) >>> 0;
  }

  fail(key: number, asc: number): void {
    this.status = STATUS_CHECK_CONDITION;
    this.senseKey = key;
    this.asc = asc;
  }

  /** ILLEGAL REQUEST, INVALID FIELD IN CDB, pointing to a byte and, if `bit` is 0 or more, a bit (SPC-4 4.5.2.4.2). */
  invalidField(byte: number, bit: number): void {
    this.fail(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_CDB);
    this.pointer = ((bit >= 0 ? 0xc8 | bit : 0xc0) << 16) | byte;
  }

  /** ILLEGAL REQUEST, INVALID FIELD IN PARAMETER LIST, pointing to a byte of it. */
  invalidListField(byte: number): void {
    this.fail(KEY_ILLEGAL_REQUEST, ASC_INVALID_FIELD_IN_LIST);
    this.pointer = (0x80 << 16) | byte;
  }

  /** Puts an LBA into the sense data. */
  information(high: number, low: number): void {
    this.hasInformation = true;
    this.informationHigh = high | 0;
    this.informationLow = low | 0;
  }

  /** Returns the first `length` bytes of `response`, truncated to the allocation length and the buffer. */
  respond(length: number, allocation: number): void {
    const wanted = Math.min(length, allocation);
    const count = this.direction === DIRECTION_IN ? Math.min(wanted, this.bufferBytes) : 0;
    for (let i = 0; i < count; i++) this.bytes[this.buffer + i] = this.response[i] ?? 0;
    this.wanted = wanted;
    this.moved = count;
  }

  /** Writes status, sense and residual into the slot. */
  close(descriptorFormat: boolean): void {
    const { bytes, slot } = this;
    bytes[slot + COMMAND_STATUS] = this.status;
    const sense =
      this.status === STATUS_CHECK_CONDITION ? this.writeSense(bytes, slot + COMMAND_SENSE, descriptorFormat) : 0;
    bytes[slot + COMMAND_SENSE_BYTES] = sense;
    this.closeHost(0);
    const residual = this.bufferBytes - (this.wanted > this.bufferBytes ? this.wanted : this.moved);
    this.words[(slot + COMMAND_RESIDUAL) >>> 2] = residual;
  }

  /** Writes a host status and no driver status into the slot. */
  closeHost(hostStatus: number): void {
    const { bytes, slot } = this;
    bytes[slot + COMMAND_HOST_STATUS] = hostStatus & 0xff;
    bytes[slot + COMMAND_HOST_STATUS + 1] = hostStatus >>> 8;
    bytes[slot + COMMAND_DRIVER_STATUS] = 0;
    bytes[slot + COMMAND_DRIVER_STATUS + 1] = 0;
  }

  /** TASK SET FULL: there is no room to keep the command. */
  refuse(): void {
    this.status = STATUS_TASK_SET_FULL;
    this.close(false);
  }

  /** Answers with a host status only: the command never reached the device. */
  lose(hostStatus: number): void {
    this.bytes[this.slot + COMMAND_STATUS] = STATUS_GOOD;
    this.bytes[this.slot + COMMAND_SENSE_BYTES] = 0;
    this.closeHost(hostStatus);
    this.words[(this.slot + COMMAND_RESIDUAL) >>> 2] = this.bufferBytes;
  }

  /** Writes the sense data (SPC-4 4.5.2 descriptor, 4.5.3 fixed format). Returns its length. */
  writeSense(into: Uint8Array, at: number, descriptorFormat: boolean): number {
    into.fill(0, at, at + 32);
    const length = descriptorFormat ? this.#descriptorSense(into, at) : this.#fixedSense(into, at);
    // Response codes 71h and 73h beside 70h and 72h.
    if (this.deferred) into[at] = (into[at] ?? 0) | 1;
    return length;
  }

  #fixedSense(into: Uint8Array, at: number): number {
    const fits = this.hasInformation && this.informationHigh === 0;
    into[at] = fits ? 0xf0 : 0x70;
    into[at + 2] = this.senseKey;
    if (fits) put32(into, at + 3, this.informationLow);
    into[at + 7] = 10;
    into[at + 12] = this.asc >>> 8;
    into[at + 13] = this.asc & 0xff;
    if (this.pointer !== 0) {
      into[at + 15] = this.pointer >>> 16;
      into[at + 16] = (this.pointer >>> 8) & 0xff;
      into[at + 17] = this.pointer & 0xff;
    }
    return 18;
  }

  #descriptorSense(into: Uint8Array, at: number): number {
    into[at] = 0x72;
    into[at + 1] = this.senseKey;
    into[at + 2] = this.asc >>> 8;
    into[at + 3] = this.asc & 0xff;
    let end = at + 8;
    if (this.hasInformation) {
      into[end + 1] = 0x0a;
      into[end + 2] = 0x80;
      put32(into, end + 4, this.informationHigh);
      put32(into, end + 8, this.informationLow);
      end += 12;
    }
    if (this.pointer !== 0) {
      into[end] = 0x02;
      into[end + 1] = 0x06;
      into[end + 4] = this.pointer >>> 16;
      into[end + 5] = (this.pointer >>> 8) & 0xff;
      into[end + 6] = this.pointer & 0xff;
      end += 8;
    }
    into[at + 7] = end - at - 8;
    return end - at;
  }
}

function put32(into: Uint8Array, at: number, value: number): void {
  into[at] = value >>> 24;
  into[at + 1] = (value >>> 16) & 0xff;
  into[at + 2] = (value >>> 8) & 0xff;
  into[at + 3] = value & 0xff;
}
