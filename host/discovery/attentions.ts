// Unit attentions that discovery's own commands receive. A device reports such a condition to each nexus once: what discovery has
// received, the core will not see any more, so it must be passed on at once.

import type { ScsiResult, ScsiTransport } from "./transport.ts";

/** Sense key, additional sense code and its qualifier (SPC-4 4.5); all 0 where there is no sense data. */
export interface Sense {
  readonly key: number;
  readonly asc: number;
  readonly ascq: number;
}

const NO_SENSE: Sense = { key: 0, asc: 0, ascq: 0 };
/** Response codes (SPC-4 4.5) of sense data about the command itself. 71h and 73h are about an earlier one. */
const FIXED = 0x70;
const DESCRIPTORS = 0x72;

/**
 * Sense data in fixed or descriptor format, parsed as in `assembly/scsi/sense.ts`; anything else, or sense data of an earlier
 * command, is ignored.
 */
export function senseOf({ status, sense }: ScsiResult): Sense {
  const code = (sense[0] ?? 0) & 0x7f;
  if (status !== 2 || (code !== FIXED && code !== DESCRIPTORS)) return NO_SENSE;
  if (code === DESCRIPTORS) return { key: (sense[1] ?? 0) & 0x0f, asc: sense[2] ?? 0, ascq: sense[3] ?? 0 };
  // The additional length (byte 7) counts from byte 8.
  const valid = sense.length < 8 ? sense : sense.subarray(0, 8 + (sense[7] ?? 0));
  return { key: (valid[2] ?? 0) & 0x0f, asc: valid[12] ?? 0, ascq: valid[13] ?? 0 };
}

export const UNIT_ATTENTION = 0x06;

/**
 * ASC * 256 + ASCQ after which a path may lead to another unit; those after which `assembly/scsi/outcome.ts` has the identity
 * checked.
 */
const ASK_WHO = new Set([0x3f03, 0x3f05, 0x3f0e, 0x2900, 0x2901, 0x2904, 0x2907]);
/** "Not ready to ready change, medium may have changed", with any qualifier. */
const ASC_READY_CHANGE = 0x28;

/** Thin provisioning soft threshold reached. */
const THIN_THRESHOLD = 0x3807;

/** Reservations preempted, reservations released, registrations preempted. */
const PREEMPTED = new Set([0x2a03, 0x2a04, 0x2a05]);
/** Resets, which end a RESERVE of SPC-2. */
const RESET = new Set([0x2902, 0x2903]);

/** What must be passed on: a device may be another one now, its reservations are, or its array runs out of room. */
export type Attention = "unverified" | "thin-threshold" | "preempted" | "reset";

function attentionIn(result: ScsiResult): Attention | null {
  const { key, asc, ascq } = senseOf(result);
  if (key !== UNIT_ATTENTION) return null;
  if (asc === ASC_READY_CHANGE || ASK_WHO.has(asc * 256 + ascq)) return "unverified";
  if (PREEMPTED.has(asc * 256 + ascq)) return "preempted";
  if (RESET.has(asc * 256 + ascq)) return "reset";
  return asc * 256 + ascq === THIN_THRESHOLD ? "thin-threshold" : null;
}

/** The same transport, which also reports unit attentions as soon as they are seen. */
export function attentive(
  transport: ScsiTransport,
  onAttention: (device: string, attention: Attention) => void,
): ScsiTransport {
  return {
    command: async (device, cdb, bytes, timeoutMs) => {
      const result = await transport.command(device, cdb, bytes, timeoutMs);
      const attention = attentionIn(result);
      if (attention !== null) onAttention(device, attention);
      return result;
    },
  };
}
