// How a mutant is named that is known to be noticed by nobody.

export interface Known {
  /** The end of the file's name: enough to tell it from others. */
  readonly file: string;
  readonly where: string;
  readonly operator: string;
  readonly from: string;
  /** The line it stands in, trimmed. */
  readonly text: string;
  readonly why: string;
  /** How many are so named, where that is more than one. */
  readonly times?: number;
}
