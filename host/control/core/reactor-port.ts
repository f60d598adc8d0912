// Control's calls to the reactor: settings as lists, so that many go out at once and are waited for together, and the
// errors an operator gets when the core refuses.

import type { ReactorClient } from "../../reactor/client.ts";
import { ReactorError } from "../../reactor/errors.ts";
import type { Refusal, Setting } from "../../reactor/messages.ts";
import { ControlError, reasonOf } from "../ground/errors.ts";
import type { ErrorCode } from "../schemas/common.ts";

/** Settings of one message: I/O waits for it, and whoever asks control for something meanwhile. */
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

/** Codes of the core's refusals as the API has them. */
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
};

/** The error of the API for what the reactor refused. */
export function refusal(thrown: unknown, what: string, parameter: string | null): ControlError {
  if (thrown instanceof ControlError) return thrown;
  const code = thrown instanceof Error && "code" in thrown ? CODES[String(thrown.code)] : undefined;
  return new ControlError(code ?? "INTERNAL", `${what}: ${reasonOf(thrown)}`, { parameter, cause: thrown });
}

/**
 * Makes the calls, in order, and waits for all of them.
 * @throws ControlError of the first that was refused; the others have been carried out
 */
export async function demand(
  reactor: ReactorClient,
  calls: readonly CoreCall[],
  what: string,
  parameter: string | null = null,
): Promise<void> {
  if (calls.length === 0) return;
  const refusals: (Refusal | null)[] = [];
  try {
    for (let first = 0; first < calls.length; first += CALLS_AT_ONCE) {
      refusals.push(...(await reactor.settings(calls.slice(first, first + CALLS_AT_ONCE))));
    }
  } catch (thrown) {
    throw refusal(thrown, what, parameter);
  }
  const first = refusals.find((refused) => refused !== null);
  if (first !== undefined) throw refusal(new ReactorError(first.code, first.message), what, parameter);
}
