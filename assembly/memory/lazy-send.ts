// Lazy SENDs: when the host has to return at once to report that one succeeded.
//
// A SEND nearly always succeeds at once, and if the client sends one request after another, nothing depends on knowing it: the
// host may then report it together with the next completion (SUBMISSION_FLAG_LAZY), which saves a turn per reply. But until the
// host has taken such a SEND, something may start to wait for it: more replies of the same connection, its end, or anyone who
// needs the room that the sent reply holds. Then the turn's deadline is set to now, so the host does not sleep after taking the
// SEND. It knows for each SEND it has taken whether it succeeded at once; one that did not completes by itself, sooner or later.
// So a client that does not read its replies cannot keep the host spinning.

import { submissionsTail, submissionsTaken } from "./ring";

/** The position after the last such SEND in the native queue. */
let sendTail: u32 = 0;
let wanted: bool = false;

/** A SEND was submitted whose success may be reported late. */
export function lazySend(): void {
  sendTail = submissionsTail();
}

/** Something waits for the success of a SEND that may still be in the queue. */
export function lazySendWanted(): void {
  wanted = true;
}

/** At the end of a turn: whether the host must not sleep before the next one. */
export function lazySendDue(): bool {
  if (submissionsTaken(sendTail)) wanted = false;
  return wanted;
}
