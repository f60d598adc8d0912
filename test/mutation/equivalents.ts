// Mutants that nobody can notice, each with the reason. A mutant is named by its file, function, operator, the text it changes and
// the line that begins there; `npm run mutate` complains of an entry that names none.

export interface Known {
  /** The end of the file's name: enough to tell it from others. */
  readonly file: string;
  readonly where: string;
  readonly operator: string;
  readonly from: string;
  /** The line it stands in, trimmed. */
  readonly text: string;
  readonly why: string;
}

export const equivalents: readonly Known[] = [];
