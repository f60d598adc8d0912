// Units of time. Whatever ends in `Ns` counts nanoseconds.

export const MICROSECOND: u64 = 1000;
export const MILLISECOND: u64 = 1000000;
export const SECOND: u64 = 1000000000;

/** "Nothing is due." */
export const NEVER: u64 = <u64>-1;
