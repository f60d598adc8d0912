// Files of pre-shared keys in the format of GnuTLS' psktool, which libnbd, nbdkit and QEMU read as well: one line of
// `identity:key in hexadecimal` per client.

import { ControlError } from "../ground/control-errors.ts";
import { counted } from "../../wording.ts";

/** A key that can be guessed is no key. */
const KEY_BYTES_MIN = 16;
/** Limit of OpenSSL. */
const KEY_BYTES_MAX = 256;
const IDENTITY_BYTES_MAX = 128;
/** The identity may contain colons, the key does not. */
const LINE = /^(?<identity>[^#].*):(?<key>(?:[0-9a-f]{2})+)$/i;

/**
 * Keys by identity.
 * @throws ControlError that names the line, and never shows a key
 */
export function parsePskFile(text: string, parameter: string, file: string): Map<string, Uint8Array> {
  const keys = new Map<string, Uint8Array>();
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (line === "") continue;
    const wrong = (problem: string): ControlError =>
      new ControlError("CONFIGURATION", `${parameter}: ${file}:${index + 1}: ${problem}`, {
        parameter,
        remedy: `make the line with \`psktool --username NAME --pskfile ${file}\``,
      });
    const { identity, key } = LINE.exec(line)?.groups ?? {};
    if (identity === undefined || key === undefined) throw wrong("is no identity, a colon and a key in hexadecimal");
    const bytes = Buffer.from(key, "hex");
    if (Buffer.byteLength(identity) > IDENTITY_BYTES_MAX) {
      throw wrong(`the identity is longer than ${IDENTITY_BYTES_MAX} bytes`);
    }
    if (bytes.length < KEY_BYTES_MIN || bytes.length > KEY_BYTES_MAX) {
      throw wrong(`the key has ${counted(bytes.length, "byte")}; ${KEY_BYTES_MIN} to ${KEY_BYTES_MAX} are taken`);
    }
    if (keys.has(identity)) throw wrong(`the identity ${identity} stands there twice`);
    keys.set(identity, bytes);
  }
  if (keys.size > 0) return keys;
  throw new ControlError("CONFIGURATION", `${parameter}: no key stands in ${file}`, {
    parameter,
    remedy: `make one with \`psktool --username NAME --pskfile ${file}\``,
  });
}
