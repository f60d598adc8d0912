// What a request asks for, numbered as NBD numbers its commands (NBD protocol, "Request types"), whatever front end it came by.

export const NBD_READ: u32 = 0;
export const NBD_WRITE: u32 = 1;
export const NBD_FLUSH: u32 = 3;
export const NBD_TRIM: u32 = 4;
export const NBD_WRITE_ZEROES: u32 = 6;
export const NBD_BLOCK_STATUS: u32 = 7;

export const FLAG_FUA: u32 = 1;
export const FLAG_NO_HOLE: u32 = 2;
export const FLAG_REQ_ONE: u32 = 8;
export const FLAG_FAST_ZERO: u32 = 16;
