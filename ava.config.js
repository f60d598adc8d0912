// Tests that need nothing but Node, Rust and what npm and crates give. The rig and the protocol peers have their own
// runners (test/rig, test/peers), because they need Debian packages.
import { fileURLToPath } from "node:url";

export default {
  files: ["test/unit/**/*.test.ts"],
  extensions: { ts: "module" },
  timeout: "120s",
  workerThreads: false,
  concurrency: 2,
  // Each file is a process, and reads much the same modules: those are compiled once.
  environmentVariables: { NODE_COMPILE_CACHE: fileURLToPath(new URL("build/compile-cache", import.meta.url)) },
};
