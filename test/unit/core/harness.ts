// Plays host to the built core: rings, clock, sockets with an NBD client at the other end, and a scriptable SCSI device
// in memory. Everything is synchronous and the clock only moves when a test moves it.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as abi from "../../../host/abi.ts";
import type { CoreExports as HostExports } from "../../../host/reactor/core.ts";
import type { Answer, Scsi } from "./scsi.ts";

const bytesOfCore = readFileSync(join(import.meta.dirname, "..", "..", "..", "build", "core.wasm"));
const moduleOfCore = new WebAssembly.Module(bytesOfCore);

/** The core's exports: those the host calls, and those that are there for tests. */
export interface CoreExports extends HostExports {
  inspect(what: number): number;
  outcome(hostStatus: number, driverStatus: number, status: number, senseBytes: number): number;
}

export const moduleImports = WebAssembly.Module.imports(moduleOfCore);
export const moduleExports = WebAssembly.Module.exports(moduleOfCore);

export interface CoreEvent {
  readonly kind: number;
  readonly reason: number;
  readonly unit: number;
  readonly path: number;
  readonly arg0: number;
  readonly arg1: number;
  readonly sense: number;
  readonly hostStatus: number;
}

/** One NBD connection: what the core sends is collected, what the client sends waits for the core's RECV. */
export class Client {
  readonly socket: number;
  handle = -1;
  readonly received: Buffer[] = [];
  pending: Buffer = Buffer.alloc(0);
  ended = false;
  closed = false;
  /** Set: a SEND stays unanswered until it is cleared. */
  holdSends = false;
  /** It has closed its socket, though not all it has sent may be read. */
  gone = false;
  watch: number | undefined;
  recv: { tag: number; address: number; length: number; all: boolean } | undefined;
  sends: { tag: number; bytes: number; lazy: boolean }[] = [];

  constructor(socket: number) {
    this.socket = socket;
  }

  send(...parts: readonly Uint8Array[]): void {
    this.pending = Buffer.concat([this.pending, ...parts]);
  }
}

export interface Limits {
  readonly connections?: number;
  readonly requests?: number;
  readonly commands?: number;
  readonly pool?: number;
  readonly units?: number;
  readonly paths?: number;
  readonly events?: number;
}

/** A core to run, and what it imports besides `abort`. */
export interface Build {
  readonly module: WebAssembly.Module;
  readonly imports?: Readonly<Record<string, (...values: number[]) => number | void>>;
}

/** The host. `device` answers SCSI commands; a command it answers with undefined stays in `outstanding`. */
export class Host {
  readonly core: CoreExports;
  readonly control: number;
  readonly clients = new Map<number, Client>();
  readonly events: CoreEvent[] = [];
  readonly outstanding: Scsi[] = [];
  readonly resets: { tag: number; port: number; scope: number }[] = [];
  readonly log: Scsi[] = [];
  keepLog = false;
  /** Set: success of a SEND with the flag LAZY is reported as late as the host may: with the next completion. */
  late = false;
  readonly #untold: { tag: number; bytes: number }[] = [];
  now = 1_000_000_000n;
  device: (command: Scsi) => Answer | undefined = () => ({});
  #nextSocket = 1;
  readonly #commands: number;

  constructor(limits: Limits = {}, build: Build = { module: moduleOfCore }) {
    this.#commands = limits.commands ?? 256;
    const instance = new WebAssembly.Instance(build.module, {
      env: {
        ...build.imports,
        abort: (_message: number, _file: number, line: number, column: number) => {
          throw new Error(`core aborted at line ${line}:${column}`);
        },
      },
    });
    this.core = instance.exports as unknown as CoreExports;
    this.core.start();
    this.control = this.core.controlBlock();
    this.view.setBigUint64(this.control + abi.CONTROL_SEED, 42n, true);
    this.view.setBigUint64(this.control + abi.CONTROL_NOW_NS, this.now, true);
    const answer = this.core.init(
      limits.connections ?? 16,
      limits.requests ?? 256,
      this.#commands,
      limits.pool ?? 64 << 20,
      limits.units ?? 8,
      limits.paths ?? 32,
      limits.events ?? 1024,
    );
    if (answer !== 0) throw new Error(`init answered ${answer}`);
  }

  get view(): DataView {
    return new DataView(this.core.memory.buffer);
  }

  bytes(address: number, length: number): Buffer {
    return Buffer.from(this.core.memory.buffer, address, length);
  }

  u32(address: number): number {
    return this.view.getUint32(address, true);
  }

  /** A unit with `paths` paths on native ports 0.., each with the next priority. */
  unit(
    options: {
      blocks?: bigint;
      blockBytes?: number;
      capabilities?: number;
      paths?: number;
      depth?: number;
      identity?: readonly number[];
      array?: boolean;
    } = {},
  ): {
    unit: number;
    paths: number[];
  } {
    const unit = this.core.unitAdd();
    this.must(this.core.unitSet(unit, abi.UNIT_SET_BLOCK_BYTES, BigInt(options.blockBytes ?? 512)));
    this.must(this.core.unitSet(unit, abi.UNIT_SET_BLOCKS, options.blocks ?? 1n << 20n));
    this.must(this.core.unitSet(unit, abi.UNIT_SET_CAPABILITIES, BigInt(options.capabilities ?? 0)));
    if (options.identity !== undefined) {
      this.bytes(this.core.scratch(), options.identity.length).set(options.identity);
      this.must(this.core.unitIdentity(unit, options.identity.length));
    }
    const paths: number[] = [];
    const array = options.array === true ? 1 : 0;
    for (let i = 0; i < (options.paths ?? 2); i++) {
      const port = unit * 100 + i;
      paths.push(this.must(this.core.pathAdd(unit, array, port, (options.paths ?? 2) - i, 1, options.depth ?? 128)));
    }
    return { unit, paths };
  }

  must(answer: number): number {
    if (answer < 0) throw new Error(`the core answered ${answer}`);
    return answer;
  }

  connect(unit: number, flags = abi.CONNECTION_TRIM, preloaded: Uint8Array = Buffer.alloc(0)): Client {
    const client = new Client(this.#nextSocket++);
    this.bytes(this.core.scratch(), preloaded.length).set(preloaded);
    client.handle = this.must(this.core.connectionAdd(client.socket, unit, flags, preloaded.length));
    this.clients.set(client.socket, client);
    return client;
  }

  /** Time passes in which the host works, and neither waits nor looks for answers. */
  works(ms: number): void {
    this.now += BigInt(ms) * 1_000_000n;
    this.view.setBigUint64(this.control + abi.CONTROL_WAITING_NS, this.now, true);
  }

  /** One turn: the core runs, then what it submitted is carried out as far as it can be. Answers whether there was anything. */
  turn(): boolean {
    this.view.setBigUint64(this.control + abi.CONTROL_NOW_NS, this.now, true);
    this.core.run();
    this.#takeEvents();
    let any = this.#takeQueue(abi.CONTROL_ARRAY_QUEUE, true);
    // As the reactor does: core and emulated array take turns before sockets are looked at.
    if (any && this.late) return any;
    any = this.#takeQueue(abi.CONTROL_NATIVE_QUEUE, false) || any;
    for (const client of this.clients.values()) any = this.#serve(client) || any;
    // The host comes back when it has anything to tell, and then tells all it knows.
    if (this.#completions > 0 || this.deadline() <= this.now) any = this.#tell() || any;
    return any;
  }

  /** SENDs whose success is not reported yet although it might be. */
  get untold(): number {
    return this.#untold.length;
  }

  get #completions(): number {
    const ring = this.control + abi.CONTROL_COMPLETION_QUEUE;
    return (this.u32(ring + abi.RING_TAIL) - this.u32(ring + abi.RING_HEAD)) >>> 0;
  }

  #tell(): boolean {
    const sends = this.#untold.splice(0);
    for (const { tag, bytes } of sends) this.#put(tag, bytes);
    return sends.length > 0;
  }

  /** Turns until nothing more happens without the clock moving. */
  settle(): void {
    for (let i = 0; i < 100_000; i++) if (!this.turn()) return;
    throw new Error("the core does not come to rest");
  }

  deadline(): bigint {
    return this.view.getBigUint64(this.control + abi.CONTROL_DEADLINE_NS, true);
  }

  /** Moves the clock by `ms`, stopping at each of the core's deadlines on the way. */
  advance(ms: number): void {
    const end = this.now + BigInt(Math.round(ms * 1e6));
    for (let i = 0; i < 1_000_000; i++) {
      this.settle();
      const next = this.deadline();
      if (next > end) break;
      if (next > this.now) this.now = next;
    }
    this.now = end;
    this.settle();
  }

  complete(tag: number, result: number): void {
    this.#tell();
    this.#put(tag, result);
  }

  #put(tag: number, result: number): void {
    const ring = this.control + abi.CONTROL_COMPLETION_QUEUE;
    const capacity = this.u32(ring + abi.RING_CAPACITY);
    const tail = this.u32(ring + abi.RING_TAIL);
    const entry = this.u32(ring + abi.RING_BASE) + (tail & (capacity - 1)) * abi.COMPLETION_BYTES;
    this.view.setUint32(entry + abi.COMPLETION_TAG, tag, true);
    this.view.setInt32(entry + abi.COMPLETION_RESULT, result, true);
    this.view.setBigUint64(entry + abi.COMPLETION_TIME_NS, this.now, true);
    this.view.setUint32(ring + abi.RING_TAIL, (tail + 1) >>> 0, true);
  }

  answer(command: Scsi, answer: Answer): void {
    const slot = command.slot;
    const sense = answer.sense ?? [];
    this.view.setUint8(slot + abi.COMMAND_STATUS, answer.status ?? 0);
    this.view.setUint8(slot + abi.COMMAND_SENSE_BYTES, sense.length);
    this.view.setUint16(slot + abi.COMMAND_HOST_STATUS, answer.hostStatus ?? 0, true);
    this.view.setUint16(slot + abi.COMMAND_DRIVER_STATUS, answer.driverStatus ?? (sense.length > 0 ? 8 : 0), true);
    this.view.setInt32(slot + abi.COMMAND_RESIDUAL, answer.residual ?? 0, true);
    this.bytes(slot + abi.COMMAND_SENSE, sense.length).set(sense);
    const at = this.outstanding.indexOf(command);
    if (at >= 0) this.outstanding.splice(at, 1);
    this.complete(command.tag, answer.result ?? 0);
  }

  #takeQueue(queue: number, array: boolean): boolean {
    const ring = this.control + queue;
    const base = this.u32(ring + abi.RING_BASE);
    const mask = this.u32(ring + abi.RING_CAPACITY) - 1;
    let head = this.u32(ring + abi.RING_HEAD);
    const tail = this.u32(ring + abi.RING_TAIL);
    const any = head !== tail;
    for (; head !== tail; head = (head + 1) >>> 0) this.#take(base + (head & mask) * abi.SUBMISSION_BYTES, array);
    this.view.setUint32(ring + abi.RING_HEAD, head, true);
    return any;
  }

  #take(entry: number, array: boolean): void {
    const view = this.view;
    const op = view.getUint8(entry + abi.SUBMISSION_OP);
    const flags = view.getUint8(entry + abi.SUBMISSION_FLAGS);
    const tag = view.getUint32(entry + abi.SUBMISSION_TAG, true);
    const handle = view.getUint32(entry + abi.SUBMISSION_HANDLE, true);
    const address = view.getUint32(entry + abi.SUBMISSION_ADDRESS, true);
    const length = view.getUint32(entry + abi.SUBMISSION_LENGTH, true);
    if (op === abi.OP_SCSI) return this.#scsi(tag, handle, address, array);
    if (op === abi.OP_RESET) {
      this.resets.push({ tag, port: handle, scope: length });
      return;
    }
    const client = this.clients.get(handle);
    if (client === undefined || client.closed) throw new Error(`op ${op} for an unknown socket ${handle}`);
    if (op === abi.OP_RECV) {
      if (client.recv !== undefined) throw new Error("two RECVs pending on one socket");
      if (length === 0 || address + length > this.core.memory.buffer.byteLength) throw new Error("RECV out of range");
      client.recv = { tag, address, length, all: (flags & abi.SUBMISSION_FLAG_WAIT_ALL) !== 0 };
    } else if (op === abi.OP_SEND) {
      if (client.sends.length > 0) throw new Error("two SENDs pending on one socket");
      const lazy = (flags & abi.SUBMISSION_FLAG_LAZY) !== 0;
      client.sends.push({ tag, bytes: this.#gather(client, address, length), lazy });
    } else if (op === abi.OP_CLOSE) this.#close(client, tag);
    else if (op === abi.OP_WATCH) client.watch = tag;
    else throw new Error(`unknown op ${op}`);
  }

  #scsi(tag: number, port: number, slot: number, array: boolean): void {
    const view = this.view;
    const command: Scsi = {
      tag,
      port,
      slot,
      cdb: Buffer.from(this.bytes(slot, view.getUint8(slot + abi.COMMAND_CDB_BYTES))),
      direction: view.getUint8(slot + abi.COMMAND_DIRECTION),
      buffer: this.u32(slot + abi.COMMAND_BUFFER),
      bytes: this.u32(slot + abi.COMMAND_BUFFER_BYTES),
      timeoutMs: this.u32(slot + abi.COMMAND_TIMEOUT_MS),
      array,
      check: (tag & 0xfffff) >= this.#commands,
    };
    if (command.buffer % abi.BUFFER_PAGE_BYTES !== 0) throw new Error("data buffer not at a page boundary");
    if (command.bytes > abi.PIECE_BYTES_MAX) throw new Error("transfer too large");
    if (this.keepLog) this.log.push(command);
    this.outstanding.push(command);
    const answer = this.device(command);
    if (answer !== undefined) this.answer(command, answer);
  }

  #gather(client: Client, table: number, entries: number): number {
    if (entries === 0 || entries > abi.GATHER_ENTRIES_MAX) throw new Error(`SEND with ${entries} entries`);
    let bytes = 0;
    for (let i = 0; i < entries; i++) {
      const entry = table + i * abi.GATHER_BYTES;
      const length = this.u32(entry + abi.GATHER_LENGTH);
      client.received.push(Buffer.from(this.bytes(this.u32(entry + abi.GATHER_ADDRESS), length)));
      bytes += length;
    }
    return bytes;
  }

  #close(client: Client, tag: number): void {
    client.closed = true;
    if (client.recv !== undefined) this.complete(client.recv.tag, -125);
    client.recv = undefined;
    for (const send of client.sends.splice(0)) this.complete(send.tag, -32);
    if (client.watch !== undefined) this.complete(client.watch, 0);
    client.watch = undefined;
    this.complete(tag, 0);
  }

  #serve(client: Client): boolean {
    let any = false;
    if (client.gone && client.watch !== undefined) {
      this.complete(client.watch, 0);
      client.watch = undefined;
      any = true;
    }
    if (!client.holdSends) {
      for (const send of client.sends.splice(0)) {
        if (send.lazy && this.late) {
          this.#untold.push(send);
          continue;
        }
        this.complete(send.tag, send.bytes);
        any = true;
      }
    }
    // One that did not succeed at once is told as soon as it has.
    for (const send of client.sends) send.lazy = false;
    const recv = client.recv;
    if (recv === undefined) return any;
    const length = Math.min(recv.length, client.pending.length);
    const ended = client.ended || client.gone;
    if ((length === 0 || (recv.all && length < recv.length)) && !ended) return any;
    this.bytes(recv.address, length).set(client.pending.subarray(0, length));
    client.pending = client.pending.subarray(length);
    client.recv = undefined;
    this.complete(recv.tag, length);
    return true;
  }

  #takeEvents(): void {
    const ring = this.control + abi.CONTROL_EVENT_QUEUE;
    const base = this.u32(ring + abi.RING_BASE);
    const mask = this.u32(ring + abi.RING_CAPACITY) - 1;
    let head = this.u32(ring + abi.RING_HEAD);
    for (; head !== this.u32(ring + abi.RING_TAIL); head = (head + 1) >>> 0) {
      const entry = base + (head & mask) * abi.EVENT_BYTES;
      this.events.push({
        kind: this.view.getUint16(entry + abi.EVENT_KIND, true),
        reason: this.view.getUint16(entry + abi.EVENT_REASON, true),
        unit: this.u32(entry + abi.EVENT_UNIT),
        path: this.u32(entry + abi.EVENT_PATH),
        arg0: this.u32(entry + abi.EVENT_ARG0),
        arg1: this.u32(entry + abi.EVENT_ARG1),
        sense: this.u32(entry + abi.EVENT_SENSE),
        hostStatus: this.view.getUint16(entry + abi.EVENT_HOST_STATUS, true),
      });
    }
    this.view.setUint32(ring + abi.RING_HEAD, head, true);
  }

  pathField(path: number, field: number): number {
    return this.u32(this.core.pathTable() + path * abi.PATH_BYTES + field);
  }

  pathCount64(path: number, field: number): bigint {
    return this.view.getBigUint64(this.core.pathTable() + path * abi.PATH_BYTES + field, true);
  }

  unitField(unit: number, field: number): number {
    return this.u32(this.core.unitTable() + unit * abi.UNIT_BYTES + field);
  }

  flags(path: number): number {
    return this.pathField(path, abi.PATH_FLAGS);
  }

  /** Kinds of the events so far; forgets them. */
  kinds(): number[] {
    return this.events.splice(0).map((event) => event.kind);
  }
}
