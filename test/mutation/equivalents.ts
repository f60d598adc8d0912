// Mutants that nobody can notice, each with the reason. A mutant is named by its file, function, operator and line of text;
// `npm run mutate` complains of an entry that names none.

export interface Equivalent {
  readonly file: string;
  readonly where: string;
  readonly operator: string;
  /** The line it stands in, trimmed. */
  readonly text: string;
  readonly why: string;
}

export const equivalents: readonly Equivalent[] = [];
