// Who reaches the array by which of its ports. An initiator port, named by initiator name and ISID (RFC 7143 4.4.1), and a
// target port make an I_T nexus; the array has a port of its own for each, and what belongs to a nexus stays with it.

import type { EmulatedArray } from "../../../host/array/array.ts";
import { ASC_NEXUS_LOSS, ASC_POWER_ON } from "../../../host/array/scsi.ts";
import type { Port } from "../../../host/array/unit.ts";

export class NexusTable {
  readonly array: EmulatedArray;
  /** Array's initiator port of each initiator port that ever logged in, and those that have a session now. */
  readonly #initiators = new Map<string, number>();
  readonly #sessions = new Map<string, () => void>();

  constructor(array: EmulatedArray) {
    this.array = array;
  }

  /** The array's initiator port of an initiator port, which ends an older session to the same target port. */
  open(initiator: string, targetPort: number, end: () => void): number {
    const key = `${initiator} ${targetPort}`;
    this.#sessions.get(key)?.();
    this.#sessions.set(key, end);
    const known = this.#initiators.get(initiator);
    if (known !== undefined) return known;
    const number = this.#unused();
    this.#initiators.set(initiator, number);
    for (const port of this.#ports(number, targetPort)) {
      while (port.takeAttention() !== 0);
      port.attend(ASC_POWER_ON);
    }
    return number;
  }

  /** The session is over: the nexus is lost, and what it was registered for stays. */
  close(initiator: string, targetPort: number, end: () => void): void {
    const key = `${initiator} ${targetPort}`;
    if (this.#sessions.get(key) !== end) return;
    this.#sessions.delete(key);
    const number = this.#initiators.get(initiator);
    if (number === undefined) return;
    for (const port of this.#ports(number, targetPort)) port.attend(ASC_NEXUS_LOSS);
  }

  /** The array's port behind a LUN, or undefined where the LUN leads nowhere. */
  port(initiatorPort: number, targetPort: number, lun: number): Port | undefined {
    return this.#ports(initiatorPort, targetPort).find((port) => port.lun === lun);
  }

  #ports(initiatorPort: number, targetPort: number): Port[] {
    return this.array.ports.filter((port) => port.initiatorPort === initiatorPort && port.targetPort === targetPort);
  }

  /** An initiator port of the array that nobody has, else one whose owner has neither a session nor a registration. */
  #unused(): number {
    const all = new Set(this.array.ports.map((port) => port.initiatorPort));
    for (const number of this.#initiators.values()) all.delete(number);
    const [free] = all;
    if (free !== undefined) return free;
    for (const [initiator, number] of this.#initiators) {
      const held = this.array.ports.some(
        (port) => port.initiatorPort === number && port.unit?.reservations.keys.has(port.nexus) === true,
      );
      const living = [...this.#sessions.keys()].some((key) => key.startsWith(`${initiator} `));
      if (held || living) continue;
      this.#initiators.delete(initiator);
      return number;
    }
    throw new Error("the array has too few initiator ports for so many sessions");
  }
}
