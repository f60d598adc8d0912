// A client that sends raw bytes, for what no library would ever send. It performs the handshake properly (or not at all) and
// parses the answers of the transmission phase.

import { connect, type Socket } from "node:net";
import { once } from "node:events";
import { infoData, option, u16, u32, u64 } from "../unit/export/client.ts";

export const READ = 0;
export const WRITE = 1;
export const DISCONNECT = 2;
export const FLUSH = 3;
export const TRIM = 4;
export const CACHE = 5;
export const WRITE_ZEROES = 6;
export const BLOCK_STATUS = 7;

export const FUA = 1;
export const NO_HOLE = 2;
export const DF = 4;
export const FAST_ZERO = 16;

export const EINVAL = 22;
export const ENOSPC = 28;
export const EOVERFLOW = 75;

const REQUEST_MAGIC = 0x25609513;
const SIMPLE_MAGIC = 0x67446698;
const STRUCTURED_MAGIC = 0x668e33ef;

export interface Command {
  readonly type: number;
  readonly cookie?: bigint;
  readonly offset?: bigint;
  readonly length?: number;
  readonly flags?: number;
  readonly magic?: number;
}

/** A request header of the transmission phase. */
export function command(c: Command): Buffer {
  return Buffer.concat([
    u32(c.magic ?? REQUEST_MAGIC),
    u16(c.flags ?? 0),
    u16(c.type),
    u64(c.cookie ?? 1n),
    u64(c.offset ?? 0n),
    u32(c.length ?? 0),
  ]);
}

export interface Answer {
  readonly cookie: bigint;
  /** 0 or an NBD error number. */
  readonly error: number;
  readonly data: Buffer;
}

/** A connection whose incoming bytes can be awaited. */
export class RawClient {
  readonly socket: Socket;
  #received: Buffer = Buffer.alloc(0);
  #ended = false;
  #waiting: (() => void) | undefined = undefined;
  structured = false;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on("data", (chunk) => {
      this.#received = Buffer.concat([this.#received, Buffer.from(chunk)]);
      this.#waiting?.();
    });
    const end = (): void => {
      this.#ended = true;
      this.#waiting?.();
    };
    socket.on("error", end);
    socket.on("end", end);
    socket.on("close", end);
  }

  static async connect(path: string): Promise<RawClient> {
    const socket = connect({ path, allowHalfOpen: true });
    await once(socket, "connect");
    return new RawClient(socket);
  }

  /** A client in its transmission phase. */
  static open(path: string, name: string, structured = false): Promise<RawClient> {
    return RawClient.eager(path, name, Buffer.alloc(0), structured);
  }

  /** The same, but `first` is sent in one piece with the last option. */
  static async eager(path: string, name: string, first: Uint8Array, structured = false): Promise<RawClient> {
    const client = await RawClient.connect(path);
    client.structured = structured;
    await client.take(18);
    client.send(u32(3), structured ? option(8) : Buffer.alloc(0), option(7, infoData(name, [3])), first);
    for (;;) {
      const header = await client.take(20);
      await client.take(header.readUInt32BE(16));
      const type = header.readUInt32BE(12);
      if (type >= 0x80000000) throw new Error(`the server refuses ${name}: 0x${type.toString(16)}`);
      if (type === 1 && header.readUInt32BE(8) === 7) return client;
    }
  }

  /** Received bytes that have not been taken. */
  get received(): Buffer {
    return this.#received;
  }

  /** Whether the server has closed the connection. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Takes the next bytes; throws when the connection ends or nothing arrives. */
  async take(bytes: number, timeoutMs = 10_000): Promise<Buffer> {
    await this.wait(bytes, timeoutMs);
    const taken = this.#received.subarray(0, bytes);
    this.#received = this.#received.subarray(bytes);
    return taken;
  }

  /** Waits until this many bytes have arrived; throws when the connection ends before, or nothing arrives. */
  async wait(bytes: number, timeoutMs = 10_000): Promise<void> {
    const end = Date.now() + timeoutMs;
    while (this.#received.length < bytes) {
      if (this.#ended) throw new Error("the server closed the connection");
      const left = end - Date.now();
      if (left <= 0) throw new Error(`no answer within ${timeoutMs} ms`);
      await this.#more(left);
    }
  }

  /** Waits until the server has closed the connection. */
  async end(timeoutMs = 10_000): Promise<void> {
    const end = Date.now() + timeoutMs;
    while (!this.#ended) {
      const left = end - Date.now();
      if (left <= 0) throw new Error(`the server does not close the connection within ${timeoutMs} ms`);
      await this.#more(left);
    }
  }

  #more(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, timeoutMs);
      this.#waiting = () => {
        clearTimeout(timer);
        this.#waiting = undefined;
        resolve();
      };
    });
  }

  send(...parts: Uint8Array[]): void {
    this.socket.write(Buffer.concat(parts));
  }

  /** The next answer, with the data of a successful read of `bytes` bytes. */
  async answer(bytes = 0): Promise<Answer> {
    return this.structured ? this.#structuredAnswer() : this.#simpleAnswer(bytes);
  }

  async #simpleAnswer(bytes: number): Promise<Answer> {
    const header = await this.take(16);
    if (header.readUInt32BE(0) !== SIMPLE_MAGIC) throw new Error(`not a simple reply: ${header.toString("hex")}`);
    const error = header.readUInt32BE(4);
    const data = error === 0 && bytes > 0 ? await this.take(bytes) : Buffer.alloc(0);
    return { cookie: header.readBigUInt64BE(8), error, data };
  }

  /** Chunks until DONE, with their offset data concatenated. A simple reply is allowed for requests other than reads. */
  async #structuredAnswer(): Promise<Answer> {
    let error = 0;
    const data: Buffer[] = [];
    for (;;) {
      const magic = (await this.take(4)).readUInt32BE(0);
      if (magic === SIMPLE_MAGIC) {
        const rest = await this.take(12);
        return { cookie: rest.readBigUInt64BE(4), error: rest.readUInt32BE(0), data: Buffer.concat(data) };
      }
      if (magic !== STRUCTURED_MAGIC) throw new Error(`not a reply: 0x${magic.toString(16)}`);
      const header = await this.take(16);
      const type = header.readUInt16BE(2);
      const payload = await this.take(header.readUInt32BE(12));
      if (type === 1) data.push(payload.subarray(8));
      else if (type === 2) data.push(Buffer.alloc(payload.readUInt32BE(8)));
      else if (type >= 0x8000) error = payload.readUInt32BE(0);
      if ((header.readUInt16BE(0) & 1) !== 0) {
        return { cookie: header.readBigUInt64BE(4), error, data: Buffer.concat(data) };
      }
    }
  }

  /** Sends one request and waits for its answer. */
  async ask(c: Command, payload: Uint8Array = Buffer.alloc(0)): Promise<Answer> {
    this.send(command(c), payload);
    return this.answer(c.type === READ ? c.length : 0);
  }

  close(): void {
    this.socket.destroy();
  }
}
