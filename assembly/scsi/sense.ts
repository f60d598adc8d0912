// Sense data (SPC-4 4.5): fixed format (70h, 71h) and descriptor format (72h, 73h), complete, truncated, absent or malformed.

/** Sense key of "no usable sense data"; the standard has keys 0 to Fh. */
export const KEY_ABSENT: u32 = 0xff;
export const KEY_RECOVERED_ERROR: u32 = 0x01;
export const KEY_UNIT_ATTENTION: u32 = 0x06;
/** Set for a deferred error (71h, 73h): it is about an earlier command; this one was not carried out. */
export const SENSE_DEFERRED: u32 = 1 << 24;

/** Additional sense codes (SPC-4 annex F) used outside the table of outcomes. */
export const ASC_INVALID_OPERATION_CODE: u32 = 0x20;
export const ASC_RESET: u32 = 0x29;
export const ASC_PARAMETERS_CHANGED: u32 = 0x2a;

/** Response codes, without the bit that marks a valid information field. */
const RESPONSE_CODE_MASK: u32 = 0x7f;
const FIXED_CURRENT: u32 = 0x70;
const FIXED_DEFERRED: u32 = 0x71;
const DESCRIPTOR_CURRENT: u32 = 0x72;
const DESCRIPTOR_DEFERRED: u32 = 0x73;
const KEY_MASK: u32 = 0x0f;
const BYTE_MASK: u32 = 0xff;
/** Key, ASC and ASCQ together. */
const CODES_MASK: u32 = 0xffffff;

/** Sense key of what `readSense` has read. */
export function keyOf(sense: u32): u32 {
  return sense & BYTE_MASK;
}

/** Additional sense code. */
export function ascOf(sense: u32): u32 {
  return (sense >> 8) & BYTE_MASK;
}

/** Additional sense code qualifier. */
export function ascqOf(sense: u32): u32 {
  return (sense >> 16) & BYTE_MASK;
}

/** Status, key, ASC, ASCQ, as shown in events and path records. */
export function shownSense(status: u8, sense: u32): u32 {
  return (<u32>status) | (keyOf(sense) === KEY_ABSENT ? 0 : (sense & CODES_MASK) << 8);
}

/** Whether the shown value has no sense data: the status is all there is. */
export function showsNoSense(shown: u32): bool {
  return shown <= BYTE_MASK;
}

/**
 * Reads what classification needs. Returns key | ASC << 8 | ASCQ << 16, with key KEY_ABSENT when the bytes are not sense data,
 * and SENSE_DEFERRED for a deferred error.
 */
export function readSense(address: usize, bytes: u32): u32 {
  if (bytes === 0) return KEY_ABSENT;
  const code = (<u32>load<u8>(address)) & RESPONSE_CODE_MASK;
  const deferred = code === FIXED_DEFERRED || code === DESCRIPTOR_DEFERRED ? SENSE_DEFERRED : 0;
  if (code === FIXED_CURRENT || code === FIXED_DEFERRED) {
    if (bytes < 3) return KEY_ABSENT;
    const key = (<u32>load<u8>(address, 2)) & KEY_MASK;
    // Additional length (byte 7) counts from byte 8; ASC and ASCQ are bytes 12 and 13.
    const valid = bytes < 8 ? bytes : min<u32>(bytes, 8 + <u32>load<u8>(address, 7));
    const asc: u32 = valid > 12 ? <u32>load<u8>(address, 12) : 0;
    const ascq: u32 = valid > 13 ? <u32>load<u8>(address, 13) : 0;
    return key | (asc << 8) | (ascq << 16) | deferred;
  }
  if (code === DESCRIPTOR_CURRENT || code === DESCRIPTOR_DEFERRED) {
    if (bytes < 2) return KEY_ABSENT;
    const asc: u32 = bytes > 2 ? <u32>load<u8>(address, 2) : 0;
    const ascq: u32 = bytes > 3 ? <u32>load<u8>(address, 3) : 0;
    return ((<u32>load<u8>(address, 1)) & KEY_MASK) | (asc << 8) | (ascq << 16) | deferred;
  }
  return KEY_ABSENT;
}
