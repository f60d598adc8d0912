// Reads the data of one option. Anything malformed is one kind of error, which the negotiation answers with ERR_INVALID.

import { STRING_BYTES_MAX } from "./handshake-numbers.ts";
import { counted } from "../wording.ts";

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The data of an option violates the protocol; the message goes to the client. */
export class Malformed extends Error {}

export class OptionReader {
  readonly #data: Buffer;
  readonly #option: string;
  #at = 0;

  /** @param option its name, for messages */
  constructor(data: Buffer, option: string) {
    this.#data = data;
    this.#option = option;
  }

  #require(bytes: number, what: string): void {
    if (bytes <= this.#data.length - this.#at) return;
    throw new Malformed(`${this.#option}: its data of ${counted(this.#data.length, "byte")} ends within the ${what}`);
  }

  u16(what: string): number {
    this.#require(2, what);
    this.#at += 2;
    return this.#data.readUInt16BE(this.#at - 2);
  }

  u32(what: string): number {
    this.#require(4, what);
    this.#at += 4;
    return this.#data.readUInt32BE(this.#at - 4);
  }

  /** A string of `bytes` bytes; NBD strings are UTF-8 without a NUL ("Values"). */
  text(bytes: number, what: string): string {
    this.#require(bytes, what);
    if (bytes > STRING_BYTES_MAX) {
      throw new Malformed(
        `${this.#option}: the ${what} has ${counted(bytes, "byte")}; at most ${STRING_BYTES_MAX} are allowed`,
      );
    }
    const raw = this.#data.subarray(this.#at, this.#at + bytes);
    this.#at += bytes;
    if (raw.includes(0)) throw new Malformed(`${this.#option}: the ${what} contains a NUL byte`);
    try {
      return utf8.decode(raw);
    } catch {
      throw new Malformed(`${this.#option}: the ${what} is not UTF-8`);
    }
  }

  /** Requires that nothing is left. */
  end(): void {
    const left = this.#data.length - this.#at;
    if (left > 0) throw new Malformed(`${this.#option}: ${counted(left, "byte")} too many`);
  }
}
