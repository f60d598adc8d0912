// Loads build/core.wasm, or another core, from the disk.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { addressAdvice } from "./address-space.ts";
import { type CoreExports, instantiate, LaidOutCore, type LayoutOptions } from "./laid-out-core.ts";
import { ReactorError } from "./reactor-errors.ts";

export interface CoreOptions extends LayoutOptions {
  /** The bytes of another core than `build/core.wasm`. */
  readonly wasm?: Uint8Array;
}

/** The core of the reactor. Throws REACTOR_CORE when the module cannot be loaded. */
export class Core extends LaidOutCore {
  constructor({ wasm, ...layout }: CoreOptions = {}) {
    super(load(wasm), layout);
  }
}

function load(wasm: Uint8Array | undefined): CoreExports {
  const path = join(import.meta.dirname, "..", "..", "build", "core.wasm");
  try {
    // A copy: the type of the module's bytes excludes shared buffers.
    return instantiate(new WebAssembly.Module(Uint8Array.from(wasm ?? readFileSync(path))));
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const advice = (reason.includes("memory") ? addressAdvice() : null) ?? "run `npm run build`";
    throw new ReactorError("REACTOR_CORE", `${path} cannot be loaded (${reason}); ${advice}`, { cause });
  }
}
