// A client of one unit: sends random NBD requests, keeps several of them in progress, and records what it saw in the
// history.

import { fillContent, Sight, ZERO, type Layout } from "./blocks.ts";
import { expected, GOOD, refusals, type Agreement, type Offer, type Trouble } from "./expected.ts";
import type { Cells, History, WriteHandle } from "./history.ts";
import type { Random } from "./random.ts";
import type { Sizes } from "./sizes.ts";
import { draft, headerFor, type Draft, type Ground, type Mix } from "./requests.ts";
import { EXTENDED_REQUEST_BYTES, encodeRequest, type Extent, NBD, REQUEST_BYTES, ReplyDecoder } from "./wire.ts";
import { foundIn, type Witness } from "./witness.ts";

/** What a client needs to know about its unit. */
export interface ClientUnit {
  readonly number: number;
  readonly layout: Layout;
  readonly offer: Offer;
  readonly sizes: Sizes;
  /** Cells that clients use. */
  readonly windows: readonly Cells[];
  readonly history: History;
  readonly witness: Witness;
  /** Known problems of the device. */
  readonly troubles: readonly Trouble[];
  /** Gives every write of the world a unique stamp. */
  nextStamp(): number;
}

export interface ClientPlan {
  readonly requests: number;
  readonly depth: number;
  readonly agreed: Agreement;
  /** Largest request in blocks; `logarithmic`: small ones are as likely as large ones. */
  readonly blocksMax: number;
  readonly logarithmic: boolean;
  /** Mean pause before a request, ns. */
  readonly pauseNs: number;
  readonly mix: Mix;
  /** Reads these cells, one range after the other, and nothing else. */
  readonly sweep?: readonly Cells[];
}

/** Carries a client's bytes and counts what it saw. */
export interface ClientHost {
  nowNs(): number;
  after(delayNs: number, action: () => void): void;
  send(bytes: Uint8Array): void;
  /** A flush is about to be sent. */
  flushes(): void;
  violation(text: string): void;
  /** When the core had taken the last of these bytes, ns; 0: not yet. */
  takenNs(bytes: Uint8Array): number;
  answered(answer: Answer): void;
}

/** The answer to a request. */
export interface Answer {
  readonly latencyNs: number;
  /** Time since the core had taken the request, ns. */
  readonly heldNs: number;
  readonly command: number;
  /** The data had to be on the medium (FUA). */
  readonly forced: boolean;
  readonly error: number;
  /** Whether the request and the device explain the error, or the lack of one. */
  readonly accounted: boolean;
}

interface Open {
  readonly draft: Draft;
  /** Header and payload, for sending the request again. */
  readonly bytes: Uint8Array;
  readonly firstSentNs: number;
  sentNs: number;
  readonly write: WriteHandle | undefined;
  readonly data: Uint8Array | undefined;
  received: number;
  extents: readonly Extent[];
}

export class Client {
  readonly #open = new Map<number, Open>();
  #decoder: ReplyDecoder;
  readonly #unit: ClientUnit;
  readonly #plan: ClientPlan;
  readonly #ground: Ground;
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
    const { layout, offer, windows } = unit;
    const cellsMax = plan.blocksMax * layout.cellsPerBlock;
    this.#ground = { layout, offer, windows, cellsMax, logarithmic: plan.logarithmic };
    this.#random = random;
    this.#host = host;
    this.#decoder = this.#newDecoder();
  }

  #newDecoder(): ReplyDecoder {
    return new ReplyDecoder(
      {
        expected: (cookie) => this.#expected(cookie),
        data: (cookie, offset, bytes) => this.#data(cookie, offset, bytes),
        hole: (cookie, offset, length) => this.#hole(cookie, offset, length),
        extents: (cookie, extents) => this.#extents(cookie, extents),
        answered: (cookie, error) => this.#answered(cookie, error),
        broken: (reason) => this.#complain(reason),
      },
      this.#id,
      this.#plan.agreed.replies,
    );
  }

  #complain(text: string): void {
    this.#host.violation(`client ${this.#id} of unit ${this.#unit.number}: ${text}`);
  }

  /** Number of requests sent but not answered. */
  get open(): number {
    return this.#open.size;
  }

  /** Nothing more will be sent, and everything was answered. */
  get done(): boolean {
    return this.#gone || (this.#sent >= this.#plan.requests && this.#open.size === 0);
  }

  /** When the oldest unanswered request was sent; Infinity when there is none. */
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

  /** The connection is gone: unanswered requests stay open forever in the history. */
  vanish(): void {
    this.#gone = true;
    this.#open.clear();
  }

  /** The client has a new connection: unanswered requests are sent again, as the kernel's driver and QEMU do. */
  sendAgain(): void {
    this.#decoder = this.#newDecoder();
    for (const open of this.#open.values()) {
      open.sentNs = this.#host.nowNs();
      open.received = 0;
      open.extents = [];
      this.#host.send(open.bytes);
    }
  }

  receive(bytes: Uint8Array): void {
    if (!this.#gone) this.#decoder.push(bytes);
  }

  #draft(): Draft {
    const cells = this.#plan.sweep?.[this.#sent];
    if (cells === undefined) return draft(this.#plan.mix, this.#ground, this.#plan.agreed, this.#random);
    return { ...cells, header: headerFor(NBD.read, 0, cells, this.#unit.layout) };
  }

  #request(): void {
    const drafted = this.#draft();
    const { header } = drafted;
    const cookie = this.#sent++;
    const now = this.#host.nowNs();
    const extended = this.#plan.agreed.replies === "extended";
    const headBytes = extended ? EXTENDED_REQUEST_BYTES : REQUEST_BYTES;
    // All of it is written below, except for a payload that nobody may accept.
    const bytes = Buffer.allocUnsafeSlow(headBytes + (header.command === NBD.write ? header.bytes : 0));
    encodeRequest(new DataView(bytes.buffer), header, this.#id, cookie, extended);
    const wrong = refusals(header, this.#plan.agreed, this.#unit.offer);
    // That zeroing is not fast may turn out only when some zeroes are written.
    wrong.delete(NBD.enotsup);
    const inOrder = wrong.size === 0;
    this.#open.set(cookie, {
      draft: drafted,
      bytes,
      firstSentNs: now,
      sentNs: now,
      write: inOrder ? this.#write(drafted, bytes.subarray(headBytes), now) : undefined,
      data: header.command === NBD.read && inOrder ? new Uint8Array(header.bytes) : undefined,
      received: 0,
      extents: [],
    });
    if (header.command === NBD.flush) this.#host.flushes();
    this.#host.send(bytes);
    this.start();
  }

  /** Registers a request that changes the medium in the history, and fills its payload. */
  #write({ header, first, count }: Draft, payload: Uint8Array, now: number): WriteHandle | undefined {
    const { history, windows } = this.#unit;
    const fua = (header.flags & NBD.flagFua) !== 0;
    if (header.command === NBD.write) {
      const stamp = this.#unit.nextStamp();
      fillContent(payload, this.#unit.number, Number(header.offset), stamp);
      return history.writeStarted(first, count, stamp, now, fua);
    }
    if (header.command !== NBD.writeZeroes && header.command !== NBD.trim) return undefined;
    return history.writeStarted(first, count, ZERO, now, fua, windows);
  }

  #expected(cookie: number): { command: number; bytes: number } | undefined {
    const open = this.#open.get(cookie);
    return open && { command: open.draft.header.command, bytes: open.data?.length ?? 0 };
  }

  #data(cookie: number, offset: number | undefined, bytes: Uint8Array): void {
    const open = this.#open.get(cookie);
    if (open?.data === undefined) return this.#complain(`data for cookie ${cookie}`);
    const at = offset === undefined ? 0 : offset - Number(open.draft.header.offset);
    if (at < 0 || at + bytes.length > open.data.length) return this.#complain(`data outside of the request ${cookie}`);
    open.data.set(bytes, at);
    open.received += bytes.length;
  }

  #hole(cookie: number, offset: number, length: number): void {
    const open = this.#open.get(cookie);
    const at = offset - Number(open?.draft.header.offset ?? 0);
    if (open?.data === undefined || at < 0 || at + length > open.data.length) {
      return this.#complain(`a hole outside of the request ${cookie}`);
    }
    open.received += length;
  }

  #extents(cookie: number, extents: readonly Extent[]): void {
    const open = this.#open.get(cookie);
    if (open?.draft.header.command !== NBD.blockStatus) return this.#complain(`extents for cookie ${cookie}`);
    if (open.extents.length > 0) this.#complain(`the status of cookie ${cookie} was told twice`);
    open.extents = extents;
  }

  #answered(cookie: number, error: number): void {
    const open = this.#open.get(cookie);
    if (open === undefined) return this.#complain(`cookie ${cookie} was answered twice`);
    this.#open.delete(cookie);
    const now = this.#host.nowNs();
    if (error === 0) this.#good(open, now);
    else open.write?.failed(now);
    const takenNs = Math.max(open.sentNs, this.#host.takenNs(open.bytes));
    this.#host.answered({
      latencyNs: now - open.sentNs,
      heldNs: now - takenNs,
      command: open.draft.header.command,
      forced: (open.draft.header.flags & NBD.flagFua) !== 0,
      error,
      accounted: this.#accounted(open, error, now),
    });
    this.start();
  }

  /**
   * Whether the request's mistakes or the device explain an answer. Reports a violation if a request was accepted that has
   * to be refused.
   */
  #accounted({ draft: { header }, firstSentNs }: Open, error: number, now: number): boolean {
    const { offer, number, troubles, sizes } = this.#unit;
    const ends = sizes.during(firstSentNs, now);
    const allowed = expected(header, this.#plan.agreed, offer, number, troubles, firstSentNs, now, ends);
    if (allowed.has(error)) return true;
    if (error === GOOD || refusals(header, this.#plan.agreed, { ...offer, bytes: ends.most }).size > 0) {
      const { command, flags, offset, bytes } = header;
      const what = `command ${command}, flags ${flags}, ${bytes} bytes from ${offset}`;
      this.#complain(`${what}: answered with error ${error} instead of ${[...allowed].join(" or ")}`);
      return true;
    }
    return false;
  }

  /** Checks what a successful answer promises. */
  #good(open: Open, now: number): void {
    const { history, witness } = this.#unit;
    const { command } = open.draft.header;
    if (open.write !== undefined) {
      // A trim is a hint: its blocks are unchanged, or zeroes.
      if (command === NBD.trim) open.write.failed(now);
      else {
        const durable = open.write.acknowledged(now);
        witness.acknowledged(open.draft, now);
        if (durable) witness.durable(open.draft);
      }
    }
    if (command === NBD.flush) for (const cells of history.flushed(open.sentNs)) witness.durable(cells);
    if (open.data !== undefined) this.#checkRead(open, open.data, now);
    if (command === NBD.blockStatus) this.#checkStatus(open, now);
  }

  #checkRead(open: Open, data: Uint8Array, now: number): void {
    if (open.received !== data.length) return this.#complain(`${open.received} bytes of ${data.length} for a READ`);
    const { layout, history, number } = this.#unit;
    const { first, count, header } = open.draft;
    const sight = new Sight(data, number, Number(header.offset));
    for (let cell = first; cell < first + count; cell++) {
      const violation = history.read(cell, foundIn(sight, layout, cell), open.sentNs, now);
      if (violation === undefined) continue;
      const there = sight.describe(layout.offsetOf(cell), layout.bytesOf(cell));
      return this.#complain(`cell ${cell}: ${violation.rule}: ${violation.text}; ${there}`);
    }
  }

  /** Extents follow each other from the start of the request; those reported as zeroes have to read as zeroes. */
  #checkStatus(open: Open, now: number): void {
    const { layout, history } = this.#unit;
    const { first, count, header } = open.draft;
    if (open.extents.length === 0) this.#complain("a status without extents");
    if ((header.flags & NBD.flagReqOne) !== 0 && open.extents.length > 1) this.#complain("more than one extent");
    let at = Number(header.offset);
    let cell = first;
    for (const { bytes, state } of open.extents) {
      if (bytes === 0 || state > 3) this.#complain(`an extent of ${bytes} bytes with state ${state}`);
      at += bytes;
      for (; cell < first + count && layout.offsetOf(cell + 1) <= at; cell++) {
        if ((state & 2) === 0) continue;
        const found = { stamp: ZERO, certain: false, holds: (stamp: number) => stamp === ZERO };
        const violation = history.read(cell, found, open.sentNs, now);
        if (violation !== undefined) return this.#complain(`cell ${cell}: told to be zeroes: ${violation.text}`);
      }
    }
    if (at > Number(header.offset) + header.bytes) this.#complain("extents beyond what was asked");
  }
}
