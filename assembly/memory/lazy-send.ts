// Lazy SENDs: when the host has to come back with whether one succeeded.
//
// A SEND nearly always succeeds at once, and where the client asks one thing after the other nothing depends on hearing
// so: the host may then tell it together with whatever completes next (SUBMISSION_FLAG_LAZY), which saves a turn per
// reply. But until the host has taken such a SEND, somebody may begin to wait for it: more replies of the same
// connection, its end, whoever needs the room that the sent reply holds. Then the turn's deadline is now, so the host
// does not wait after taking the SEND. It knows of each SEND it has taken whether it succeeded at once; one that did not
// completes by itself, late or soon. So a client that does not read its replies cannot keep the host turning.

import { submissionsTail, submissionsTaken } from "./ring";

/** Behind the last such SEND in the native queue. */
let sendTail: u32 = 0;
let wanted: bool = false;

/** A SEND was submitted whose success may be told late. */
export function lazySend(): void {
  sendTail = submissionsTail();
}

/** Something waits for the success of a SEND, perhaps of one that is still in the queue. */
export function lazySendWanted(): void {
  wanted = true;
}

/** At the end of a turn: whether the host shall not wait before the next one. */
export function lazySendDue(): bool {
  if (submissionsTaken(sendTail)) wanted = false;
  return wanted;
}
