// Linux errno: what a request is answered with, which NBD uses as well (NBD protocol, "Error values"), and, negated, what the host
// reports as a completion's result.

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

/** As a completion's result shows it, and as a connection's end is told. */
export function negated(errno: u32): i32 {
  return -(<i32>errno);
}
