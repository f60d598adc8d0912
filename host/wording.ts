// Counts in sentences.

/** A count with its noun: `1 path`, `4 paths`, `1 more path`. */
export const counted = (count: number | bigint, noun: string): string =>
  `${count} ${noun}${Number(count) === 1 ? "" : "s"}`;

/** The verb that a count asks for. */
export const areOrIs = (count: number): string => (count === 1 ? "is" : "are");
