// What becomes of a command that meets faults or takes time: when its effect takes place, when its answer arrives.

import type { Command } from "./command.ts";
import type { PortFault } from "./fault-state.ts";
import type { Fault } from "./faults.ts";
import { PENDING_EXECUTE_ON_LIFT, PENDING_HELD, PENDING_LANDS_AFTER } from "./pending.ts";
import {
  ASC_POWER_ON,
  HOST_TRANSPORT_DISRUPTED,
  KEY_ABORTED_COMMAND,
  KEY_UNIT_ATTENTION,
  STATUS_BUSY,
  STATUS_CHECK_CONDITION,
  STATUS_TASK_SET_FULL,
} from "./scsi.ts";
import type { Port } from "./unit.ts";

const NS_PER_MS = 1_000_000;

export class Plan {
  /** When the effect takes place and when the answer arrives, ns; Infinity: never. */
  effectNs = 0;
  answerNs = 0;
  /** PENDING_* flags of the row. */
  flags = 0;
  /** Whether the host gives the command up at its timeout. */
  givesUp = true;
  #factor = 1;
  #delayNs = 0;

  /**
   * Decides about the opened command. Answers false when a fault has answered it on the spot: its outcome then stands
   * in the slot and nothing else happens.
   */
  make(command: Command, port: Port, nowNs: number): boolean {
    this.flags = 0;
    this.givesUp = true;
    this.#factor = 1;
    this.#delayNs = 0;
    this.effectNs = 0;
    this.answerNs = 0;
    if (port.faults !== null) {
      for (const entry of port.faults.list) if (!this.#meet(entry, command, port, nowNs)) return false;
    }
    if (this.effectNs === 0) {
      const finish = port.server.finishNs(nowNs, command.bufferBytes, this.#factor, this.#delayNs);
      this.effectNs = finish;
      if (this.answerNs === 0) this.answerNs = finish;
    }
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

  /** One fault meets the command. Answers false when it has answered it. */
  #meet(entry: PortFault, command: Command, port: Port, nowNs: number): boolean {
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
        return !entry.strikes(command) || this.#delay(fault, nowNs);
      case "slow":
        if (entry.strikes(command)) {
          this.#factor *= fault.factor ?? 1;
          this.#delayNs += (fault.delayMs ?? 0) * NS_PER_MS;
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

  #swallow(execution: "never" | "at-once" | "on-lift", givesUp: boolean): true {
    this.flags |= PENDING_HELD | (execution === "on-lift" ? PENDING_EXECUTE_ON_LIFT : 0);
    // With `at-once` the effect keeps the time the service model gives it (0 stands for "not decided").
    if (execution !== "at-once") this.effectNs = Infinity;
    this.answerNs = Infinity;
    this.givesUp &&= givesUp;
    return true;
  }

  #delay(fault: Extract<Fault, { kind: "late" }>, nowNs: number): true {
    this.effectNs = nowNs + fault.delayMs * NS_PER_MS;
    this.answerNs = fault.answer === false || (this.flags & PENDING_HELD) !== 0 ? Infinity : this.effectNs;
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
  command.close(port.array.descriptorSense);
  return false;
}
