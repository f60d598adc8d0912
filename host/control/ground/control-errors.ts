// The one class of errors that API users see. Anything else thrown is a defect and becomes INTERNAL.

import type { ErrorBody, ErrorCode } from "../schemas/common.ts";

/** HTTP status of each code; codes not listed are refusals (409). */
const STATUS: Partial<Record<ErrorCode, number>> = {
  INVALID_REQUEST: 400,
  BODY_TOO_LARGE: 413,
  NOT_AUTHENTICATED: 401,
  NOT_ALLOWED: 403,
  UNKNOWN_ROUTE: 404,
  UNKNOWN_PATH: 404,
  UNKNOWN_HOST: 404,
  UNKNOWN_UNIT: 404,
  UNKNOWN_POLICY: 400,
  POLICY_PARAMETER: 400,
  CONFIGURATION: 400,
  INTERNAL: 500,
  STATE_WRITE_FAILED: 507,
  UNAVAILABLE: 503,
};

/** An error with a stable code, the wrong parameter, and what to do. */
export class ControlError extends Error {
  override readonly name = "ControlError";
  readonly code: ErrorCode;
  readonly parameter: string | null;
  readonly remedy: string | null;

  constructor(
    code: ErrorCode,
    message: string,
    {
      parameter = null,
      remedy = null,
      cause,
    }: { parameter?: string | null; remedy?: string | null; cause?: unknown } = {},
  ) {
    super(message, { cause });
    this.code = code;
    this.parameter = parameter;
    this.remedy = remedy;
  }

  get status(): number {
    return STATUS[this.code] ?? 409;
  }

  get body(): ErrorBody {
    return {
      error: { code: this.code, message: this.message, parameter: this.parameter, remedy: this.remedy },
    };
  }
}

/** The message of anything thrown. */
export function reasonOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
