// Checks the native addon, and whether it can create a ring.

import { error, ok, warning, type Finding } from "./finding.ts";

/** Enough for a control block; a ring that is only created does not access more. */
const MEMORY_BYTES = 1_048_576;

/** Loads the addon and tries both interfaces to the kernel. */
export async function checkAddon(): Promise<Finding[]> {
  let native: typeof import("../../native/index.ts");
  try {
    native = await import("../../native/index.ts");
  } catch (thrown) {
    const reason = thrown instanceof Error ? thrown.message : String(thrown);
    return [error("addon", reason, "install a package with the addon for this platform, or build it as said")];
  }
  const findings = [ok("addon", `the native addon for ${native.nativeTarget()} loads`)];
  try {
    new native.Ring(new Uint8Array(MEMORY_BYTES), 0, { backend: "io_uring" }).close();
    findings.push(ok("io_uring", "a ring can be made"));
  } catch (thrown) {
    const reason = thrown instanceof Error ? thrown.message : String(thrown);
    findings.push(
      warning(
        "io_uring",
        `no ring can be made (${reason}); the slower epoll way is used`,
        "allow io_uring_setup, io_uring_enter and io_uring_register in the sandbox, or use a kernel from 5.15 on",
      ),
    );
  }
  return findings;
}
