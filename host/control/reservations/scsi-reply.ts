// Commands about reservations as SCSI initiators send them: parsed, carried out for the unit, and answered with status and sense.

import {
  IN_BYTES_MAX,
  PERSISTENT_RESERVE_OUT,
  parseReserveIn,
  parseReserveOut,
  type InAction,
  type ReserveOut,
} from "../../discovery/persistent-reservations.ts";
import { reasonOf } from "../ground/control-errors.ts";
import { legacyCommandOf, type LegacyCommand } from "./legacy-reserve.ts";
import {
  INVALID_FIELD_IN_CDB,
  INVALID_FIELD_IN_LIST,
  INVALID_OPERATION,
  ReservationRefused,
  STATUS_CHECK_CONDITION,
} from "./reservation-parts.ts";

/** Who carries them out. */
export interface ReservationService<U> {
  order(unit: U, out: ReserveOut): Promise<void>;
  ask(unit: U, action: InAction, bytes: number): Promise<Uint8Array>;
}

/** Who also carries out those of SPC-2. */
export interface LegacyService<U> {
  orderLegacy(unit: U, command: LegacyCommand): Promise<void>;
}

export interface ScsiReply {
  readonly status: number;
  readonly sense?: Uint8Array;
  readonly data?: Uint8Array;
}

const OPERATION_ABORTED = Uint8Array.of(0x70, 0, 0x0b, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);

export const refused = (sense: Uint8Array): ScsiReply => ({ status: STATUS_CHECK_CONDITION, sense });

/** @param list the parameter list of PERSISTENT RESERVE OUT. @param warn hears of what is not the initiator's fault */
export async function reservationReply<U>(
  service: ReservationService<U> & Partial<LegacyService<U>>,
  unit: U,
  cdb: Uint8Array,
  list: Uint8Array,
  warn: (problem: string) => void,
): Promise<ScsiReply> {
  try {
    if (cdb[0] === PERSISTENT_RESERVE_OUT) {
      const out = parseReserveOut(cdb, list);
      if (!out.ok) return refused(INVALID_FIELD_IN_LIST);
      await service.order(unit, out.value);
      return { status: 0 };
    }
    const legacy = legacyCommandOf(cdb[0]);
    if (legacy !== undefined) return await legacyReply(service, unit, cdb, legacy);
    const asked = parseReserveIn(cdb);
    if (!asked.ok) return refused(INVALID_FIELD_IN_CDB);
    const bytes = Math.min(asked.value.bytes, IN_BYTES_MAX);
    return { status: 0, data: (await service.ask(unit, asked.value.action, bytes)).subarray(0, bytes) };
  } catch (thrown) {
    if (thrown instanceof ReservationRefused) return { status: thrown.scsiStatus, sense: thrown.sense };
    warn(reasonOf(thrown));
    return refused(OPERATION_ABORTED);
  }
}

/** Third parties, extents and everything else that SPC-2 has beside the reservation of the whole unit is refused. */
async function legacyReply<U>(
  service: Partial<LegacyService<U>>,
  unit: U,
  cdb: Uint8Array,
  command: LegacyCommand,
): Promise<ScsiReply> {
  if (service.orderLegacy === undefined) return refused(INVALID_OPERATION);
  // The last byte is that of control.
  if (cdb.subarray(1, command.bytes - 1).some((byte) => byte !== 0)) return refused(INVALID_FIELD_IN_CDB);
  await service.orderLegacy(unit, command);
  return { status: 0 };
}
