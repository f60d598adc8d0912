// The ways in which the mutation check breaks the core.

export interface Mutant {
  readonly name: string;
  /** What it does wrong, and why that matters. */
  readonly why: string;
  /** File under assembly/. */
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

export const mutants: readonly Mutant[] = [];
