// The process of `pathmanagerd`. Help and version need no native addon; everything else is the daemon's own.

import { packageVersion } from "./io.ts";

const HELP = `usage: pathmanagerd [--config FILE] [--log-level error|warning|info|debug]

Binds SCSI paths to logical units and offers each as one block device over NBD. Runs in the foreground.

  --config FILE      configuration file (default /etc/pathmanager/pathmanager.toml, which need not exist)
  --log-level LEVEL  instead of log.level of the configuration
  -V, --version      prints the version
  -h, --help         prints this

SIGTERM stops it, SIGHUP reads the configuration again.
Without devices in its configuration it runs an emulated array.

example: pathmanagerd --config ./pathmanager.toml
`;

/** Whether an error says that the addon is missing or cannot be loaded. */
const isAboutTheAddon = (error: unknown): error is Error & { readonly code: string } =>
  error instanceof Error &&
  "code" in error &&
  typeof error.code === "string" &&
  error.code.startsWith("ERR_NATIVE_ADDON");

const args = new Set(process.argv.slice(2));
if (args.has("--help") || args.has("-h")) {
  process.stdout.write(HELP);
} else if (args.has("--version") || args.has("-V")) {
  process.stdout.write(`${packageVersion()}\n`);
} else {
  try {
    await import("../control/main.ts");
  } catch (error) {
    if (!isAboutTheAddon(error)) throw error;
    process.stderr.write(`pathmanagerd: ${error.message}\n`);
    process.exitCode = 1;
  }
}
