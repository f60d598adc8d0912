// A host's commands under way on the array, and what happens to all of them at once: faults, resets by other hosts.

import { DIRECTION_OUT } from "../abi.ts";
import type { Command } from "./commands/command.ts";
import {
  PENDING_ANSWERED,
  PENDING_EFFECT_DONE,
  PENDING_EXECUTE_ON_LIFT,
  PENDING_HELD,
  PENDING_QUEUED,
  PENDING_RESET,
  PENDING_USED,
  type Pending,
} from "./pending.ts";
import { HOST_TRANSPORT_DISRUPTED, STATUS_TASK_ABORTED } from "./scsi.ts";
import type { LogicalUnit, Port } from "./array-unit.ts";

export class InFlight {
  readonly #ports: readonly Port[];
  readonly #command: Command;
  readonly #pending: Pending;
  readonly #readClock: () => number;

  /** @param command the view that opens the slots one after the other @param readClock the host's time, ns */
  constructor(ports: readonly Port[], command: Command, pending: Pending, readClock: () => number) {
    this.#ports = ports;
    this.#command = command;
    this.#pending = pending;
    this.#readClock = readClock;
  }

  /** The port of a row. */
  portOf(row: number): Port {
    const port = this.#ports[this.#pending.port[row] ?? 0];
    if (port === undefined) throw new Error("a pending command names a port that does not exist");
    return port;
  }

  /** Ends a row without an effect; the host sees `hostStatus`. The order has to be rebuilt afterwards. */
  end(row: number, hostStatus: number, nowNs: number): void {
    const pending = this.#pending;
    if (((pending.flags[row] ?? 0) & PENDING_ANSWERED) !== 0) return pending.free(row);
    this.#command.open((pending.slot[row] ?? 0) >>> 0);
    this.#command.lose(hostStatus);
    pending.flags[row] = PENDING_USED | PENDING_EFFECT_DONE;
    pending.answerNs[row] = nowNs;
    pending.giveUpNs[row] = Infinity;
  }

  /**
   * Another host has reset a logical unit: the commands that the device has end as TASK ABORTED. Those that have not reached
   * it, or whose answers do not come back, are not affected.
   */
  abort(unit: LogicalUnit, by: Port): void {
    const pending = this.#pending;
    const now = this.#readClock();
    for (let row = 0; row < pending.capacity; row++) {
      const flags = pending.flags[row] ?? 0;
      if (flags === 0 || (flags & (PENDING_RESET | PENDING_QUEUED | PENDING_HELD)) !== 0) continue;
      const port = this.portOf(row);
      if (port === by || port.unit !== unit) continue;
      this.#abortOne(row, flags, now);
    }
    pending.rebuild();
  }

  /** Another host has preempted these ports' registrations: nothing that the device has of them is carried out, answered or not. */
  preempt(ports: ReadonlySet<Port>): void {
    const now = this.#readClock();
    this.#each(ports, (row, flags) => {
      if ((flags & PENDING_QUEUED) !== 0) return;
      if ((flags & PENDING_HELD) === 0) return this.#abortOne(row, flags, now);
      this.#pending.flags[row] = flags & ~PENDING_EXECUTE_ON_LIFT;
      this.#pending.effectNs[row] = Infinity;
    });
  }

  #abortOne(row: number, flags: number, now: number): void {
    const pending = this.#pending;
    if ((flags & PENDING_ANSWERED) !== 0) return pending.free(row);
    if ((flags & PENDING_EFFECT_DONE) !== 0) return;
    this.#command.open((pending.slot[row] ?? 0) >>> 0);
    this.#command.status = STATUS_TASK_ABORTED;
    this.#command.close(false);
    pending.flags[row] = PENDING_USED | PENDING_EFFECT_DONE;
    pending.answerNs[row] = now;
    pending.giveUpNs[row] = Infinity;
  }

  /** Whether a command under way may still change a unit's medium. */
  mayChange(unit: LogicalUnit): boolean {
    const pending = this.#pending;
    for (let row = 0; row < pending.capacity; row++) {
      const flags = pending.flags[row] ?? 0;
      if (flags === 0 || (flags & (PENDING_RESET | PENDING_EFFECT_DONE)) !== 0) continue;
      if (this.portOf(row).home !== unit || !this.#command.open((pending.slot[row] ?? 0) >>> 0)) continue;
      if (this.#command.direction === DIRECTION_OUT) return true;
    }
    return false;
  }

  /** Ends every command in flight on the ports. Pending late effects are dropped if `settle` is set. */
  endAll(ports: ReadonlySet<Port>, hostStatus: number, settle: boolean): void {
    const now = this.#readClock();
    this.#each(ports, (row, flags) => {
      if (settle || (flags & PENDING_ANSWERED) === 0) this.end(row, hostStatus, now);
    });
  }

  /** A black hole opens under the commands in flight on the ports. */
  hold(ports: ReadonlySet<Port>, execution: "never" | "at-once" | "on-lift", givesUp: boolean): void {
    const pending = this.#pending;
    this.#each(ports, (row, flags) => {
      if ((flags & (PENDING_ANSWERED | PENDING_QUEUED)) !== 0) return;
      pending.flags[row] = flags | PENDING_HELD | (execution === "on-lift" ? PENDING_EXECUTE_ON_LIFT : 0);
      if (execution !== "at-once") pending.effectNs[row] = Infinity;
      pending.answerNs[row] = Infinity;
      if (!givesUp) pending.giveUpNs[row] = Infinity;
    });
  }

  /** The black hole on the ports is gone: held commands are carried out now, or end as lost in transport. */
  release(ports: ReadonlySet<Port>): void {
    const pending = this.#pending;
    const now = this.#readClock();
    this.#each(ports, (row, flags) => {
      if ((flags & PENDING_HELD) === 0) return;
      if ((flags & PENDING_EXECUTE_ON_LIFT) === 0) return this.end(row, HOST_TRANSPORT_DISRUPTED, now);
      pending.flags[row] = flags & ~(PENDING_HELD | PENDING_EXECUTE_ON_LIFT);
      pending.effectNs[row] = now;
      pending.answerNs[row] = now;
      pending.giveUpNs[row] = Infinity;
    });
  }

  /** The host delivers the commands it has held back for the ports. */
  deliver(ports: ReadonlySet<Port>): void {
    const pending = this.#pending;
    const now = this.#readClock();
    this.#each(ports, (row, flags) => {
      if ((flags & PENDING_QUEUED) === 0) return;
      pending.flags[row] = flags & ~PENDING_QUEUED;
      pending.effectNs[row] = now;
      pending.answerNs[row] = now;
    });
  }

  #each(ports: ReadonlySet<Port>, act: (row: number, flags: number) => void): void {
    const pending = this.#pending;
    for (let row = 0; row < pending.capacity; row++) {
      const flags = pending.flags[row] ?? 0;
      if (flags !== 0 && (flags & PENDING_RESET) === 0 && ports.has(this.portOf(row))) act(row, flags);
    }
    pending.rebuild();
  }
}
