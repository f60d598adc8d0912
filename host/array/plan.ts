// What happens to a command that meets faults or takes time: when its effect takes place, when its answer arrives.

import type { Command } from "./commands/command.ts";
import type { PortFault } from "./faults/fault-state.ts";
import type { Fault } from "./faults/faults.ts";
import { PENDING_EXECUTE_ON_LIFT, PENDING_HELD, PENDING_LANDS_AFTER, PENDING_QUEUED } from "./pending.ts";
import {
  ASC_POWER_ON,
  HOST_TRANSPORT_DISRUPTED,
  KEY_ABORTED_COMMAND,
  KEY_UNIT_ATTENTION,
  STATUS_BUSY,
  STATUS_CHECK_CONDITION,
  STATUS_TASK_SET_FULL,
} from "./scsi.ts";
import { TIME_ANSWER, TIME_DELAY, TIME_EFFECT, TIME_FACTOR, TIME_FINISH, TIME_NOW } from "./times.ts";
import type { Port } from "./array-unit.ts";

const NS_PER_MS = 1_000_000;

export class Plan {
  /** TIME_*: TIME_NOW is input, TIME_EFFECT and TIME_ANSWER are output. */
  readonly times: Float64Array;
  /** PENDING_* flags of the row. */
  flags = 0;
  /** Whether the host gives up on the command at its timeout. */
  givesUp = true;

  constructor(times: Float64Array) {
    this.times = times;
  }

  /**
   * Decides about the opened command. Returns false if a fault has answered it on the spot: its outcome is then
   * in the slot and nothing else happens.
   */
  make(command: Command, port: Port): boolean {
    const { times } = this;
    this.flags = 0;
    this.givesUp = true;
    times[TIME_FACTOR] = 1;
    times[TIME_DELAY] = 0;
    times[TIME_EFFECT] = Number.NaN;
    times[TIME_ANSWER] = Number.NaN;
    // A command that the host holds back meets no other fault.
    if (port.faults?.queued === true) this.#queue();
    else if (port.faults !== null) {
      for (const entry of port.faults.list) if (!this.#meet(entry, command, port)) return false;
    }
    if (Number.isNaN(times[TIME_EFFECT])) {
      port.server.finish(times, command.bufferBytes);
      times[TIME_EFFECT] = times[TIME_FINISH] as number;
    }
    if (Number.isNaN(times[TIME_ANSWER])) times[TIME_ANSWER] = times[TIME_EFFECT] as number;
    return true;
  }

  /** How long a reset through the port takes, ns. */
  resetNs(port: Port): number {
    let ns = 0;
    for (const { fault } of port.faults?.list ?? []) {
      if (fault.kind === "no-answer") ns = Math.max(ns, (fault.resetMs ?? 0) * NS_PER_MS);
    }
    return ns;
  }

  /** Applies one fault to the command. Returns false if the fault has answered it. */
  #meet(entry: PortFault, command: Command, port: Port): boolean {
    const { fault } = entry;
    switch (fault.kind) {
      case "error":
        return !entry.strikes(command) || answerError(command, port, fault);
      case "port-down":
        return !entry.strikes(command) || lose(command, fault.hostStatus);
      case "flapping":
        if (!entry.down) return true;
        if (fault.how !== "no-answer") return lose(command, fault.hostStatus);
        return this.#swallow("never", true);
      case "no-answer":
        return !entry.strikes(command) || this.#swallow(fault.execution ?? "never", fault.giveUp !== false);
      case "late":
        return !entry.strikes(command) || this.#delay(fault);
      case "slow":
        if (entry.strikes(command)) {
          this.times[TIME_FACTOR] = (this.times[TIME_FACTOR] as number) * (fault.factor ?? 1);
          this.times[TIME_DELAY] = (this.times[TIME_DELAY] as number) + (fault.delayMs ?? 0) * NS_PER_MS;
        }
        return true;
      case "busy":
        if (port.inFlight < fault.depth || !entry.strikes(command)) return true;
        command.status = fault.status === "busy" ? STATUS_BUSY : STATUS_TASK_SET_FULL;
        command.close(false);
        return false;
      case "unit-attention":
        if ((fault.every ?? 0) > 0 && ++entry.seen % (fault.every ?? 1) === 0 && entry.strikes(command)) {
          port.attend(attentionOf(fault));
        }
        return true;
      default:
        return true;
    }
  }

  #queue(): void {
    this.flags |= PENDING_QUEUED;
    this.times[TIME_EFFECT] = Infinity;
    this.times[TIME_ANSWER] = Infinity;
    this.givesUp = false;
  }

  #swallow(execution: "never" | "at-once" | "on-lift", givesUp: boolean): true {
    this.flags |= PENDING_HELD | (execution === "on-lift" ? PENDING_EXECUTE_ON_LIFT : 0);
    // With `at-once` the effect keeps the time from the service model.
    if (execution !== "at-once") this.times[TIME_EFFECT] = Infinity;
    this.times[TIME_ANSWER] = Infinity;
    this.givesUp &&= givesUp;
    return true;
  }

  #delay(fault: Extract<Fault, { kind: "late" }>): true {
    const effect = (this.times[TIME_NOW] as number) + fault.delayMs * NS_PER_MS;
    const lost = fault.answer === false || (this.flags & PENDING_HELD) !== 0;
    this.times[TIME_EFFECT] = effect;
    this.times[TIME_ANSWER] = lost ? Infinity : effect;
    if (fault.landsAfterGiveUp === true) this.flags |= PENDING_LANDS_AFTER;
    this.givesUp &&= fault.giveUp !== false;
    return true;
  }
}

/** asc << 8 | ascq of a unit attention fault. */
export function attentionOf(fault: Extract<Fault, { kind: "unit-attention" }>): number {
  return fault.asc === undefined && fault.ascq === undefined
    ? ASC_POWER_ON
    : ((fault.asc ?? 0) << 8) | (fault.ascq ?? 0);
}

function lose(command: Command, hostStatus: number | undefined): false {
  command.lose(hostStatus ?? HOST_TRANSPORT_DISRUPTED);
  return false;
}

function answerError(command: Command, port: Port, fault: Extract<Fault, { kind: "error" }>): false {
  if (fault.hostStatus !== undefined && fault.hostStatus !== 0) return lose(command, fault.hostStatus);
  command.status = fault.status ?? STATUS_CHECK_CONDITION;
  command.senseKey = fault.senseKey ?? KEY_ABORTED_COMMAND;
  command.asc = ((fault.asc ?? 0) << 8) | (fault.ascq ?? 0);
  if (command.senseKey === KEY_UNIT_ATTENTION && command.asc === 0) command.asc = ASC_POWER_ON;
  command.deferred = fault.deferred === true;
  command.close(port.array.descriptorSense);
  command.deferred = false;
  if (fault.deferred === true) port.home.deferredErrors++;
  return false;
}
