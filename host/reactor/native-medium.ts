// Puts the addon's `Media` (memory or a file, copied straight into the core's memory) behind emulated units.

import type { Medium } from "../array/medium.ts";
import { Media } from "../native/index.ts";

const BLOCK_BYTES = 512;
const BLOCKS_PER_HIGH = 4_294_967_296 / BLOCK_BYTES;
/** How far a unit in memory may grow (`capacity` fault): only written blocks take memory. */
const GROWTH = 2;

export class NativeMedium implements Medium {
  readonly bytesMax: number;
  readonly volatile: boolean;
  readonly #media: Media;
  #memory: Uint8Array | null = null;

  /**
   * @param bytes a multiple of 512
   * @param place a file, made sparse and as long as the unit can grow; or memory, which with a name in `shared` is the same for all
   * threads that have it open
   * Throws ERR_NATIVE_SYSTEM when there is no room, or the file cannot be opened.
   */
  constructor(bytes: number, place: string | { readonly shared: string | null; readonly name: string }) {
    const isFile = typeof place === "string";
    this.bytesMax = isFile ? bytes : bytes * GROWTH;
    this.volatile = isFile;
    const memory = isFile || place.shared === null ? null : `${place.shared}/${place.name}`;
    this.#media = new Media(this.bytesMax / BLOCK_BYTES, isFile ? place : null, memory);
  }

  read(memory: Uint8Array, address: number, offsetLow: number, offsetHigh: number, bytes: number): number {
    if (memory !== this.#memory) this.#bind(memory);
    return this.#media.read(address, blockOf(offsetLow, offsetHigh), bytes / BLOCK_BYTES);
  }

  write(memory: Uint8Array, address: number, offsetLow: number, offsetHigh: number, bytes: number): number {
    if (memory !== this.#memory) this.#bind(memory);
    return this.#media.write(address, blockOf(offsetLow, offsetHigh), bytes / BLOCK_BYTES);
  }

  zero(offsetLow: number, offsetHigh: number, bytes: number): number {
    return this.#media.discard(blockOf(offsetLow, offsetHigh), bytes / BLOCK_BYTES);
  }

  run(offsetLow: number, offsetHigh: number, bytes: number): number {
    return this.#media.run(blockOf(offsetLow, offsetHigh), bytes / BLOCK_BYTES);
  }

  flush(): number {
    return this.#media.flush();
  }

  close(): void {
    this.#media.close();
  }

  #bind(memory: Uint8Array): void {
    this.#media.bind(memory);
    this.#memory = memory;
  }
}

function blockOf(offsetLow: number, offsetHigh: number): number {
  return offsetHigh * BLOCKS_PER_HIGH + (offsetLow >>> 9);
}
