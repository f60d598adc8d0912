// Writes all committed files that are generated: the views of the ABI and the core's defaults, the pictures of rooms and tables, the
// pages about commands, messages and settings. Lint or a test reports files that are out of date.
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));
const writers = [
  ["host/build/abi.ts"],
  ["host/build/rooms.ts", "--write"],
  ["host/build/request-life.ts", "--write"],
  ["host/build/core-tables.ts", "--write"],
  ["host/cli/packaging/man.ts"],
  ["host/cli/packaging/messages-page.ts"],
  ["host/cli/packaging/mib-page.ts"],
  ["host/cli/packaging/settings-pages.ts"],
];

for (const args of writers) {
  const { status } = spawnSync(process.execPath, args, { cwd: root, stdio: "inherit" });
  if (status !== 0) process.exit(1);
}
