// Builds dist/, which the package runs: JavaScript from the TypeScript sources, the core, the native addon for this
// machine's platform. `npm pack` calls it (prepack). Runs on Node 20 or later; ensure.mjs has built everything before.
//
// Addons for other platforms may be in build/prebuilt/ (built on such machines); they are included.

import { spawnSync } from "node:child_process";
import { copyFileSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "..");
const dist = join(root, "dist");
const node = join(root, "node_modules", ".bin", "node");

/** Runs a Node program and returns its standard output; exits if it fails. */
function run(args, what) {
  const result = spawnSync(node, args, { cwd: root, encoding: "utf8" });
  if (result.status !== 0) {
    process.stderr.write(result.stdout + result.stderr);
    console.error(`pathmanager: ${what} failed`);
    process.exit(1);
  }
  return result.stdout.trim();
}

/** Every file under a folder. */
const filesUnder = (folder) =>
  readdirSync(folder, { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory() ? filesUnder(join(folder, entry.name)) : [join(folder, entry.name)],
  );

rmSync(dist, { recursive: true, force: true });
run([join(root, "node_modules", ".bin", "tsc"), "-p", "host/cli/packaging/tsconfig.json"], "compiling the sources");

// tsc rewrites imports, but not the URL that names a worker's file.
for (const file of filesUnder(dist)) {
  const text = readFileSync(file, "utf8");
  const rewritten = text.replaceAll(
    /new URL\("(\.[^"]*)\.ts", import\.meta\.url\)/g,
    'new URL("$1.js", import.meta.url)',
  );
  if (rewritten !== text) writeFileSync(file, rewritten);
}

mkdirSync(join(dist, "build"), { recursive: true });
copyFileSync(join(root, "build", "core.wasm"), join(dist, "build", "core.wasm"));
cpSync(join(root, "build", "page"), join(dist, "build", "page"), { recursive: true });

const prebuilt = join(dist, "host", "native", "prebuilt");
mkdirSync(prebuilt, { recursive: true });
const target = run(
  ["-e", 'import("./host/native/index.ts").then((native) => console.log(native.nativeTarget()))'],
  "asking for the platform",
);
copyFileSync(join(root, "build", "native", "pathmanager.node"), join(prebuilt, `pathmanager.${target}.node`));
const others = join(root, "build", "prebuilt");
if (existsSync(others)) {
  for (const name of readdirSync(others)) copyFileSync(join(others, name), join(prebuilt, name));
}

const { name, version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
writeFileSync(join(dist, "package.json"), `${JSON.stringify({ name, version, type: "module" }, null, 2)}\n`);
