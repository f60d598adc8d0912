// The exports of the core; nothing else.

import { ABI_VERSION } from "./abi";

/** Version of the interface this core speaks. */
export function abiVersion(): u32 {
  return ABI_VERSION;
}
