// VPD page 0x83, device identification (SPC-4 7.8.6): the identity of the logical unit, and the target port of this path.

import { ascii, big, hex } from "./bytes.ts";
import { formerByPage83 } from "./former.ts";
import {
  BINARY,
  candidateOf,
  TYPE_NAA,
  TYPE_SCSI_NAME,
  type Candidate,
  type Designator,
  type UnitIdentity,
} from "./canonical-identity.ts";
import { vpdPayload } from "./inquiry-data.ts";
import { nonsense, parsed, type Parsed } from "./transport.ts";
import { counted } from "../wording.ts";

/** The content of page 0x83. */
export interface Identification {
  /** Null when no designator of the logical unit is trustworthy. */
  readonly identity: UnitIdentity | null;
  /** The identity that an earlier version read from the same page. */
  readonly former: string | null;
  /** Why designators were ignored, one sentence each. */
  readonly problems: readonly string[];
  /** Name of the target port (association 1), or null. */
  readonly targetPort: string | null;
  readonly relativeTargetPort: number | null;
  readonly targetPortGroup: number | null;
}

const ASSOCIATION_UNIT = 0;
const ASSOCIATION_TARGET_PORT = 1;
const TYPE_RELATIVE_PORT = 4;
const TYPE_PORT_GROUP = 5;

/** Parses page 0x83. A malformed page is nonsense; a malformed designator is a problem, and the others count. */
export function parseIdentification(data: Uint8Array): Parsed<Identification> {
  const payload = vpdPayload(data, 0x83);
  if (!payload.ok) return payload;
  const problems: string[] = [];
  const designators: Designator[] = [];
  for (let at = 0; at < payload.value.length;) {
    const left = payload.value.length - at;
    if (left < 4)
      return nonsense(`VPD page 0x83 ends within the header of a designator (${counted(left, "byte")} left)`);
    const length = big(payload.value, at + 3, 1);
    if (length > left - 4) {
      return nonsense(`VPD page 0x83 has a designator of ${counted(length, "byte")} where ${left - 4} are left`);
    }
    designators.push({
      codeSet: big(payload.value, at, 1) & 0x0f,
      association: (big(payload.value, at + 1, 1) >> 4) & 3,
      type: big(payload.value, at + 1, 1) & 0x0f,
      bytes: payload.value.subarray(at + 4, at + 4 + length),
    });
    at += 4 + length;
  }
  const ports = designators.filter((designator) => designator.association === ASSOCIATION_TARGET_PORT);
  const ofUnit = designators.filter((designator) => designator.association === ASSOCIATION_UNIT);
  return parsed({
    identity: chooseIdentity(ofUnit, problems),
    former: formerByPage83(ofUnit),
    problems,
    targetPort: portName(ports),
    relativeTargetPort: portNumber(ports, TYPE_RELATIVE_PORT),
    targetPortGroup: portNumber(ports, TYPE_PORT_GROUP),
  });
}

/** The candidate of the lowest rank; among equals the largest, so that their order does not matter. */
function chooseIdentity(designators: readonly Designator[], problems: string[]): UnitIdentity | null {
  const candidates: Candidate[] = [];
  for (const designator of designators) {
    const candidate = candidateOf(designator);
    if (candidate === null) continue;
    if (candidate.ok) candidates.push(candidate.value);
    else problems.push(candidate.reason);
  }
  candidates.sort((a, b) => a.rank - b.rank || (a.identity.text < b.identity.text ? 1 : -1));
  return candidates[0]?.identity ?? null;
}

function portNumber(ports: readonly Designator[], type: number): number | null {
  const found = ports.find((port) => port.type === type && port.codeSet === BINARY && port.bytes.length === 4);
  return found === undefined ? null : big(found.bytes, 2, 2);
}

function portName(ports: readonly Designator[]): string | null {
  const naa = ports.find((port) => port.type === TYPE_NAA && port.bytes.length > 0);
  if (naa !== undefined) return `naa.${hex(naa.bytes)}`;
  const name = ports.find((port) => port.type === TYPE_SCSI_NAME && port.bytes.length > 0);
  if (name !== undefined) return ascii(name.bytes, 0, name.bytes.length);
  const relative = portNumber(ports, TYPE_RELATIVE_PORT);
  return relative === null ? null : `port ${relative}`;
}
