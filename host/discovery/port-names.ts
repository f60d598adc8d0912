// Names of the two ends of a path. Linux renumbers hosts, targets and sessions at each boot, driver load and login; port names
// stay, and so does whatever belongs to the path between them (SAM-5: the I_T nexus).

import { join } from "node:path";
import { readNames, readText } from "./attributes.ts";

/** Names that do not depend on Linux's numbers; null where none is known. */
export interface PortNames {
  readonly initiator: string | null;
  readonly target: string | null;
  /** How the target port is reached, if there are several ways: the portal of an iSCSI session. */
  readonly via: string | null;
}

export const UNNAMED: PortNames = { initiator: null, target: null, via: null };

/** Not every text from VPD page 0x83 is a name: `port 3` is a number within the array. */
const IS_NAME = /^(naa|eui|iqn|uuid)\./;

/**
 * The nexus of a path as one text, or null when either end has no name.
 * @param targetPort the target port as named in VPD page 0x83
 */
export function nexusOf(names: PortNames, targetPort: string | null): string | null {
  const target = names.target ?? (targetPort !== null && IS_NAME.test(targetPort) ? targetPort : null);
  if (names.initiator === null || target === null) return null;
  return `${names.initiator} -> ${target}${names.via === null ? "" : ` via ${names.via}`}`;
}

/** Reads names from sysfs; those shared by many devices only once. */
export class PortNameReader {
  readonly #root: string;
  readonly #known = new Map<string, string | null>();
  #phys: readonly string[] | null = null;

  constructor(root = "/sys") {
    this.#root = root;
  }

  /**
   * @param folder the resolved folder of a SCSI device
   * @param number its path number
   */
  read(folder: string, number: string): PortNames {
    const session = /\/session(\d+)\//.exec(folder)?.[1];
    if (session !== undefined) return this.#iscsi(session);
    const fields = number.split(":");
    const host = fields[0] ?? "";
    const fibre = this.#text(`class/fc_host/host${host}/port_name`);
    if (fibre !== null) {
      const target = this.#text(`class/fc_transport/target${fields.slice(0, 3).join(":")}/port_name`);
      return { initiator: `wwpn.${bare(fibre)}`, target: target === null ? null : `wwpn.${bare(target)}`, via: null };
    }
    const serial = this.#text(`class/scsi_host/host${host}/host_sas_address`) ?? this.#phyAddress(host);
    if (serial === null) return UNNAMED;
    const target = significant(readText(join(folder, "sas_address")));
    return { initiator: `sas.${bare(serial)}`, target: target === null ? null : `sas.${bare(target)}`, via: null };
  }

  #iscsi(session: string): PortNames {
    const about = (name: string): string | null => this.#text(`class/iscsi_session/session${session}/${name}`);
    const initiator = about("initiatorname");
    const target = about("targetname");
    if (initiator === null || target === null) return UNNAMED;
    const portal = (name: string): string | null => this.#text(`class/iscsi_connection/connection${session}:0/${name}`);
    const address = portal("persistent_address");
    return {
      initiator: `${initiator}${suffix(",", about("ifacename"))}`,
      target: `${target}${suffix(",t,", about("tpgt"))}`,
      via: address === null ? null : `${address}${suffix(":", portal("persistent_port"))}`,
    };
  }

  /** The SAS address shared by the phys of a host adapter. */
  #phyAddress(host: string): string | null {
    this.#phys ??= readNames(join(this.#root, "class/sas_phy")).toSorted();
    for (const phy of this.#phys) {
      if (!new RegExp(`^phy-${host}:\\d+$`).test(phy)) continue;
      const address = this.#text(`class/sas_phy/${phy}/sas_address`);
      if (address !== null) return address;
    }
    return null;
  }

  #text(file: string): string | null {
    const known = this.#known.get(file);
    if (known !== undefined) return known;
    const text = significant(readText(join(this.#root, file)));
    this.#known.set(file, text);
    return text;
  }
}

const bare = (address: string): string => address.toLowerCase().replace(/^0x/, "");
const suffix = (mark: string, text: string | null): string => (text === null ? "" : `${mark}${text}`);

/** Null for what drivers show when they know nothing: an empty text, `<NULL>`, an address of all zeroes or ones. */
function significant(text: string | null): string | null {
  const trimmed = text?.trim() ?? "";
  return /^(<NULL>|(0x)?(0*|f+))?$/i.test(trimmed) ? null : trimmed;
}
