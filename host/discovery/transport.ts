// How discovery talks to a device. There are two implementations: SCSI generic devices through the native addon, and the emulated
// array through the reactor.

/** The result of one command. A status other than GOOD is an answer, too; only a missing answer throws. */
export interface ScsiResult {
  /** SCSI status (SAM-5 5.3.1). */
  readonly status: number;
  /** DID_* of the Linux SCSI midlayer. */
  readonly hostStatus: number;
  /** Sense data, empty when none. */
  readonly sense: Uint8Array;
  /** The transferred bytes; the residual is already subtracted. */
  readonly data: Uint8Array;
}

/** Sends commands to devices. */
export interface ScsiTransport {
  /**
   * Sends one command that reads data, or transfers none.
   * @param device `/dev/sgN` or `emulated:N`
   * @param cdb 6 to 16 bytes
   * @param bytes limit of the answer's length; 0 for a command without data
   * @param timeoutMs after this time the promise is rejected, whatever the device does
   */
  command(device: string, cdb: Uint8Array, bytes: number, timeoutMs: number): Promise<ScsiResult>;
}

/** Something a device reported, understood or not. A page that makes no sense is a reason, never an exception. */
export type Parsed<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly reason: string };

export const parsed = <T>(value: T): Parsed<T> => ({ ok: true, value });
export const nonsense = (reason: string): Parsed<never> => ({ ok: false, reason });

/**
 * Rejects after `timeoutMs`, however long `work` takes. The work itself continues; nobody waits for it.
 * @param what describes the awaited result, for the error
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
