// Linux errno values: the answers to requests, also used by NBD (NBD protocol, "Error values"), and, negated, the host's
// completion results.

export const EPERM: u32 = 1;
export const ENOENT: u32 = 2;
export const EIO: u32 = 5;
export const EAGAIN: u32 = 11;
export const ENOMEM: u32 = 12;
export const EFAULT: u32 = 14;
export const EBUSY: u32 = 16;
export const ENODEV: u32 = 19;
export const EINVAL: u32 = 22;
export const ENOSPC: u32 = 28;
export const EDOM: u32 = 33;
export const EOVERFLOW: u32 = 75;
export const ENOTSUP: u32 = 95;
export const ETIMEDOUT: u32 = 110;
export const ECANCELED: u32 = 125;

/** The form used in completion results and for the end of connections. */
export function negated(errno: u32): i32 {
  return -(<i32>errno);
}
