// The process of `pathmanagerd`. Help, version and usage errors do not need the native addon; everything else is left to the
// daemon.

import { readArguments, USAGE } from "../control/settings/arguments.ts";
import { packageVersion } from "./io.ts";

/** Whether an error says that the addon is missing or cannot be loaded. */
const isAboutTheAddon = (error: unknown): error is Error & { readonly code: string } =>
  error instanceof Error &&
  "code" in error &&
  typeof error.code === "string" &&
  error.code.startsWith("ERR_NATIVE_ADDON");

const EXIT_USAGE = 2;

const given = readArguments(process.argv.slice(2));
if (given.kind === "help") process.stdout.write(USAGE);
else if (given.kind === "version") process.stdout.write(`${packageVersion()}\n`);
else if (given.kind === "mistake") {
  process.stderr.write(`pathmanagerd: ${given.text}\n\n${USAGE}`);
  process.exitCode = EXIT_USAGE;
} else {
  try {
    if (given.kind === "give up devices") {
      const { giveUpAbandoned } = await import("../supervisor/abandoned.ts");
      await giveUpAbandoned((text) => console.error(`pathmanagerd: ${text}`));
    } else {
      const { supervise } = await import("../supervisor/main.ts");
      supervise(new URL("../control/process.ts", import.meta.url), [packageVersion(), ...process.argv.slice(2)]);
    }
  } catch (error) {
    if (!isAboutTheAddon(error)) throw error;
    process.stderr.write(`pathmanagerd: ${error.message}\n`);
    process.exitCode = 1;
  }
}
