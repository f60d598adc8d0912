// The SCSI commands of a session (RFC 7143 11.3 to 11.8): immediate and solicited data, the array's answers, residuals, and
// task management.

import type { CommandResult } from "../../../host/array/array.ts";
import {
  ASC_RESET,
  ASC_UNIT_NOT_SUPPORTED,
  INQUIRY,
  KEY_ABORTED_COMMAND,
  KEY_ILLEGAL_REQUEST,
  STATUS_CHECK_CONDITION,
  STATUS_GOOD,
} from "../../../host/array/scsi.ts";
import type { NexusTable } from "./nexus.ts";
import { DATA_IN, FINAL, NO_TAG, Pdu, R2T, SCSI_RESPONSE, TASK_MANAGEMENT_RESPONSE } from "./pdu.ts";
import type { Session } from "./session.ts";

/** PROTOCOL SERVICE CRC ERROR: ends a command with a missing or misnumbered data PDU (RFC 7143 7.8). */
const ASC_PROTOCOL_SERVICE = 0x4705;
const OVERFLOW = 0x04;
const UNDERFLOW = 0x02;

const ABORT_TASK = 1;
const ABORT_TASK_SET = 2;
const CLEAR_TASK_SET = 4;
const LOGICAL_UNIT_RESET = 5;
const TARGET_WARM_RESET = 6;
const TARGET_COLD_RESET = 7;
const FUNCTION_COMPLETE = 0;
const TASK_DOES_NOT_EXIST = 1;
const LUN_DOES_NOT_EXIST = 2;
const NOT_SUPPORTED = 5;

/** Data that an initiator sends for one command. */
interface Transfer {
  readonly command: Pdu;
  readonly data: Buffer;
  received: number;
  /** End of the current sequence, and the tag with which it was requested (none: unsolicited). */
  sequenceEnd: number;
  targetTag: number;
  nextDataSn: number;
  requests: number;
  /** A PDU was missing or out of order. */
  broken: boolean;
}

/** Single level LUN of eight bytes (SAM-5 4.7); -1 for anything else. */
function lunOf(pdu: Pdu): number {
  const first = pdu.u16(8);
  return first >>> 14 <= 1 && pdu.u16(10) === 0 && pdu.u32(12) === 0 ? first & 0x3fff : -1;
}

/** The bytes of a CDB, by its group code; iSCSI always transfers 16 (RFC 7143 11.3.5). */
function cdbOf(pdu: Pdu): Uint8Array {
  const opcode = pdu.header[32] ?? 0;
  const bytes = [6, 10, 10, 16, 16, 12, 16, 16][opcode >>> 5] ?? 16;
  return Uint8Array.from(pdu.header.subarray(32, 32 + bytes));
}

export class Tasks {
  readonly #session: Session;
  readonly #nexuses: NexusTable;
  readonly #initiatorPort: number;
  readonly #targetPort: number;
  readonly #transfers = new Map<number, Transfer>();
  #lastTargetTag = 0;

  constructor(session: Session, nexuses: NexusTable, initiatorPort: number, targetPort: number) {
    this.#session = session;
    this.#nexuses = nexuses;
    this.#initiatorPort = initiatorPort;
    this.#targetPort = targetPort;
  }

  command(pdu: Pdu): void {
    if ((pdu.flags & 0x20) === 0) return this.#carryOut(pdu, (pdu.flags & 0x40) === 0 ? null : pdu.u32(20));
    const { agreement } = this.#session;
    const data = Buffer.alloc(pdu.u32(20));
    const transfer: Transfer = {
      command: pdu,
      data,
      received: 0,
      sequenceEnd: Math.min(data.length, agreement.firstBurstBytes),
      targetTag: NO_TAG,
      nextDataSn: 0,
      requests: 0,
      broken: pdu.data.length > 0 && (!agreement.immediateData || pdu.data.length > agreement.firstBurstBytes),
    };
    this.#store(transfer, 0, pdu.data);
    this.#transfers.set(pdu.taskTag, transfer);
    if ((pdu.flags & FINAL) !== 0) this.#sequenceOver(transfer);
    else transfer.broken ||= agreement.initialR2T;
  }

  dataOut(pdu: Pdu): void {
    const transfer = this.#transfers.get(pdu.taskTag);
    if (transfer === undefined) return;
    const inOrder = pdu.u32(20) === transfer.targetTag && pdu.u32(36) === transfer.nextDataSn;
    if (!inOrder || pdu.u32(40) !== transfer.received) transfer.broken = true;
    transfer.nextDataSn++;
    this.#store(transfer, pdu.u32(40), pdu.data);
    if ((pdu.flags & FINAL) === 0) return;
    if (transfer.targetTag !== NO_TAG && transfer.received !== transfer.sequenceEnd) transfer.broken = true;
    this.#sequenceOver(transfer);
  }

  #store(transfer: Transfer, offset: number, data: Buffer): void {
    if (offset + data.length > transfer.sequenceEnd) transfer.broken = true;
    if (transfer.broken) return;
    data.copy(transfer.data, offset);
    transfer.received = offset + data.length;
  }

  /** A sequence of data is complete: fails the command, requests more data, or executes the command. */
  #sequenceOver(transfer: Transfer): void {
    const { command, data } = transfer;
    if (!transfer.broken && transfer.received < data.length) return this.#ask(transfer);
    this.#transfers.delete(command.taskTag);
    if (transfer.broken) return this.#fail(command, KEY_ABORTED_COMMAND, ASC_PROTOCOL_SERVICE);
    this.#carryOut(command, Uint8Array.from(data));
  }

  #ask(transfer: Transfer): void {
    const { command, data, received } = transfer;
    const bytes = Math.min(data.length - received, this.#session.agreement.burstBytes);
    this.#lastTargetTag = (this.#lastTargetTag + 1) & 0x7fffffff;
    transfer.targetTag = this.#lastTargetTag;
    transfer.sequenceEnd = received + bytes;
    transfer.nextDataSn = 0;
    const pdu = Pdu.of(R2T, FINAL).copy(command, 8, 8).copy(command, 16, 4).put32(20, transfer.targetTag);
    pdu.put32(36, transfer.requests++).put32(40, received).put32(44, bytes);
    this.#session.send(pdu, false);
  }

  // ---- Carrying out ----

  #carryOut(pdu: Pdu, data: Uint8Array | number | null): void {
    const port = this.#nexuses.port(this.#initiatorPort, this.#targetPort, lunOf(pdu));
    const cdb = cdbOf(pdu);
    if (port === undefined) return this.#withoutUnit(pdu, cdb);
    const result = this.#nexuses.array.command(port.handle, cdb, data);
    if (result.hostStatus !== 0) return this.#session.close();
    const taken = typeof data === "number" ? result.data : Buffer.alloc(0);
    this.#dataIn(pdu, Buffer.from(taken), result);
  }

  /** For a LUN that leads nowhere: INQUIRY reports that, everything else is refused. */
  #withoutUnit(pdu: Pdu, cdb: Uint8Array): void {
    if (cdb[0] !== INQUIRY || ((cdb[1] ?? 0) & 1) !== 0)
      return this.#fail(pdu, KEY_ILLEGAL_REQUEST, ASC_UNIT_NOT_SUPPORTED);
    const data = Buffer.alloc(36);
    data[0] = 0x7f;
    data[4] = 31;
    const bytes = Math.min(data.length, pdu.u32(20));
    const result = {
      status: STATUS_GOOD,
      hostStatus: 0,
      sense: new Uint8Array(0),
      data,
      residual: pdu.u32(20) - bytes,
    };
    this.#dataIn(pdu, data.subarray(0, bytes), result);
  }

  /** Sends data in sequences no longer than negotiated; the last PDU carries the status if that needs no sense data. */
  #dataIn(command: Pdu, data: Buffer, result: CommandResult): void {
    const { initiatorSegmentBytes, burstBytes } = this.#session.agreement;
    const joined = result.status === STATUS_GOOD && data.length > 0;
    let units = 0;
    for (let at = 0; at < data.length;) {
      const sequenceEnd = Math.min(data.length, at - (at % burstBytes) + burstBytes);
      const end = Math.min(sequenceEnd, at + initiatorSegmentBytes);
      const last = end === data.length;
      const pdu = Pdu.of(DATA_IN, end === sequenceEnd ? FINAL : 0, data.subarray(at, end));
      pdu.copy(command, 16, 4).put32(20, NO_TAG).put32(36, units++).put32(40, at);
      if (last && joined) {
        pdu.header[1] = FINAL | 0x01 | residualFlag(result.residual);
        pdu.header[3] = result.status;
        pdu.put32(44, Math.abs(result.residual));
      }
      this.#session.send(pdu, last && joined);
      at = end;
    }
    if (!joined) this.#respond(command, result, units);
  }

  #respond(command: Pdu, result: CommandResult, dataUnits: number): void {
    const { sense } = result;
    const segment = Buffer.alloc(sense.length === 0 ? 0 : sense.length + 2);
    if (sense.length > 0) {
      segment.writeUInt16BE(sense.length);
      segment.set(sense, 2);
    }
    const pdu = Pdu.of(SCSI_RESPONSE, FINAL | residualFlag(result.residual), segment);
    pdu.copy(command, 16, 4).put32(36, dataUnits).put32(44, Math.abs(result.residual));
    pdu.header[3] = result.status;
    this.#session.send(pdu, true);
  }

  /** CHECK CONDITION from the transport, with fixed sense data. */
  #fail(command: Pdu, key: number, asc: number): void {
    const sense = new Uint8Array(18);
    sense[0] = 0x70;
    sense[2] = key;
    sense[7] = 10;
    sense[12] = asc >>> 8;
    sense[13] = asc & 0xff;
    const residual = command.u32(20);
    this.#respond(command, { status: STATUS_CHECK_CONDITION, hostStatus: 0, sense, data: sense, residual }, 0);
  }

  // ---- Task management ----

  manage(pdu: Pdu): void {
    const reply = Pdu.of(TASK_MANAGEMENT_RESPONSE, FINAL).copy(pdu, 16, 4);
    reply.header[2] = this.#manage(pdu);
    this.#session.send(reply, true);
  }

  #manage(pdu: Pdu): number {
    const action = pdu.flags & 0x7f;
    const lun = lunOf(pdu);
    if (action === ABORT_TASK) return this.#transfers.delete(pdu.u32(20)) ? FUNCTION_COMPLETE : TASK_DOES_NOT_EXIST;
    if (action === TARGET_WARM_RESET || action === TARGET_COLD_RESET) return this.#reset(undefined);
    if (action !== ABORT_TASK_SET && action !== CLEAR_TASK_SET && action !== LOGICAL_UNIT_RESET) return NOT_SUPPORTED;
    if (this.#nexuses.port(this.#initiatorPort, this.#targetPort, lun) === undefined) return LUN_DOES_NOT_EXIST;
    if (action === LOGICAL_UNIT_RESET) return this.#reset(lun);
    this.#drop(lun);
    return FUNCTION_COMPLETE;
  }

  #reset(lun: number | undefined): number {
    this.#drop(lun);
    for (const port of this.#nexuses.array.ports) {
      if (lun !== undefined && port.lun !== lun) continue;
      port.attend(ASC_RESET);
      port.unit?.reservations.endSpc2();
    }
    return FUNCTION_COMPLETE;
  }

  #drop(lun: number | undefined): void {
    for (const [tag, { command }] of this.#transfers) {
      if (lun === undefined || lunOf(command) === lun) this.#transfers.delete(tag);
    }
  }
}

function residualFlag(residual: number): number {
  if (residual === 0) return 0;
  return residual < 0 ? OVERFLOW : UNDERFLOW;
}
