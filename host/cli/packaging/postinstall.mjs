// After installation: says what to do when Node is too old or the package has no native addon for this platform. Downloads
// nothing, builds nothing, never fails. In the repository, where there is no dist/, it prints nothing.

import { existsSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

// The commands report this as well. `engines` cannot express it: it also applies to the repository, which installs its own
// Node.
const NODE_MAJOR_MIN = 24;

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "..");
const prebuilt = join(root, "dist", "host", "native", "prebuilt");
if (existsSync(prebuilt)) {
  if (Number(process.versions.node.split(".")[0]) < NODE_MAJOR_MIN) {
    const { node } = process.versions;
    console.error(
      `pathmanager: Node ${node} is too old: install Node ${NODE_MAJOR_MIN} or later (https://nodejs.org/)`,
    );
  }
  process.report.excludeNetwork = true;
  const libc = process.report.getReport().header.glibcVersionRuntime === undefined ? "musl" : "gnu";
  const target = `${process.platform}-${process.arch}-${libc}`;
  const names = readdirSync(prebuilt).map((name) => name.replace(/^pathmanager\.(.*)\.node$/, "$1"));
  if (!names.includes(target)) {
    console.error(
      `pathmanager: this package has the native addon for ${names.join(", ")}, not for ${target}.\n` +
        "pathmanager: spscmd and pathctl work without it. For pathmanagerd, install Rust 1.88 or later\n" +
        `pathmanager: (https://rustup.rs) and a linker (gcc), then: cd ${root} && npm run build`,
    );
  }
}
