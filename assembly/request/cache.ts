// Volatile write caches: whether acknowledged data may exist only in a cache, so that a flush has to go to the device; and
// reports by the device of acknowledged data that it could not write.
//
// The device reports such a loss once, by a deferred error (SPC-4 4.5) or as the answer to a flush, and then calls the next flush
// good. So a flush answered this way is not repeated, here or elsewhere; and a loss reported to another command is remembered
// until a client's flush has failed for it.

import {
  EVENT_DATA_LOST,
  EVENT_LACKS,
  LACKS_FUA,
  LACKS_SYNCHRONIZE_CACHE,
  OPERATION_FLUSH,
  OPERATION_TRIM,
  REASON_IO,
  UNIT_CAN_ASSUMED_CACHE,
  UNIT_CAN_CACHE_WRITES,
  UNIT_CAN_FUA,
} from "../abi";
import { EIO } from "../memory/errno";
import { Command, METHOD_SYNC, METHOD_WRITE, METHOD_ZERO_WRITE, Request } from "../memory/records";
import { event } from "../memory/ring";
import { Path, Unit } from "../memory/topology";
import { FUA } from "../scsi/cdb";
import { isAnswer } from "../scsi/meaning";
import { OUTCOME_CONFLICT, OUTCOME_ELSEWHERE, OUTCOME_UNSUPPORTED } from "../scsi/outcome";
import {
  ASC_PARAMETERS_CHANGED,
  ASC_RESET,
  KEY_RECOVERED_ERROR,
  KEY_UNIT_ATTENTION,
  SENSE_DEFERRED,
  ascOf,
  ascqOf,
  keyOf,
} from "../scsi/sense";

/** 2A/00: parameters changed; 2A/01: mode parameters changed. The other codes are about reservations, capacity and the like. */
const ASCQ_MODE_PARAMETERS: u32 = 0x01;

/** Whether a flush has to go to the device. */
export function cachesWrites(unit: Unit): bool {
  return (unit.capabilities & UNIT_CAN_CACHE_WRITES) !== 0 || unit.cacheUnverified !== 0;
}

/**
 * Parameters of the device have changed (`sense` says which): it may have a cache now. This is reported once on each path, so
 * from here on flushes go to the device, whatever control says: that may be older. A needless flush does no harm.
 */
export function cacheUnverify(unit: Unit, sense: u32): void {
  const asc = ascOf(sense);
  const ascq = ascqOf(sense);
  if (asc === ASC_PARAMETERS_CHANGED && ascq <= ASCQ_MODE_PARAMETERS) unit.cacheUnverified = 1;
}

/**
 * The device does not know SYNCHRONIZE CACHE. If it has reported a cache, that is a fault: false. If a cache was only assumed, or
 * uncertain, there is none, or none that can be flushed: its acknowledgement is the best there is.
 */
export function cacheDenied(unit: Unit, path: Path): bool {
  if ((unit.capabilities & (UNIT_CAN_CACHE_WRITES | UNIT_CAN_ASSUMED_CACHE)) === UNIT_CAN_CACHE_WRITES) return false;
  if ((unit.capabilities & UNIT_CAN_ASSUMED_CACHE) !== 0) tellLack(path, LACKS_SYNCHRONIZE_CACHE);
  unit.capabilities &= ~(UNIT_CAN_CACHE_WRITES | UNIT_CAN_ASSUMED_CACHE);
  unit.cacheUnverified = 0;
  return true;
}

/** Whether a command asks for force unit access; the bit is where it is in WRITE(10) as well. */
export function asksForFua(command: Command): bool {
  const writes = command.method === METHOD_WRITE || command.method === METHOD_ZERO_WRITE;
  return writes && ((<u8>(command.cdb0 >> 8)) & FUA) !== 0;
}

/** The device refuses force unit access, whatever it has reported: from here on such a write is followed by a flush. */
export function fuaRefused(unit: Unit, path: Path): void {
  unit.capabilities &= ~UNIT_CAN_FUA;
  tellLack(path, LACKS_FUA);
}

/** Reports to control, once, what a device lacks. */
function tellLack(path: Path, lack: u32): void {
  const unit = path.unit;
  if (((<u32>unit.lacksTold) & lack) !== 0) return;
  unit.lacksTold |= <u8>lack;
  event(EVENT_LACKS, REASON_IO, unit.index, path.index, lack, 0, 0, 0);
}

/** How often a request is rewritten because power was lost before its flush. */
const FORCED_AGAIN_MAX: u32 = 16;
/** 29/00: power on or reset, unspecified; 29/01: power on; 29/04: device internal reset. */
const ASCQ_POWER_ON: u32 = 0x01;
const ASCQ_INTERNAL_RESET: u32 = 0x04;

/**
 * The path, or the device, was away (OUTCOME_NEXUS): with its power a volatile cache has lost its content. Each nexus is told
 * once, so a successful flush comes after everything reported so far (`forcedInVain`).
 */
export function powerMaybeLost(unit: Unit, sense: u32): void {
  const asc = ascOf(sense);
  const ascq = ascqOf(sense);
  if (asc === ASC_RESET && (ascq <= ASCQ_POWER_ON || ascq === ASCQ_INTERNAL_RESET)) unit.powerLosses++;
}

/**
 * A FUA request has been written, and flushed if necessary: whether the data to be flushed may have been lost before that. Then
 * it is rewritten; a device that keeps losing power fails it. A trim is only a hint.
 */
export function forcedInVain(request: Request): bool {
  const kind = <u32>request.kind;
  if (request.method !== METHOD_SYNC || kind === OPERATION_FLUSH || kind === OPERATION_TRIM) return false;
  if (request.powerLosses >= request.unit.powerLosses) return false;
  if (<u32>request.forcedAgain === FORCED_AGAIN_MAX) request.error = EIO;
  request.forcedAgain++;
  return request.error === 0;
}

/** Whether an outcome reports acknowledged data that did not reach the medium. */
export function tellsLoss(method: u8, outcome: u8, sense: u32): bool {
  const key = keyOf(sense);
  // Only writes are acknowledged before they are done, so every deferred error is about one.
  if ((sense & SENSE_DEFERRED) !== 0) return key > KEY_RECOVERED_ERROR && key !== KEY_UNIT_ATTENTION;
  if (method !== METHOD_SYNC || outcome === OUTCOME_UNSUPPORTED) return false;
  // The flush was not started.
  if (outcome === OUTCOME_CONFLICT) return false;
  return isAnswer(outcome) || outcome === OUTCOME_ELSEWHERE;
}

/** The device has reported a loss: control is told, and so is the next flush. */
export function dataLost(path: Path, reason: u32, sense: u32, shown: u32): void {
  const unit = path.unit;
  unit.dataLost = 1;
  event(EVENT_DATA_LOST, reason, unit.index, path.index, (sense & SENSE_DEFERRED) !== 0 ? 1 : 0, 0, shown, 0);
}

/**
 * A request is about to be answered: a flush fails for a loss that no client has been told of, and so does a FUA made of a flush,
 * whose data may be among the lost. Only a flush covers everything that may be lost, and only one whose client hears of it.
 */
export function tellLoss(request: Request): void {
  const unit = request.unit;
  if (unit.dataLost === 0) return;
  const flush = <u32>request.kind === OPERATION_FLUSH;
  if (!flush && request.method !== METHOD_SYNC) return;
  if (request.error === 0) request.error = EIO;
  if (flush && request.error === EIO && request.client.gone === 0) unit.dataLost = 0;
}
