// npm run build:images [-- --images small,full] [--output FOLDER]
//
// Makes images of appliances with PathManager, in build/images: kernel and programs from Debian's packages by name, the rest
// from this checkout. Ends with status 1 and a sentence when something is missing.

import { mkdirSync, statSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { parseArgs } from "node:util";
import { buildSources } from "../build.ts";
import { installPackages } from "../packages.ts";
import { BUILD_PACKAGES } from "../targets.ts";
import { debianKernel } from "./image-kernel.ts";
import { smallImage, type Image } from "./small.ts";

const root = join(import.meta.dirname, "..", "..", "..");
const DEFAULT = join(root, "build", "images");
const PACKAGES = [...BUILD_PACKAGES, { package: "musl-tools", program: "musl-gcc" }];

export function buildSmall(output = DEFAULT): Image {
  installPackages(PACKAGES);
  const packages = join(output, "debian");
  mkdirSync(packages, { recursive: true });
  const kit = buildSources(join(root, "build", "embedding"));
  return smallImage(kit, debianKernel(packages), packages, output);
}

function main(): void {
  const { values } = parseArgs({
    options: { output: { type: "string", default: DEFAULT } },
  });
  const image = buildSmall(resolve(values.output));
  for (const file of [image.kernel, image.initial])
    console.log(`${relative(root, file)}: ${statSync(file).size} bytes`);
}

if (import.meta.main) {
  try {
    main();
  } catch (error) {
    console.error(`build:images: ${error instanceof Error ? error.message : String(error)}`);
    process.exitCode = 1;
  }
}
