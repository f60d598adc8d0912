// Generates the TypeScript, Rust and C views of assembly/abi.ts, the single definition of what core and host share, and the
// core's defaults from the table of settings.
//
//   node host/build/abi.ts            writes the views
//   node host/build/abi.ts --check    compares them with the committed ones; exits with status 1 if they differ
//
// Node imports abi.ts directly (its types are erased); the comments are taken from its text.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as abi from "../../assembly/abi.ts";
import { prototypeOf, readExports } from "./core-exports.ts";
import { POLICY_NAMES } from "../settings/names.ts";
import { coreNumber, defaultOf, ENTRIES } from "../settings/settings-table.ts";

const root = join(import.meta.dirname, "..", "..");

/** One constant of abi.ts, or a heading between groups of them. */
export type AbiItem =
  | { readonly kind: "heading"; readonly text: string }
  | { readonly kind: "constant"; readonly name: string; readonly value: number; readonly comment: string };

/** Reads the constants of abi.ts in order, each with the comment above it. Throws on a line it does not know. */
export function readAbi(): AbiItem[] {
  const values = new Map<string, unknown>(Object.entries(abi));
  const items: AbiItem[] = [];
  let comment = "";
  for (const line of readFileSync(join(root, "assembly", "abi.ts"), "utf8").split("\n")) {
    const heading = /^\/\/ -+ (.*?) -*$/.exec(line);
    const doc = /^\/\*\* (.*) \*\/$/.exec(line);
    const constant = /^export const ([A-Z0-9_]+): u32 = \d+;$/.exec(line);
    if (heading?.[1] !== undefined) items.push({ kind: "heading", text: heading[1] });
    else if (doc?.[1] !== undefined) comment = doc[1];
    else if (constant?.[1] !== undefined) {
      const value = values.get(constant[1]);
      if (typeof value !== "number") throw new Error(`abi.ts: ${constant[1]} has no numeric value`);
      items.push({ kind: "constant", name: constant[1], value, comment });
      comment = "";
    } else if (line !== "" && !line.startsWith("//")) throw new Error(`abi.ts: not a constant: ${line}`);
  }
  return items;
}

const notice = "Generated from assembly/abi.ts by `npm run build:abi`. Do not edit.";

function typescriptView(items: readonly AbiItem[]): string {
  const lines = [`// ${notice}`];
  for (const item of items) {
    if (item.kind === "heading") lines.push("", `// ${item.text}`);
    else {
      if (item.comment !== "") lines.push(`/** ${item.comment} */`);
      lines.push(`export const ${item.name} = ${item.value};`);
    }
  }
  return `${lines.join("\n")}\n`;
}

function rustView(items: readonly AbiItem[]): string {
  const lines = [`//! ${notice}`, "#![allow(dead_code)]"];
  for (const item of items) {
    if (item.kind === "heading") lines.push("", `// ${item.text}`);
    else {
      if (item.comment !== "") lines.push(`/// ${item.comment}`);
      lines.push(`pub const ${item.name}: u32 = ${item.value};`);
    }
  }
  return `${lines.join("\n")}\n`;
}

/** Prototypes of what the core exports, as the embedding kit has them (host/embedding). */
function prototypes(): string[] {
  const lines = [
    "",
    "/* The core's exports, when it is compiled to C (docs/embedding.md). An instance is made by `pm_core_start`; calls come from one",
    " * thread at a time. What answers int32_t answers 0 or more for success, a negated PM_ERROR_* otherwise, and PM_CORE_FAILED",
    " * when an assertion of the core has ended it: then it answers nothing else any more. */",
    "#define PM_CORE_FAILED INT32_MIN",
    "struct pm_core;",
  ];
  for (const one of readExports()) {
    const [first = "", ...rest] = one.comment;
    lines.push("", [`/* ${first}`, ...rest.map((line) => ` * ${line}`)].join("\n") + " */", `${prototypeOf(one)};`);
  }
  return lines;
}

function cView(items: readonly AbiItem[]): string {
  const lines = [`/* ${notice} */`, "#ifndef PATHMANAGER_CORE_H", "#define PATHMANAGER_CORE_H", "#include <stdint.h>"];
  for (const item of items) {
    if (item.kind === "heading") lines.push("", `/* ${item.text} */`);
    else {
      if (item.comment !== "") lines.push(`/* ${item.comment} */`);
      lines.push(`#define PM_${item.name} ${item.value}u`);
    }
  }
  lines.push(...prototypes());
  return `${lines.join("\n")}\n\n#endif\n`;
}

/** Values in force in the core before anything is set: UNIT_SET_X and MODE_X have a DEFAULT_X. */
function defaultsView(): string {
  const lines = ["// Generated from host/settings by `npm run build:abi`. Do not edit.", ""];
  for (const [key, setting] of ENTRIES) {
    if (setting.core === undefined) continue;
    const value = defaultOf(setting);
    const policy = POLICY_NAMES.findIndex((name) => name === value);
    const number = key === "policy" ? policy : coreNumber(setting, value);
    if (number === null || number < 0) throw new Error(`${key}: the core cannot have the default ${String(value)}`);
    const name = setting.core.replace(/^(UNIT_SET|MODE)_/, "DEFAULT_");
    lines.push(`/** \`${key}\` */`, `export const ${name}: u32 = ${number};`);
  }
  return `${lines.join("\n")}\n`;
}

/** The views: where each belongs and its content. */
export function abiViews(): { readonly path: string; readonly text: string }[] {
  const items = readAbi();
  return [
    { path: "host/abi.ts", text: typescriptView(items) },
    { path: "host/native/src/abi.rs", text: rustView(items) },
    { path: "host/embedding/rust/src/abi.rs", text: rustView(items) },
    { path: "assembly/pathmanager_core.h", text: cView(items) },
    { path: "assembly/defaults.ts", text: defaultsView() },
  ];
}

if (import.meta.main) {
  const check = process.argv.includes("--check");
  for (const view of abiViews()) {
    const path = join(root, view.path);
    if (!check) writeFileSync(path, view.text);
    else if (readFileSync(path, "utf8") !== view.text) {
      console.error(`${view.path} does not match its source: run \`npm run build:abi\``);
      process.exitCode = 1;
    }
  }
}
