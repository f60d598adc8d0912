// The client's side of the NBD transmission phase: encodes requests, decodes simple and structured replies. Constants: NBD
// protocol, "Transmission phase" and "Values".

export const NBD = {
  requestMagic: 0x25609513,
  simpleReplyMagic: 0x67446698,
  structuredReplyMagic: 0x668e33ef,
  extendedRequestMagic: 0x21e41c71,
  extendedReplyMagic: 0x6e8a278c,
  read: 0,
  write: 1,
  disconnect: 2,
  flush: 3,
  trim: 4,
  cache: 5,
  writeZeroes: 6,
  blockStatus: 7,
  flagFua: 1,
  flagNoHole: 2,
  flagDf: 4,
  flagReqOne: 8,
  flagFastZero: 16,
  flagPayload: 32,
  chunkDone: 1,
  chunkNone: 0,
  chunkOffsetData: 1,
  chunkOffsetHole: 2,
  chunkStatus: 5,
  chunkStatusExtended: 6,
  chunkError: 32769,
  chunkErrorOffset: 32770,
  eperm: 1,
  eio: 5,
  einval: 22,
  enospc: 28,
  eoverflow: 75,
  enotsup: 95,
} as const;

/** The metadata context of BLOCK_STATUS, as numbered by the negotiation. */
const CONTEXT_ALLOCATION = 1;

/** Bytes of a request's header. */
export const REQUEST_BYTES = 28;
/** The same with extended headers. */
export const EXTENDED_REQUEST_BYTES = 32;

/** A request as sent over the wire. */
export interface Header {
  readonly command: number;
  readonly flags: number;
  readonly offset: bigint;
  readonly bytes: number;
}

/** Writes a request's header. The cookie is a small integer; its high half names the client. */
export function encodeRequest(
  target: DataView,
  header: Header,
  client: number,
  cookie: number,
  extended: boolean,
): void {
  target.setUint32(0, extended ? NBD.extendedRequestMagic : NBD.requestMagic);
  target.setUint16(4, header.flags);
  target.setUint16(6, header.command);
  target.setUint32(8, client);
  target.setUint32(12, cookie);
  target.setBigUint64(16, header.offset);
  if (extended) target.setBigUint64(24, BigInt(header.bytes));
  else target.setUint32(24, header.bytes);
}

/** A BLOCK_STATUS descriptor. */
export interface Extent {
  readonly bytes: number;
  /** Bit 0: a hole; bit 1: zeroes. */
  readonly state: number;
}

/** Receives the replies that the decoder finds. */
export interface ReplySink {
  /**
   * What `cookie` stands for: the command, and the bytes of data in a simple reply without error; undefined: no such
   * request.
   */
  expected(cookie: number): { readonly command: number; readonly bytes: number } | undefined;
  /** Data of a read, at `offset` of the export (structured) or undefined (simple: the whole request). */
  data(cookie: number, offset: number | undefined, bytes: Uint8Array): void;
  /** A hole of a read. */
  hole(cookie: number, offset: number, length: number): void;
  /** The extents of a BLOCK_STATUS. */
  extents(cookie: number, extents: readonly Extent[]): void;
  /** The final answer; error is an NBD error value or 0. */
  answered(cookie: number, error: number): void;
  /** The bytes violate the protocol. */
  broken(reason: string): void;
}

export type Replies = "simple" | "structured" | "extended";

/** Decodes the stream of replies, however it is split. */
export class ReplyDecoder {
  #pieces: Uint8Array[] = [];
  #bytes = 0;
  readonly #sink: ReplySink;
  readonly #client: number;
  readonly #replies: Replies;
  /** Errors of chunks before the last one of a reply, by cookie. */
  readonly #errors = new Map<number, number>();

  constructor(sink: ReplySink, client: number, replies: Replies) {
    this.#sink = sink;
    this.#client = client;
    this.#replies = replies;
  }

  push(bytes: Uint8Array): void {
    this.#pieces.push(bytes);
    this.#bytes += bytes.length;
    for (;;) {
      const taken = this.#take();
      if (taken <= 0) return;
      this.#drop(taken);
    }
  }

  #drop(bytes: number): void {
    const whole = this.#joined();
    this.#pieces = bytes === whole.length ? [] : [whole.subarray(bytes)];
    this.#bytes -= bytes;
  }

  /** All available bytes, contiguous. */
  #joined(): Uint8Array {
    const [first] = this.#pieces;
    if (first !== undefined && this.#pieces.length === 1) return first;
    const joined = new Uint8Array(this.#bytes);
    let at = 0;
    for (const piece of this.#pieces) {
      joined.set(piece, at);
      at += piece.length;
    }
    this.#pieces = [joined];
    return joined;
  }

  /** The first `bytes` bytes, if they are available. */
  #view(bytes: number): DataView | undefined {
    if (this.#bytes < bytes) return undefined;
    const first = (this.#pieces[0]?.length ?? 0) >= bytes ? this.#pieces[0] : undefined;
    const there = first ?? this.#joined();
    return new DataView(there.buffer, there.byteOffset, there.byteLength);
  }

  #broken(reason: string): -1 {
    this.#sink.broken(reason);
    return -1;
  }

  /** Takes one reply or chunk; returns its size in bytes, 0 when it is not complete yet, -1 when the stream is invalid. */
  #take(): number {
    const view = this.#view(16);
    if (view === undefined) return 0;
    const magic = view.getUint32(0);
    if (view.getUint32(8) !== this.#client) return this.#broken(`cookie of client ${view.getUint32(8)}`);
    const cookie = view.getUint32(12);
    const asked = this.#sink.expected(cookie);
    if (asked === undefined) return this.#broken(`an answer to cookie ${cookie}, which is not open`);
    const chunked = asked.command === NBD.read || asked.command === NBD.blockStatus;
    const right =
      this.#replies === "extended"
        ? NBD.extendedReplyMagic
        : this.#replies === "structured" && chunked
          ? NBD.structuredReplyMagic
          : NBD.simpleReplyMagic;
    if (magic !== right) {
      return this.#broken(
        `reply magic ${magic.toString(16)} to command ${asked.command} with ${this.#replies} replies`,
      );
    }
    return magic === NBD.simpleReplyMagic ? this.#takeSimple(view, cookie, asked.bytes) : this.#takeChunk(cookie);
  }

  #takeSimple(header: DataView, cookie: number, expected: number): number {
    const error = header.getUint32(4);
    const bytes = error === 0 ? expected : 0;
    const view = this.#view(16 + bytes);
    if (view === undefined) return 0;
    if (bytes > 0) this.#sink.data(cookie, undefined, bytesOf(view, 16, 16 + bytes));
    this.#sink.answered(cookie, error);
    return 16 + bytes;
  }

  #takeChunk(cookie: number): number {
    const extended = this.#replies === "extended";
    const headBytes = extended ? 32 : 20;
    const head = this.#view(headBytes);
    if (head === undefined) return 0;
    const length = extended ? Number(head.getBigUint64(24)) : head.getUint32(16);
    const view = this.#view(headBytes + length);
    if (view === undefined) return 0;
    const flags = view.getUint16(4);
    const type = view.getUint16(6);
    this.#chunk(view, headBytes, type, cookie, length);
    if ((flags & NBD.chunkDone) !== 0) {
      const error = this.#errors.get(cookie) ?? 0;
      this.#errors.delete(cookie);
      this.#sink.answered(cookie, error);
    }
    return headBytes + length;
  }

  #chunk(view: DataView, at: number, type: number, cookie: number, length: number): void {
    switch (type) {
      case NBD.chunkNone:
        if (length !== 0) this.#sink.broken(`a chunk of type NONE with ${length} bytes`);
        return;
      case NBD.chunkError:
      case NBD.chunkErrorOffset:
        if (view.getUint32(at) === 0) this.#sink.broken("a chunk of type ERROR without an error");
        this.#errors.set(cookie, view.getUint32(at));
        return;
      case NBD.chunkOffsetData:
        return this.#sink.data(cookie, Number(view.getBigUint64(at)), bytesOf(view, at + 8, at + length));
      case NBD.chunkOffsetHole:
        return this.#sink.hole(cookie, Number(view.getBigUint64(at)), view.getUint32(at + 8));
      case NBD.chunkStatus:
      case NBD.chunkStatusExtended:
        return this.#status(view, at, cookie, length, type === NBD.chunkStatusExtended);
      default:
        this.#sink.broken(`chunk type ${type}`);
    }
  }

  #status(view: DataView, from: number, cookie: number, length: number, wide: boolean): void {
    if (wide !== (this.#replies === "extended")) this.#sink.broken("block status of the wrong width");
    if (view.getUint32(from) !== CONTEXT_ALLOCATION) this.#sink.broken(`context ${view.getUint32(from)}`);
    const first = from + (wide ? 8 : 4);
    const step = wide ? 16 : 8;
    const extents: Extent[] = [];
    for (let at = first; at < from + length; at += step) {
      extents.push(
        wide
          ? { bytes: Number(view.getBigUint64(at)), state: Number(view.getBigUint64(at + 8)) }
          : { bytes: view.getUint32(at), state: view.getUint32(at + 4) },
      );
    }
    if (wide && view.getUint32(from + 4) !== extents.length) this.#sink.broken("extents that were counted wrong");
    this.#sink.extents(cookie, extents);
  }
}

function bytesOf(view: DataView, from: number, end: number): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset + from, end - from);
}
