// Starts a command: the built JavaScript in the package, the TypeScript sources in the repository.

import { existsSync } from "node:fs";
import module from "node:module";
import { fileURLToPath } from "node:url";

const NODE_MAJOR_MIN = 24;
const BUILT = new URL("../../../dist/host/cli/", import.meta.url);
const SOURCES = new URL("../", import.meta.url);

const ENTRIES = {
  spscmd: "spscmd/start",
  pathctl: "pathctl/start",
  pathmanagerd: "pathmanagerd",
};

/** Runs the command `name` with the arguments of this process. */
export async function start(name) {
  const major = Number(process.versions.node.split(".")[0]);
  if (major < NODE_MAJOR_MIN) {
    process.stderr.write(
      `${name}: Node ${process.versions.node} is too old: Node ${NODE_MAJOR_MIN} or later is needed (https://nodejs.org/)\n`,
    );
    process.exitCode = 1;
    return;
  }
  // Compiled code is kept between runs (NODE_COMPILE_CACHE says where): it halves the time to the first output.
  module.enableCompileCache();
  const source = new URL(`${ENTRIES[name]}.ts`, SOURCES);
  const entry = existsSync(fileURLToPath(source)) ? source : new URL(`${ENTRIES[name]}.js`, BUILT);
  await import(entry.href);
}
