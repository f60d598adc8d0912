// How earlier versions wrote the identity of a unit, so that a unit known by it in the state file or the configuration is
// recognised. It is never used for new names: those texts were not always unique.

import { ascii, hex, isBlank } from "./bytes.ts";
import { BINARY, TYPE_EUI64, TYPE_NAA, TYPE_SCSI_NAME, TYPE_T10, type Designator } from "./canonical-identity.ts";

interface Named {
  readonly text: string;
  readonly rank: number;
}

/** The identity derived from designators of the unit, or null. */
export function formerByPage83(designators: readonly Designator[]): string | null {
  const names = designators.flatMap((designator) => {
    const { bytes } = designator;
    const isNone = bytes.length === 0 || bytes.length > 254 || isBlank(bytes);
    return isNone ? [] : (namedBy(designator) ?? []);
  });
  names.sort((a, b) => a.rank - b.rank || (a.text < b.text ? 1 : -1));
  return names[0]?.text ?? null;
}

function namedBy({ type, codeSet, bytes }: Designator): Named | null {
  const digits = hex(bytes);
  switch (type) {
    case TYPE_NAA: {
      const rank = [6, 5, 2, 3].indexOf((bytes[0] ?? 0) >> 4);
      const isWhole = codeSet === BINARY && rank !== -1 && bytes.length === (rank === 0 ? 16 : 8);
      return isWhole && !/^.0*$/.test(digits) ? { text: `naa.${digits}`, rank } : null;
    }
    case TYPE_EUI64:
      return codeSet === BINARY && [8, 12, 16].includes(bytes.length) ? { text: `eui.${digits}`, rank: 10 } : null;
    case TYPE_SCSI_NAME: {
      const text = ascii(bytes, 0, bytes.length);
      return /^(iqn|eui|naa|uuid)\.[\x21-\x7e]+$/.test(text) ? { text, rank: 20 } : null;
    }
    case TYPE_T10: {
      if (bytes.length <= 8 || isBlank(bytes.subarray(8))) return null;
      const text = Buffer.from(bytes).toString("latin1");
      return { text: `t10.${/^[\x20-\x7e]*$/.test(text) ? text.trimEnd() : `0x${digits}`}`, rank: 30 };
    }
    default:
      return null;
  }
}

/** The identity derived from vendor, product and serial number, or null. */
export function formerBySerial(vendor: string, product: string, payload: Uint8Array): string | null {
  const serial = ascii(payload, 0, payload.length);
  return /^[0?]*$/.test(serial) ? null : `serial.${vendor}:${product}:${serial}`;
}
