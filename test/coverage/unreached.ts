// Outcomes of conditions that neither the core's unit tests nor any world comes to, each with the reason. `npm run coverage`
// fails on one that is missing here, and on one that stands here and is reached.

export interface Unreached {
  /** The end of the file's name: enough to tell it from others. */
  readonly file: string;
  readonly where: string;
  /** The condition, and how it never turns out. */
  readonly text: string;
  readonly kind: "true" | "false";
  readonly why: string;
}

export const unreached: readonly Unreached[] = [];
