// Errors of the emulated array that a user can see. `code` is stable; the message names the parameter and the remedy.

export type ArrayErrorCode = "ARRAY_TOPOLOGY" | "ARRAY_FAULT" | "ARRAY_PORT" | "ARRAY_MEDIUM";

export class ArrayError extends Error {
  readonly code: ArrayErrorCode;

  constructor(code: ArrayErrorCode, message: string) {
    super(message);
    this.name = "ArrayError";
    this.code = code;
  }
}
