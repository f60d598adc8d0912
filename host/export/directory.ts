// The exports on offer, and their names. Control fills the directory; a negotiation reads it whenever an option arrives, so the
// next client sees a unit that was added or has grown, while clients in their transmission phase are not affected.

import {
  BUFFER_PAGE_BYTES,
  CONNECTION_READ_ONLY,
  CONNECTION_TRIM,
  NBD_PAYLOAD_BYTES_MAX,
  UNIT_CAN_NOT_WRITE,
  UNIT_CAN_UNMAP,
} from "../abi.ts";
import { ExportError } from "./export-errors.ts";
import {
  STRING_BYTES_MAX,
  TRANSMISSION_CAN_MULTI_CONN,
  TRANSMISSION_HAS_FLAGS,
  TRANSMISSION_READ_ONLY,
  TRANSMISSION_SEND_CACHE,
  TRANSMISSION_SEND_DF,
  TRANSMISSION_SEND_FLUSH,
  TRANSMISSION_SEND_FUA,
  TRANSMISSION_SEND_TRIM,
  TRANSMISSION_SEND_WRITE_ZEROES,
} from "./handshake-numbers.ts";
import { counted } from "../wording.ts";

/** One logical unit as an NBD export. */
export interface NbdExport {
  /** Handle of the unit in the reactor. */
  readonly unit: number;
  /** Number of the logical unit: `#0` is 0. It is a name of the export ("0", "#0", "lu0"). */
  readonly number: number;
  /** Name an operator gave the unit; the canonical name of the export. Without one, that is `lu<number>`. */
  readonly name?: string;
  /** Identity as displayed (for example `naa.6001405...`); also a name of the export. */
  readonly identity?: string;
  /** The identity by which an earlier version knew the unit; also a name of the export, and what its devices are known by. */
  readonly formerIdentity?: string;
  /** A sentence for `nbdinfo`: vendor, product, ... */
  readonly description?: string;
  /** Size in bytes, a multiple of `blockBytes`. */
  readonly bytes: bigint;
  /** Bytes of a logical block: 512 or 4096. */
  readonly blockBytes: number;
  /** UNIT_CAN_* bits of the unit. */
  readonly capabilities: number;
  /** Offer it read-only although the device is writable. */
  readonly readOnly?: boolean;
  /** Whether the empty name means it. If no export says so, the empty name means the only export, or none. */
  readonly isDefault?: boolean;
}

/** Bytes that may not be in a name: control characters would reach a terminal through `nbdinfo --list`. */
// oxlint-disable-next-line no-control-regex
const UNPRINTABLE = /[\u0000-\u001f\u007f]/;

function isReadOnly(entry: NbdExport): boolean {
  return entry.readOnly === true || (entry.capabilities & UNIT_CAN_NOT_WRITE) !== 0;
}

/** The export's name in answers to `LIST` and `INFO`. */
export function canonicalName(entry: NbdExport): string {
  return entry.name ?? `lu${entry.number}`;
}

/**
 * Transmission flags of an export (NBD protocol, "Transmission flags").
 *
 * CAN_MULTI_CONN holds because all connections share one core: a write answered on one is visible to all, and a flush goes to the
 * device. FUA and zeroes are always offered, since the core builds them from other commands where the device lacks them; TRIM
 * only where the device can UNMAP, because otherwise it would be pointless.
 */
export function transmissionFlags(entry: NbdExport, structured: boolean): number {
  let flags = TRANSMISSION_HAS_FLAGS | TRANSMISSION_SEND_FLUSH | TRANSMISSION_CAN_MULTI_CONN | TRANSMISSION_SEND_CACHE;
  if (structured) flags |= TRANSMISSION_SEND_DF;
  if (isReadOnly(entry)) return flags | TRANSMISSION_READ_ONLY;
  flags |= TRANSMISSION_SEND_FUA | TRANSMISSION_SEND_WRITE_ZEROES;
  if ((entry.capabilities & UNIT_CAN_UNMAP) !== 0) flags |= TRANSMISSION_SEND_TRIM;
  return flags;
}

/** CONNECTION_* flags for what was announced. */
export function connectionFlags(entry: NbdExport): number {
  const announced = transmissionFlags(entry, false);
  return (
    ((announced & TRANSMISSION_READ_ONLY) !== 0 ? CONNECTION_READ_ONLY : 0) |
    ((announced & TRANSMISSION_SEND_TRIM) !== 0 ? CONNECTION_TRIM : 0)
  );
}

/** Block size constraints in bytes (NBD protocol, "Block size constraints"). */
export function blockSizes(entry: NbdExport): { minimum: number; preferred: number; payloadMax: number } {
  const preferred = Math.max(BUFFER_PAGE_BYTES, entry.blockBytes);
  return { minimum: entry.blockBytes, preferred, payloadMax: NBD_PAYLOAD_BYTES_MAX };
}

function check(entry: NbdExport): void {
  const who = `export of unit #${entry.number}`;
  const refuse = (what: string): never => {
    throw new ExportError("EXPORT_INVALID", `${who}: ${what}`);
  };
  if (entry.blockBytes !== 512 && entry.blockBytes !== 4096) {
    refuse(`a block of ${counted(entry.blockBytes, "byte")} cannot be offered; only 512 and 4096 can`);
  }
  if (entry.bytes < 0n || entry.bytes >= 1n << 63n || entry.bytes % BigInt(entry.blockBytes) !== 0n) {
    refuse(
      `its size of ${counted(entry.bytes, "byte")} is not a multiple of its block of ${counted(entry.blockBytes, "byte")} below 2^63`,
    );
  }
  for (const name of [entry.name, entry.identity, entry.formerIdentity, entry.description]) {
    if (name === undefined) continue;
    if (name === "") refuse("a name must not be empty; leave it out instead");
    if (Buffer.byteLength(name) > STRING_BYTES_MAX) refuse(`a name is longer than ${STRING_BYTES_MAX} bytes`);
    if (UNPRINTABLE.test(name)) refuse(`the name ${JSON.stringify(name)} contains a control character`);
  }
}

/** The exports by name. Replaced as a whole, so that no client sees half of a change. */
export class ExportDirectory {
  #entries: readonly NbdExport[] = [];
  #byName = new Map<string, NbdExport>();
  #default: NbdExport | undefined = undefined;

  /**
   * Replaces the exports. A unit's number takes precedence over a name that looks like one, and no name may equal another unit's
   * identity.
   *
   * @throws ExportError EXPORT_INVALID or EXPORT_NAME_TAKEN; the previous exports then stay.
   */
  replace(entries: readonly NbdExport[]): void {
    const byName = new Map<string, NbdExport>();
    for (const entry of entries) check(entry);
    for (const entry of entries) {
      for (const name of [`${entry.number}`, `#${entry.number}`, `lu${entry.number}`]) {
        if (byName.has(name)) throw new ExportError("EXPORT_NAME_TAKEN", `two exports have the number ${entry.number}`);
        byName.set(name, entry);
      }
    }
    for (const entry of entries) {
      if (entry.identity !== undefined && !byName.has(entry.identity)) byName.set(entry.identity, entry);
    }
    for (const entry of entries) {
      if (entry.name === undefined) continue;
      const other = byName.get(entry.name);
      if (other !== undefined && other !== entry) {
        const text = `unit #${entry.number} cannot be exported as "${entry.name}": unit #${other.number} has this name`;
        throw new ExportError("EXPORT_NAME_TAKEN", `${text}; rename one of them`);
      }
      byName.set(entry.name, entry);
    }
    for (const entry of entries) {
      const { formerIdentity } = entry;
      if (formerIdentity !== undefined && !byName.has(formerIdentity)) byName.set(formerIdentity, entry);
    }
    this.#entries = [...entries];
    this.#byName = byName;
    const only = entries.length === 1 ? entries.find((entry) => entry.isDefault !== false) : undefined;
    this.#default = entries.find((entry) => entry.isDefault === true) ?? only;
  }

  get entries(): readonly NbdExport[] {
    return this.#entries;
  }

  /** The export that a client names; the empty name means the default one. */
  find(name: string): NbdExport | undefined {
    return name === "" ? this.#default : this.#byName.get(name);
  }
}
