// INQUIRY with its vital product data pages, REPORT LUNS, READ CAPACITY: a unit's identity and size.

import type { Command } from "./command.ts";
import { TRANSFER_BYTES_MAX, UNMAP_BLOCKS_MAX, UNMAP_DESCRIPTORS_MAX, WRITE_SAME_BYTES_MAX } from "./block-commands.ts";
import { ASC_LUNS_CHANGED } from "../scsi.ts";
import { nameHash, type LogicalUnit, type Port } from "../array-unit.ts";

const VENDOR = "PATHMGR ";
const PRODUCT = "EMULATED DISK   ";
const REVISION = "0001";

const VPD_PAGES = [0x00, 0x80, 0x83, 0xb0, 0xb1, 0xb2];
const VPD_PAGES_OLD = VPD_PAGES.filter((page) => page !== 0x83);

function putText(into: Uint8Array, at: number, text: string): number {
  for (let i = 0; i < text.length; i++) into[at + i] = text.charCodeAt(i);
  return text.length;
}

/** INQUIRY, SPC-4 6.6. `unit` is null if the LUN leads nowhere: peripheral qualifier 011b, nothing else works. */
export function inquiry(command: Command, unit: LogicalUnit | null, port: Port): void {
  const vital = (command.cdb(1) & 1) !== 0;
  const page = command.cdb(2);
  const allocation = command.cdb16(3);
  const out = command.response;
  if ((command.cdb(1) & 0xfe) !== 0) return command.invalidField(1, 1);
  if (!vital && page !== 0) return command.invalidField(2, -1);
  out.fill(0, 0, 512);
  if (unit === null) {
    out[0] = 0x7f;
    if (vital) return command.invalidField(1, 0);
    return command.respond(standardInquiry(out), allocation);
  }
  if (!vital) return command.respond(standardInquiry(out), allocation);
  const length = otherPage(out, port.faults?.pages.get(page)) ?? vitalProductData(command, page, unit, port);
  if (length < 0) return command.invalidField(2, -1);
  out[1] = page;
  if (port.faults?.nonsensePages === true) garble(out, length, page);
  command.respond(length, allocation);
}

/** Writes the payload that a fault has put in place of the unit's own page; undefined if there is none. */
function otherPage(out: Uint8Array, payload: Uint8Array | undefined): number | undefined {
  if (payload === undefined) return undefined;
  out.set(payload, 4);
  out[2] = payload.length >> 8;
  out[3] = payload.length & 0xff;
  return 4 + payload.length;
}

/** The answer of broken firmware: lengths that promise more than there is, and designators that overlap. */
function garble(out: Uint8Array, length: number, page: number): void {
  for (let i = 4; i < length; i++) out[i] = (i * 167 + page) & 0xff;
  out[2] = 0xff;
  out[3] = 0xf0;
}

function standardInquiry(out: Uint8Array): number {
  out[2] = 0x06;
  out[3] = 0x12;
  out[4] = 91;
  out[5] = 0x30;
  out[6] = 0x10;
  out[7] = 0x02;
  putText(out, 8, VENDOR);
  putText(out, 16, PRODUCT);
  putText(out, 32, REVISION);
  const descriptors = [0x0460, 0x04c0, 0x0960];
  descriptors.forEach((version, i) => {
    out[58 + 2 * i] = version >>> 8;
    out[59 + 2 * i] = version & 0xff;
  });
  return 96;
}

function vitalProductData(command: Command, page: number, unit: LogicalUnit, port: Port): number {
  const { response: out, responseView: view } = command;
  switch (page) {
    case 0x00: {
      const pages = unit.array.identification === "serial-only" ? VPD_PAGES_OLD : VPD_PAGES;
      pages.forEach((known, i) => (out[4 + i] = known));
      out[3] = pages.length;
      return 4 + pages.length;
    }
    case 0x80:
      out[3] = putText(out, 4, unit.serial);
      return 4 + unit.serial.length;
    case 0x83:
      if (unit.array.identification === "serial-only") return -1;
      return deviceIdentification(command, unit, port);
    case 0xb0:
      out[3] = 60;
      out[4] = 1;
      out[5] = 255;
      view.setUint32(8, TRANSFER_BYTES_MAX / unit.blockBytes);
      view.setUint32(12, 1_048_576 / unit.blockBytes);
      view.setUint32(20, UNMAP_BLOCKS_MAX);
      view.setUint32(24, UNMAP_DESCRIPTORS_MAX);
      view.setUint32(28, 4096 / unit.blockBytes);
      view.setUint32(40, WRITE_SAME_BYTES_MAX / unit.blockBytes);
      return 64;
    case 0xb1:
      out[3] = 60;
      out[5] = 1;
      return 64;
    case 0xb2:
      out[3] = 4;
      out[5] = 0xe4;
      out[6] = 2;
      return 8;
    default:
      return -1;
  }
}

/** Page 83: the unit's NAA and T10 vendor designators, then the target port's, its group, and the array's name. */
function deviceIdentification(command: Command, unit: LogicalUnit, port: Port): number {
  const { response: out, responseView: view } = command;
  let at = 4;
  const head = (codeSet: number, associationAndType: number, length: number): void => {
    out[at] = codeSet;
    out[at + 1] = associationAndType;
    out[at + 2] = 0;
    out[at + 3] = length;
    at += 4;
  };
  head(0x01, 0x03, 16);
  out.set(unit.designator, at);
  at += 16;
  head(0x02, 0x01, 8 + unit.serial.length);
  at += putText(out, at, VENDOR);
  at += putText(out, at, unit.serial);
  head(0x61, 0x93, 8);
  out.set(portName(port), at);
  at += 8;
  head(0x61, 0x94, 4);
  view.setUint32(at, port.targetPort + 1);
  at += 4;
  head(0x61, 0x95, 4);
  view.setUint32(at, port.controller + 1);
  at += 4;
  const name = `naa.${(0x5001a2b0).toString(16).toUpperCase()}${nameHash(`array ${unit.array.name}`).toString(16).padStart(8, "0").toUpperCase()}`;
  const padded = (name.length + 4) & ~3;
  head(0x63, 0xa8, padded);
  out.fill(0, at, at + padded);
  putText(out, at, name);
  at += padded;
  out[3] = at - 4;
  return at;
}

/** NAA 5 name of a target port, 8 bytes. */
function portName(port: Port): Uint8Array {
  const name = new Uint8Array(8);
  const view = new DataView(name.buffer);
  view.setUint32(0, 0x5001a2b0);
  view.setUint32(4, (nameHash(`port ${port.array.name}`) & 0xffffff00) | port.targetPort);
  return name;
}

/** REPORT LUNS, SPC-4 6.33, with the LUNs that this nexus sees. */
export function reportLuns(command: Command, port: Port, ports: readonly Port[]): void {
  const select = command.cdb(2);
  const allocation = command.cdb32(6);
  if (select > 2) return command.invalidField(2, -1);
  if (allocation < 16) return command.invalidField(6, -1);
  const { response: out, responseView: view } = command;
  let at = 8;
  if (select !== 1) {
    for (const other of ports) {
      if (other.arrayIndex !== port.arrayIndex || other.nexus !== port.nexus || other.unit === null) continue;
      out.fill(0, at, at + 8);
      out[at] = other.lun < 256 ? 0 : 0x40 | (other.lun >>> 8);
      out[at + 1] = other.lun & 0xff;
      at += 8;
    }
  }
  view.setUint32(0, at - 8);
  view.setUint32(4, 0);
  port.clearAttention(ASC_LUNS_CHANGED);
  command.respond(at, allocation);
}

/** READ CAPACITY (10), SBC-3 5.15. */
export function readCapacity10(command: Command, unit: LogicalUnit): void {
  if (command.cdb32(2) !== 0 || (command.cdb(8) & 1) !== 0) return command.invalidField(2, -1);
  command.responseView.setUint32(0, Math.min(unit.blocks - 1, 0xffffffff));
  command.responseView.setUint32(4, unit.blockBytes);
  command.respond(8, 8);
}

/** READ CAPACITY (16), SBC-3 5.16: thin provisioned, unmapped blocks read as zeroes. */
export function readCapacity16(command: Command, unit: LogicalUnit): void {
  const { response: out, responseView: view } = command;
  out.fill(0, 0, 32);
  const last = unit.blocks - 1;
  view.setUint32(0, Math.floor(last / 4294967296));
  view.setUint32(4, last >>> 0);
  view.setUint32(8, unit.blockBytes);
  out[13] = unit.blockBytes === 512 ? 3 : 0;
  out[14] = 0xc0;
  command.respond(32, command.cdb32(10));
}
