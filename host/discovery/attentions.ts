// Unit attentions that discovery's own commands meet. A device tells each nexus of such a condition once: what discovery is told,
// the core will not be told any more, so it has to be passed on at once.

import type { ScsiResult, ScsiTransport } from "./transport.ts";

/** Sense key, additional sense code and its qualifier (SPC-4 4.5); all 0 where there is no sense data. */
export interface Sense {
  readonly key: number;
  readonly asc: number;
  readonly ascq: number;
}

/** Sense data in fixed or descriptor format. */
export function senseOf({ status, sense }: ScsiResult): Sense {
  if (status !== 2 || sense.length < 3) return { key: 0, asc: 0, ascq: 0 };
  const isFixed = ((sense[0] ?? 0) & 0x7f) < 0x72;
  const at = isFixed ? 12 : 2;
  return { key: (sense[isFixed ? 2 : 1] ?? 0) & 0x0f, asc: sense[at] ?? 0, ascq: sense[at + 1] ?? 0 };
}

export const UNIT_ATTENTION = 0x06;

/** ASC * 256 + ASCQ after which a path may lead to another unit: the same that `assembly/scsi/outcome.ts` checks the identity after. */
const DOUBTS = new Set([0x3f03, 0x3f05, 0x3f0e, 0x2900, 0x2901, 0x2904, 0x2907]);
/** "Not ready to ready change, medium may have changed", with any qualifier. */
const ASC_READY_CHANGE = 0x28;

/** Thin provisioning soft threshold reached. */
const THIN_THRESHOLD = 0x3807;

/** What has to be passed on: a device may be another one now; its array runs out of room for it. */
export type Attention = "doubt" | "thin-threshold";

function attentionIn(result: ScsiResult): Attention | null {
  const { key, asc, ascq } = senseOf(result);
  if (key !== UNIT_ATTENTION) return null;
  if (asc === ASC_READY_CHANGE || DOUBTS.has(asc * 256 + ascq)) return "doubt";
  return asc * 256 + ascq === THIN_THRESHOLD ? "thin-threshold" : null;
}

/** The same transport, which tells besides, as soon as it is known, what devices call attention to. */
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
