// Control's calls to the reactor: settings go out as lists, many at once, and are awaited together. Maps the core's refusals to
// the errors an operator sees.

import type { ReactorClient } from "../../reactor/reactor-client.ts";
import { ReactorError } from "../../reactor/reactor-errors.ts";
import type { Refusal, Setting } from "../../reactor/reactor-messages.ts";
import { ControlError, reasonOf } from "../ground/control-errors.ts";
import type { ErrorCode } from "../schemas/common.ts";

/** Most settings in one message: I/O pauses while they are applied, and so does anyone waiting for control. */
const CALLS_AT_ONCE = 1024;

/** One setting. */
export type CoreCall = Setting;

export const unitSet = (handle: number, property: number, value: number): CoreCall => ({
  name: "unitSet",
  handle,
  property,
  value: Math.round(value),
});

export const pathSet = (handle: number, property: number, value: number): CoreCall => ({
  name: "pathSet",
  handle,
  property,
  value: Math.round(value),
});

export const modeSet = (mode: number, value: number): CoreCall => ({
  name: "modeSet",
  mode,
  value: Math.round(value),
});

export const pathSwap = (a: number, b: number): CoreCall => ({ name: "pathSwap", a, b });

/** The core's refusal codes as the API reports them. */
const CODES: Readonly<Record<string, ErrorCode>> = {
  CORE_RANGE: "INVALID_REQUEST",
  CORE_LIMIT: "LIMIT",
  CORE_PRIORITY_IN_USE: "PRIORITY_IN_USE",
  CORE_CLUSTER_MODE: "CLUSTER_MODE",
  CORE_NOT_FAILED: "PATH_NOT_FAILED",
  CORE_BUSY: "BUSY",
  ARRAY_FAULT: "INVALID_REQUEST",
  REACTOR_STOPPED: "UNAVAILABLE",
  REACTOR_CRASHED: "UNAVAILABLE",
  REACTOR_SILENT: "UNAVAILABLE",
};

/** The API error for a refusal by the reactor. */
export function refusal(thrown: unknown, what: string, parameter: string | null): ControlError {
  if (thrown instanceof ControlError) return thrown;
  const code = thrown instanceof Error && "code" in thrown ? CODES[String(thrown.code)] : undefined;
  return new ControlError(code ?? "INTERNAL", `${what}: ${reasonOf(thrown)}`, { parameter, cause: thrown });
}

/** Collects calls into portions that may go out in one message. */
async function* portions(calls: Iterable<CoreCall> | AsyncIterable<CoreCall>): AsyncGenerator<CoreCall[]> {
  let portion: CoreCall[] = [];
  for await (const call of calls) {
    portion.push(call);
    if (portion.length < CALLS_AT_ONCE) continue;
    yield portion;
    portion = [];
  }
  if (portion.length > 0) yield portion;
}

/**
 * Makes the calls in order and waits for all of them. Calls for thousands of units are best generated: each portion is sent before
 * the next one is made.
 * @throws ControlError for the first refusal; the other calls have been carried out
 */
export async function demand(
  reactor: Pick<ReactorClient, "settings">,
  calls: Iterable<CoreCall> | AsyncIterable<CoreCall>,
  what: string,
  parameter: string | null = null,
): Promise<void> {
  let first: Refusal | undefined;
  try {
    for await (const portion of portions(calls)) {
      const refusals = await reactor.settings(portion);
      first ??= refusals.find((refused) => refused !== null) ?? undefined;
    }
  } catch (thrown) {
    throw refusal(thrown, what, parameter);
  }
  if (first !== undefined) throw refusal(new ReactorError(first.code, first.message), what, parameter);
}
