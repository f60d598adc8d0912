// What one reactor's core finds out about an initiator port, a target port or a controller concerns the paths of the others: the
// process that keeps the reactors passes it on, even while there is no control.

import {
  EVENT_ARG0,
  EVENT_ARG1,
  EVENT_BYTES,
  EVENT_KIND,
  EVENT_REASON,
  EVENT_SENSE,
  EVENT_SHARED_ANSWER,
  EVENT_SHARED_FAULT,
} from "../abi.ts";

/** For the other reactors. */
export interface SharedNews {
  readonly kind: "news";
  readonly what: "fault" | "answer";
  readonly initiatorPort: number;
  readonly targetPort: number;
  /** Of a fault. */
  readonly controller: number;
  readonly isSilent: boolean;
  /** How many of its paths a reactor may probe for it. */
  readonly probesMax: number;
}

/** What the core of one machine would probe at most. */
const PROBES_MAX = 8;

/** The news among the events of a reactor. @param others how many reactors hear of them */
export function newsIn(entries: Uint8Array, others: number): SharedNews[] {
  const view = new DataView(entries.buffer, entries.byteOffset, entries.byteLength);
  const news: SharedNews[] = [];
  for (let at = 0; at < entries.length; at += EVENT_BYTES) {
    const kind = view.getUint16(at + EVENT_KIND, true);
    if (kind !== EVENT_SHARED_FAULT && kind !== EVENT_SHARED_ANSWER) continue;
    news.push({
      kind: "news",
      what: kind === EVENT_SHARED_FAULT ? "fault" : "answer",
      initiatorPort: view.getUint32(at + EVENT_ARG0, true),
      targetPort: view.getUint32(at + EVENT_ARG1, true),
      controller: view.getUint32(at + EVENT_SENSE, true),
      isSilent: view.getUint16(at + EVENT_REASON, true) !== 0,
      probesMax: Math.max(1, Math.floor(PROBES_MAX / Math.max(1, others))),
    });
  }
  return news;
}
