// Debian's kernel for virtual machines, and those of its modules that an image needs.

import { globSync, readFileSync, readdirSync } from "node:fs";
import { basename, join } from "node:path";
import { contentsOf, standsFor } from "./debian.ts";

export interface Kernel {
  /** The package with its files. */
  readonly package: string;
  /** What a boot loader starts. */
  readonly image: string;
  readonly release: string;
  readonly contents: string;
  /** Files of the modules with those they depend on, in the order in which they have to be loaded. */
  modules(names: readonly string[]): readonly string[];
}

/** A module may be called with - or with _, its file too. */
const plain = (name: string): string => name.replaceAll("-", "_");

/** @param folder where fetched packages are kept */
export function debianKernel(folder: string): Kernel {
  const name = standsFor("linux-image-cloud-amd64", /^linux-image-\d/, folder);
  const contents = contentsOf(name, folder);
  const release = readdirSync(join(contents, "lib", "modules"))[0] ?? "";
  const modules = join(contents, "lib", "modules", release);
  const files = new Map(
    globSync("**/*.ko", { cwd: modules }).map((file) => [plain(basename(file, ".ko")), join(modules, file)]),
  );
  const builtIn = new Set(
    readFileSync(join(modules, "modules.builtin"), "utf8")
      .split("\n")
      .map((file) => plain(basename(file, ".ko"))),
  );
  const withNeeds = (module: string, found: Set<string>): Set<string> => {
    if (builtIn.has(module)) return found;
    const file = files.get(module);
    if (file === undefined) throw new Error(`the kernel ${release} has no module ${module}`);
    for (const need of needsOf(file)) withNeeds(plain(need), found);
    return found.add(file);
  };
  return {
    package: name,
    image: join(contents, "boot", `vmlinuz-${release}`),
    release,
    contents,
    modules: (names) => [...names.reduce((found, module) => withNeeds(plain(module), found), new Set<string>())],
  };
}

/** What a module says it depends on. */
function needsOf(file: string): string[] {
  const said = /\0depends=([\w,-]*)\0/.exec(readFileSync(file, "latin1"))?.[1] ?? "";
  return said.split(",").filter((one) => one !== "");
}
