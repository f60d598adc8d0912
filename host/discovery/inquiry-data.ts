// INQUIRY: the standard data and the header of vital product data pages (SPC-4 6.6, 7.8).

import { IDENTITY_BYTES_MAX } from "../abi.ts";
import { ascii, big, hexByte } from "./bytes.ts";
import { serialNumber } from "./canonical-identity.ts";
import { nonsense, parsed, type Parsed } from "./transport.ts";
import { counted } from "../wording.ts";

/** Standard INQUIRY data (SPC-4 6.6.2), as far as paths need it. */
export interface StandardInquiry {
  readonly vendor: string;
  readonly product: string;
  /** Vendor and product, unmodified. */
  readonly vendorBytes: Uint8Array;
  readonly productBytes: Uint8Array;
  readonly revision: string;
  /** 0 none, 1 implicit, 2 explicit, 3 both (SPC-4 table 144, TPGS). */
  readonly targetPortGroupSupport: number;
}

const DIRECT_ACCESS = 0x00;
const STANDARD_BYTES_MIN = 36;

/** Why the sender of these data is not a connected disk, or null: a peripheral qualifier other than 0, or another device type. */
export function whyNoDisk(data: Uint8Array): string | null {
  if (data.length === 0) return null;
  const qualifier = big(data, 0, 1) >> 5;
  const type = big(data, 0, 1) & 0x1f;
  if (qualifier !== 0) return `no logical unit is connected here (peripheral qualifier ${qualifier})`;
  return type === DIRECT_ACCESS ? null : `not a disk (peripheral device type 0x${type.toString(16)})`;
}

export function parseStandardInquiry(data: Uint8Array): Parsed<StandardInquiry> {
  if (data.length < STANDARD_BYTES_MIN) {
    return nonsense(`INQUIRY data has ${counted(data.length, "byte")}, at least ${STANDARD_BYTES_MIN} are needed`);
  }
  const why = whyNoDisk(data);
  if (why !== null) return nonsense(why);
  return parsed({
    vendor: ascii(data, 8, 8),
    product: ascii(data, 16, 16),
    vendorBytes: data.slice(8, 16),
    productBytes: data.slice(16, 32),
    revision: ascii(data, 32, 4),
    targetPortGroupSupport: (big(data, 5, 1) >> 4) & 3,
  });
}

/** The payload of a VPD page, if it is the requested page and complete. */
export function vpdPayload(data: Uint8Array, page: number): Parsed<Uint8Array> {
  const name = `VPD page 0x${hexByte(page)}`;
  if (data.length < 4) return nonsense(`${name} has ${counted(data.length, "byte")}, its header alone has 4`);
  if (data[1] !== page) return nonsense(`${name} was asked for, page 0x${big(data, 1, 1).toString(16)} came`);
  const length = big(data, 2, 2);
  if (length > data.length - 4) {
    return nonsense(`${name} says it has ${counted(length, "byte")}, ${data.length - 4} came`);
  }
  return parsed(data.subarray(4, 4 + length));
}

/** Pages the device supports (page 0x00, SPC-4 7.8.14). */
export function parseSupportedPages(data: Uint8Array): Parsed<ReadonlySet<number>> {
  const payload = vpdPayload(data, 0x00);
  return payload.ok ? parsed(new Set(payload.value)) : payload;
}

/** Unit serial number (page 0x80, SPC-4 7.8.15), unmodified; null when it carries no information. */
export function parseSerial(data: Uint8Array): Parsed<Uint8Array | null> {
  const payload = vpdPayload(data, 0x80);
  if (!payload.ok) return payload;
  const serial = serialNumber(payload.value);
  if (serial !== null && serial.length > IDENTITY_BYTES_MAX - 2) {
    return nonsense(`VPD page 0x80 has a serial number of ${counted(serial.length, "byte")}`);
  }
  return parsed(serial === null ? null : payload.value);
}
