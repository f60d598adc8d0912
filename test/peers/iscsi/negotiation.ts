// The login phase of iSCSI (RFC 7143 6, 11.12, 13): keys and their values.

/** What the two sides have negotiated. */
export interface Agreement {
  initiatorName: string;
  targetName: string;
  discovery: boolean;
  /** Largest data segment that the initiator accepts. */
  initiatorSegmentBytes: number;
  immediateData: boolean;
  /** No data without an R2T, except immediate data. */
  initialR2T: boolean;
  firstBurstBytes: number;
  burstBytes: number;
}

/** Largest data segment that this target accepts; small, so that long transfers take many PDUs. */
export const TARGET_SEGMENT_BYTES = 65_536;
/** Largest sequence of data that this target accepts, solicited or not. */
const BURST_BYTES = 262_144;
const FIRST_BURST_BYTES = 65_536;

/** State before negotiation: the defaults of RFC 7143 13. */
export function defaults(): Agreement {
  return {
    initiatorName: "",
    targetName: "",
    discovery: false,
    initiatorSegmentBytes: 8192,
    immediateData: true,
    initialR2T: true,
    firstBurstBytes: 65_536,
    burstBytes: 262_144,
  };
}

/** `key=value` pairs, each terminated by a NUL. */
export function parseText(data: Buffer): Map<string, string> {
  const pairs = new Map<string, string>();
  for (const line of data.toString("utf8").split("\0")) {
    const at = line.indexOf("=");
    if (at > 0) pairs.set(line.slice(0, at), line.slice(at + 1));
  }
  return pairs;
}

export function formatText(pairs: Iterable<readonly [string, string]>): Buffer {
  return Buffer.from([...pairs].map(([key, value]) => `${key}=${value}\0`).join(""), "utf8");
}

/** Whether an offer, which is a list of values, contains a value. */
function offers(offer: string, value: string): boolean {
  return offer.split(",").includes(value);
}

/** Answers one key and stores the result; undefined when a key needs no answer. */
function answer(agreement: Agreement, key: string, value: string): string | undefined {
  const number = Number(value);
  switch (key) {
    case "InitiatorName":
      agreement.initiatorName = value;
      return undefined;
    case "TargetName":
      agreement.targetName = value;
      return undefined;
    case "SessionType":
      agreement.discovery = value === "Discovery";
      return undefined;
    case "InitiatorAlias":
      return undefined;
    case "MaxRecvDataSegmentLength":
      agreement.initiatorSegmentBytes = number;
      return undefined;
    case "AuthMethod":
    case "HeaderDigest":
    case "DataDigest":
      return offers(value, "None") ? "None" : "Reject";
    case "ImmediateData":
      agreement.immediateData = value === "Yes";
      return value;
    case "InitialR2T":
      agreement.initialR2T = value === "Yes";
      return value;
    case "MaxBurstLength":
      agreement.burstBytes = Math.min(number, BURST_BYTES);
      return String(agreement.burstBytes);
    case "FirstBurstLength":
      agreement.firstBurstBytes = Math.min(number, FIRST_BURST_BYTES);
      return String(agreement.firstBurstBytes);
    case "MaxConnections":
    case "MaxOutstandingR2T":
      return "1";
    case "DefaultTime2Wait":
      return value;
    case "DefaultTime2Retain":
    case "ErrorRecoveryLevel":
      return "0";
    case "DataPDUInOrder":
    case "DataSequenceInOrder":
      return "Yes";
    case "IFMarker":
    case "OFMarker":
      return "No";
    default:
      return key.startsWith("X-") || key.startsWith("Target") ? undefined : "NotUnderstood";
  }
}

/** Answers the keys of one login request. */
export function negotiate(agreement: Agreement, offered: ReadonlyMap<string, string>): [string, string][] {
  const answers: [string, string][] = [];
  for (const [key, value] of offered) {
    const said = answer(agreement, key, value);
    if (said !== undefined) answers.push([key, said]);
  }
  return answers;
}
