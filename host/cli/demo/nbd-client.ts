// A small NBD client (NBD protocol specification: fixed newstyle negotiation, transmission with simple replies), just enough
// for the demonstration. Not for production use; libnbd is.

import { createConnection, type Socket } from "node:net";

const NBD_MAGIC = 0x4e42444d41474943n;
const OPTION_MAGIC = 0x49484156454f5054n;
const REPLY_MAGIC = 0x3e889045565a9n;
const REQUEST_MAGIC = 0x25609513;
const SIMPLE_REPLY_MAGIC = 0x67446698;
const FIXED_NEWSTYLE_NO_ZEROES = 3;
const OPTION_GO = 7;
const REPLY_ACK = 1;
const REPLY_INFO = 3;
const INFO_EXPORT = 0;
const COMMAND_READ = 0;
const COMMAND_WRITE = 1;
const COMMAND_DISCONNECT = 2;
const COMMAND_FLUSH = 3;

/** Size of a reply header in the transmission phase. */
const REPLY_BYTES = 16;

/** A request that the server answered with an error (`code` is the NBD error, an errno), or a broken connection. */
export class NbdError extends Error {
  override readonly name = "NbdError";
  readonly code: number;

  constructor(message: string, code = 0) {
    super(message);
    this.code = code;
  }
}

/** Reads exact numbers of bytes from a socket, in order. */
class Reader {
  readonly #chunks: Buffer[] = [];
  #bytes = 0;
  #ended: Error | undefined;
  #wanted: { readonly bytes: number; readonly done: PromiseWithResolvers<Buffer> } | undefined;

  constructor(socket: Socket) {
    socket.on("data", (chunk) => {
      this.#chunks.push(chunk);
      this.#bytes += chunk.length;
      this.#serve();
    });
    const end = (error?: Error): void => {
      this.#ended ??= new NbdError(`the connection ended${error === undefined ? "" : `: ${error.message}`}`);
      this.#wanted?.done.reject(this.#ended);
    };
    socket.on("error", end).on("close", () => end());
  }

  /** The next `bytes` bytes; one call at a time. */
  take(bytes: number): Promise<Buffer> {
    const done = Promise.withResolvers<Buffer>();
    this.#wanted = { bytes, done };
    if (this.#ended !== undefined) done.reject(this.#ended);
    else this.#serve();
    return done.promise;
  }

  #serve(): void {
    const wanted = this.#wanted;
    if (wanted === undefined || this.#bytes < wanted.bytes) return;
    const all = this.#chunks.length === 1 ? (this.#chunks[0] ?? Buffer.alloc(0)) : Buffer.concat(this.#chunks);
    this.#chunks.length = 0;
    this.#bytes = all.length - wanted.bytes;
    if (this.#bytes > 0) this.#chunks.push(all.subarray(wanted.bytes));
    this.#wanted = undefined;
    wanted.done.resolve(all.subarray(0, wanted.bytes));
  }
}

interface Pending {
  readonly readBytes: number;
  readonly done: PromiseWithResolvers<Buffer>;
}

/** One connection to one export. */
export class NbdClient {
  readonly bytes: number;
  readonly #socket: Socket;
  readonly #reader: Reader;
  readonly #pending = new Map<bigint, Pending>();
  #cookie = 0n;
  #broken: Error | undefined;

  private constructor(socket: Socket, reader: Reader, bytes: number) {
    this.#socket = socket;
    this.#reader = reader;
    this.bytes = bytes;
    void this.#receive();
  }

  /** Connects to the Unix socket `path` and negotiates the export `name`. */
  static async connect(path: string, name: string): Promise<NbdClient> {
    const socket = createConnection({ path });
    await new Promise<void>((resolve, reject) => {
      socket.once("connect", resolve).once("error", reject);
    });
    const reader = new Reader(socket);
    const greeting = await reader.take(18);
    if (greeting.readBigUInt64BE(0) !== NBD_MAGIC || greeting.readBigUInt64BE(8) !== OPTION_MAGIC) {
      throw new NbdError("what answers is no NBD server");
    }
    const bytes = await goTo(socket, reader, name);
    return new NbdClient(socket, reader, bytes);
  }

  /** Reads `bytes` bytes at `offset`. */
  read(offset: number, bytes: number): Promise<Buffer> {
    return this.#request(COMMAND_READ, offset, bytes, bytes);
  }

  /** Writes `data` at `offset`; resolves when the server has replied. */
  async write(offset: number, data: Buffer): Promise<void> {
    await this.#request(COMMAND_WRITE, offset, data.length, 0, data);
  }

  async flush(): Promise<void> {
    await this.#request(COMMAND_FLUSH, 0, 0, 0);
  }

  /** Disconnects; requests in flight are rejected. */
  close(): void {
    this.#socket.end(requestHead(COMMAND_DISCONNECT, 0n, 0, 0));
  }

  #request(command: number, offset: number, bytes: number, readBytes: number, data?: Buffer): Promise<Buffer> {
    const done = Promise.withResolvers<Buffer>();
    if (this.#broken !== undefined) {
      done.reject(this.#broken);
      return done.promise;
    }
    this.#cookie += 1n;
    this.#pending.set(this.#cookie, { readBytes, done });
    this.#socket.write(requestHead(command, this.#cookie, offset, bytes));
    if (data !== undefined) this.#socket.write(data);
    return done.promise;
  }

  async #receive(): Promise<void> {
    try {
      for (;;) {
        const head = await this.#reader.take(REPLY_BYTES);
        const cookie = head.readBigUInt64BE(8);
        const pending = this.#pending.get(cookie);
        if (head.readUInt32BE(0) !== SIMPLE_REPLY_MAGIC || pending === undefined) {
          throw new NbdError("the server answered what was not asked");
        }
        const code = head.readUInt32BE(4);
        const data = code === 0 && pending.readBytes > 0 ? await this.#reader.take(pending.readBytes) : Buffer.alloc(0);
        this.#pending.delete(cookie);
        if (code === 0) pending.done.resolve(data);
        else pending.done.reject(new NbdError(`the server answered error ${code}`, code));
      }
    } catch (error) {
      this.#broken = error instanceof Error ? error : new Error(String(error));
      for (const { done } of this.#pending.values()) done.reject(this.#broken);
      this.#pending.clear();
      this.#socket.destroy();
    }
  }
}

function requestHead(command: number, cookie: bigint, offset: number, bytes: number): Buffer {
  const head = Buffer.alloc(28);
  head.writeUInt32BE(REQUEST_MAGIC, 0);
  head.writeUInt16BE(command, 6);
  head.writeBigUInt64BE(cookie, 8);
  head.writeBigUInt64BE(BigInt(offset), 16);
  head.writeUInt32BE(bytes, 24);
  return head;
}

/** NBD_OPT_GO: selects the export and returns its size in bytes. */
async function goTo(socket: Socket, reader: Reader, name: string): Promise<number> {
  const text = Buffer.from(name);
  const option = Buffer.alloc(4 + 16 + 4 + text.length + 2);
  option.writeUInt32BE(FIXED_NEWSTYLE_NO_ZEROES, 0);
  option.writeBigUInt64BE(OPTION_MAGIC, 4);
  option.writeUInt32BE(OPTION_GO, 12);
  option.writeUInt32BE(4 + text.length + 2, 16);
  option.writeUInt32BE(text.length, 20);
  text.copy(option, 24);
  socket.write(option);
  let size: number | undefined;
  for (;;) {
    const head = await reader.take(20);
    const type = head.readUInt32BE(12);
    const data = await reader.take(head.readUInt32BE(16));
    if (head.readBigUInt64BE(0) !== REPLY_MAGIC) throw new NbdError("the server's reply is none");
    if (type === REPLY_INFO && data.readUInt16BE(0) === INFO_EXPORT) size = Number(data.readBigUInt64BE(2));
    if (type === REPLY_ACK && size !== undefined) return size;
    if (type >= 0x8000_0000) throw new NbdError(`the server refuses export ${name}: ${data.toString() || type}`);
  }
}
