// The client's side of NBD's transmission phase: requests out, replies in.

export const READ = 0;
export const WRITE = 1;
export const DISC = 2;
export const FLUSH = 3;
export const TRIM = 4;
export const CACHE = 5;
export const WRITE_ZEROES = 6;
export const BLOCK_STATUS = 7;
export const FUA = 1;
export const NO_HOLE = 2;
export const DF = 4;
export const REQ_ONE = 8;
export const FAST_ZERO = 16;
export const PAYLOAD_LENGTH = 32;

/** A request header. */
export function request(kind: number, cookie: bigint, offset: bigint, length: number, flags = 0): Buffer {
  const header = Buffer.alloc(28);
  header.writeUInt32BE(0x25609513, 0);
  header.writeUInt16BE(flags, 4);
  header.writeUInt16BE(kind, 6);
  header.writeBigUInt64BE(cookie, 8);
  header.writeBigUInt64BE(offset, 16);
  header.writeUInt32BE(length, 24);
  return header;
}

/** A request header where extended headers are agreed. */
export function extendedRequest(kind: number, cookie: bigint, offset: bigint, length: bigint, flags = 0): Buffer {
  const header = Buffer.alloc(32);
  request(kind, cookie, offset, 0, flags).copy(header);
  header.writeUInt32BE(0x21e41c71, 0);
  header.writeBigUInt64BE(length, 24);
  return header;
}

export interface Reply {
  readonly cookie: bigint;
  readonly error: number;
  readonly data: Buffer;
  /** Chunk types of a structured reply. */
  readonly chunks: readonly number[];
  /** Extents of a BLOCK_STATUS: length and state. */
  readonly extents?: readonly (readonly [bigint, bigint])[];
  /** Of an extended reply: the offset it names. */
  readonly offset?: bigint;
}

/**
 * Parses everything the core has sent and forgets it. `lengths` gives the length of the data of a simple reply by
 * cookie. Throws on anything that is no reply.
 */
export function replies(received: Buffer[], lengths: ReadonlyMap<bigint, number> = new Map()): Reply[] {
  const bytes = Buffer.concat(received.splice(0));
  const found: Reply[] = [];
  for (let at = 0; at < bytes.length;) {
    const magic = bytes.readUInt32BE(at);
    if (magic === 0x67446698) {
      const error = bytes.readUInt32BE(at + 4);
      const cookie = bytes.readBigUInt64BE(at + 8);
      at += 16;
      const length = error === 0 ? (lengths.get(cookie) ?? 0) : 0;
      found.push({ cookie, error, data: bytes.subarray(at, at + length), chunks: [] });
      at += length;
    } else if (magic === 0x668e33ef || magic === 0x6e8a278c) {
      const { reply, next } = structured(bytes, at);
      found.push(reply);
      at = next;
    } else throw new Error(`no reply at ${at}: ${bytes.subarray(at, at + 16).toString("hex")}`);
  }
  return found;
}

function structured(bytes: Buffer, start: number): { reply: Reply; next: number } {
  let at = start;
  const cookie = bytes.readBigUInt64BE(at + 8);
  const magic = bytes.readUInt32BE(at);
  const extended = magic === 0x6e8a278c;
  const offset = extended ? { offset: bytes.readBigUInt64BE(at + 16) } : {};
  const chunks: number[] = [];
  const data: Buffer[] = [];
  const found: [bigint, bigint][] = [];
  let error = 0;
  for (;;) {
    if (bytes.readUInt32BE(at) !== magic || bytes.readBigUInt64BE(at + 8) !== cookie) throw new Error("bad chunk");
    const flags = bytes.readUInt16BE(at + 4);
    const type = bytes.readUInt16BE(at + 6);
    const length = extended ? Number(bytes.readBigUInt64BE(at + 24)) : bytes.readUInt32BE(at + 16);
    at += extended ? 32 : 20;
    chunks.push(type);
    if (type === 1) data.push(bytes.subarray(at + 8, at + length));
    else if (type === 2) data.push(Buffer.alloc(bytes.readUInt32BE(at + 8)));
    else if (type === (extended ? 6 : 5)) found.push(...extents(bytes.subarray(at, at + length), extended));
    else if (type === 0x8001) error = bytes.readUInt32BE(at);
    else if (type !== 0 || length !== 0) throw new Error(`bad chunk type ${type}`);
    at += length;
    if ((flags & 1) !== 0) {
      const reply = { cookie, error, data: Buffer.concat(data), chunks, ...offset };
      return { reply: found.length === 0 ? reply : { ...reply, extents: found }, next: at };
    }
  }
}

/** The extents of a BLOCK_STATUS chunk; throws unless it is of base:allocation. */
function extents(payload: Buffer, extended: boolean): [bigint, bigint][] {
  if (payload.readUInt32BE(0) !== 1) throw new Error(`context ${payload.readUInt32BE(0)}`);
  const [head, each] = extended ? [8, 16] : [4, 8];
  const count = (payload.length - head) / each;
  if (!Number.isInteger(count) || (extended && payload.readUInt32BE(4) !== count)) throw new Error("bad extents");
  return Array.from({ length: count }, (_, i) =>
    extended
      ? [payload.readBigUInt64BE(head + i * each), payload.readBigUInt64BE(head + 8 + i * each)]
      : [BigInt(payload.readUInt32BE(head + i * each)), BigInt(payload.readUInt32BE(head + 4 + i * each))],
  );
}
