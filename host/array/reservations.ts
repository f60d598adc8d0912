// Reservations of one unit: who is registered, who holds what, and which commands are refused for it. Persistent ones (SPC-4 5.13) and
// those of SPC-2 (RESERVE and RELEASE), which exclude each other.
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
  RELEASE_10,
  RELEASE_6,
  REPORT_LUNS,
  REQUEST_SENSE,
  RESERVE_10,
  RESERVE_6,
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
/** No nexus. */
const NOBODY = -1;

export function isReservationType(type: number): boolean {
  return type === WRITE_EXCLUSIVE || type === EXCLUSIVE_ACCESS || (type >= 5 && type <= 8);
}

/** What has been removed by a PREEMPT. */
export interface Removed {
  /** Registrations that are gone, the preempting nexus's own perhaps among them. */
  readonly nexuses: ReadonlySet<number>;
  /** The reservation has changed its type with its holder. */
  readonly isReleased: boolean;
}

export class Reservations {
  /** Key of each registered nexus. */
  readonly keys = new Map<number, string>();
  /** Nexuses whose registration was made with ALL_TG_PT; those that are no longer registered do not count. */
  readonly #forAllPorts = new Set<number>();
  generation = 0;
  /** Type of the reservation, 0 if there is none. */
  type = 0;
  /** Nexus that holds it; -1 if none does, or (all registrants) if every registered one does. */
  holder = NOBODY;
  /** Everything is kept over a loss of power, as the last registration demanded (APTPL). */
  persists = false;
  /** Nexus that holds the unit by RESERVE; -1: none. */
  spc2Holder = NOBODY;

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

  /** @param isForAllPorts counts for a new registration; it stays what it was when only its key changes */
  register(nexus: number, key: string, isForAllPorts: boolean): void {
    if (!this.keys.has(nexus)) {
      if (isForAllPorts) this.#forAllPorts.add(nexus);
      else this.#forAllPorts.delete(nexus);
    }
    this.keys.set(nexus, key);
  }

  isForAllPorts(nexus: number): boolean {
    return this.keys.has(nexus) && this.#forAllPorts.has(nexus);
  }

  reserve(nexus: number, type: number): void {
    this.type = type;
    this.holder = this.allRegistrants ? NOBODY : nexus;
  }

  release(): void {
    this.type = 0;
    this.holder = NOBODY;
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

  /** Whether PREEMPT with this key takes the reservation, too (SPC-4 5.13.11.4); without a key it takes that of all registrants. */
  takesReservation(key: string): boolean {
    if (this.type === 0) return false;
    return this.allRegistrants ? key === NO_KEY : this.keys.get(this.holder) === key;
  }

  /**
   * PREEMPT by `nexus`: removes the registrations with a key (all other ones, if it takes the reservation of all registrants), and the
   * reservation with its holder's, which `nexus` then holds. Null if there is nothing to remove.
   */
  preempt(nexus: number, key: string, type: number): Removed | null {
    const takes = this.takesReservation(key);
    const everyOther = takes && key === NO_KEY;
    const nexuses = new Set<number>();
    for (const [other, otherKey] of this.keys) {
      // Its own registration stays if it takes the reservation.
      if (takes && other === nexus) continue;
      if (everyOther || otherKey === key) nexuses.add(other);
    }
    if (nexuses.size === 0 && !takes) return null;
    const isReleased = takes && this.type !== type;
    for (const gone of nexuses) this.keys.delete(gone);
    if (takes) this.reserve(nexus, type);
    else if (this.allRegistrants && this.keys.size === 0) this.release();
    this.generation++;
    return { nexuses, isReleased };
  }

  /** RESERVE does not survive a reset of the unit, nor the loss of the nexus that holds it. */
  endSpc2(nexus = this.spc2Holder): void {
    if (this.spc2Holder === nexus) this.spc2Holder = NOBODY;
  }

  /** The unit has lost power. */
  losePower(): void {
    this.endSpc2();
    this.generation = 0;
    if (this.persists) return;
    this.release();
    this.keys.clear();
  }

  /** True if a reservation conflicts with this command from this nexus (SPC-4 table 69, SBC-3 table 13). */
  conflicts(nexus: number, opcode: number): boolean {
    if (this.spc2Holder !== NOBODY) return this.#conflictsWithSpc2(nexus, opcode);
    if (opcode === RESERVE_6 || opcode === RESERVE_10 || opcode === RELEASE_6 || opcode === RELEASE_10) {
      return this.keys.size > 0;
    }
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

  /** SPC-2 5.5.1. Who did not reserve may release, without effect; nobody may use persistent reservations meanwhile. */
  #conflictsWithSpc2(nexus: number, opcode: number): boolean {
    switch (opcode) {
      case INQUIRY:
      case REPORT_LUNS:
      case REQUEST_SENSE:
      case RELEASE_6:
      case RELEASE_10:
        return false;
      case PERSISTENT_RESERVE_IN:
      case PERSISTENT_RESERVE_OUT:
        return true;
      default:
        return nexus !== this.spc2Holder;
    }
  }
}
