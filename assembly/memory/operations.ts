// Operations that only NBD has, and request flags that no front end shows. The operations known to all front ends are in abi.ts.

/** Which blocks are data, and which are holes. */
export const OPERATION_STATUS: u32 = 7;

/** STATUS: one extent is enough. */
export const FLAG_ONE_EXTENT: u32 = 8;
/** STATUS: lengths of extents have 64 bits. No client can send it. */
export const FLAG_WIDE_EXTENTS: u32 = 32768;
