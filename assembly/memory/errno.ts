// Errors that a request is answered with: Linux errno, which NBD uses as well (NBD protocol, "Error values").

export const EPERM: u32 = 1;
export const EIO: u32 = 5;
export const EINVAL: u32 = 22;
export const ENOSPC: u32 = 28;
export const ENOTSUP: u32 = 95;
