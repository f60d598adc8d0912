// The client's side of the NBD transmission phase: encodes requests, decodes simple and structured replies.
// Constants: NBD protocol, "Transmission phase" and "Values".

export const NBD = {
  requestMagic: 0x25609513,
  simpleReplyMagic: 0x67446698,
  structuredReplyMagic: 0x668e33ef,
  read: 0,
  write: 1,
  disconnect: 2,
  flush: 3,
  trim: 4,
  cache: 5,
  writeZeroes: 6,
  flagFua: 1,
  flagNoHole: 2,
  flagDf: 4,
  chunkDone: 1,
  chunkNone: 0,
  chunkOffsetData: 1,
  chunkOffsetHole: 2,
  chunkError: 32769,
  chunkErrorOffset: 32770,
} as const;

/** Bytes of a request's header. */
export const REQUEST_BYTES = 28;

/** Writes a request's header at `offset`. The cookie is a small integer; its high half names the client. */
export function encodeRequest(
  target: DataView,
  offset: number,
  command: number,
  flags: number,
  client: number,
  cookie: number,
  position: number,
  length: number,
): void {
  target.setUint32(offset, NBD.requestMagic);
  target.setUint16(offset + 4, flags);
  target.setUint16(offset + 6, command);
  target.setUint32(offset + 8, client);
  target.setUint32(offset + 12, cookie);
  target.setUint32(offset + 16, Math.floor(position / 0x1_0000_0000));
  target.setUint32(offset + 20, position >>> 0);
  target.setUint32(offset + 24, length);
}

/** What the decoder tells of the replies it finds. */
export interface ReplySink {
  /** How many bytes of data a simple reply to `cookie` carries if it has no error; undefined: no such request. */
  expected(cookie: number): number | undefined;
  /** Data of a read, at `offset` of the export (structured) or undefined (simple: the whole request). */
  data(cookie: number, offset: number | undefined, bytes: Uint8Array): void;
  /** A hole of a read. */
  hole(cookie: number, offset: number, length: number): void;
  /** The final answer; error is an NBD error value or 0. */
  answered(cookie: number, error: number): void;
  /** The bytes are not what the protocol allows. */
  broken(reason: string): void;
}

/** Decodes the stream of replies, however it is cut. */
export class ReplyDecoder {
  #buffer: Uint8Array<ArrayBufferLike> = new Uint8Array(0);
  readonly #sink: ReplySink;
  readonly #client: number;
  readonly #structured: boolean;
  /** Errors of chunks before the last one of a reply, by cookie. */
  readonly #errors = new Map<number, number>();

  constructor(sink: ReplySink, client: number, structured: boolean) {
    this.#sink = sink;
    this.#client = client;
    this.#structured = structured;
  }

  push(bytes: Uint8Array): void {
    if (this.#buffer.length === 0) this.#buffer = bytes;
    else {
      const joined = new Uint8Array(this.#buffer.length + bytes.length);
      joined.set(this.#buffer);
      joined.set(bytes, this.#buffer.length);
      this.#buffer = joined;
    }
    for (;;) {
      const taken = this.#take();
      if (taken <= 0) return;
      this.#buffer = this.#buffer.subarray(taken);
    }
  }

  /** Takes one reply or chunk; answers its bytes, 0 when it is not whole yet, -1 when the stream is broken. */
  #take(): number {
    if (this.#buffer.length < 16) return 0;
    const view = new DataView(this.#buffer.buffer, this.#buffer.byteOffset, this.#buffer.byteLength);
    const magic = view.getUint32(0);
    if (magic === NBD.simpleReplyMagic) return this.#takeSimple(view);
    if (magic === NBD.structuredReplyMagic) return this.#takeChunk(view);
    this.#sink.broken(`reply magic ${magic.toString(16)}`);
    return -1;
  }

  #cookie(view: DataView): number {
    if (view.getUint32(8) !== this.#client) this.#sink.broken(`cookie of client ${view.getUint32(8)}`);
    return view.getUint32(12);
  }

  #takeSimple(view: DataView): number {
    const error = view.getUint32(4);
    const cookie = this.#cookie(view);
    const expected = this.#sink.expected(cookie);
    if (expected === undefined) {
      this.#sink.broken(`answer to cookie ${cookie}, which is not open`);
      return -1;
    }
    if (expected > 0 && this.#structured) {
      this.#sink.broken("simple reply to a READ although structured replies were negotiated");
      return -1;
    }
    const bytes = error === 0 ? expected : 0;
    if (view.byteLength < 16 + bytes) return 0;
    if (bytes > 0) this.#sink.data(cookie, undefined, this.#buffer.subarray(16, 16 + bytes));
    this.#sink.answered(cookie, error);
    return 16 + bytes;
  }

  #takeChunk(view: DataView): number {
    if (view.byteLength < 20) return 0;
    const length = view.getUint32(16);
    if (view.byteLength < 20 + length) return 0;
    const flags = view.getUint16(4);
    const type = view.getUint16(6);
    const cookie = this.#cookie(view);
    if (!this.#structured) {
      this.#sink.broken("structured reply although none was negotiated");
      return -1;
    }
    if (this.#sink.expected(cookie) === undefined) {
      this.#sink.broken(`chunk for cookie ${cookie}, which is not open`);
      return -1;
    }
    this.#chunk(view, type, cookie, length);
    if ((flags & NBD.chunkDone) !== 0) {
      const error = this.#errors.get(cookie) ?? 0;
      this.#errors.delete(cookie);
      this.#sink.answered(cookie, error);
    }
    return 20 + length;
  }

  #chunk(view: DataView, type: number, cookie: number, length: number): void {
    if (type === NBD.chunkNone) return;
    if (type === NBD.chunkError || type === NBD.chunkErrorOffset) {
      this.#errors.set(cookie, view.getUint32(20));
      return;
    }
    const offset = view.getUint32(20) * 0x1_0000_0000 + view.getUint32(24);
    if (type === NBD.chunkOffsetData) this.#sink.data(cookie, offset, this.#buffer.subarray(28, 20 + length));
    else if (type === NBD.chunkOffsetHole) this.#sink.hole(cookie, offset, view.getUint32(28));
    else this.#sink.broken(`chunk type ${type}`);
  }
}
