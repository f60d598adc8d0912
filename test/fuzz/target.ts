// What a target of the fuzzer is.

export interface Target {
  /** Gives an input to the code and checks all that has to hold; throws where something does not. */
  readonly run: (input: Uint8Array) => void | Promise<void>;
  /** Inputs to begin with where the corpus has none. */
  readonly seeds: readonly Uint8Array[];
  /** What is worth putting into an input, besides the words of the instrumented code. */
  readonly words?: readonly (string | Uint8Array)[];
  readonly bytesMax: number;
  readonly end?: () => Promise<void>;
}

export interface TargetKind {
  /** Whose branches guide the fuzzer: folders and files of the repository. */
  readonly code: readonly string[];
  /** Whether the core's do too. */
  readonly core?: boolean;
  /** Made when its code is instrumented already. */
  readonly make: () => Promise<Target>;
}

/** Fails the input unless it holds. */
export function check(holds: boolean, what: () => string): asserts holds {
  if (!holds) throw new Error(what());
}
