/** A count with its noun: `1 path`, `4 paths`. */
export const counted = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? "" : "s"}`;
