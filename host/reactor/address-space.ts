// Explains a shortage of address space (not memory): V8 and WebAssembly reserve far more of it than they ever use.

import { readFileSync } from "node:fs";

/** Reserved by the smallest daemon, nearly all of it for guard regions. */
const NEEDED_GIB = 27;
const GIB = 1 << 30;

/** A sentence when this process may use less address space than it needs; null otherwise. */
export function addressAdvice(limits = readFileSync("/proc/self/limits", "utf8")): string | null {
  const bytes = Number(/^Max address space\s+(\d+)/m.exec(limits)?.[1] ?? Infinity);
  if (bytes >= 2 * NEEDED_GIB * GIB) return null;
  return (
    `the address space is limited to ${(bytes / GIB).toFixed(1)} GiB (ulimit -v, LimitAS), and V8 and WebAssembly reserve about ` +
    `${NEEDED_GIB} GiB of addresses, of which little is ever memory: lift the limit (ulimit -v unlimited, LimitAS=infinity)`
  );
}
