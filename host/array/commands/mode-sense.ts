// MODE SENSE and REQUEST SENSE.

import type { Command } from "./command.ts";
import { ASC_NONE, KEY_ILLEGAL_REQUEST, KEY_NO_SENSE, KEY_UNIT_ATTENTION } from "../scsi.ts";
import type { LogicalUnit, Port } from "../array-unit.ts";

/** SAVING PARAMETERS NOT SUPPORTED. */
const ASC_SAVING = 0x3900;

/** MODE SENSE (6) and (10), SPC-4 6.13 and 6.14: caching (08) and control (0A) pages; WP and DPOFUA in the header. */
export function modeSense(command: Command, unit: LogicalUnit, long: boolean): void {
  const withoutBlockDescriptor = (command.cdb(1) & 0x08) !== 0;
  const control = command.cdb(2) >>> 6;
  const page = command.cdb(2) & 0x3f;
  const subpage = command.cdb(3);
  const allocation = long ? command.cdb16(7) : command.cdb(4);
  if (control === 3) return command.fail(KEY_ILLEGAL_REQUEST, ASC_SAVING);
  if (page !== 0x08 && page !== 0x0a && page !== 0x3f) return command.invalidField(2, 5);
  if (subpage !== 0 && !(page === 0x3f && subpage === 0xff)) return command.invalidField(3, -1);
  const { response: out, responseView: view } = command;
  out.fill(0, 0, 128);
  const head = long ? 8 : 4;
  let at = head;
  if (!withoutBlockDescriptor) {
    view.setUint32(at, Math.min(unit.blocks, 0xffffffff));
    view.setUint32(at + 4, unit.blockBytes);
    at += 8;
    out[long ? 7 : 3] = 8;
  }
  const current = control !== 1;
  if (page !== 0x0a) {
    out[at] = 0x08;
    out[at + 1] = 0x12;
    if (current && unit.cachesWrites) out[at + 2] = 0x04;
    at += 20;
  }
  if (page !== 0x08) {
    out[at] = 0x0a;
    out[at + 1] = 0x0a;
    if (current && unit.array.descriptorSense) out[at + 2] = 0x04;
    if (current) out[at + 3] = 0x10;
    // TAS: a command aborted by another nexus ends with TASK ABORTED.
    if (current) out[at + 5] = 0x40;
    at += 12;
  }
  const specific = (unit.writeProtected ? 0x80 : 0) | 0x10;
  if (long) {
    view.setUint16(0, at - 2);
    out[3] = specific;
  } else {
    out[0] = at - 1;
    out[2] = specific;
  }
  command.respond(at, allocation);
}

/** REQUEST SENSE, SPC-4 6.39: a pending unit attention is returned as data, and is then no longer pending. */
export function requestSense(command: Command, port: Port): void {
  const descriptorFormat = (command.cdb(1) & 1) !== 0;
  const attention = port.takeAttention();
  command.senseKey = attention === 0 ? KEY_NO_SENSE : KEY_UNIT_ATTENTION;
  command.asc = attention === 0 ? ASC_NONE : attention;
  const length = command.writeSense(command.response, 0, descriptorFormat);
  command.respond(length, command.cdb(4));
}
