// Checks whether the core may give an answer: its error, and its time.

import type { FaultRequest } from "../../host/array/faults/faults.ts";
import type { Answer } from "./client.ts";
import { Losses } from "./losses.ts";
import type { WorldPlan } from "./plan.ts";
import { NBD } from "./wire.ts";

const NS_PER_MS = 1_000_000;
/** How long after its deadline an answer may come: timers, and the way to the client. */
const PUNCTUAL_NS = 50 * NS_PER_MS;
/** The same when a request waits for something that is not its own: room in the core, or a device that asks it to wait. */
const PATIENT_NS = 2000 * NS_PER_MS;
const ASC_POWER_ON = 0x29;
const ASC_OUT_OF_RANGE = 0x21;
/** Requests in progress in a world whose requests never wait for room: a small part of the available room. */
const ROOMY = 8;

export class AnswerRules {
  readonly losses: Losses;
  readonly #plan: WorldPlan;
  /** Every path may be gone, so any request may fail. */
  #pathsMayBeGone: boolean;
  /** The device may answer a flush with HARDWARE ERROR: no path is to blame, so the error goes to the client. */
  readonly #flushesMayFail: boolean;
  /**
   * A request's time starts when the core has room for it. Clients that disconnect and reconnect leave their requests
   * behind, and commands in a host's queue have no timer that ends them: together they may take up all the room of a unit.
   */
  readonly #roomMayBeTaken: boolean;
  readonly #slackNs: number;
  /** The device reports a power loss again and again: a write that needs a flush is given up at some point. */
  readonly #flushesMayBeVain: boolean;
  /** A path may report a smaller capacity while another path is absent because it gets a new number. */
  readonly #endMayBeBelieved: boolean;
  #pausedNs = 0;

  constructor(plan: WorldPlan, faults: readonly FaultRequest[], errorsAllowed: boolean) {
    this.#plan = plan;
    this.losses = new Losses(plan.units, plan.neighbours.length === 0);
    this.#pathsMayBeGone = errorsAllowed;
    this.#flushesMayFail = faults.some(
      ({ fault }) => fault.kind === "error" && fault.senseKey === 4 && fault.deferred !== true,
    );
    this.#flushesMayBeVain = faults.some(({ fault }) => fault.kind === "unit-attention" && fault.asc === ASC_POWER_ON);
    this.#endMayBeBelieved = faults.some(({ fault }) => fault.kind === "error" && fault.asc === ASC_OUT_OF_RANGE);
    const queued = faults.some(({ fault }) => fault.kind === "queued");
    this.#roomMayBeTaken = plan.impatient.length > 0 && queued;
    const depth = plan.clients.reduce((sum, { plan: client }) => sum + client.depth, 0);
    const large = plan.clients.some(({ plan: client }) => client.logarithmic);
    const endless = faults.some(({ fault }) => "giveUp" in fault && fault.giveUp === false);
    const patience = faults.some(({ fault }) => fault.kind === "alua");
    const roomy = depth <= ROOMY && !large && !queued && !endless && plan.impatient.length === 0;
    this.#slackNs = roomy && !patience ? PUNCTUAL_NS : PATIENT_NS;
  }

  /** Commands left by an earlier daemon may hold up requests for longer than their timeout. */
  leftovers(): void {
    this.#pathsMayBeGone = true;
  }

  /** The machine was paused: everything in progress is answered later by this much. */
  paused(ns: number): void {
    this.#pausedNs += ns;
  }

  /** Returns what is wrong with an answer, or undefined. @param ioTimeoutMs the longest deadline that was set */
  check(answer: Answer, unit: number, nowNs: number, ioTimeoutMs: number): string | undefined {
    const { error, accounted, heldNs, latencyNs, command } = answer;
    const flush = command === NBD.flush;
    const explained = error === 0 || accounted || this.#mayFail(answer, unit, nowNs) || this.#isBelievedEnd(answer);
    const lost = flush ? this.losses.flushed(unit, error, nowNs - latencyNs, nowNs) : undefined;
    if (lost !== undefined) return lost;
    const deadlineNs = ioTimeoutMs * NS_PER_MS;
    if (!explained) return `command ${command}: error ${error} although a path was there`;
    // Each piece of a zeroing gets its full time again.
    const slackNs = command === NBD.writeZeroes || command === NBD.trim ? PATIENT_NS : this.#slackNs;
    if (heldNs <= deadlineNs + slackNs + this.#pausedNs || this.#roomMayBeTaken) return undefined;
    return `command ${command}: answered after ${heldNs / NS_PER_MS} ms`;
  }

  /** Whether a request may fail for reasons other than itself or the device's own answer: only with EIO. */
  #mayFail(answer: Answer, unit: number, nowNs: number): boolean {
    const { error, command, forced, heldNs, latencyNs } = answer;
    if (error !== NBD.eio) return false;
    if (this.#pathsMayBeGone) return true;
    if (forced && this.#flushesMayBeVain) return true;
    // FUA may be a write followed by a flush.
    const flushes = command === NBD.flush || command === NBD.writeZeroes || forced;
    if (flushes && (this.#flushesMayFail || this.losses.toldSince(unit, nowNs - latencyNs))) return true;
    return this.#plan.kind === "device" && heldNs >= this.#plan.ioTimeoutMs * NS_PER_MS;
  }

  #isBelievedEnd({ error }: Answer): boolean {
    return (
      this.#endMayBeBelieved && this.#plan.renumbersMs.length > 0 && (error === NBD.einval || error === NBD.enospc)
    );
  }
}
