// How discovery talks to a device. Two things speak it: SCSI generic devices through the native addon, and the emulated
// array through the reactor.

/** What came back of one command. A status that is not GOOD is an answer too; only no answer at all throws. */
export interface ScsiResult {
  /** SCSI status (SAM-5 5.3.1). */
  readonly status: number;
  /** DID_* of the Linux SCSI midlayer. */
  readonly hostStatus: number;
  /** Sense data, empty when none. */
  readonly sense: Uint8Array;
  /** The bytes that were transferred; residual already taken off. */
  readonly data: Uint8Array;
}

/** Carries commands to devices. */
export interface ScsiTransport {
  /**
   * Sends one command that reads data, or has none.
   * @param device `/dev/sgN` or `emulated:N`
   * @param cdb 6 to 16 bytes
   * @param bytes how many bytes the answer may have; 0 for a command without data
   * @param timeoutMs after so long the promise is rejected, whatever the device does
   */
  command(device: string, cdb: Uint8Array, bytes: number, timeoutMs: number): Promise<ScsiResult>;
}

/** Something a device said, understood or not. A page that makes no sense is a reason, never an exception. */
export type Parsed<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly reason: string };

export const parsed = <T>(value: T): Parsed<T> => ({ ok: true, value });
export const nonsense = (reason: string): Parsed<never> => ({ ok: false, reason });

/**
 * Rejects after `timeoutMs`, however long `work` takes. The work itself goes on; nobody waits for it.
 * @param what says what is waited for, should it come to that
 */
export async function bounded<T>(work: Promise<T>, timeoutMs: number, what: () => string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what()}: no answer within ${timeoutMs} ms`)), timeoutMs);
  });
  try {
    return await Promise.race([work, limit]);
  } finally {
    clearTimeout(timer);
  }
}
