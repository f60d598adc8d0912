// Assigns initiators to the array's ports. An initiator port, identified by initiator name and ISID (RFC 7143 4.4.1), and a
// target port form an I_T nexus; the array has a separate port for each nexus, which keeps the nexus's state.

import type { EmulatedArray } from "../../../host/array/array.ts";
import { ASC_NEXUS_LOSS, ASC_POWER_ON } from "../../../host/array/scsi.ts";
import type { Port } from "../../../host/array/array-unit.ts";

export class NexusTable {
  readonly array: EmulatedArray;
  /** The array's initiator port for each initiator port that ever logged in, and those that have a session now. */
  readonly #initiators = new Map<string, number>();
  readonly #sessions = new Map<string, () => void>();

  constructor(array: EmulatedArray) {
    this.array = array;
  }

  /** The array's initiator port for an initiator port; ends an older session to the same target port. */
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

  /** The session has ended: the nexus is lost, but its registrations stay. */
  close(initiator: string, targetPort: number, end: () => void): void {
    const key = `${initiator} ${targetPort}`;
    if (this.#sessions.get(key) !== end) return;
    this.#sessions.delete(key);
    const number = this.#initiators.get(initiator);
    if (number === undefined) return;
    for (const port of this.#ports(number, targetPort)) {
      port.attend(ASC_NEXUS_LOSS);
      port.unit?.reservations.endSpc2(port.nexus);
    }
  }

  /** The array's port behind a LUN; undefined when the LUN leads nowhere. */
  port(initiatorPort: number, targetPort: number, lun: number): Port | undefined {
    return this.#ports(initiatorPort, targetPort).find((port) => port.lun === lun);
  }

  #ports(initiatorPort: number, targetPort: number): Port[] {
    return this.array.ports.filter((port) => port.initiatorPort === initiatorPort && port.targetPort === targetPort);
  }

  /** An unused initiator port of the array, or one whose owner has neither a session nor a registration. */
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
