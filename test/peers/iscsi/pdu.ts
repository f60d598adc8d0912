// Protocol data units (PDUs) of iSCSI (RFC 7143 11): a view of the basic header segment, and the stream in which they
// arrive.

/** Opcodes sent by an initiator. */
export const NOP_OUT = 0x00;
export const SCSI_COMMAND = 0x01;
export const TASK_MANAGEMENT = 0x02;
export const LOGIN = 0x03;
export const TEXT = 0x04;
export const DATA_OUT = 0x05;
export const LOGOUT = 0x06;

/** Opcodes sent by a target. */
export const NOP_IN = 0x20;
export const SCSI_RESPONSE = 0x21;
export const TASK_MANAGEMENT_RESPONSE = 0x22;
export const LOGIN_RESPONSE = 0x23;
export const TEXT_RESPONSE = 0x24;
export const DATA_IN = 0x25;
export const LOGOUT_RESPONSE = 0x26;
export const R2T = 0x31;
export const REJECT = 0x3f;

/** Initiator or target task tag that identifies no task. */
export const NO_TAG = 0xffffffff;
/** The F bit, which most PDUs have at the same place. */
export const FINAL = 0x80;

const HEADER_BYTES = 48;

/** One PDU: its 48-byte header, additional header segments, and its data segment without padding. */
export class Pdu {
  readonly header: Buffer;
  readonly additional: Buffer;
  readonly data: Buffer;

  constructor(header: Buffer, additional: Buffer, data: Buffer) {
    this.header = header;
    this.additional = additional;
    this.data = data;
  }

  /** A PDU to be sent. */
  static of(opcode: number, flags: number, data: Buffer = Buffer.alloc(0)): Pdu {
    const header = Buffer.alloc(HEADER_BYTES);
    header[0] = opcode;
    header[1] = flags;
    header.writeUIntBE(data.length, 5, 3);
    return new Pdu(header, Buffer.alloc(0), data);
  }

  get opcode(): number {
    return (this.header[0] ?? 0) & 0x3f;
  }

  /** Delivered immediately, outside the order of command numbers. */
  get immediate(): boolean {
    return ((this.header[0] ?? 0) & 0x40) !== 0;
  }

  get flags(): number {
    return this.header[1] ?? 0;
  }

  get taskTag(): number {
    return this.u32(16);
  }

  u16(at: number): number {
    return this.header.readUInt16BE(at);
  }

  u32(at: number): number {
    return this.header.readUInt32BE(at);
  }

  put16(at: number, value: number): this {
    this.header.writeUInt16BE(value, at);
    return this;
  }

  put32(at: number, value: number): this {
    this.header.writeUInt32BE(value >>> 0, at);
    return this;
  }

  /** Copies the LUN field, or any other field that two headers have at the same place. */
  copy(from: Pdu, at: number, bytes: number): this {
    from.header.copy(this.header, at, at, at + bytes);
    return this;
  }

  /** As sent over the wire, padded to words. */
  bytes(): Buffer {
    return Buffer.concat([this.header, this.additional, this.data, Buffer.alloc(-this.data.length & 3)]);
  }
}

/** Splits a stream of bytes into PDUs. Digests are negotiated away. */
export class PduStream {
  #bytes: Buffer = Buffer.alloc(0);

  push(chunk: Buffer): void {
    this.#bytes = this.#bytes.length === 0 ? chunk : Buffer.concat([this.#bytes, chunk]);
  }

  /** The next complete PDU, or undefined. */
  take(): Pdu | undefined {
    const bytes = this.#bytes;
    if (bytes.length < HEADER_BYTES) return undefined;
    const additional = (bytes[4] ?? 0) * 4;
    const data = bytes.readUIntBE(5, 3);
    const begin = HEADER_BYTES + additional;
    const end = begin + data + (-data & 3);
    if (bytes.length < end) return undefined;
    this.#bytes = bytes.subarray(end);
    return new Pdu(
      bytes.subarray(0, HEADER_BYTES),
      bytes.subarray(HEADER_BYTES, begin),
      bytes.subarray(begin, begin + data),
    );
  }
}
