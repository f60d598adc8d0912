// The other end of the native queue: emulates sockets in virtual time, with data split like on a real network.

import {
  COMPLETION_BYTES,
  COMPLETION_RESULT,
  COMPLETION_TAG,
  COMPLETION_TIME_NS,
  CONTROL_COMPLETION_QUEUE,
  CONTROL_DEADLINE_NS,
  CONTROL_NATIVE_QUEUE,
  GATHER_ADDRESS,
  GATHER_BYTES,
  GATHER_LENGTH,
  OP_CLOSE,
  OP_RECV,
  OP_SEND,
  OP_WATCH,
  RING_BASE,
  RING_CAPACITY,
  RING_HEAD,
  RING_TAIL,
  SUBMISSION_ADDRESS,
  SUBMISSION_BYTES,
  SUBMISSION_FLAG_LAZY,
  SUBMISSION_FLAG_WAIT_ALL,
  SUBMISSION_FLAGS,
  SUBMISSION_HANDLE,
  SUBMISSION_LENGTH,
  SUBMISSION_OP,
  SUBMISSION_TAG,
} from "../../host/abi.ts";
import type { VirtualClock } from "./clock.ts";
import type { Random } from "./random.ts";

const EPIPE = 32;
const EBADF = 9;

interface PendingReceive {
  readonly tag: number;
  readonly address: number;
  readonly length: number;
  readonly waitAll: boolean;
  filled: number;
}

/** One connection, seen from the network. */
export class SimulatedSocket {
  readonly inbound: Uint8Array[] = [];
  receive: PendingReceive | undefined;
  /** Tag of a pending SEND. */
  send: number | undefined;
  /** Tag of a pending WATCH. */
  watch: number | undefined;
  /** The client has hung up: RECV ends, SEND fails. */
  hungUp = false;
  /** The core has closed it. */
  closed = false;
  readonly deliver: (bytes: Uint8Array) => void;
  readonly onClosed: () => void;

  constructor(deliver: (bytes: Uint8Array) => void, onClosed: () => void) {
    this.deliver = deliver;
    this.onClosed = onClosed;
  }
}

function joined(parts: readonly Uint8Array[], total: number): Uint8Array {
  const bytes = Buffer.allocUnsafeSlow(total);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** Executes the core's socket operations. */
export class Sockets {
  readonly #memory: Uint8Array;
  readonly #view: DataView;
  readonly #control: number;
  readonly #clock: VirtualClock;
  readonly #random: Random;
  readonly #sockets = new Map<number, SimulatedSocket>();
  /** Successful SENDs that have not been reported: the host may report them with whatever completes next. */
  readonly #untold: { tag: number; bytes: number }[] = [];
  /** When the core last took bytes of a request, by the request's buffer. */
  readonly #takenNs = new WeakMap<ArrayBufferLike, number>();
  #nextHandle = 1;
  readonly violation: (text: string) => void;

  constructor(
    memory: Uint8Array,
    controlBlock: number,
    clock: VirtualClock,
    random: Random,
    violation: (text: string) => void,
  ) {
    this.#memory = memory;
    this.#view = new DataView(memory.buffer);
    this.#control = controlBlock;
    this.#clock = clock;
    this.#random = random;
    this.violation = violation;
  }

  /** Adds a connection; returns its handle. */
  add(socket: SimulatedSocket): number {
    const handle = this.#nextHandle++;
    this.#sockets.set(handle, socket);
    return handle;
  }

  /** Bytes from the client arrive, in random pieces. */
  arrive(socket: SimulatedSocket, bytes: Uint8Array): void {
    if (socket.closed || socket.hungUp) return;
    let at = 0;
    while (at < bytes.length) {
      const whole = this.#random.chance(0.85);
      const size = whole ? bytes.length - at : this.#random.between(1, bytes.length - at);
      socket.inbound.push(bytes.subarray(at, at + size));
      at += size;
    }
    this.#feed(socket);
  }

  hangUp(socket: SimulatedSocket): void {
    socket.hungUp = true;
    this.#endWatch(socket);
    this.#feed(socket);
  }

  /** Takes all of the core's submissions. */
  turn(): boolean {
    const ring = this.#control + CONTROL_NATIVE_QUEUE;
    const view = this.#view;
    const base = view.getUint32(ring + RING_BASE, true);
    const mask = view.getUint32(ring + RING_CAPACITY, true) - 1;
    let head = view.getUint32(ring + RING_HEAD, true);
    const tail = view.getUint32(ring + RING_TAIL, true);
    const any = head !== tail;
    while (head !== tail) {
      this.#submit(base + (head & mask) * SUBMISSION_BYTES);
      head = (head + 1) >>> 0;
    }
    view.setUint32(ring + RING_HEAD, head, true);
    // The host does not wait when the core's deadline has been reached, so it reports everything.
    const deadlineNs =
      view.getUint32(this.#control + CONTROL_DEADLINE_NS, true) +
      view.getUint32(this.#control + CONTROL_DEADLINE_NS + 4, true) * 0x1_0000_0000;
    if (deadlineNs <= this.#clock.nowNs) this.tell();
    return any;
  }

  /** The host has returned from waiting: it reports everything. */
  tell(): void {
    for (const { tag, bytes } of this.#untold.splice(0)) this.#put(tag, bytes);
  }

  #submit(entry: number): void {
    const view = this.#view;
    const op = view.getUint8(entry + SUBMISSION_OP);
    const tag = view.getUint32(entry + SUBMISSION_TAG, true);
    const socket = this.#sockets.get(view.getUint32(entry + SUBMISSION_HANDLE, true));
    const address = view.getUint32(entry + SUBMISSION_ADDRESS, true);
    const length = view.getUint32(entry + SUBMISSION_LENGTH, true);
    if (socket === undefined || socket.closed) {
      this.violation(`op ${op} on a closed socket`);
      return this.complete(tag, -EBADF);
    }
    if (op === OP_RECV) {
      if (socket.receive !== undefined) this.violation("two RECVs pending on one socket");
      const waitAll = (view.getUint8(entry + SUBMISSION_FLAGS) & SUBMISSION_FLAG_WAIT_ALL) !== 0;
      socket.receive = { tag, address, length, waitAll, filled: 0 };
      this.#clock.after(this.#random.between(0, 20_000), () => this.#feed(socket));
    } else if (op === OP_SEND) {
      const lazy = (view.getUint8(entry + SUBMISSION_FLAGS) & SUBMISSION_FLAG_LAZY) !== 0;
      this.#send(socket, tag, address, length, lazy);
    } else if (op === OP_WATCH) {
      socket.watch = tag;
      if (socket.hungUp) this.#endWatch(socket);
    } else if (op === OP_CLOSE) this.#close(socket, tag);
    else this.violation(`op ${op} in the native queue`);
  }

  #send(socket: SimulatedSocket, tag: number, address: number, entries: number, lazy: boolean): void {
    const parts: Uint8Array[] = [];
    let total = 0;
    for (let i = 0; i < entries; i++) {
      const at = this.#view.getUint32(address + i * GATHER_BYTES + GATHER_ADDRESS, true);
      const bytes = this.#view.getUint32(address + i * GATHER_BYTES + GATHER_LENGTH, true);
      parts.push(this.#memory.subarray(at, at + bytes));
      total += bytes;
    }
    if (!socket.hungUp && this.#random.chance(0.5)) {
      // Everything fits into the socket at once. Reported now, or as late as the host may.
      const bytes = joined(parts, total);
      this.#clock.after(this.#random.between(1_000, 60_000), () => socket.deliver(bytes));
      if (lazy) this.#untold.push({ tag, bytes: total });
      else this.complete(tag, total);
      return;
    }
    // The bytes are read when the SEND completes, not before: any change in between is detected.
    socket.send = tag;
    this.#clock.after(this.#random.between(1_000, 60_000), () => {
      if (socket.send !== tag) return;
      socket.send = undefined;
      if (socket.hungUp) return this.complete(tag, -EPIPE);
      const bytes = joined(parts, total);
      this.complete(tag, total);
      socket.deliver(bytes);
    });
  }

  #endWatch(socket: SimulatedSocket): void {
    if (socket.watch !== undefined && !socket.closed) this.complete(socket.watch, 0);
    socket.watch = undefined;
  }

  #close(socket: SimulatedSocket, tag: number): void {
    this.#endWatch(socket);
    socket.closed = true;
    const receive = socket.receive;
    socket.receive = undefined;
    this.#clock.after(this.#random.between(0, 100_000), () => {
      if (receive !== undefined) this.complete(receive.tag, 0);
      // Nothing completes for a socket after its CLOSE.
      if (socket.send !== undefined) this.complete(socket.send, -EPIPE);
      socket.send = undefined;
      this.complete(tag, 0);
      socket.onClosed();
    });
  }

  /** When the core had taken the last of these bytes, ns; 0: not yet. */
  takenNs(bytes: Uint8Array): number {
    return this.#takenNs.get(bytes.buffer) ?? 0;
  }

  #feed(socket: SimulatedSocket): void {
    const receive = socket.receive;
    if (receive === undefined || socket.closed) return;
    while (receive.filled < receive.length) {
      const chunk = socket.inbound.shift();
      if (chunk === undefined) break;
      const taken = Math.min(chunk.length, receive.length - receive.filled);
      this.#takenNs.set(chunk.buffer, this.#clock.nowNs);
      this.#memory.set(chunk.subarray(0, taken), receive.address + receive.filled);
      receive.filled += taken;
      if (taken < chunk.length) socket.inbound.unshift(chunk.subarray(taken));
      if (!receive.waitAll) break;
    }
    const ended = socket.hungUp && socket.inbound.length === 0;
    if (ended || receive.filled === receive.length || (!receive.waitAll && receive.filled > 0)) {
      socket.receive = undefined;
      this.complete(receive.tag, receive.filled);
    }
  }

  /** Puts a completion into the core's ring, after those of unreported SENDs. */
  complete(tag: number, result: number): void {
    this.tell();
    this.#put(tag, result);
  }

  #put(tag: number, result: number): void {
    const ring = this.#control + CONTROL_COMPLETION_QUEUE;
    const view = this.#view;
    const base = view.getUint32(ring + RING_BASE, true);
    const capacity = view.getUint32(ring + RING_CAPACITY, true);
    const head = view.getUint32(ring + RING_HEAD, true);
    const tail = view.getUint32(ring + RING_TAIL, true);
    if ((tail - head) >>> 0 >= capacity) return this.violation("the completion ring is full");
    const entry = base + (tail & (capacity - 1)) * COMPLETION_BYTES;
    view.setUint32(entry + COMPLETION_TAG, tag, true);
    view.setInt32(entry + COMPLETION_RESULT, result, true);
    view.setUint32(entry + COMPLETION_TIME_NS, this.#clock.nowNs >>> 0, true);
    view.setUint32(entry + COMPLETION_TIME_NS + 4, Math.floor(this.#clock.nowNs / 0x1_0000_0000), true);
    view.setUint32(ring + RING_TAIL, (tail + 1) >>> 0, true);
  }
}
