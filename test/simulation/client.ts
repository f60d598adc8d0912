// A client of one unit: sends random NBD requests, keeps a number of them under way, and tells the history what it saw.

import { stampBlocks, stampOf } from "./blocks.ts";
import { type History, type WriteHandle, ZERO } from "./history.ts";
import type { Random } from "./random.ts";
import { encodeRequest, NBD, REQUEST_BYTES, ReplyDecoder } from "./wire.ts";

/** What a client needs to know of the unit it works on. */
export interface ClientUnit {
  readonly number: number;
  /** What its clients count in, which may be less than a block of the device. */
  readonly blocks: number;
  readonly blockBytes: number;
  readonly history: History;
  /** Gives every write of the world a stamp of its own. */
  nextStamp(): number;
}

export interface ClientPlan {
  readonly requests: number;
  readonly depth: number;
  readonly structured: boolean;
  readonly blocksMax: number;
  /** Mean pause before a request, ns. */
  readonly pauseNs: number;
  readonly mix: { readonly read: number; readonly write: number; readonly flush: number; readonly zero: number };
}

/** How the world carries a client's bytes and counts what it saw. */
export interface ClientHost {
  nowNs(): number;
  after(delayNs: number, action: () => void): void;
  send(bytes: Uint8Array): void;
  violation(text: string): void;
  /** When the core had taken the last of these bytes, ns; 0: not yet. */
  takenNs(bytes: Uint8Array): number;
  /** @param heldNs time since the core had taken the request */
  answered(latencyNs: number, error: number, command: number, heldNs: number): void;
}

interface Open {
  readonly command: number;
  readonly block: number;
  readonly count: number;
  /** Header and payload, for sending it again. */
  readonly bytes: Uint8Array;
  sentNs: number;
  readonly write: WriteHandle | undefined;
  readonly data: Uint8Array | undefined;
  received: number;
}

/** Errors a client may get: NBD_EIO, NBD_EINVAL never for what it asks, NBD_ENOSPC neither. */
export class Client {
  readonly #open = new Map<number, Open>();
  #decoder: ReplyDecoder;
  readonly #unit: ClientUnit;
  readonly #plan: ClientPlan;
  readonly #random: Random;
  readonly #host: ClientHost;
  readonly #id: number;
  #sent = 0;
  #waiting = 0;
  #gone = false;

  constructor(id: number, unit: ClientUnit, plan: ClientPlan, random: Random, host: ClientHost) {
    this.#id = id;
    this.#unit = unit;
    this.#plan = plan;
    this.#random = random;
    this.#host = host;
    this.#decoder = this.#newDecoder();
  }

  #newDecoder(): ReplyDecoder {
    return new ReplyDecoder(
      {
        expected: (cookie) => this.#expected(cookie),
        data: (cookie, offset, bytes) => this.#data(cookie, offset, bytes),
        hole: (cookie, _offset, length) => this.#hole(cookie, length),
        answered: (cookie, error) => this.#answered(cookie, error),
        broken: (reason) => this.#host.violation(`client ${this.#id}: ${reason}`),
      },
      this.#id,
      this.#plan.structured,
    );
  }

  /** Requests sent and not answered. */
  get open(): number {
    return this.#open.size;
  }

  /** Nothing more will be sent and everything was answered. */
  get done(): boolean {
    return this.#gone || (this.#sent >= this.#plan.requests && this.#open.size === 0);
  }

  /** When the oldest request under way was sent; Infinity when none is. */
  get oldestNs(): number {
    let oldest = Infinity;
    for (const open of this.#open.values()) oldest = Math.min(oldest, open.sentNs);
    return oldest;
  }

  start(): void {
    while (
      !this.#gone &&
      this.#waiting + this.#open.size < this.#plan.depth &&
      this.#sent + this.#waiting < this.#plan.requests
    ) {
      this.#waiting++;
      this.#host.after(this.#random.exponential(this.#plan.pauseNs), () => {
        this.#waiting--;
        if (!this.#gone) this.#request();
      });
    }
  }

  /** The connection is gone: what was not answered stays open for ever in the history. */
  vanish(): void {
    this.#gone = true;
    this.#open.clear();
  }

  /** It has another connection: what was not answered is sent again, as the kernel's driver and QEMU do. */
  sendAgain(): void {
    this.#decoder = this.#newDecoder();
    for (const open of this.#open.values()) {
      open.sentNs = this.#host.nowNs();
      open.received = 0;
      this.#host.send(open.bytes);
    }
  }

  receive(bytes: Uint8Array): void {
    if (!this.#gone) this.#decoder.push(bytes);
  }

  #request(): void {
    const { read, write, flush, zero } = this.#plan.mix;
    const dice = this.#random.real() * (read + write + flush + zero);
    const command =
      dice < read
        ? NBD.read
        : dice < read + write
          ? NBD.write
          : dice < read + write + flush
            ? NBD.flush
            : NBD.writeZeroes;
    const count =
      command === NBD.flush ? 0 : this.#random.between(1, Math.min(this.#plan.blocksMax, this.#unit.blocks));
    const block = count === 0 ? 0 : this.#random.between(0, this.#unit.blocks - count);
    const blockBytes = this.#unit.blockBytes;
    const cookie = this.#sent++;
    const payload = command === NBD.write ? count * blockBytes : 0;
    // All of it is written below.
    const bytes = Buffer.allocUnsafeSlow(REQUEST_BYTES + payload);
    const now = this.#host.nowNs();
    const writes = command === NBD.write || command === NBD.writeZeroes;
    const fua = writes && this.#random.chance(0.2) ? NBD.flagFua : 0;
    let handle: WriteHandle | undefined;
    if (command === NBD.write) {
      const stamp = this.#unit.nextStamp();
      stampBlocks(bytes.subarray(REQUEST_BYTES), blockBytes, this.#unit.number, block, count, stamp);
      handle = this.#unit.history.writeStarted(block, count, stamp, now, fua !== 0);
    } else if (command === NBD.writeZeroes) {
      handle = this.#unit.history.writeStarted(block, count, ZERO, now, fua !== 0);
    }
    const noHole = command === NBD.writeZeroes && this.#random.chance(0.5) ? NBD.flagNoHole : 0;
    encodeRequest(
      new DataView(bytes.buffer),
      0,
      command,
      fua | noHole,
      this.#id,
      cookie,
      block * blockBytes,
      count * blockBytes,
    );
    const data = command === NBD.read ? new Uint8Array(count * blockBytes) : undefined;
    this.#open.set(cookie, { command, block, count, bytes, sentNs: now, write: handle, data, received: 0 });
    this.#host.send(bytes);
    this.start();
  }

  #expected(cookie: number): number | undefined {
    const open = this.#open.get(cookie);
    return open === undefined ? undefined : (open.data?.length ?? 0);
  }

  #data(cookie: number, offset: number | undefined, bytes: Uint8Array): void {
    const open = this.#open.get(cookie);
    if (open?.data === undefined) return this.#host.violation(`client ${this.#id}: data for cookie ${cookie}`);
    const at = offset === undefined ? 0 : offset - open.block * this.#unit.blockBytes;
    if (at < 0 || at + bytes.length > open.data.length) {
      return this.#host.violation(`client ${this.#id}: data outside of the request ${cookie}`);
    }
    open.data.set(bytes, at);
    open.received += bytes.length;
  }

  #hole(cookie: number, length: number): void {
    const open = this.#open.get(cookie);
    if (open !== undefined) open.received += length;
  }

  #answered(cookie: number, error: number): void {
    const open = this.#open.get(cookie);
    if (open === undefined) return this.#host.violation(`client ${this.#id}: cookie ${cookie} was answered twice`);
    this.#open.delete(cookie);
    const now = this.#host.nowNs();
    if (error === 0) {
      open.write?.acknowledged(now);
      if (open.command === NBD.flush) this.#unit.history.flushed(open.sentNs);
      if (open.data !== undefined) this.#checkRead(open, open.data, now);
    } else open.write?.failed(now);
    const takenNs = Math.max(open.sentNs, this.#host.takenNs(open.bytes));
    this.#host.answered(now - open.sentNs, error, open.command, now - takenNs);
    this.start();
  }

  #checkRead(open: Open, data: Uint8Array, now: number): void {
    if (open.received !== data.length) {
      return this.#host.violation(`client ${this.#id}: ${open.received} bytes of ${data.length} for a READ`);
    }
    for (let i = 0; i < open.count; i++) {
      const stamp = stampOf(data, this.#unit.blockBytes, this.#unit.number, open.block + i, i);
      if (typeof stamp === "string") this.#host.violation(`unit ${this.#unit.number}: torn: ${stamp}`);
      else {
        const violation = this.#unit.history.read(open.block + i, stamp, open.sentNs, now);
        if (violation !== undefined) {
          this.#host.violation(
            `unit ${this.#unit.number} block ${violation.block}: ${violation.rule}: ${violation.text}`,
          );
        }
      }
    }
  }
}
