// npm run build:recipes [-- --package FILE.tgz] [--output FOLDER]
//
// Writes recipes for Buildroot and Yocto, in build/recipes, with the digests of the tarball of the embedding kit and of the
// package that `npm pack` makes (without --package: it is made now).

import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { buildSources } from "../build.ts";

const root = join(import.meta.dirname, "..", "..", "..");
const DEFAULT = join(root, "build", "recipes");

const digestOf = (kind: "sha256" | "md5", bytes: Buffer): string => createHash(kind).update(bytes).digest("hex");

export interface Crate {
  readonly name: string;
  readonly version: string;
  readonly checksum: string;
}

/** The crates of the native addon, as Cargo.lock has them; the addon itself comes with the package. */
export function lockedCrates(): Crate[] {
  const text = readFileSync(join(root, "host", "native", "Cargo.lock"), "utf8");
  return text.split("[[package]]").flatMap((part) => {
    const [name, version, checksum] = ["name", "version", "checksum"].map(
      (key) => new RegExp(`^${key} = "(.*)"$`, "m").exec(part)?.[1],
    );
    if (name === undefined || version === undefined || checksum === undefined) return [];
    return [{ name, version, checksum }];
  });
}

function cratesInclude(): string {
  const crates = lockedCrates();
  const addresses = crates.map(({ name, version }) => `    crate://crates.io/${name}/${version} \\`);
  const digests = crates.map(({ name, version, checksum }) => `SRC_URI[${name}-${version}.sha256sum] = "${checksum}"`);
  return [
    "# From host/native/Cargo.lock by `npm run build:recipes`.",
    'SRC_URI += " \\',
    ...addresses,
    '"',
    "",
    ...digests,
    "",
  ].join("\n");
}

function packageOfNow(): string {
  const folder = mkdtempSync(join(tmpdir(), "pathmanager-package-"));
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  const { status, stderr } = spawnSync("npm", ["pack", "--silent", "--pack-destination", folder], { cwd: root });
  if (status !== 0) throw new Error(`npm pack failed: ${stderr.toString().trim()}`);
  return join(folder, readdirSync(folder)[0] ?? "");
}

/** @returns the files it wrote */
export function buildRecipes(output: string, packageFile = packageOfNow()): string[] {
  const kit = buildSources(join(root, "build", "embedding"));
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };
  const licences = readdirSync(join(kit.folder, "licences")).toSorted();
  const licence = (name: string): Buffer => readFileSync(join(kit.folder, "licences", name));
  const words: Readonly<Record<string, string>> = {
    VERSION: version,
    KIT_SHA256: kit.sha256,
    PACKAGE_SHA256: digestOf("sha256", readFileSync(packageFile)),
    LICENSE_MD5: digestOf("md5", readFileSync(join(root, "LICENSE"))),
    LICENCES: licences.map((name) => `licences/${name}`).join(" "),
    LIC_FILES_CHKSUM: licences.map((name) => `file://licences/${name};md5=${digestOf("md5", licence(name))}`).join(" "),
  };
  const fill = (name: string): string =>
    readFileSync(join(import.meta.dirname, name), "utf8").replaceAll(/@([A-Z0-9_]+)@/g, (_, word: string) => {
      const value = words[word];
      if (value === undefined) throw new Error(`${name}: there is no word @${word}@`);
      return value;
    });
  const hashes = licences.map((name) => `sha256  ${digestOf("sha256", licence(name))}  licences/${name}\n`).join("");
  const texts: Readonly<Record<string, string>> = {
    "buildroot/pathmanager/Config.in": fill("buildroot/Config.in"),
    "buildroot/pathmanager/pathmanager.mk": fill("buildroot/pathmanager.mk"),
    "buildroot/pathmanager/pathmanager.hash": fill("buildroot/pathmanager.hash") + hashes,
    [`yocto/pathmanager-embedded_${version}.bb`]: fill("yocto/pathmanager-embedded.bb"),
    [`yocto/pathmanager_${version}.bb`]: fill("yocto/pathmanager.bb"),
    "yocto/pathmanager-crates.inc": cratesInclude(),
  };
  return Object.entries(texts).map(([name, text]) => {
    const file = join(output, name);
    mkdirSync(join(file, ".."), { recursive: true });
    writeFileSync(file, text);
    return file;
  });
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: { package: { type: "string" }, output: { type: "string", default: DEFAULT } },
  });
  try {
    const files = buildRecipes(
      resolve(values.output),
      values.package === undefined ? undefined : resolve(values.package),
    );
    console.log(files.map((file) => `${basename(resolve(file, ".."))}/${basename(file)}`).join("\n"));
  } catch (error) {
    console.error(`build:recipes: ${error instanceof Error ? error.message : String(error)}`);
    process.exitCode = 1;
  }
}
