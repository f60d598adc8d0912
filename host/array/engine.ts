// The array's work on the rings: it takes SCSI ops and resets, carries them out when they are due, and posts completions.
//
// Nothing here allocates per command unless a fault asks for a copy: numbers live in typed arrays, one `Command` serves
// all. A port without service time and without faults is carried out at once; everything else waits in `Pending`.

import {
  COMMAND_BUFFER,
  COMMAND_PRIVATE,
  COMMAND_TIMEOUT_MS,
  DIRECTION_IN,
  OP_RESET,
  OP_SCSI,
  RESET_DEVICE,
  RESET_TARGET,
  SUBMISSION_ADDRESS,
  SUBMISSION_BYTES,
  SUBMISSION_HANDLE,
  SUBMISSION_LENGTH,
  SUBMISSION_OP,
  SUBMISSION_TAG,
} from "../abi.ts";
import { carryOut } from "./commands/carry-out.ts";
import { Command } from "./commands/command.ts";
import { execute } from "./commands/execute.ts";
import { InFlight } from "./in-flight.ts";
import {
  Pending,
  PENDING_ANSWERED,
  PENDING_EFFECT_DONE,
  PENDING_LANDS_AFTER,
  PENDING_QUEUED,
  PENDING_RESET,
  PENDING_USED,
} from "./pending.ts";
import { Plan } from "./plan.ts";
import { Rings } from "./rings.ts";
import { ASC_RESET, HOST_RESET, HOST_TIME_OUT } from "./scsi.ts";
import { TIME_ANSWER, TIME_EFFECT, TIME_NOW, TIMES } from "./times.ts";
import type { Port } from "./array-unit.ts";

const EFAULT = 14;
const ENODEV = 19;
const EINVAL = 22;
const NS_PER_MS = 1_000_000;
/** Least number of commands that can wait; a larger completion ring makes room for more. */
const PENDING_MIN = 1024;
const COPY_BUFFER = 4096;
/**
 * Once a turn has transferred or zeroed this much it takes and finishes no more commands: answers then go out while the client still reads
 * earlier ones, and while the data is still in the processor's caches.
 */
const TURN_BYTES_MAX = 256 * 1024;

export class Engine {
  readonly #ports: readonly Port[];
  readonly #unitReset: (port: Port, engine: Engine) => void;
  readonly #command: Command;
  readonly #rings: Rings;
  readonly #pending: Pending;
  readonly #plan: Plan;
  /** TIME_*. */
  readonly #times = new Float64Array(TIMES);
  readonly inFlight: InFlight;
  #posted = 0;
  /** Bytes this turn has transferred or zeroed. */
  #workedBytes = 0;

  /** @param unitReset called when this host has reset a logical unit through a port */
  constructor(
    memory: Uint8Array,
    controlBlock: number,
    ports: readonly Port[],
    unitReset: (port: Port, engine: Engine) => void,
  ) {
    this.#ports = ports;
    this.#unitReset = unitReset;
    this.#command = new Command(memory);
    this.#rings = new Rings(this.#command.words, controlBlock);
    this.#pending = new Pending(Math.max(PENDING_MIN, this.#rings.completions));
    this.#plan = new Plan(this.#times);
    this.inFlight = new InFlight(ports, this.#command, this.#pending, () => this.readClock());
  }

  /** Commands accepted but not finished. */
  get pendingCount(): number {
    return this.#pending.count;
  }

  /** When the first waiting command is due, ns; Infinity if none ever is. */
  get dueNs(): number {
    return this.#pending.firstDueNs();
  }

  /** The time in the control block, ns. */
  readClock(): number {
    this.#rings.readClock(this.#times);
    return this.#times[TIME_NOW] as number;
  }

  /** The delay until the alarm (`[0]`, ns) or until the first command is due: whole microseconds, rounded up; -1: never. */
  waitMicroseconds(alarm: Float64Array): number {
    if (this.backlog) return 0;
    if (this.#pending.count === 0 && alarm[0] === Infinity) return -1;
    this.#rings.readClock(this.#times);
    return this.#pending.waitMicroseconds(this.#times, alarm);
  }

  /** True if submissions are waiting: the completion ring is full, or the last turn had transferred enough. */
  get backlog(): boolean {
    return this.#rings.waiting;
  }

  /** Takes every submission and finishes what is due. Returns the number of completions posted. */
  turn(): number {
    this.#posted = 0;
    this.#rings.readClock(this.#times);
    this.#takeSubmissions();
    this.#workedBytes = 0;
    while (this.#pending.isDue(this.#times) && this.#workedBytes < TURN_BYTES_MAX && this.#rings.room) {
      const row = this.#pending.first();
      this.#pending.unscheduleFirst();
      this.#step(row);
    }
    return this.#posted;
  }

  #takeSubmissions(): void {
    const rings = this.#rings;
    const { words, entries, mask, tail } = rings;
    let { head } = rings;
    this.#workedBytes = 0;
    while (head !== tail && this.#workedBytes < TURN_BYTES_MAX && rings.room) {
      const at = entries + (head & mask) * (SUBMISSION_BYTES >>> 2);
      const op = (words[at + (SUBMISSION_OP >>> 2)] ?? 0) & 0xff;
      const tag = words[at + (SUBMISSION_TAG >>> 2)] ?? 0;
      const handle = words[at + (SUBMISSION_HANDLE >>> 2)] ?? 0;
      const port = this.#ports[handle];
      if (port === undefined) this.#post(tag, -ENODEV);
      else if (op === OP_SCSI) this.#accept(tag, port, words[at + (SUBMISSION_ADDRESS >>> 2)] ?? 0);
      else if (op === OP_RESET) this.#acceptReset(tag, port, words[at + (SUBMISSION_LENGTH >>> 2)] ?? 0);
      else this.#post(tag, -EINVAL);
      head = (head + 1) | 0;
    }
    rings.head = head;
  }

  #post(tag: number, result: number): void {
    this.#rings.post(tag, result);
    this.#posted++;
  }

  #accept(tag: number, port: Port, slot: number): void {
    const command = this.#command;
    if ((slot & 3) !== 0 || slot >>> 0 > command.bytes.length - COMMAND_PRIVATE) return this.#post(tag, -EFAULT);
    if (!command.open(slot >>> 0)) return this.#post(tag, -EFAULT);
    if (port.faults === null && port.server.instant) {
      this.#carryOut(port);
      return this.#post(tag, 0);
    }
    this.#acceptLater(tag, port, slot);
  }

  /** The opened command takes effect. */
  #carryOut(port: Port): void {
    const command = this.#command;
    carryOut(command, port, this.#ports);
    this.#workedBytes += command.bufferBytes + command.zeroedBytes;
  }

  /** A command that takes time or meets a fault. */
  #acceptLater(tag: number, port: Port, slot: number): void {
    const command = this.#command;
    const plan = this.#plan;
    const times = this.#times;
    if (!plan.make(command, port)) return this.#post(tag, 0);
    const now = times[TIME_NOW] as number;
    const answer = times[TIME_ANSWER] as number;
    if ((times[TIME_EFFECT] as number) <= now && answer <= now) {
      this.#carryOut(port);
      return this.#post(tag, 0);
    }
    const row = this.#pending.take(port.handle, tag, slot);
    if (row < 0) {
      command.refuse();
      return this.#post(tag, 0);
    }
    port.inFlight++;
    const pending = this.#pending;
    pending.flags[row] = PENDING_USED | plan.flags;
    pending.effectNs[row] = times[TIME_EFFECT] as number;
    pending.answerNs[row] = answer;
    const timeout = (this.#rings.words[((slot >>> 0) + COMMAND_TIMEOUT_MS) >>> 2] ?? 0) >>> 0;
    if (plan.givesUp && timeout !== 0) pending.giveUpNs[row] = now + timeout * NS_PER_MS;
    pending.schedule(row);
  }

  /** One step of a row that is due and was taken out of the order: its effect, its answer, or the host's giving up. */
  #step(row: number): void {
    const pending = this.#pending;
    const flags = pending.flags[row] ?? 0;
    const now = this.#times[TIME_NOW] as number;
    if ((flags & PENDING_RESET) !== 0) return this.#finishReset(row);
    if ((flags & PENDING_ANSWERED) !== 0) {
      this.#land(row);
      return pending.free(row);
    }
    const effect = pending.effectNs[row] as number;
    const answer = pending.answerNs[row] as number;
    const giveUp = pending.giveUpNs[row] as number;
    if ((flags & PENDING_EFFECT_DONE) === 0 && effect <= giveUp && effect <= now) {
      this.#command.open((pending.slot[row] ?? 0) >>> 0);
      this.#carryOut(this.inFlight.portOf(row));
      pending.flags[row] = flags | PENDING_EFFECT_DONE;
      if (answer > now) return pending.schedule(row);
    }
    if (answer > now || giveUp < answer) return this.#giveUp(row);
    this.#answered(row);
    pending.free(row);
  }

  #answered(row: number): void {
    this.inFlight.portOf(row).inFlight--;
    this.#post(this.#pending.tag[row] ?? 0, 0);
  }

  #giveUp(row: number): void {
    const pending = this.#pending;
    const flags = pending.flags[row] ?? 0;
    const lands = (flags & PENDING_LANDS_AFTER) !== 0 && (flags & PENDING_EFFECT_DONE) === 0;
    this.#command.open((pending.slot[row] ?? 0) >>> 0);
    if (lands) pending.copies[row] = this.#copy();
    this.#command.lose(HOST_TIME_OUT);
    this.#answered(row);
    if (!lands) return pending.free(row);
    pending.flags[row] = flags | PENDING_ANSWERED;
    pending.schedule(row);
  }

  /** A copy of the opened command's slot and data; the core may reuse both as soon as the command is answered. */
  #copy(): Uint8Array {
    const { bytes, slot, buffer, bufferBytes } = this.#command;
    const copy = new Uint8Array(COPY_BUFFER + bufferBytes);
    copy.set(bytes.subarray(slot, slot + COMMAND_PRIVATE));
    copy.set(bytes.subarray(buffer, buffer + bufferBytes), COPY_BUFFER);
    new DataView(copy.buffer).setUint32(COMMAND_BUFFER, COPY_BUFFER, true);
    return copy;
  }

  /** The effect of a command that the host gave up on long ago. */
  #land(row: number): void {
    const copy = this.#pending.copies[row];
    if (copy === null || copy === undefined) return;
    const late = new Command(copy);
    if (late.open(0) && late.direction !== DIRECTION_IN) execute(late, this.inFlight.portOf(row), this.#ports);
  }

  // ---- Resets ----

  #acceptReset(tag: number, port: Port, scope: number): void {
    const row = this.#pending.take(port.handle, tag, scope);
    if (row < 0) return this.#post(tag, -EINVAL);
    this.#pending.flags[row] = PENDING_USED | PENDING_RESET;
    this.#pending.answerNs[row] = (this.#times[TIME_NOW] as number) + this.#plan.resetNs(port);
    this.#pending.schedule(row);
  }

  #finishReset(row: number): void {
    const pending = this.#pending;
    const port = this.inFlight.portOf(row);
    const scope = pending.slot[row] ?? 0;
    for (let other = 0; other < pending.capacity; other++) {
      const flags = pending.flags[other] ?? 0;
      // Commands that the host has not delivered yet survive.
      if (flags === 0 || (flags & (PENDING_RESET | PENDING_QUEUED)) !== 0) continue;
      if (!inScope(scope, port, this.inFlight.portOf(other))) continue;
      this.inFlight.end(other, HOST_RESET, this.#times[TIME_NOW] as number);
    }
    for (const other of this.#ports) if (inScope(scope, port, other)) other.attend(ASC_RESET);
    pending.rebuild();
    this.#post(pending.tag[row] ?? 0, 0);
    pending.free(row);
    if (scope === RESET_DEVICE) this.#unitReset(port, this);
  }

  // ---- Commands whose host is gone ----

  /** The host dies without ending its commands: those not taken yet are lost, the rest goes on without an answer. */
  orphan(): void {
    this.#rings.forgetSubmissions();
    const pending = this.#pending;
    for (let row = 0; row < pending.capacity; row++) {
      const flags = pending.flags[row] ?? 0;
      if (flags === 0) continue;
      // Commands that the kernel has already ended, and resets, belong to nobody any more.
      if ((flags & (PENDING_ANSWERED | PENDING_RESET)) !== 0) pending.free(row);
      else pending.flags[row] = flags & ~PENDING_LANDS_AFTER;
    }
    pending.rebuild();
  }

  /** A turn of an orphaned engine: nobody moves its clock, nobody reads its answers. */
  turnAlone(nowNs: number): void {
    this.setTime(nowNs);
    this.turn();
    this.#rings.forgetCompletions();
  }

  /** Sets the time in the control block, ns. */
  setTime(nowNs: number): void {
    this.#rings.setTime(nowNs);
  }
}

/** What a reset through `by` reaches: its own nexus to the unit, its target port, or everything behind its initiator port. */
function inScope(scope: number, by: Port, other: Port): boolean {
  if (by.arrayIndex !== other.arrayIndex || by.initiatorPort !== other.initiatorPort) return false;
  if (scope === RESET_DEVICE) return by === other;
  return scope === RESET_TARGET ? by.targetPort === other.targetPort : true;
}
