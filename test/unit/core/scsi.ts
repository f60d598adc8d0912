// SCSI commands and answers, as the devices of these tests take and give them.

/** A SCSI command as the host sees it. */
export interface Scsi {
  readonly tag: number;
  readonly port: number;
  readonly slot: number;
  readonly cdb: Buffer;
  readonly direction: number;
  readonly buffer: number;
  readonly bytes: number;
  readonly timeoutMs: number;
  readonly array: boolean;
  /** A check of its path, not a client's I/O. */
  readonly check: boolean;
}

/** What a device answers. Left out: good. */
export interface Answer {
  readonly status?: number;
  readonly hostStatus?: number;
  readonly driverStatus?: number;
  readonly sense?: readonly number[];
  readonly residual?: number;
  readonly result?: number;
}

/** Sense data in fixed format. */
export function fixedSense(key: number, asc: number, ascq: number): number[] {
  return [0x70, 0, key, 0, 0, 0, 0, 10, 0, 0, 0, 0, asc, ascq, 0, 0, 0, 0];
}

/** CHECK CONDITION with fixed sense. */
export function check(key: number, asc: number, ascq: number): Answer {
  return { status: 2, sense: fixedSense(key, asc, ascq) };
}

/** CHECK CONDITION with a deferred error: about an earlier command, this one was not carried out. */
export function deferred(key: number, asc: number, ascq: number): Answer {
  return { status: 2, sense: [0x71, ...fixedSense(key, asc, ascq).slice(1)] };
}
