// Debian packages that builds take: named by the program each is wanted for, installed by name where that is allowed.

import { spawnSync } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { join } from "node:path";

export interface DebianPackage {
  readonly package: string;
  readonly program: string;
}

/** The absolute path of a program, or undefined. */
function findProgram(program: string): string | undefined {
  const folders = [...(process.env["PATH"] ?? "").split(":"), "/usr/sbin", "/usr/bin", "/bin"];
  return folders
    .filter((folder) => folder !== "")
    .map((folder) => join(folder, program))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

function aptGet(args: readonly string[]): boolean {
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  return spawnSync("apt-get", ["-q", "-y", ...args], { stdio: ["ignore", "ignore", "inherit"], env }).status === 0;
}

/** Installs what is missing, where this process may. @throws Error that names what is still missing */
export function installPackages(wanted: readonly DebianPackage[]): void {
  const missing = (): string[] => [
    ...new Set(wanted.filter(({ program }) => findProgram(program) === undefined).map((one) => one.package)),
  ];
  const names = missing();
  if (names.length === 0) return;
  // A cross compiler is of no use without its C library, which comes in a package of its own.
  const programs = new Set(wanted.filter((one) => names.includes(one.package)).map((one) => one.program));
  const all = [...new Set(wanted.filter((one) => programs.has(one.program)).map((one) => one.package))];
  if (process.getuid?.() === 0 && findProgram("apt-get") !== undefined) {
    console.error(`installing the Debian packages ${all.join(" ")}`);
    const install = ["install", "--no-install-recommends", ...all];
    if (!aptGet(install) && aptGet(["update"])) aptGet(install);
  }
  const left = missing();
  if (left.length > 0) throw new Error(`missing Debian packages: ${left.join(" ")} (apt-get install ${all.join(" ")})`);
}
