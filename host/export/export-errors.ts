// The errors of this room that users can see.

export type ExportErrorCode =
  "EXPORT_NAME_TAKEN" | "EXPORT_INVALID" | "EXPORT_ADDRESS_IN_USE" | "EXPORT_LISTEN_FAILED" | "EXPORT_ATTACH_FAILED";

/** An export could not be offered or attached. `code` is stable; the message says what to do. */
export class ExportError extends Error {
  readonly code: ExportErrorCode;

  constructor(code: ExportErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "ExportError";
    this.code = code;
  }
}
