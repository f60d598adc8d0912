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
import { fullImage, type FullImage } from "./full.ts";
import { debianKernel } from "./image-kernel.ts";
import { smallImage, type Image } from "./small.ts";

const root = join(import.meta.dirname, "..", "..", "..");
const DEFAULT = join(root, "build", "images");
const PACKAGES = [...BUILD_PACKAGES, { package: "musl-tools", program: "musl-gcc" }];
const FULL_PACKAGES = [
  { package: "squashfs-tools", program: "mksquashfs" },
  { package: "e2fsprogs", program: "mke2fs" },
  { package: "binutils", program: "strip" },
];

export function buildSmall(output = DEFAULT): Image {
  installPackages(PACKAGES);
  const packages = join(output, "debian");
  mkdirSync(packages, { recursive: true });
  const kit = buildSources(join(root, "build", "embedding"));
  return smallImage(kit, debianKernel(packages), packages, output);
}

export function buildFull(output = DEFAULT): FullImage {
  installPackages([...PACKAGES, ...FULL_PACKAGES]);
  const packages = join(output, "debian");
  mkdirSync(packages, { recursive: true });
  return fullImage(debianKernel(packages), packages, output);
}

const IMAGES: Readonly<Record<string, (output: string) => readonly string[]>> = {
  small: (output) => {
    const { kernel, initial } = buildSmall(output);
    return [kernel, initial];
  },
  full: (output) => {
    const { kernel, initial, root: rootFile, disk } = buildFull(output);
    return [kernel, initial, rootFile, disk];
  },
};

function main(): void {
  const { values } = parseArgs({
    options: { images: { type: "string", default: "small,full" }, output: { type: "string", default: DEFAULT } },
  });
  const files = values.images.split(",").flatMap((name) => {
    const make = IMAGES[name];
    const names = Object.keys(IMAGES).join(", ");
    if (make === undefined) throw new Error(`there is no image "${name}"; those there are: ${names}`);
    return make(resolve(values.output));
  });
  for (const file of new Set(files)) console.log(`${relative(root, file)}: ${statSync(file).size} bytes`);
}

if (import.meta.main) {
  try {
    main();
  } catch (error) {
    console.error(`build:images: ${error instanceof Error ? error.message : String(error)}`);
    process.exitCode = 1;
  }
}
