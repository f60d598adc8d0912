// What the first command on a fresh clone rests on. The command itself is tried by `npm run test:fresh`.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";

const root = join(import.meta.dirname, "..", "..", "..");
const readJson = (file: string): unknown => JSON.parse(readFileSync(join(root, file), "utf8"));

const { explain, cannotRun } = (await import(new URL("../../../host/build/run.mjs", import.meta.url).href)) as {
  explain: (tool: string, output: string) => string | null;
  cannotRun: (command: string, error: Error & { code?: string }) => string;
};

interface LockedPackage {
  readonly version: string;
  readonly integrity?: string;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

test("the lock file has the packages of every platform, so that npm ci takes it anywhere", (t) => {
  const { packages } = readJson("package-lock.json") as { packages: Readonly<Record<string, LockedPackage>> };
  const wanted = Object.values(packages).flatMap(({ optionalDependencies = {} }) =>
    Object.entries(optionalDependencies),
  );
  t.true(wanted.length > 50);
  for (const [name] of wanted) {
    t.truthy(packages[`node_modules/${name}`]?.integrity, name);
  }
});

test("after a script has installed Node, no shell runs the one that it remembers", (t) => {
  const { scripts, engines } = readJson("package.json") as {
    scripts: Readonly<Record<string, string>>;
    engines: { node: string };
  };
  t.is(engines.node, ">=20", "what the repository needs to begin with; the bins say what they need");
  for (const [name, script] of Object.entries(scripts)) {
    // A function, so that what stands after the name of the script goes to both commands.
    const [first, ...rest] = script.replace(/^run\(\) \{ (.*); \}; run$/, "$1").split(" && ");
    t.regex(first ?? "", /^node host\//, name);
    for (const command of rest) t.notRegex(command, /^(exec )?node /, name);
  }
});

test("what is known to go wrong while installing and building has a sentence", (t) => {
  const cases: [tool: string, output: string, sentence: RegExp][] = [
    [
      "npm",
      "npm error code ENOTFOUND\nnpm error network request failed",
      /^npm cannot reach its registry \(ENOTFOUND\)/,
    ],
    ["npm", "npm ERR! code EAI_AGAIN\nnpm ERR! network", /^npm cannot reach its registry \(EAI_AGAIN\)/],
    ["npm", "npm error code ENOSPC\nnpm error nospc", /^npm cannot write \(ENOSPC\); make room/],
    [
      "npm",
      "npm error code EUSAGE\nnpm error `npm ci` can only install packages when your package.json and package-lock.json or " +
        "npm-shrinkwrap.json are in sync. Please update your lock file with `npm install` before continuing.",
      /^package-lock\.json does not fit package\.json; run `npm install`/,
    ],
    [
      "cargo",
      "error: linker `cc` not found\n  |\n  = note: No such file",
      /^the C compiler `cc`, which links, is not on/,
    ],
    [
      "cargo",
      "error: rustc 1.63.0 is not supported by the following package:\n  pathmanager-native@0.1.0 requires rustc 1.88",
      /^this Rust is too old; install Rust 1\.88 or later/,
    ],
    [
      "cargo",
      "warning: spurious network error (3 tries remaining): [7] Could not connect to server\n   Compiling libc\n" +
        "\u001b[1m\u001b[91merror[E0425]\u001b[0m: cannot find value `x` in this scope\n  --> src/lib.rs:3:5\n   |\n" +
        "error: could not compile `pathmanager-native` (lib) due to 1 previous error",
      /^the native addon does not compile: src\/lib\.rs:3:5: cannot find value `x` in this scope$/,
    ],
    [
      "asc",
      "\u001b[91mERROR\u001b[0m TS2304: Cannot find name 'x'.\n    :\n 12 │ return x;\n    │        ^\n    └─ in assembly/index.ts(12,8)\n\nFAILURE 1 compile error(s)",
      /^the core does not compile: assembly\/index\.ts\(12,8\): Cannot find name 'x'\.$/,
    ],
  ];
  for (const [tool, output, sentence] of cases) t.regex(explain(tool, output) ?? "", sentence, output);
  t.is(explain("npm", "npm error code E500"), null, "what nobody knows better is left to the output");
  const absent = Object.assign(new Error("spawn npm ENOENT"), { code: "ENOENT" });
  t.regex(cannotRun("npm", absent), /^npm is not on PATH; install npm/);
  t.regex(
    cannotRun("/x/node_modules/.bin/node", absent),
    /^cannot run \/x\/node_modules\/\.bin\/node: it is not there$/,
  );
});
