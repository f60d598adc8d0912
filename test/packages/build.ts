// Building the packages.

import { spawnSync } from "node:child_process";
import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const project = fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, "");
/** Where they are built; the tests inside a guest or a tree find them there. */
export const PACKAGES_FOLDER = "build/packages";
/** What a newer package of the same files calls itself. */
export const NEWER = "99.0.0";

/** Builds them into a folder that holds nothing else then. */
export function buildPackages(folder: string, ...options: readonly string[]): void {
  rmSync(folder, { recursive: true, force: true });
  const args = ["host/cli/packaging/system-package.ts", ...options, folder];
  const { status } = spawnSync(process.execPath, args, { cwd: project, stdio: ["ignore", "inherit", "inherit"] });
  if (status !== 0) throw new Error(`building the packages ended with status ${status}`);
}

const isNewer = (name: string): boolean => name.includes(NEWER);

function fileIn(what: string, isWanted: (name: string) => boolean): string {
  const folder = join(project, PACKAGES_FOLDER);
  const found = readdirSync(folder).find((name) => isWanted(name));
  if (found === undefined) throw new Error(`there is no ${what} in ${folder}`);
  return join(folder, found);
}

/** The file of a package: this version's, or the newer one's. */
export function packageFile(kind: "deb" | "rpm", which: "own" | "newer"): string {
  return fileIn(`${which} ${kind}`, (name) => name.endsWith(`.${kind}`) && isNewer(name) === (which === "newer"));
}

/** The image for containers. */
export const imageFile = (): string => fileIn("image", (name) => name.endsWith(".oci.tar"));
