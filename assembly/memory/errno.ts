// Errors that a request is answered with: Linux errno, which NBD uses as well (NBD protocol, "Error values").

export const EPERM: u32 = 1;
export const ENOENT: u32 = 2;
export const EIO: u32 = 5;
export const EFAULT: u32 = 14;
export const EBUSY: u32 = 16;
export const ENODEV: u32 = 19;
export const EINVAL: u32 = 22;
export const ENOSPC: u32 = 28;
export const EOVERFLOW: u32 = 75;
export const ENOTSUP: u32 = 95;
export const ECANCELED: u32 = 125;
