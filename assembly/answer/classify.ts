// Classifies a completed command as a row of the outcome table (scsi/outcome.ts).

import { EAGAIN, EBUSY, EDOM, ENOMEM, negated } from "../memory/errno";
import { Command, METHOD_STATUS } from "../memory/records";
import { OUTCOME_FAILED, OUTCOME_GOOD, OUTCOME_RETRY_SOFT, OUTCOME_WAIT, outcomeOf } from "../scsi/outcome";
import { KEY_ABSENT, readSense, shownSense } from "../scsi/sense";
import { HOST_OK, STATUS_CHECK_CONDITION, STATUS_GOOD, driverIsWell, driverSaysNothing } from "../scsi/status";

/** Room for sense data in a command slot. */
const SENSE_BYTES_MAX: u32 = 96;
const SENSE: usize = offsetof<Command>("sense0");

/** Sense of the command classified last: key | ASC << 8 | ASCQ << 16. */
export let sense: u32 = 0;

/**
 * Whether the host just lacked memory or room for a command (EAGAIN, ENOMEM, EBUSY, EDOM): nothing was sent, and nothing was
 * learned about the path.
 */
function shortOfRoom(result: i32): bool {
  return (
    result === negated(EAGAIN) || result === negated(ENOMEM) || result === negated(EBUSY) || result === negated(EDOM)
  );
}

/** Classifies a completed command. */
export function classify(command: Command, result: i32): u8 {
  sense = KEY_ABSENT;
  if (result < 0) return shortOfRoom(result) ? OUTCOME_WAIT : OUTCOME_FAILED;
  if (command.status === STATUS_GOOD && command.hostStatus === HOST_OK && driverSaysNothing(command.driverStatus))
    return complete(command);
  if (command.status === STATUS_CHECK_CONDITION && command.hostStatus === HOST_OK) {
    sense = readSense(changetype<usize>(command) + SENSE, min<u32>(command.senseBytes, SENSE_BYTES_MAX));
  }
  const outcome = outcomeOf(command.hostStatus, command.driverStatus, command.status, sense);
  return outcome === OUTCOME_GOOD ? complete(command) : outcome;
}

/** GOOD counts only if every byte was transferred: short data must never be taken for the client's. */
function complete(command: Command): u8 {
  // GET LBA STATUS returns as much as there is to report; its length is in the data.
  if (command.residual > 0 && command.method === METHOD_STATUS) return OUTCOME_GOOD;
  return command.residual === 0 ? OUTCOME_GOOD : OUTCOME_RETRY_SOFT;
}

/** Classifies a completed check: pages are shorter than the requested length, so short data is no error there. */
export function classifyCheck(command: Command, result: i32): u8 {
  const residual = command.residual;
  command.residual = 0;
  const outcome = classify(command, result);
  command.residual = residual;
  return outcome;
}

/** Whether the outcome came from the device: the host's driver may have kept the command, or given it up. */
export function fromDevice(command: Command, result: i32): bool {
  return result >= 0 && command.hostStatus === HOST_OK && driverIsWell(command.driverStatus);
}

/** Sense of the command classified last: key | ASC << 8 | ASCQ << 16. */
export function lastSense(): u32 {
  return sense;
}

/** Status, key, ASC, ASCQ of the command classified last, as events and path records show them. */
export function senseBytes(command: Command): u32 {
  return shownSense(command.status, sense);
}
