// Closes connections that hold resources without using them while others wait (request/room.ts).

import { ETIMEDOUT, negated } from "../../memory/errno";
import { connectionAt, connectionCount } from "../../memory/memory";
import { CONNECTION_DRAINING, CONNECTION_OPEN } from "../../memory/records";
import { now } from "../../memory/ring";
import { SECOND } from "../../memory/time";
import { watch } from "../../request/admission";
import { waitingCount } from "../../request/room";
import { connectionShut } from "./closing";

/** How long a payload may make no progress, or replies may stay unread, while others wait. */
const IDLE_PAYLOAD_NS: u64 = 10 * SECOND;
const IDLE_SEND_NS: u64 = 60 * SECOND;

/**
 * The core's timer has fired. While anyone waits for room, a client that has started a payload and does not continue, or does not
 * read its replies, is closed: otherwise it could hold up the others indefinitely.
 */
export function coreWoken(): void {
  if (waitingCount === 0) return;
  for (let i: u32 = 0; i < connectionCount; i++) {
    const connection = connectionAt(i);
    if (connection.state !== CONNECTION_OPEN && connection.state !== CONNECTION_DRAINING) continue;
    const idleNs = now - connection.progressNs;
    const payload = changetype<usize>(connection.payload) !== 0 && idleNs > IDLE_PAYLOAD_NS;
    if (payload || (connection.sending !== 0 && idleNs > IDLE_SEND_NS)) connectionShut(connection, negated(ETIMEDOUT));
  }
  watch();
}
