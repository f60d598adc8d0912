// Sense data (SPC-4 4.5): fixed format (70h, 71h) and descriptor format (72h, 73h), whole, cut short, absent or nonsense.

// Sense data (SPC-4 4.5): fixed format (70h, 71h) and descriptor format (72h, 73h), whole, cut short, absent or nonsense.

/** Sense key of "no usable sense data"; the standard has keys 0 to Fh. */
export const KEY_ABSENT: u32 = 0xff;
/** Set for a deferred error (71h, 73h): it is about an earlier command; this one was not carried out. */
export const SENSE_DEFERRED: u32 = 1 << 24;

/**
 * Reads what classification needs. Answers key | ASC << 8 | ASCQ << 16, with key KEY_ABSENT when the bytes are no sense
 * data, and SENSE_DEFERRED for a deferred error.
 */
export function readSense(address: usize, bytes: u32): u32 {
  if (bytes === 0) return KEY_ABSENT;
  const code = (<u32>load<u8>(address)) & 0x7f;
  const deferred = (code & 1) !== 0 ? SENSE_DEFERRED : 0;
  if (code === 0x70 || code === 0x71) {
    if (bytes < 3) return KEY_ABSENT;
    const key = (<u32>load<u8>(address, 2)) & 15;
    // Additional length (byte 7) counts from byte 8; ASC and ASCQ are bytes 12 and 13.
    const valid = bytes < 8 ? bytes : min<u32>(bytes, 8 + <u32>load<u8>(address, 7));
    const asc: u32 = valid > 12 ? <u32>load<u8>(address, 12) : 0;
    const ascq: u32 = valid > 13 ? <u32>load<u8>(address, 13) : 0;
    return key | (asc << 8) | (ascq << 16) | deferred;
  }
  if (code === 0x72 || code === 0x73) {
    if (bytes < 2) return KEY_ABSENT;
    const asc: u32 = bytes > 2 ? <u32>load<u8>(address, 2) : 0;
    const ascq: u32 = bytes > 3 ? <u32>load<u8>(address, 3) : 0;
    return ((<u32>load<u8>(address, 1)) & 15) | (asc << 8) | (ascq << 16) | deferred;
  }
  return KEY_ABSENT;
}
