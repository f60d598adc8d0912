// Runs where io_uring is forbidden: strace fails its setup call, as a seccomp filter or kernel.io_uring_disabled would.

import { join } from "node:path";
import { type Case, check } from "../case.ts";
import { run } from "../run.ts";

const addon = join(import.meta.dirname, "..", "..", "..", "host", "native", "index.ts");

const script = `
import { Ring } from ${JSON.stringify(addon)};
const memory = new Uint8Array(1 << 20);
try {
  new Ring(memory, 0, { backend: "io_uring" });
  console.log("made");
} catch (error) {
  console.log(error.code, error.message);
}
console.log(new Ring(memory, 0, { backend: "auto" }).backend);
`;

const REASONS = { EPERM: /kernel\.io_uring_disabled/, ENOSYS: /this kernel has none/, ENOMEM: /locked memory/ };

export const cases: readonly Case[] = Object.entries(REASONS).map(([errno, reason]) => ({
  name: `io_uring forbidden with ${errno}: asking for it says why, auto takes epoll`,
  run: async () => {
    const inject = ["-e", "trace=io_uring_setup", "-e", `inject=io_uring_setup:error=${errno}`];
    const program = [process.execPath, "--input-type=module", "-e", script];
    const { stdout } = await run("strace", ["-f", "-qq", "-o", "/dev/null", ...inject, ...program]);
    const [first = "", second = ""] = stdout.split("\n");
    check(first.startsWith("ERR_NATIVE_URING_UNAVAILABLE ") && reason.test(first), `the error was: ${first}`);
    check(second === "epoll", `auto took "${second}"`);
  },
}));
