// Waits for the outcome of an operator's failback: the core checks the path first, which takes as long as the path needs to
// answer.

import * as abi from "../../abi.ts";
import type { CoreEvent } from "../../reactor/decode-records.ts";
import type { Context } from "../devices/operation-context.ts";
import { ControlError } from "../ground/control-errors.ts";
import type { Path } from "../inventory/inventory.ts";
import { outcomeText } from "../views/outcome-text.ts";
import { pathState } from "../views/views.ts";

/** Checks of one path: identity, TEST UNIT READY, port groups. Each may take the patrol timeout. */
const CHECKS = 3;
const MARGIN_MS = 500;
/** How often the tables are checked, for an outcome that produced no event. */
const POLL_MS = 50;

export interface FailbackOutcome {
  /** Resolves when the path was reinstated; rejects with the reason when it was not. */
  readonly done: Promise<void>;
  cancel(): void;
}

export function waitForFailback(context: Context, path: Path, handle: number): FailbackOutcome {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const limitMs = context.effective.patrol.timeoutS * 1000 * CHECKS + MARGIN_MS;
  const refuse = (why: string): void =>
    reject(
      new ControlError("PATH_CHECK_FAILED", `path ${path.number} was checked and not taken back: ${why}`, {
        parameter: path.number,
        remedy: "repair it and try again; path patrol takes it back by itself once it answers",
      }),
    );
  const onEvents = (events: readonly CoreEvent[]): void => {
    for (const event of events) {
      if (event.path !== handle) continue;
      if (event.kind === abi.EVENT_FAILBACK_DONE) resolve();
      if (event.kind === abi.EVENT_FAILBACK_FAILED) refuse(outcomeText(event.outcome) || "the check failed");
      if (event.kind === abi.EVENT_WRONG_UNIT) refuse("it leads to another unit");
    }
  };
  const stopListening = context.reactor.onEvent(onEvents);
  const poll = setInterval(() => {
    void context.snapshots.forDisplay().then((snapshot) => {
      const record = snapshot.path(handle);
      if (record !== null && pathState(path, record) !== "failed") resolve();
    });
  }, POLL_MS);
  const timer = setTimeout(() => refuse(`no answer within ${limitMs} ms`), limitMs);
  const stop = (): void => {
    stopListening();
    clearInterval(poll);
    clearTimeout(timer);
  };
  promise.then(stop, stop);
  return { done: promise, cancel: () => resolve() };
}
