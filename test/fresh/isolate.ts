// The first command takes the system's folders when root gives it. Here they are empty ones of this run, in a mount
// namespace of its own, so that neither a daemon of this machine nor what an earlier run left has a say in it.

import { spawnSync } from "node:child_process";

const FOLDERS = ["/etc/pathmanager", "/run/pathmanager", "/var/lib/pathmanager", "/var/log/pathmanager"];
const INSIDE = "PATHMANAGER_FRESH_INSIDE";

/** Runs this program again in such a namespace, and ends with its status; does nothing inside it, or without root. */
export function isolate(): void {
  if (process.env[INSIDE] !== undefined || process.getuid?.() !== 0) return;
  const script = `for d in ${FOLDERS.join(" ")}; do mkdir -p $d && mount -t tmpfs none $d || exit 125; done; exec "$@"`;
  const { status } = spawnSync(
    "unshare",
    ["--mount", "--propagation", "private", "sh", "-c", script, "sh", process.execPath, ...process.argv.slice(1)],
    { stdio: "inherit", env: { ...process.env, [INSIDE]: "1" } },
  );
  process.exit(status ?? 1);
}
