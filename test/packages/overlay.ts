// A root of a test's own: what is done in it lies in memory, above the host's files, and is gone with it.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";

const INSIDE = "PATHMANAGER_OVERLAY_INSIDE";
/** What the host has there is none of the test's business: its services, a daemon of its own. */
const EMPTY =
  "/run /tmp /etc/pathmanager /etc/multipath /var/lib/pathmanager /var/log/pathmanager /var/cache/pathmanager";
// What the packages bring must not be there before.
const ABSENT = "/usr/lib/pathmanager /usr/bin/pathctl /usr/bin/spscmd /usr/sbin/pathmanagerd";
const SCRIPT = `set -e
top=$(mktemp -d)
mount -t tmpfs overlay "$top"
mkdir "$top/upper" "$top/work" "$top/root"
mount -t overlay -o "lowerdir=/,upperdir=$top/upper,workdir=$top/work" overlay "$top/root"
root=$top/root
for folder in ${EMPTY}; do mkdir -p "$root$folder"; mount -t tmpfs -o mode=1777 empty "$root$folder"; done
mount --rbind /proc "$root/proc"
mount --rbind /dev "$root/dev"
mkdir -p "$root$PROJECT"
mount --rbind "$PROJECT" "$root$PROJECT"
for one in ${ABSENT}; do rm -rf "$root$one"; done
cd "$root$PROJECT"
exec chroot "$root" "$@"`;

/** Runs this program again in such a root, and ends with its status; does nothing inside it. */
export function enterOverlay(project: string): void {
  if (process.env[INSIDE] !== undefined) {
    process.chdir(project);
    return;
  }
  const args = ["--mount", "--propagation", "private", "sh", "-c", SCRIPT, "sh", process.execPath];
  const { status } = spawnSync("unshare", [...args, ...process.argv.slice(1)], {
    stdio: "inherit",
    env: { ...process.env, [INSIDE]: "1", PROJECT: project },
  });
  process.exit(status ?? 1);
}

export const ENVIRONMENT = { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", HOME: "/root", LC_ALL: "C.UTF-8" };

/** Runs a program that must succeed; returns what it said. */
export function run(program: string, ...args: readonly string[]): string {
  const done = spawnSync(program, args, { encoding: "utf8", env: ENVIRONMENT, maxBuffer: 2 ** 26 });
  assert.equal(done.status, 0, `${program} ${args.join(" ")}: ${done.error?.message ?? done.stderr + done.stdout}`);
  return done.stdout + done.stderr;
}
