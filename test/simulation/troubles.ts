// The problems of the device that result from a world's faults, so that the clients' answers can be checked against them.

import type { FaultRequest } from "../../host/array/faults/faults.ts";
import type { Trouble } from "./expected.ts";
import { NBD } from "./wire.ts";

const NS_PER_MS = 1e6;
/** Host statuses by which the kernel reports the device's answer: reservation conflict, no space. The others: EIO. */
const HOST_NEXUS_FAILURE = 0x11;
const HOST_ALLOCATION_FAILURE = 0x12;
const HOST_ANSWERS = new Set([0x10, HOST_NEXUS_FAILURE, HOST_ALLOCATION_FAILURE, 0x13]);
const KEY_MEDIUM_ERROR = 3;
const KEY_ILLEGAL_REQUEST = 5;
const KEY_DATA_PROTECT = 7;
/** LOGICAL BLOCK ADDRESS OUT OF RANGE. */
const ASC_PAST_END = 0x21;
/** SPACE ALLOCATION FAILED WRITE PROTECT. */
const ASC_PROTECT = 0x27;
const ASCQ_ALLOCATION_FAILED = 7;
/** Types of persistent reservations that also exclude readers. */
const EXCLUSIVE_ACCESS = new Set([3, 6, 8]);

type ErrorFault = Extract<FaultRequest["fault"], { kind: "error" }>;

/** What may have happened to a world besides its faults. */
export interface TroubleGround {
  readonly beganNs: number;
  /** When all faults are lifted, ms. */
  readonly endMs: number;
  /** All paths but one may be gone: what the last one reports counts as the device's answer. */
  readonly outage: boolean;
  /** The array loses power, and forgets reservations. */
  readonly powerLoss: boolean;
}

/** The NBD error for the device's own answer; undefined when the answer is a path's, or the command is retried. */
function errorOf(
  { senseKey, asc, ascq, hostStatus, deferred }: ErrorFault,
  outage: boolean,
): Trouble["error"] | undefined {
  if (hostStatus === HOST_NEXUS_FAILURE) return NBD.eperm;
  if (hostStatus === HOST_ALLOCATION_FAILURE) return NBD.enospc;
  if (hostStatus !== undefined) return HOST_ANSWERS.has(hostStatus) ? NBD.eio : undefined;
  if (deferred === true) return undefined;
  if (senseKey === KEY_MEDIUM_ERROR) return NBD.eio;
  if (senseKey === KEY_ILLEGAL_REQUEST && asc === ASC_PAST_END) return outage ? "past the end" : undefined;
  if (senseKey !== KEY_DATA_PROTECT) return undefined;
  return asc === ASC_PROTECT && ascq === ASCQ_ALLOCATION_FAILED ? NBD.enospc : NBD.eperm;
}

/** The trouble that results from a fault, or undefined. */
export function troubleOf(request: FaultRequest, ground: TroubleGround): Trouble | undefined {
  const { beganNs, endMs } = ground;
  const { fault, where, when, afterMs = 0, forMs = Infinity } = request;
  const span = {
    fromNs: beganNs + afterMs * NS_PER_MS,
    untilNs: beganNs + Math.min(afterMs + forMs, endMs) * NS_PER_MS,
    unit: where?.unit,
  };
  if (fault.kind === "write-protect") {
    return { ...span, blocks: undefined, strikes: "writes", error: NBD.eperm, always: true };
  }
  if (fault.kind === "reservation") {
    const strikes = EXCLUSIVE_ACCESS.has(fault.type) ? "everything" : "writes and flushes";
    return { ...span, blocks: undefined, strikes, error: NBD.eperm, always: !ground.powerLoss };
  }
  if (fault.kind !== "error") return undefined;
  const error = errorOf(fault, ground.outage);
  if (error === undefined) return undefined;
  const everywhere = Object.keys(where ?? {}).every((place) => place === "unit");
  const { firstLba, lastLba = Infinity, probability, times } = when ?? {};
  return {
    ...span,
    blocks: firstLba === undefined ? undefined : { first: firstLba, last: lastLba },
    strikes: when?.commands === "writes" ? "writes" : when?.commands === "io" ? "io" : "everything",
    error,
    always: everywhere && probability === undefined && times === undefined,
  };
}
