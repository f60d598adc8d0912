/** Where a soak runs, and until when. */
export interface Places {
  /** Of the daemon's sockets and files. */
  readonly folder: string;
  readonly seed: number;
  readonly signal: AbortSignal;
}
