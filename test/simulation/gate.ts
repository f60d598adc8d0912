// An embedder of the block door: turns its clients' requests into entries and completions into replies, and checks that the
// core follows the rules of docs/block-door.md for tags and buffers. Only the owner of a lent or own buffer may change it.

import * as abi from "../../host/abi.ts";
import type { VirtualClock } from "./clock.ts";
import { BLOCK_LIMITS } from "./core.ts";
import type { Daemon } from "./daemon.ts";
import type { Line } from "./lines.ts";
import type { Random } from "./random.ts";
import { NBD, REQUEST_BYTES } from "./wire.ts";

const ENOENT = 2;
const EBUSY = 16;
const ENODEV = 19;
const ECANCELED = 125;
/** An own buffer's place in the region. */
const SLOT_BYTES = 64 << 10;
/** The longest time that the gate takes to store or fetch data, ns. */
const COPY_NS = 60_000;
/** A generation that no client reaches. */
const NEVER_A_HANDLE = 1 << 30;
const FRESH = 0xa5;
const UNTOUCHED = Buffer.alloc(SLOT_BYTES, FRESH);

interface Asked {
  readonly line: GateLine;
  readonly bytes: Uint8Array;
  readonly command: number;
  readonly length: number;
  /** Place in the region; -1: the core lends a buffer. */
  readonly slot: number;
  state: "under way" | "fetching" | "lent" | "held" | "lent and held";
  /** Content of the lent buffer, which nobody may change. */
  data: Uint8Array;
}

/** A client of the block door. */
class GateLine implements Line {
  readonly #gate: Gate;
  readonly #readOnly: boolean;
  readonly deliver: (bytes: Uint8Array) => void;
  handle = -1;
  open = false;

  constructor(gate: Gate, readOnly: boolean, deliver: (bytes: Uint8Array) => void) {
    this.#gate = gate;
    this.#readOnly = readOnly;
    this.deliver = deliver;
  }

  join(unit: number): void {
    this.handle = this.#gate.daemon.connectBlock(unit, this.#readOnly ? abi.BLOCK_READ_ONLY : 0);
    this.open = true;
  }

  arrive(bytes: Uint8Array): void {
    if (this.open) this.#gate.ask(this, bytes);
  }

  hangUp(): void {
    this.close();
  }

  close(): void {
    if (!this.open) return;
    this.open = false;
    const answer = this.#gate.daemon.core.exports.blockClose(this.handle);
    if (answer !== 0) this.#gate.daemon.complain(`blockClose answers ${answer}`);
  }

  die(): void {
    this.open = false;
    this.#gate.die();
  }
}

export class Gate {
  readonly daemon: Daemon;
  readonly #clock: VirtualClock;
  readonly #random: Random;
  readonly #violation: (text: string) => void;
  readonly #mistakes: number;
  readonly #asked = new Map<number, Asked>();
  readonly #tags = Array.from({ length: BLOCK_LIMITS.tags }, (_, tag) => tag);
  readonly #slots = Array.from({ length: BLOCK_LIMITS.regionBytes / SLOT_BYTES }, (_, slot) => slot);
  readonly #waiting: { line: GateLine; bytes: Uint8Array }[] = [];
  readonly #takenNs = new WeakMap<Uint8Array, number>();
  /** Expected refusals of deliberate mistakes. */
  #refusals = 0;
  /** Mistakes that the core counts as failed requests. */
  counted = 0;
  #dead = false;

  /** @param mistakes probability that an entry is followed by an invalid one */
  constructor(
    daemon: Daemon,
    clock: VirtualClock,
    random: Random,
    mistakes: number,
    violation: (text: string) => void,
  ) {
    this.daemon = daemon;
    this.#clock = clock;
    this.#random = random;
    this.#mistakes = mistakes;
    this.#violation = violation;
    const region = daemon.core.exports.blockRegion();
    daemon.core.memory.fill(FRESH, region, region + BLOCK_LIMITS.regionBytes);
  }

  line(readOnly: boolean, deliver: (bytes: Uint8Array) => void): Line {
    return new GateLine(this, readOnly, deliver);
  }

  die(): void {
    this.#dead = true;
  }

  /** When the core got the request with these bytes, ns. */
  takenNs(bytes: Uint8Array): number {
    return this.#takenNs.get(bytes) ?? 0;
  }

  /** Tags that are in use although no requests are left. */
  unreturned(): string[] {
    return this.#asked.size === 0 ? [] : [`${this.#asked.size} tags are not free again`];
  }

  ask(line: GateLine, bytes: Uint8Array): void {
    this.#waiting.push({ line, bytes });
    this.#send();
  }

  #send(): void {
    while (this.#waiting.length > 0 && this.#tags.length > 0) {
      const next = this.#waiting.shift();
      const tag = this.#tags.shift();
      if (next === undefined || tag === undefined) return;
      this.#enter(tag, next.line, next.bytes);
    }
  }

  #enter(tag: number, line: GateLine, bytes: Uint8Array): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const command = Math.min(view.getUint16(6), 255);
    const flags = view.getUint16(4);
    const length = view.getUint32(24);
    const carries = command === NBD.read || command === NBD.write;
    const own = carries && length <= SLOT_BYTES && this.#random.chance(0.5);
    const slot = own ? (this.#slots.shift() ?? -1) : -1;
    const data = new Uint8Array(0);
    const asked: Asked = { line, bytes, command, length, slot, state: "under way", data };
    this.#asked.set(tag, asked);
    const buffer = slot < 0 ? 0 : this.#place(slot);
    if (slot >= 0) this.#untouched(asked);
    if (slot >= 0 && command === NBD.write)
      this.#memory.set(bytes.subarray(REQUEST_BYTES, REQUEST_BYTES + length), buffer);
    const flush = command === NBD.flush;
    this.#takenNs.set(bytes, this.#clock.nowNs);
    this.#entry({
      operation: command,
      // A flag beyond 8 bits is as unknown as any other.
      flags: flags > 255 ? 128 : flags,
      tag,
      client: line.handle,
      buffer,
      offset: flush ? 0n : view.getBigUint64(16),
      length: flush ? 0n : BigInt(length),
    });
    if (this.#mistakes > 0 && this.#random.chance(this.#mistakes)) this.#mistake(tag, asked);
  }

  /** An entry that has to be refused without effect. */
  #mistake(tag: number, { line, command, slot }: Asked): void {
    // Whatever happens to the entry before it, this one is invalid: its length is 0.
    const good = { operation: NBD.write, flags: 0, tag, client: line.handle, buffer: 0, offset: 0n, length: 0n };
    const free = this.#tags[0];
    // A WRITE that was just lent a buffer might use the data of either.
    const waits = command === NBD.write && slot < 0;
    this.#refusals++;
    this.#entry(
      this.#random.pick([
        good,
        { ...good, operation: waits ? NBD.read : abi.BLOCK_FETCHED },
        { ...good, operation: waits ? NBD.read : abi.BLOCK_RELEASE },
        { ...good, tag: BLOCK_LIMITS.tags },
        { ...good, tag: free ?? tag, client: line.handle | NEVER_A_HANDLE },
        { ...good, tag: free ?? tag, operation: abi.BLOCK_RELEASE },
      ]),
    );
  }

  get #memory(): Uint8Array {
    return this.daemon.core.memory;
  }

  #place(slot: number): number {
    return this.daemon.core.exports.blockRegion() + slot * SLOT_BYTES;
  }

  /** Checks that the content of an own buffer is unchanged while nobody uses it. */
  #untouched({ slot }: Asked): void {
    const at = this.#place(slot);
    if (!UNTOUCHED.equals(this.#memory.subarray(at, at + SLOT_BYTES)))
      this.#violation("a buffer was written after it had come back");
  }

  #entry(e: {
    operation: number;
    flags: number;
    tag: number;
    client: number;
    buffer: number;
    offset: bigint;
    length: bigint;
  }): void {
    const { view, control } = this.daemon.core;
    const ring = control + abi.CONTROL_BLOCK_ENTRIES;
    const capacity = view.getUint32(ring + abi.RING_CAPACITY, true);
    const tail = view.getUint32(ring + abi.RING_TAIL, true);
    if ((tail - view.getUint32(ring + abi.RING_HEAD, true)) >>> 0 >= capacity)
      return this.#violation("the block door's ring of entries is full");
    const at = view.getUint32(ring + abi.RING_BASE, true) + ((tail & (capacity - 1)) >>> 0) * abi.BLOCK_ENTRY_BYTES;
    view.setUint8(at + abi.BLOCK_ENTRY_OPERATION, e.operation);
    view.setUint8(at + abi.BLOCK_ENTRY_FLAGS, e.flags);
    view.setUint32(at + abi.BLOCK_ENTRY_TAG, e.tag, true);
    view.setUint32(at + abi.BLOCK_ENTRY_CLIENT, e.client, true);
    view.setUint32(at + abi.BLOCK_ENTRY_BUFFER, e.buffer, true);
    view.setBigUint64(at + abi.BLOCK_ENTRY_OFFSET, e.offset, true);
    view.setBigUint64(at + abi.BLOCK_ENTRY_LENGTH, e.length, true);
    view.setUint32(ring + abi.RING_TAIL, (tail + 1) >>> 0, true);
  }

  #give(operation: number, tag: number, line: GateLine): void {
    this.#entry({ operation, flags: 0, tag, client: line.handle, buffer: 0, offset: 0n, length: 0n });
  }

  /** Takes the core's completions; returns whether there were any. */
  turn(): boolean {
    const { view, control } = this.daemon.core;
    const ring = control + abi.CONTROL_BLOCK_COMPLETIONS;
    const base = view.getUint32(ring + abi.RING_BASE, true);
    const mask = view.getUint32(ring + abi.RING_CAPACITY, true) - 1;
    let head = view.getUint32(ring + abi.RING_HEAD, true);
    const tail = view.getUint32(ring + abi.RING_TAIL, true);
    const any = head !== tail;
    for (; head !== tail; head = (head + 1) >>> 0)
      this.#told(base + ((head & mask) >>> 0) * abi.BLOCK_COMPLETION_BYTES);
    view.setUint32(ring + abi.RING_HEAD, head, true);
    if (any) this.#send();
    return any;
  }

  #told(at: number): void {
    const { view } = this.daemon.core;
    const tag = view.getUint32(at + abi.BLOCK_COMPLETION_TAG, true);
    const kind = view.getUint8(at + abi.BLOCK_COMPLETION_KIND);
    const error = view.getUint32(at + abi.BLOCK_COMPLETION_ERROR, true);
    const asked = this.#asked.get(tag);
    const client = view.getUint32(at + abi.BLOCK_COMPLETION_CLIENT, true);
    if (kind === abi.BLOCK_REFUSED && this.#refusals > 0 && this.#isMistake(asked, error, client)) {
      this.#refusals--;
      if ((client & NEVER_A_HANDLE) !== 0 && error !== ENODEV) this.#violation("an entry of nobody's was taken");
      // What is wrong with a client's request is counted like any other error: its length, or that the client may not write.
      if ((error === NBD.einval || error === NBD.eperm) && tag < BLOCK_LIMITS.tags) this.counted++;
      return;
    }
    if (asked === undefined) return this.#violation(`completion ${kind} of tag ${tag}, which is not in use`);
    const flags = view.getUint8(at + abi.BLOCK_COMPLETION_FLAGS);
    const address = view.getUint32(at + abi.BLOCK_COMPLETION_ADDRESS, true);
    if (client !== asked.line.handle) this.#violation(`a completion of tag ${tag} names another client`);
    if (kind === abi.BLOCK_RETURNED) return this.#returned(tag, asked);
    if (asked.state !== "under way") return this.#violation(`tag ${tag} is answered while ${asked.state}`);
    if (kind === abi.BLOCK_FETCH) this.#fetch(tag, asked, address);
    else this.#answer(tag, asked, error, kind === abi.BLOCK_REFUSED ? 0 : flags, address);
  }

  /**
   * Whether a refusal is that of a mistake, because the entry with this tag was valid when it was taken, or there was none.
   */
  #isMistake(asked: Asked | undefined, error: number, client: number): boolean {
    if (asked === undefined || error === EBUSY || error === ENOENT) return true;
    return error === ENODEV && client !== asked.line.handle;
  }

  #fetch(tag: number, asked: Asked, address: number): void {
    if (asked.command !== NBD.write || asked.slot >= 0) this.#violation(`tag ${tag} has no data to fetch`);
    asked.state = "fetching";
    const { length } = asked;
    // The buffer belongs to the gate from now on: any write to it is detected.
    this.#memory.fill(FRESH, address, address + length);
    this.#later(() => {
      if (this.#memory.subarray(address, address + length).some((byte) => byte !== FRESH))
        this.#violation(`tag ${tag}: the buffer it was lent for a write was written`);
      this.#memory.set(asked.bytes.subarray(REQUEST_BYTES, REQUEST_BYTES + length), address);
      this.#takenNs.set(asked.bytes, this.#clock.nowNs);
      asked.state = "under way";
      this.#give(this.#random.chance(0.5) || asked.line.open ? abi.BLOCK_FETCHED : abi.BLOCK_RELEASE, tag, asked.line);
    });
  }

  #later(action: () => void): void {
    this.#clock.after(this.#random.between(0, COPY_NS), () => {
      if (!this.#dead) action();
    });
  }

  #answer(tag: number, asked: Asked, error: number, flags: number, address: number): void {
    const { line, command, length } = asked;
    const lent = (flags & abi.BLOCK_LENT) !== 0;
    const held = (flags & abi.BLOCK_HELD) !== 0;
    // Answers given before it was closed were received before.
    if (error !== ECANCELED && error !== ENODEV && !line.open) this.#violation(`tag ${tag} is answered to nobody`);
    if (error === ECANCELED && line.open) this.#violation(`tag ${tag} is cancelled, its client is not closed`);
    if (lent && (command !== NBD.read || error !== 0)) this.#violation(`tag ${tag} is lent something for nothing`);
    if (held && asked.slot < 0) this.#violation(`tag ${tag} has no buffer to be held`);
    if (!lent) {
      const data = error === 0 && command === NBD.read ? this.#own(tag, asked, address) : new Uint8Array(0);
      this.#reply(line, asked.bytes, error, data);
      if (held) asked.state = "held";
      else this.#over(tag, asked);
      return;
    }
    asked.state = held ? "lent and held" : "lent";
    asked.data = this.#lent(tag, length);
    const first = Number(BigInt.asUintN(64, this.daemon.core.exports.blockData(tag, 0)) & 0xffff_ffffn);
    if (first !== address) this.#violation(`tag ${tag}: its data is not where it was told to be`);
    this.#later(() => {
      const now = this.#lent(tag, length);
      if (!Buffer.from(now).equals(asked.data)) this.#violation(`tag ${tag}: what it was lent has changed`);
      this.#give(abi.BLOCK_RELEASE, tag, line);
      this.#reply(line, asked.bytes, 0, now);
      if (asked.state === "lent and held") asked.state = "held";
      else this.#over(tag, asked);
    });
  }

  /** Copies the data of a READ from the request's own buffer. */
  #own(tag: number, { slot, length }: Asked, address: number): Uint8Array {
    if (slot < 0 || address !== this.#place(slot)) this.#violation(`tag ${tag}: its data is not in its buffer`);
    return Uint8Array.from(this.#memory.subarray(address, address + length));
  }

  /** Lent data, wherever it is. */
  #lent(tag: number, length: number): Uint8Array {
    const data = new Uint8Array(length);
    for (let at = 0; at < length;) {
      const found = BigInt.asUintN(64, this.daemon.core.exports.blockData(tag, at));
      const bytes = Number(found >> 32n);
      const from = Number(found & 0xffff_ffffn);
      if (bytes === 0 || at + bytes > length) {
        this.#violation(`tag ${tag}: byte ${at} of what it was lent is nowhere`);
        return data;
      }
      data.set(this.#memory.subarray(from, from + bytes), at);
      at += bytes;
    }
    return data;
  }

  #returned(tag: number, asked: Asked): void {
    if (asked.state !== "held") return this.#violation(`tag ${tag}: a buffer is returned that was not held`);
    this.#over(tag, asked);
  }

  /** The tag and its own buffer are free. */
  #over(tag: number, { slot }: Asked): void {
    this.#asked.delete(tag);
    this.#tags.push(tag);
    if (slot < 0) return;
    const at = this.#place(slot);
    this.#memory.fill(FRESH, at, at + SLOT_BYTES);
    this.#slots.push(slot);
  }

  #reply(line: GateLine, request: Uint8Array, error: number, data: Uint8Array): void {
    if (!line.open) return;
    const bytes = Buffer.alloc(16 + data.length);
    bytes.writeUInt32BE(NBD.simpleReplyMagic, 0);
    bytes.writeUInt32BE(error, 4);
    bytes.set(request.subarray(8, 16), 8);
    bytes.set(data, 16);
    line.deliver(bytes);
  }
}
