// Parses what SCSI sends: big-endian numbers and padded text.

/** Big-endian number of 1 to 6 bytes; bytes beyond the data count as zero. */
export function big(data: Uint8Array, at: number, bytes: number): number {
  let value = 0;
  for (let i = 0; i < bytes; i++) value = value * 256 + (data[at + i] ?? 0);
  return value;
}

/** ASCII text without padding; unprintable characters become `?`, so that displays and logs stay intact. */
export function ascii(data: Uint8Array, at: number, bytes: number): string {
  let text = "";
  for (const byte of data.subarray(at, at + bytes)) {
    if (byte === 0) break;
    text += byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : "?";
  }
  return text.trim();
}

/** One byte as two digits. */
export const hexByte = (byte: number): string => byte.toString(16).padStart(2, "0");

export function hex(data: Uint8Array): string {
  return Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("hex");
}

/** True when a field carries no information: zeroes, spaces, or all ones, as unprogrammed memory reads. */
export function isBlank(data: Uint8Array): boolean {
  return data.every((byte) => byte === 0 || byte === 0x20) || data.every((byte) => byte === 0xff);
}
