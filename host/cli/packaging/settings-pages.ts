// Writes the tables of docs/configuration.md and the man page docs/man/pathmanager.toml.5 from the table of settings, so
// that both agree with the daemon.
//
//   node host/cli/packaging/settings-pages.ts [--check]      --check: only compares; exit status 1 when they differ

import { KNOWN_ARRAYS, KNOWN_ARRAYS_SOURCE } from "../../settings/known-arrays.ts";
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { POLICY_NAMES } from "../../settings/names.ts";
import type { Setting } from "../../settings/setting.ts";
import { ENTRIES, nameOf, sectionOf } from "../../settings/settings-table.ts";
import { MAN_END, MAN_HEAD, MAN_PARTS, MAN_SECTIONS, MAN_SELECTORS } from "./settings-man.ts";

const page = (name: string): URL => new URL(`../../../docs/${name}`, import.meta.url);

/** Unit of a value, by the suffix of its name. */
const MEASURES: Readonly<Record<string, string>> = {
  ms: "ms",
  s: "s",
  us: "microseconds",
  mib: "MiB",
  bytes: "bytes",
  percent: "percent",
};

const code = (text: string): string => `\`${text}\``;
const quoted = (value: unknown): string => code(JSON.stringify(value));

function valuesOf(key: string, setting: Setting): string {
  switch (setting.type) {
    case "whole":
    case "share": {
      const measure = MEASURES[key.slice(key.lastIndexOf("_") + 1)];
      return `${setting.min} to ${setting.max}${measure === undefined ? "" : ` ${measure}`}`;
    }
    case "flag":
      return `${code("true")}, ${code("false")}`;
    case "choice":
      return setting.values.map(quoted).join(", ");
    case "size":
      return setting.values.join(", ");
    case "place":
      return "an absolute path";
    case "text":
      return "a text";
    case "made":
      return setting.values;
  }
}

function defaultText(setting: Setting): string {
  if (setting.otherwise !== undefined) return setting.otherwise;
  if (setting.type === "whole") {
    const { profiles, forDevices } = setting;
    if (profiles !== undefined) return `${profiles.default} (profile classic: ${profiles.classic})`;
    if (forDevices !== undefined) return `${forDevices} (emulated: what the array has)`;
  }
  const value = "default" in setting ? setting.default : undefined;
  if (value === undefined) throw new Error(`what holds when this is left out? ${setting.says}`);
  if (typeof value === "number") return String(value);
  return typeof value === "boolean" || value === "[]" ? code(String(value)) : quoted(value);
}

const restartText = ({ restart }: Setting): string =>
  restart === "source" ? "only between real and emulated" : restart === true ? "yes" : "";

/** A table in the layout of the repository's formatter. */
function table(lines: readonly (readonly string[])[]): string {
  const [head = [], ...rest] = lines;
  const widths = head.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  const row = (cells: readonly string[]): string =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(" | ")} |`;
  return [row(head), row(widths.map((width) => "-".repeat(width))), ...rest.map(row)].join("\n");
}

/** Sections that have a table of their own, and the names of their keys in it. */
const OWN = new Set(["units", "arrays", "array", "sockets.nbd_tcp", "receivers"]);

/** Sections that may stand several times, and which units each table is about, if any. */
const LISTS: ReadonlyMap<string, string | null> = new Map([
  ["units", "this unit"],
  ["arrays", "units of this array"],
  ["receivers", null],
]);

function keysTable(): string {
  const rows = ENTRIES.filter(([key]) => !OWN.has(sectionOf(key))).map(([key, setting]) => [
    code(key),
    setting.says,
    valuesOf(key, setting),
    defaultText(setting),
    restartText(setting),
  ]);
  return table([["key", "means", "values", "default", "restart"], ...rows]);
}

function sectionTable(section: string): string {
  const own = ENTRIES.filter(([key]) => sectionOf(key) === section);
  const rows = own.map(([key, setting]) => [
    code(nameOf(key)),
    setting.says,
    valuesOf(key, setting),
    defaultText(setting),
  ]);
  return table([["key", "means", "values", "default"], ...rows, ...ownRows(section)]);
}

/** Settings for all units that are also set for some; sections as a whole. */
function ownRows(section: string): string[][] {
  const whose = LISTS.get(section) ?? null;
  if (whose === null) return [];
  const keys = ENTRIES.flatMap(([key, { perUnit }]) => (perUnit === undefined ? [] : [{ key, perUnit }]));
  const rows = new Map<string, string[]>();
  for (const { key, perUnit } of keys) {
    const [name = perUnit, ...within] = perUnit.split(".");
    const means = within.length === 0 ? `as ${code(key)}, for ${whose}` : `as ${code(`[${name}]`)}, for ${whose}`;
    rows.set(name, [code(name), means, within.length === 0 ? "the same" : "a table", "as for all"]);
  }
  return [...rows.values()];
}

function knownArrays(): string {
  const rows = KNOWN_ARRAYS.map(({ name, vendor, product, noPathMs }) => [
    name,
    code(vendor),
    code(product).replaceAll("|", "\\|"),
    String(noPathMs),
  ]);
  const head = ["array", "vendor", "product", "`timeouts.no_path_ms`"];
  return `${table([head, ...rows.map((row) => row.map((cell, at) => (at === 1 ? cell.replaceAll("|", "\\|") : cell)))])}\n\nSource: ${KNOWN_ARRAYS_SOURCE}.`;
}

const MARKED = /<!-- settings: (\S+) -->\n[\s\S]*?<!-- settings end -->/g;

function document(text: string): string {
  return text.replaceAll(MARKED, (_, name: string) => {
    const made = name === "keys" ? keysTable() : name === "known-arrays" ? knownArrays() : sectionTable(name);
    return `<!-- settings: ${name} -->\n\n${made}\n\n<!-- settings end -->`;
  });
}

/**
 * Text for roff: backslashes and hyphens are escaped, code is bold, a leading dot or quote is protected so that it is not
 * taken as a request.
 */
const roff = (text: string): string =>
  text
    .replaceAll("\\", "\\e")
    .replaceAll("-", "\\-")
    .replaceAll(/`([^`]*)`/g, "\\fB$1\\fR")
    .replaceAll(/^([.'])/gm, "\\&$1");

const sentence = (text: string): string => `${text.slice(0, 1).toUpperCase()}${text.slice(1)}.`;

function entry(key: string, setting: Setting, isPlain: boolean): string {
  const policies = key === "policy" ? ` The policies are ${POLICY_NAMES.map(quoted).join(", ")}.` : "";
  const restart = isPlain ? "" : ({ yes: " Needs a restart." }[restartText(setting)] ?? "");
  const values = `Values: ${valuesOf(key, setting)}. Default: ${defaultText(setting)}.`;
  return [".TP", `.B ${roff(nameOf(key))}`, roff(`${sentence(setting.says)}${policies} ${values}${restart}`)].join(
    "\n",
  );
}

function manSection(section: string): string {
  const own = ENTRIES.filter(([key]) => sectionOf(key) === section);
  const isRestart = own.every(([, { restart }]) => restart === true);
  const title = LISTS.has(section) ? `[[${section}]]` : `[${section}]`;
  const entries = own.map(([key, setting]) => entry(key, setting, isRestart));
  const others = ownRows(section).map(
    ([name = "", means = ""]) => `.TP\n.B ${name.replaceAll("`", "")}\n${roff(sentence(means))}`,
  );
  const text = MAN_SECTIONS[section] ?? [];
  return [`.SS ${title}${isRestart ? " (restart)" : ""}`, text, entries, others].flat().join("\n");
}

/** Keys outside sections, except those that name a section. */
const ROOT = ENTRIES.map(([key]) => key).filter((key) => sectionOf(key) === "" && !OWN.has(key));
const SECTIONS = [...new Set(ENTRIES.map(([key]) => sectionOf(key)))].filter((section) => section !== "");

function man(): string {
  const named = new Set(MAN_PARTS.flatMap(({ keys, sections }) => [keys, sections].flat()));
  const pick = (wanted: readonly string[] | "rest", all: readonly string[]): string[] =>
    all.filter((name) => (wanted === "rest" ? !named.has(name) : wanted.includes(name)));
  const parts = MAN_PARTS.flatMap(({ title, keys, sections }) => {
    const own = new Set(pick(keys, ROOT));
    const entries = ENTRIES.filter(([key]) => own.has(key)).map(([key, setting]) => entry(key, setting, false));
    const selectors = own.has("devices") ? [MAN_SELECTORS] : [];
    return [[`.SH ${title}`], entries, selectors, pick(sections, SECTIONS).map(manSection)].flat();
  });
  return `${[MAN_HEAD, ...parts, MAN_END].join("\n")}\n`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const isCheck = process.argv.includes("--check");
  const configuration = readFileSync(page("configuration.md"), "utf8");
  const pages = [
    { name: "configuration.md", text: document(configuration) },
    { name: "man/pathmanager.toml.5", text: man() },
  ];
  for (const { name, text } of pages) {
    if (!isCheck) writeFileSync(page(name), text);
    else if (readFileSync(page(name), "utf8") !== text) {
      console.error(`docs/${name} is not what the settings are; run: node host/cli/packaging/settings-pages.ts`);
      process.exitCode = 1;
    }
  }
}
