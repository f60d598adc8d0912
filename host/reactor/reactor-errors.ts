// Errors of the reactor. `code` is stable; the message names the call and what to do.

import {
  ERROR_BUSY,
  ERROR_CLUSTER_MODE,
  ERROR_HANDLE,
  ERROR_LIMIT,
  ERROR_NOT_FAILED,
  ERROR_PRIORITY_IN_USE,
  ERROR_PROPERTY,
  ERROR_RANGE,
} from "../abi.ts";

export class ReactorError extends Error {
  /** `CORE_*` (the core refused), `REACTOR_*`, or the code of the addon or the emulated array that refused. */
  readonly code: string;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "ReactorError";
    this.code = code;
  }
}

/** The core found an assertion false, in the middle of a turn or a call: its tables cannot be trusted any more. */
export class CoreAborted extends Error {
  readonly code = "REACTOR_CORE_ABORTED";

  constructor(message: string) {
    super(message);
    this.name = "CoreAborted";
  }
}

/** Whether a thrown error left the core or the native ring half-way through something: a crash, not a refusal. */
export function isFatal(thrown: unknown): boolean {
  if (thrown instanceof CoreAborted) return true;
  // A trap, WebAssembly.RuntimeError, which Node's types lack.
  if (thrown instanceof Error && thrown.name === "RuntimeError") return true;
  // The only RangeError that can come out of the core's own code.
  if (thrown instanceof RangeError) return thrown.message.includes("call stack");
  // Every error of the addon has its own code; the addon's generated code turns a panic into this one.
  return thrown instanceof Error && "code" in thrown && thrown.code === "GenericFailure";
}

const REFUSALS = new Map<number, readonly [code: string, reason: string]>([
  [ERROR_HANDLE, ["CORE_HANDLE", "the handle is not in use"]],
  [ERROR_RANGE, ["CORE_RANGE", "a value is outside its range"]],
  [ERROR_LIMIT, ["CORE_LIMIT", "the table is full; raise the limit in the configuration and restart"]],
  [ERROR_PRIORITY_IN_USE, ["CORE_PRIORITY_IN_USE", "another path of the unit has that priority; swap the two"]],
  [ERROR_CLUSTER_MODE, ["CORE_CLUSTER_MODE", "cluster mode excludes dynamic balancing; switch cluster mode off first"]],
  [ERROR_PROPERTY, ["CORE_PROPERTY", "unknown property"]],
  [ERROR_NOT_FAILED, ["CORE_NOT_FAILED", "the path is not failed"]],
  [ERROR_BUSY, ["CORE_BUSY", "it is still in use"]],
]);

/** Turns the result of a core export into a value of 0 or more, or throws the core's refusal. */
export function coreAnswer(call: string, answer: number): number {
  if (answer >= 0) return answer;
  const [code, reason] = REFUSALS.get(-answer) ?? ["CORE_UNKNOWN", `error ${-answer}`];
  throw new ReactorError(code, `${call}: ${reason}`);
}
