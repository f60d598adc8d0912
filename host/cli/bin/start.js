// Starts a command: the built JavaScript in the package, the TypeScript sources in the repository.

import { existsSync, lstatSync, mkdirSync } from "node:fs";
import module from "node:module";
import { homedir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const NODE_MAJOR_MIN = 24;
const BUILT = new URL("../../../dist/host/cli/", import.meta.url);
const SOURCES = new URL("../", import.meta.url);
const REPOSITORY_CACHE = new URL("../../../build/compile-cache", import.meta.url);

const ENTRIES = {
  spscmd: "spscmd/start",
  pathctl: "pathctl/start",
  pathpersist: "pathpersist/start",
  pathmanagerd: "pathmanagerd",
};

/** Where compiled code is cached between runs, unless NODE_COMPILE_CACHE names a folder. */
function cacheFolder(isRepository) {
  if (isRepository) return fileURLToPath(REPOSITORY_CACHE);
  if (process.getuid?.() === 0) return "/var/cache/pathmanager";
  const own = process.env.XDG_CACHE_HOME;
  return join(own === undefined || own === "" ? join(homedir(), ".cache") : own, "pathmanager");
}

/**
 * Caches compiled code between runs: this halves the time to the first output, and the daemon does not load the type
 * stripper. The cached code is executed, so nobody else may be able to write to the folder; Node's default lies in /tmp.
 */
function keepCompiledCode(isRepository) {
  if (process.env.NODE_COMPILE_CACHE === undefined) {
    const folder = cacheFolder(isRepository);
    try {
      mkdirSync(folder, { recursive: true, mode: 0o700 });
      const { uid, mode } = lstatSync(folder);
      if (uid !== process.getuid?.() || (mode & 0o022) !== 0) return;
    } catch {
      return;
    }
    // Passed in the environment, because threads started later read it there.
    process.env.NODE_COMPILE_CACHE = folder;
  }
  module.enableCompileCache();
}

/** Runs the command `name` with the arguments of this process. */
export async function start(name) {
  const major = Number(process.versions.node.split(".")[0]);
  const source = new URL(`${ENTRIES[name]}.ts`, SOURCES);
  const isRepository = existsSync(fileURLToPath(source));
  if (major < NODE_MAJOR_MIN) {
    // npx and npm run put the repository's own Node first in PATH.
    const remedy = isRepository ? `run \`npm run build\` once, then \`npx ${name}\`` : "https://nodejs.org/";
    process.stderr.write(
      `${name}: Node ${process.versions.node} is too old: Node ${NODE_MAJOR_MIN} or later is needed (${remedy})\n`,
    );
    process.exitCode = 1;
    return;
  }
  keepCompiledCode(isRepository);
  const entry = isRepository ? source : new URL(`${ENTRIES[name]}.js`, BUILT);
  await import(entry.href);
  // Node writes the cache only at a regular exit; a daemon that was killed has to restart quickly, too.
  module.flushCompileCache();
}
