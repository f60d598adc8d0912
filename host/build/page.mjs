// Builds the pages for a browser (host/page) into build/page: each one file with its style and script in it, so that a daemon, any web
// server or a folder can serve it, without a network. The policy of its content names the digests of both: nothing else is run.

import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const out = join(root, "build", "page");

/** Pages by name: their folder, and what their policy allows besides their own script and style. */
const PAGES = {
  page: { folder: "status", more: { "connect-src": "'self'" }, scripts: [] },
  simulator: { folder: "simulator", more: {}, scripts: ["'wasm-unsafe-eval'"] },
};

const digest = (text) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;

/** One bundle as text. */
async function bundle(file) {
  const { outputFiles } = await build({
    absWorkingDir: root,
    entryPoints: [file],
    bundle: true,
    minify: true,
    write: false,
    charset: "utf8",
    format: "iife",
    platform: "browser",
    target: "es2024",
    legalComments: "none",
    loader: { ".wasm": "binary" },
  });
  const text = outputFiles[0].text.trimEnd();
  // What only Node has would stop the page the moment it is reached.
  const strange = /\b(?:Buffer|process)\.\w+/.exec(text);
  if (strange !== null) throw new Error(`${file} uses ${strange[0]}, which no browser has`);
  return text;
}

/**
 * The page is drawn before its script is compiled and asks for anything: what it says is there at once, and data come into it. A page that
 * nobody sees gets no frame, and begins at once.
 */
const afterFirstFrame = (script) =>
  `const begin=()=>{${script}\n};document.hidden?begin():requestAnimationFrame(()=>setTimeout(begin));`;

async function make(name, { folder, more, scripts }) {
  const at = join("host", "page", folder);
  const files = [join(at, "main.ts"), join(at, `${name}.css`), join("host", "page", "ground", "first-frame.ts")];
  const [bundled, style, first] = await Promise.all(files.map(bundle));
  const script = afterFirstFrame(bundled);
  const policy = Object.entries({
    "default-src": "'none'",
    "script-src": [digest(first), digest(script), ...scripts].join(" "),
    "style-src": digest(style),
    "base-uri": "'none'",
    "form-action": "'none'",
    "require-trusted-types-for": "'script'",
    "trusted-types": "'none'",
    ...more,
  }).map((parts) => parts.join(" "));
  const parts = {
    policy: `<meta http-equiv="content-security-policy" content="${policy.join("; ")}" />`,
    style: `<style>${style}</style><script>${first}</script>`,
    script: `<script>${script}</script>`,
  };
  const template = readFileSync(join(root, at, `${name}.html`), "utf8");
  const text = template.replaceAll(/<!-- (policy|style|script) -->/g, (_, part) => parts[part]);
  writeFileSync(join(out, `${name}.html`), text);
}

mkdirSync(out, { recursive: true });
await Promise.all(Object.entries(PAGES).map(([name, page]) => make(name, page)));
