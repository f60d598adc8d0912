// npm run build:embedding [-- --targets NAME,... | --sources] [--output FOLDER]
//
// Makes the embedding kit: the core as C with a host library, a tarball that a firmware build takes, and a build of it for
// each target, in build/embedding. Ends with status 1 and a sentence when something is missing.

import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, statSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { assembleKit, kitName } from "./kit.ts";
import { installPackages } from "./packages.ts";
import { tarball } from "./tarball.ts";
import { BUILD_PACKAGES, TARGETS, targetsNamed, type Target } from "./targets.ts";

const root = join(import.meta.dirname, "..", "..");
const DEFAULT = join(root, "build", "embedding");

async function compile(kit: string, output: string, target: Target): Promise<void> {
  const folder = join(output, target.name);
  const args = ["-s", "-C", kit, `BUILD=${folder}`, `CC=${target.compiler}`, ...target.variables, "all"];
  await new Promise<void>((done, failed) => {
    const child = spawn("make", args, { stdio: ["ignore", "inherit", "inherit"] });
    child.on("error", failed);
    child.on("close", (status) => {
      if (status === 0) done();
      else failed(new Error(`make ${args.join(" ")} failed`));
    });
  });
  console.log(
    `${target.name}: ${statSync(join(folder, "example")).size} bytes (build/embedding/${target.name}/example)`,
  );
}

/** Does `act` for each of the list, as many at a time as there are processors. */
export async function forEach<T>(list: readonly T[], act: (one: T) => Promise<void>): Promise<void> {
  const left = [...list];
  const work = async (): Promise<void> => {
    for (let one = left.shift(); one !== undefined; one = left.shift()) await act(one);
  };
  await Promise.all(Array.from({ length: availableParallelism() }, work));
}

export interface Kit {
  readonly folder: string;
  readonly archive: string;
  readonly sha256: string;
}

/** Makes the sources and the tarball. */
export function buildSources(output: string): Kit {
  mkdirSync(output, { recursive: true });
  const folder = join(output, kitName());
  const archive = `${folder}.tar.gz`;
  assembleKit(folder);
  const bytes = tarball(folder, kitName());
  writeFileSync(archive, bytes);
  return { folder, archive, sha256: createHash("sha256").update(bytes).digest("hex") };
}

/** Makes everything for the targets. */
export async function buildKit(output: string, targets: readonly Target[]): Promise<Kit> {
  installPackages([...BUILD_PACKAGES, ...targets.flatMap((target) => target.packages)]);
  const kit = buildSources(output);
  await forEach(targets, (target) => compile(kit.folder, output, target));
  return kit;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      targets: { type: "string" },
      sources: { type: "boolean", default: false },
      output: { type: "string", default: DEFAULT },
    },
  });
  const targets = values.targets === undefined ? TARGETS : targetsNamed(values.targets.split(","));
  const kit = values.sources ? buildSources(resolve(values.output)) : await buildKit(resolve(values.output), targets);
  console.log(`${kit.archive}\nsha256 ${kit.sha256}`);
}

if (import.meta.main) {
  if (!existsSync(join(root, "build", "core.small.wasm")))
    throw new Error("build/core.small.wasm is missing; run `npm run build`");
  try {
    await main();
  } catch (error) {
    console.error(`build:embedding: ${error instanceof Error ? error.message : String(error)}`);
    process.exitCode = 1;
  }
}
