// Contents of Debian packages, without installing them: fetched from Debian's registry by name, unpacked in a folder of the build.

import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";

interface Outcome {
  readonly good: boolean;
  readonly said: string;
}

function attempt(command: string, args: readonly string[], cwd: string): Outcome {
  const env = { ...process.env, LC_ALL: "C", DEBIAN_FRONTEND: "noninteractive" };
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd, env, encoding: "utf8" });
  return { good: status === 0, said: status === 0 ? stdout : (error?.message ?? stderr) };
}

let updated = false;

/** On a new machine the lists of packages are empty or old: the second attempt has new ones. */
function withLists(command: string, args: readonly string[], cwd: string, what: string): string {
  let outcome = attempt(command, args, cwd);
  if (!outcome.good && !updated) {
    updated = true;
    attempt("apt-get", ["-q", "update"], cwd);
    outcome = attempt(command, args, cwd);
  }
  if (outcome.good) return outcome.said;
  throw new Error(
    `${what}: ${outcome.said.trim().split("\n").at(-1) ?? "failed"} (is this Debian, with its registry in reach?)`,
  );
}

/** The package that a package without contents stands for: `linux-image-cloud-amd64` is a certain kernel. */
export function standsFor(name: string, pattern: RegExp, cwd: string): string {
  const said = withLists("apt-cache", ["depends", name], cwd, `looking for the package ${name}`);
  const found = [...said.matchAll(/^\s*\|?Depends: (\S+)$/gm)]
    .map(([, one = ""]) => one)
    .find((one) => pattern.test(one));
  if (found === undefined) throw new Error(`the package ${name} depends on nothing like ${pattern}`);
  return found;
}

/** @returns the folder that the package's files lie in, with Debian's `usr/share/doc/NAME/copyright` */
export function contentsOf(name: string, folder: string): string {
  const contents = join(folder, name);
  if (existsSync(contents)) return contents;
  const scratch = join(folder, `${name}.part`);
  rmSync(scratch, { recursive: true, force: true });
  mkdirSync(scratch, { recursive: true });
  withLists("apt-get", ["-q", "download", name], scratch, `fetching the package ${name}`);
  const file = readdirSync(scratch).find((one) => one.endsWith(".deb"));
  if (file === undefined) throw new Error(`fetching the package ${name} brought no file`);
  const unpacked = attempt("dpkg-deb", ["-x", file, "contents"], scratch);
  if (!unpacked.good) throw new Error(`unpacking ${file}: ${unpacked.said.trim()}`);
  renameSync(join(scratch, "contents"), contents);
  rmSync(scratch, { recursive: true });
  return contents;
}
