// The compilers and machines the kit is built for, and the Debian packages they come in.

/** A build of the kit. */
export interface Target {
  readonly name: string;
  readonly compiler: string;
  /** Further words for make. */
  readonly variables: readonly string[];
  /** What runs its programs here; empty: they run as they are. */
  readonly runner: readonly string[];
  readonly packages: readonly { readonly package: string; readonly program: string }[];
}

const GCC = { package: "gcc", program: "gcc" };
const MAKE = { package: "make", program: "make" };
const QEMU_ARM64 = { package: "qemu-user-static", program: "qemu-aarch64-static" };
const QEMU_ARM = { package: "qemu-user-static", program: "qemu-arm-static" };

/** Packages that every build takes, whatever its target. */
export const BUILD_PACKAGES = [GCC, MAKE];

export const TARGETS: readonly Target[] = [
  { name: "glibc", compiler: "gcc", variables: ["CHECKS=bounds"], runner: [], packages: [GCC] },
  { name: "glibc-guard", compiler: "gcc", variables: ["CHECKS=guard"], runner: [], packages: [GCC] },
  {
    name: "musl",
    compiler: "musl-gcc",
    variables: ["CHECKS=bounds", "LDFLAGS=-static"],
    runner: [],
    packages: [{ package: "musl-tools", program: "musl-gcc" }],
  },
  {
    name: "clang",
    compiler: "clang",
    variables: ["CHECKS=guard"],
    runner: [],
    packages: [{ package: "clang", program: "clang" }],
  },
  {
    name: "aarch64",
    compiler: "aarch64-linux-gnu-gcc",
    variables: ["CHECKS=bounds", "LDFLAGS=-static"],
    runner: ["qemu-aarch64-static"],
    packages: [
      { package: "gcc-aarch64-linux-gnu", program: "aarch64-linux-gnu-gcc" },
      { package: "libc6-dev-arm64-cross", program: "aarch64-linux-gnu-gcc" },
      QEMU_ARM64,
    ],
  },
  {
    name: "armhf",
    compiler: "arm-linux-gnueabihf-gcc",
    variables: ["CHECKS=bounds", "LDFLAGS=-static"],
    runner: ["qemu-arm-static"],
    packages: [
      { package: "gcc-arm-linux-gnueabihf", program: "arm-linux-gnueabihf-gcc" },
      { package: "libc6-dev-armhf-cross", program: "arm-linux-gnueabihf-gcc" },
      QEMU_ARM,
    ],
  },
];

/** @throws Error when a name is unknown */
export function targetsNamed(names: readonly string[]): readonly Target[] {
  return names.map((name) => {
    const found = TARGETS.find((target) => target.name === name);
    if (found !== undefined) return found;
    throw new Error(`there is no target "${name}"; those there are: ${TARGETS.map((one) => one.name).join(", ")}`);
  });
}
