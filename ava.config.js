// Tests that need nothing but Node, Rust and what npm and crates give. The rig and the protocol peers have their own
// runners (test/rig, test/peers), because they need Debian packages.
export default {
  files: ["test/unit/**/*.test.ts"],
  extensions: { ts: "module" },
  timeout: "120s",
  workerThreads: false,
  concurrency: 2,
};
