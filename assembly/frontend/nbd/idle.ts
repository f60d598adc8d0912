// Closes connections that hold room and do nothing with it while others wait for room (request/room.ts).

import { ETIMEDOUT, negated } from "../../memory/errno";
import { connectionAt, connectionCount } from "../../memory/memory";
import { CONNECTION_DRAINING, CONNECTION_OPEN } from "../../memory/records";
import { now } from "../../memory/ring";
import { SECOND } from "../../memory/time";
import { watch } from "../../request/admission";
import { waitingCount } from "../../request/room";
import { connectionShut } from "./closing";

/** A payload that makes no progress, replies that are not taken, for so long are too long when others wait. */
const IDLE_PAYLOAD_NS: u64 = 10 * SECOND;
const IDLE_SEND_NS: u64 = 60 * SECOND;

/**
 * The core's timer has fired. While somebody waits for room, a client that has begun a payload and does not go on, or
 * does not take its replies, is closed: it would hold the others up for as long as it likes.
 */
export function coreWoken(): void {
  if (waitingCount === 0) return;
  for (let i: u32 = 0; i < connectionCount; i++) {
    const n = connectionAt(i);
    if (n.state !== CONNECTION_OPEN && n.state !== CONNECTION_DRAINING) continue;
    const idleNs = now - n.progressNs;
    const payload = changetype<usize>(n.payload) !== 0 && idleNs > IDLE_PAYLOAD_NS;
    if (payload || (n.sending !== 0 && idleNs > IDLE_SEND_NS)) connectionShut(n, negated(ETIMEDOUT));
  }
  watch();
}
