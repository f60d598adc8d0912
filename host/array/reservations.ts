// Persistent reservations of one unit: who is registered, who holds what, and which commands are refused for it.
//
// A registration belongs to an I_T nexus (SPC-4 5.13.7). Keys are 8 bytes, kept as 16 hexadecimal digits.

import {
  COMPARE_AND_WRITE,
  INQUIRY,
  isMediumWrite,
  MAINTENANCE_IN,
  PERSISTENT_RESERVE_IN,
  PERSISTENT_RESERVE_OUT,
  READ_CAPACITY_10,
  REPORT_LUNS,
  REQUEST_SENSE,
  SERVICE_ACTION_IN_16,
  SYNCHRONIZE_CACHE_10,
  SYNCHRONIZE_CACHE_16,
  MAINTENANCE_OUT,
  TEST_UNIT_READY,
} from "./scsi.ts";

const WRITE_EXCLUSIVE = 1;
const EXCLUSIVE_ACCESS = 3;
const WRITE_EXCLUSIVE_REGISTRANTS_ONLY = 5;
const EXCLUSIVE_ACCESS_REGISTRANTS_ONLY = 6;
const WRITE_EXCLUSIVE_ALL_REGISTRANTS = 7;
const EXCLUSIVE_ACCESS_ALL_REGISTRANTS = 8;

export const NO_KEY = "0000000000000000";

export function isReservationType(type: number): boolean {
  return type === WRITE_EXCLUSIVE || type === EXCLUSIVE_ACCESS || (type >= 5 && type <= 8);
}

export class Reservations {
  /** Key of each registered nexus. */
  readonly keys = new Map<number, string>();
  generation = 0;
  /** Type of the reservation, 0 if there is none. */
  type = 0;
  /** Nexus that holds it; -1 if none does, or (all registrants) if every registered one does. */
  holder = -1;

  get allRegistrants(): boolean {
    return this.type === WRITE_EXCLUSIVE_ALL_REGISTRANTS || this.type === EXCLUSIVE_ACCESS_ALL_REGISTRANTS;
  }

  get registrantsOnly(): boolean {
    return this.type === WRITE_EXCLUSIVE_REGISTRANTS_ONLY || this.type === EXCLUSIVE_ACCESS_REGISTRANTS_ONLY;
  }

  holds(nexus: number): boolean {
    if (this.type === 0) return false;
    return this.allRegistrants ? this.keys.has(nexus) : this.holder === nexus;
  }

  reserve(nexus: number, type: number): void {
    this.type = type;
    this.holder = this.allRegistrants ? -1 : nexus;
  }

  release(): void {
    this.type = 0;
    this.holder = -1;
  }

  /** Removes a registration, and the reservation with its last holder. Returns the type of the ended reservation, or 0. */
  unregister(nexus: number): number {
    const ended = this.type;
    const held = this.holds(nexus);
    this.keys.delete(nexus);
    if (!held || (this.allRegistrants && this.keys.size > 0)) return 0;
    this.release();
    return ended;
  }

  /** True if the reservation conflicts with this command from this nexus (SPC-4 table 69, SBC-3 table 13). */
  conflicts(nexus: number, opcode: number): boolean {
    if (this.type === 0 || this.holds(nexus)) return false;
    if ((this.registrantsOnly || this.allRegistrants) && this.keys.has(nexus)) return false;
    switch (opcode) {
      case INQUIRY:
      case REPORT_LUNS:
      case REQUEST_SENSE:
      case TEST_UNIT_READY:
      case READ_CAPACITY_10:
      case SERVICE_ACTION_IN_16:
      case MAINTENANCE_IN:
      case PERSISTENT_RESERVE_IN:
      case PERSISTENT_RESERVE_OUT:
        return false;
      default:
    }
    if (this.type === EXCLUSIVE_ACCESS || this.type === EXCLUSIVE_ACCESS_REGISTRANTS_ONLY) return true;
    if (this.type === EXCLUSIVE_ACCESS_ALL_REGISTRANTS) return true;
    const changes = isMediumWrite(opcode) || opcode === COMPARE_AND_WRITE || opcode === MAINTENANCE_OUT;
    return changes || opcode === SYNCHRONIZE_CACHE_10 || opcode === SYNCHRONIZE_CACHE_16;
  }
}
