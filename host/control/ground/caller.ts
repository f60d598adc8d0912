// In whose name a change is carried out. The caller goes along with everything the change starts and waits for, so the messages it
// leads to can name them without every function passing them on.

import { AsyncLocalStorage } from "node:async_hooks";

interface Call {
  /** `uid 1000`, `token from 192.0.2.1`. */
  readonly caller: string;
  /** Messages said so far. */
  said: number;
  /** What a change has started and left behind (a timer, a later rescan) is nobody's. */
  isDone: boolean;
}

const calls = new AsyncLocalStorage<Call>();

/** Carries out a change; returns its answer, and whether a message was said in its caller's name. */
export async function inTheNameOf<T>(caller: string, work: () => Promise<T> | T): Promise<[answer: T, said: boolean]> {
  const call: Call = { caller, said: 0, isDone: false };
  try {
    const answer = await calls.run(call, work);
    return [answer, call.said > 0];
  } finally {
    call.isDone = true;
  }
}

/** The caller of the change under way, for a message that is said about it; null where nobody asked for it. */
export function callerOfMessage(): string | null {
  const call = calls.getStore();
  if (call === undefined || call.isDone) return null;
  call.said++;
  return call.caller;
}
