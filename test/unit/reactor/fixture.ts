// A reactor with one emulated unit on all its paths, and a small NBD client to talk to it.

import { Socket } from "node:net";
import { socketPair } from "../../../host/native/index.ts";
import {
  CONNECTION_RECEIVE_BYTES,
  UNIT_SET_BLOCK_BYTES,
  UNIT_SET_BLOCKS,
  UNIT_SET_STALL_MAX_MS,
} from "../../../host/abi.ts";
import { ReactorClient, type ReactorOptions } from "../../../host/reactor/reactor-client.ts";

export const UNIT_BYTES = 1 << 20;
export const PRELOAD_MAX = CONNECTION_RECEIVE_BYTES;

const REQUEST_MAGIC = 0x25609513;
const REPLY_MAGIC = 0x67446698;

export interface Reply {
  readonly error: number;
  readonly data: Buffer;
}

/** An NBD request header; the data of a write follow it. */
export function request(write: boolean, cookie: number, offset: number, bytes: number): Buffer {
  const header = Buffer.alloc(28);
  header.writeUInt32BE(REQUEST_MAGIC, 0);
  header.writeUInt16BE(write ? 1 : 0, 6);
  header.writeBigUInt64BE(BigInt(cookie), 8);
  header.writeBigUInt64BE(BigInt(offset), 16);
  header.writeUInt32BE(bytes, 24);
  return header;
}

/** The transmission phase of NBD with simple replies, over a descriptor. */
export class NbdClient {
  readonly #socket: Socket;
  readonly #waiting = new Map<number, { bytes: number; resolve: (reply: Reply) => void }>();
  readonly closed: Promise<void>;
  #next = 1;
  #received = Buffer.alloc(0);

  constructor(fd: number) {
    this.#socket = new Socket({ fd });
    this.#socket.on("data", (chunk: Buffer) => {
      this.#received = Buffer.concat([this.#received, chunk]);
      while (this.#takeReply());
    });
    this.#socket.on("error", () => undefined);
    this.closed = new Promise((resolve) => this.#socket.once("close", () => resolve()));
  }

  read(offset: number, bytes: number): Promise<Reply> {
    return this.#ask(false, offset, bytes, bytes, Buffer.alloc(0));
  }

  write(offset: number, data: Buffer): Promise<Reply> {
    return this.#ask(true, offset, data.length, 0, data);
  }

  /** Waits for the reply to a read that was sent in some other way. */
  expect(cookie: number, bytes: number): Promise<Reply> {
    return new Promise((resolve) => this.#waiting.set(cookie, { bytes, resolve }));
  }

  end(): void {
    this.#socket.destroy();
  }

  #ask(write: boolean, offset: number, bytes: number, expected: number, data: Buffer): Promise<Reply> {
    const cookie = this.#next++;
    const reply = this.expect(cookie, expected);
    this.#socket.write(Buffer.concat([request(write, cookie, offset, bytes), data]));
    return reply;
  }

  #takeReply(): boolean {
    if (this.#received.length < 16) return false;
    if (this.#received.readUInt32BE(0) !== REPLY_MAGIC) throw new Error("not a simple reply");
    const error = this.#received.readUInt32BE(4);
    const cookie = Number(this.#received.readBigUInt64BE(8));
    const waiting = this.#waiting.get(cookie);
    if (waiting === undefined) throw new Error(`a reply to request ${cookie}, which nobody made`);
    const bytes = error === 0 ? waiting.bytes : 0;
    if (this.#received.length < 16 + bytes) return false;
    this.#waiting.delete(cookie);
    waiting.resolve({ error, data: this.#received.subarray(16, 16 + bytes) });
    this.#received = this.#received.subarray(16 + bytes);
    return true;
  }
}

export interface Rig {
  readonly reactor: ReactorClient;
  readonly unit: number;
  readonly paths: readonly number[];
}

/** Starts a reactor with one emulated array, and adds its unit 0 with all its paths to the core. */
export async function startRig(options: ReactorOptions = {}): Promise<Rig> {
  const reactor = await ReactorClient.start({ arrays: [{ units: 1, unitBytes: UNIT_BYTES }], ...options });
  const unit = await reactor.unitAdd();
  await reactor.unitSet(unit, UNIT_SET_BLOCK_BYTES, 512);
  await reactor.unitSet(unit, UNIT_SET_BLOCKS, UNIT_BYTES / 512);
  await reactor.unitSet(unit, UNIT_SET_STALL_MAX_MS, 0);
  const paths: number[] = [];
  for (const { port } of await reactor.arrayPorts()) {
    paths.push(await reactor.pathAdd({ unit, queue: "array", port, priority: port + 1, enabled: true, depth: 32 }));
  }
  return { reactor, unit, paths };
}

/** Connects a client to the unit; `preloaded` are bytes that the reactor treats as already received. */
export async function connect({ reactor, unit }: Rig, preloaded?: Uint8Array): Promise<NbdClient> {
  const [ours, theirs] = socketPair("stream");
  if (ours === undefined || theirs === undefined) throw new Error("no socket pair");
  const client = new NbdClient(theirs);
  if (preloaded !== undefined) void client.expect(0, 0);
  await reactor.addConnection(ours, unit, 0, preloaded);
  return client;
}
