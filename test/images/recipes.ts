// The recipes for Buildroot and Yocto: they parse, what they name is there, and their steps make the library from the tarball. Neither
// build system is needed: of what they offer, the few lines that these recipes use stand here.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { kitName } from "../../host/embedding/kit.ts";
import { buildRecipes, lockedCrates } from "../../host/embedding/recipes/build-recipes.ts";

const root = join(import.meta.dirname, "..", "..");
const kits = join(root, "build", "embedding");
/** What Buildroot defines, of the symbols that the recipe depends on. */
const KNOWN_SYMBOLS = new Set(["BR2_USE_MMU", "BR2_ARCH_IS_64"]);
const INSTALLED = [
  "lib/libpathmanager.a",
  "include/pathmanager/pathmanager.h",
  "include/pathmanager/pathmanager_core.h",
];
const PROGRAMS = ["bin/pathmanager-example", "bin/pathmanager-selftest"];

function must(command: string, args: readonly string[], env: NodeJS.ProcessEnv = process.env): string {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: "utf8", env });
  assert.equal(status, 0, `${command} ${args.join(" ")}: ${stdout}${stderr}`);
  return stdout;
}

const digestOf = (kind: "sha256" | "md5", file: string): string =>
  createHash(kind).update(readFileSync(file)).digest("hex");

/** Kconfig, as far as packages go. @returns the symbols it defines; throws at a line it does not know */
function kconfig(text: string): Set<string> {
  const [defined, used]: [Set<string>, Set<string>] = [new Set(), new Set()];
  let [depth, inHelp, inConfig] = [0, false, false];
  const uses = (expression: string): void => {
    for (const word of expression.replace(/#.*/, "").match(/\w+/g) ?? []) used.add(word);
  };
  for (const line of text.split("\n")) {
    if (inHelp && (/^\t {2}\S/.test(line) || line === "")) continue;
    inHelp = false;
    const [, keyword = "", rest = ""] =
      /^\t?(config|bool|string|default|depends on|help|if|endif)\b ?(.*)$/.exec(line) ?? [];
    if (line === "") continue;
    if (line.startsWith("\t")) assert.ok(inConfig, `outside of a config: ${line}`);
    if (keyword === "config") defined.add(rest);
    else if (keyword === "depends on" || keyword === "if") uses(rest);
    else if (keyword === "help") inHelp = true;
    else if (keyword === "bool" || keyword === "string" || keyword === "default") assert.match(rest, /^".*"$/, line);
    else assert.equal(keyword, "endif", `not Kconfig: ${line}`);
    depth += Number(keyword === "if") - Number(keyword === "endif");
    inConfig = line.startsWith("\t") || keyword === "config";
    assert.ok(depth >= 0, "an endif without its if");
  }
  assert.equal(depth, 0, "an if without its endif");
  for (const symbol of used) assert.ok(defined.has(symbol) || KNOWN_SYMBOLS.has(symbol), `nobody defines ${symbol}`);
  return defined;
}

interface Recipe {
  readonly variables: ReadonlyMap<string, string>;
  readonly functions: ReadonlyMap<string, string>;
  readonly inherits: readonly string[];
}

/** BitBake's language, as far as these recipes go. Throws at a line it does not know. */
function bitbake(file: string): Recipe {
  const [variables, functions] = [new Map<string, string>(), new Map<string, string>()];
  const inherits: string[] = [];
  let body: string[] | undefined;
  let name = "";
  for (const line of readFileSync(file, "utf8").replaceAll("\\\n", " ").split("\n")) {
    if (body !== undefined) {
      if (line === "}") {
        functions.set(name, body.join("\n"));
        body = undefined;
      } else body.push(line);
      continue;
    }
    if (line === "" || line.startsWith("#")) continue;
    const [, begin] = /^(\w+)\(\) \{$/.exec(line) ?? [];
    const [, variable = "", operator, value = ""] = /^([\w:${}[\].-]+) (\?=|\+=|=\+|=) "(.*)"$/.exec(line) ?? [];
    const [, directive, rest = ""] = /^(inherit|require) (.*)$/.exec(line) ?? [];
    if (begin !== undefined) [name, body] = [begin, []];
    else if (operator !== undefined) {
      const before = variables.get(variable);
      variables.set(variable, operator === "=" || before === undefined ? value : `${before} ${value}`);
    } else if (directive === "inherit") inherits.push(...rest.split(" "));
    else if (directive === "require") {
      const other = bitbake(join(file, "..", rest));
      for (const [key, more] of other.variables) variables.set(key, `${variables.get(key) ?? ""} ${more}`.trim());
    } else assert.fail(`${basename(file)}: not BitBake: ${line}`);
  }
  assert.equal(body, undefined, `${basename(file)}: ${name} does not end`);
  return { variables, functions, inherits };
}

/** Values with every ${NAME} replaced. */
function expanded(text: string, known: Readonly<Record<string, string>>): string {
  return text.replaceAll(/\$\{([\w-]+)\}/g, (_, name: string) => {
    const value = known[name];
    assert.ok(value !== undefined, `nobody defines ${name}`);
    return expanded(value, known);
  });
}

function runSteps(recipe: Recipe, steps: readonly string[], known: Readonly<Record<string, string>>): void {
  const bodies = steps.map((step) => expanded(recipe.functions.get(step) ?? assert.fail(`there is no ${step}`), known));
  const make = expanded(`oe_runmake() { make -s ${recipe.variables.get("EXTRA_OEMAKE") ?? ""} "$@"; }`, known);
  must("sh", ["-euc", [make, ...bodies].join("\n")]);
}

/** `file://NAME;md5=...` of licences, with the folder they lie in. */
function licencesAreThere(recipe: Recipe, folder: string): void {
  const words = (recipe.variables.get("LIC_FILES_CHKSUM") ?? "").split(" ");
  for (const word of words) {
    const [, name = "", md5] = /^file:\/\/(.+);md5=([0-9a-f]{32})$/.exec(word) ?? [];
    assert.equal(digestOf("md5", join(folder, name)), md5, word);
  }
}

function buildrootStub(recipe: string, tree: string): string {
  return [
    'BR2_PACKAGE_PATHMANAGER_SITE = "file:///srv"',
    "BR2_PACKAGE_PATHMANAGER_EXAMPLES = y",
    "TARGET_CONFIGURE_OPTS = CC=gcc AR=ar CFLAGS=-O0 LDFLAGS=",
    "INSTALL = install",
    `STAGING_DIR = ${tree}/staging`,
    `TARGET_DIR = ${tree}/target`,
    'qstrip = $(strip $(subst ",,$(1)))',
    `include ${recipe}`,
    `${tree}/build/.stamp:`,
    "\t$(PATHMANAGER_BUILD_CMDS)",
    "\t$(PATHMANAGER_INSTALL_STAGING_CMDS)",
    "\t$(PATHMANAGER_INSTALL_TARGET_CMDS)",
    "names:",
    "\t@echo $(PATHMANAGER_SITE)/$(PATHMANAGER_SOURCE) $(PATHMANAGER_LICENSE_FILES)",
    "",
  ].join("\n");
}

function unpack(folder: string): void {
  mkdirSync(folder, { recursive: true });
  must("tar", ["xzf", join(kits, `${kitName()}.tar.gz`), "-C", folder, "--strip-components=1"]);
}

export function recipeTests(scratch: string): Record<string, () => Promise<void>> {
  const output = join(scratch, "recipes");
  const stand = join(scratch, "package.tgz");
  let made = false;
  const recipes = (): string => {
    if (!made) {
      writeFileSync(stand, "stands for the package");
      buildRecipes(output, stand);
      made = true;
    }
    return output;
  };
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };

  return {
    "recipes: Buildroot's menu parses, and its symbols are those of the recipe": async () => {
      const folder = join(recipes(), "buildroot", "pathmanager");
      const defined = kconfig(readFileSync(join(folder, "Config.in"), "utf8"));
      const used = readFileSync(join(folder, "pathmanager.mk"), "utf8").matchAll(/BR2_\w+/g);
      for (const [symbol] of used) assert.ok(defined.has(symbol), `the menu does not offer ${symbol}`);
      assert.throws(() => kconfig("if BR2_NOTHING\n"), /without its endif/);
      assert.throws(() => kconfig("config A\n\tdepends on B\n"), /nobody defines B/);
    },

    "recipes: Buildroot's steps make and install the library; digests and licences are right": async () => {
      const tree = join(scratch, "buildroot");
      const folder = join(recipes(), "buildroot", "pathmanager");
      unpack(join(tree, "build"));
      const makefile = join(tree, "stub.mk");
      writeFileSync(makefile, buildrootStub(join(folder, "pathmanager.mk"), tree));
      const [address, ...licences] = must("make", ["-s", "-f", makefile, "names"]).trim().split(" ");
      assert.equal(address, `file:///srv/${kitName()}.tar.gz`);
      const named = new Map<string, string>();
      for (const line of readFileSync(join(folder, "pathmanager.hash"), "utf8").trim().split("\n")) {
        const [, digest = "", file = ""] = /^sha256 {2}([0-9a-f]{64}) {2}(\S+)$/.exec(line) ?? [];
        if (!line.startsWith("#")) named.set(file, digest);
      }
      assert.deepEqual([...named.keys()], [`${kitName()}.tar.gz`, ...licences]);
      for (const [file, digest] of named) {
        const there = file.startsWith("licences/") ? join(tree, "build", file) : join(kits, file);
        assert.equal(digestOf("sha256", there), digest, file);
      }
      must("make", ["-s", "-f", makefile, join(tree, "build", ".stamp")]);
      for (const file of INSTALLED) assert.ok(existsSync(join(tree, "staging", "usr", file)), file);
      for (const file of PROGRAMS) must(join(tree, "target", "usr", file), []);
    },

    "recipes: Yocto's recipe of the library parses, and its steps make and install it": async () => {
      const tree = join(scratch, "yocto");
      const recipe = bitbake(join(recipes(), "yocto", `pathmanager-embedded_${version}.bb`));
      unpack(join(tree, kitName()));
      assert.equal(recipe.variables.get("SRC_URI[sha256sum]"), digestOf("sha256", join(kits, `${kitName()}.tar.gz`)));
      licencesAreThere(recipe, join(tree, kitName()));
      const known = {
        ...Object.fromEntries(recipe.variables),
        WORKDIR: tree,
        PV: version,
        PN: "pathmanager-embedded",
        D: join(tree, "image"),
        CC: "gcc",
        AR: "ar",
        CFLAGS: "-O0",
        LDFLAGS: "",
        libdir: "/usr/lib",
        includedir: "/usr/include",
        bindir: "/usr/bin",
      };
      runSteps(recipe, ["do_compile", "do_install"], known);
      for (const file of [...INSTALLED, ...PROGRAMS]) assert.ok(existsSync(join(tree, "image", "usr", file)), file);
    },

    "recipes: Yocto's recipe of the daemon names files of the package, and the crates of its lock": async () => {
      const recipe = bitbake(join(recipes(), "yocto", `pathmanager_${version}.bb`));
      assert.deepEqual(recipe.inherits, ["cargo", "systemd", "useradd"]);
      assert.equal(recipe.variables.get("SRC_URI[sha256sum]"), digestOf("sha256", stand));
      licencesAreThere(recipe, root);
      const crates = lockedCrates();
      assert.ok(crates.length > 10);
      const addresses = recipe.variables.get("SRC_URI") ?? "";
      for (const { name, version: of, checksum } of crates) {
        assert.ok(addresses.split(/\s+/).includes(`crate://crates.io/${name}/${of}`), name);
        assert.equal(recipe.variables.get(`SRC_URI[${name}-${of}.sha256sum]`), checksum);
      }
      // The package as npm unpacks it, with what only a build makes.
      const tree = join(scratch, "daemon");
      const unpacked = join(tree, "package");
      for (const name of ["dist/host/native/prebuilt", "node_modules", "host/cli"]) {
        mkdirSync(join(unpacked, name), { recursive: true });
      }
      const { files } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { files: string[] };
      const parts = ["host/cli/bin", "host/cli/packaging"];
      for (const part of parts) {
        assert.ok(files.includes(part), `the package has no ${part}`);
        must("cp", ["-R", join(root, part), join(unpacked, part)]);
      }
      assert.ok(files.includes(`${recipe.variables.get("CARGO_SRC_DIR") ?? ""}/Cargo.toml`));
      must("cp", [join(root, "package.json"), unpacked]);
      mkdirSync(join(tree, "build", "target", "release"), { recursive: true });
      writeFileSync(join(tree, "build", "target", "release", "libpathmanager_native.so"), "addon");
      const known = {
        ...Object.fromEntries(recipe.variables),
        WORKDIR: tree,
        PV: version,
        PN: "pathmanager",
        D: join(tree, "image"),
        B: join(tree, "build"),
        libdir: "/usr/lib",
        bindir: "/usr/bin",
        CARGO_TARGET_SUBDIR: "release",
        systemd_system_unitdir: "/usr/lib/systemd/system",
      };
      runSteps(recipe, ["do_install"], known);
      const image = join(tree, "image", "usr");
      const [service = ""] = [recipe.variables.get("SYSTEMD_SERVICE:${PN}")];
      const unit = readFileSync(join(image, "lib", "systemd", "system", service), "utf8");
      const program = /^ExecStart=(\S+)/m.exec(unit)?.[1] ?? "";
      assert.equal(program, "/usr/bin/pathmanagerd");
      assert.ok(statSync(join(tree, "image", program)).isFile());
      assert.ok(existsSync(join(image, "lib", "pathmanager", "dist", "build", "native", "pathmanager.node")));
    },
  };
}
