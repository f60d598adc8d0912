// `pathctl import multipath.conf FILE`: prints a pathmanager.toml and what became of each keyword.

import { readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";

import { stringify } from "smol-toml";

import { checkConfiguration } from "../../control/settings/configuration.ts";
import { whyNothingEver } from "../../control/settings/empty-filter.ts";
import { CommandError } from "../api-client.ts";
import type { Io } from "../io.ts";
import type { Result } from "../pathctl/context.ts";
import { convert, type Converted } from "./convert.ts";
import { parseMultipathConf, type Place } from "./parse.ts";

/** One file of a configuration; unnamed when it is the only one. */
interface Source {
  readonly file?: string;
  readonly text: string;
}

const place = ({ file, line }: Place): string => (file === undefined ? `line ${line}` : `${file}:${line}`);

/** Converts the files together, read in this order; `errors` in the order of the files. */
function importSources(sources: readonly Source[]): Converted {
  const order = new Map(sources.map(({ file }, index) => [file, index]));
  const inOrder = (a: Place, b: Place): number =>
    (order.get(a.file) ?? 0) - (order.get(b.file) ?? 0) || a.line - b.line || a.column - b.column;
  const parsed = sources.map(({ text, file }) => parseMultipathConf(text, file));
  const { configuration, taken, ignored, errors } = convert(parsed.flatMap(({ statements }) => statements));
  return {
    configuration,
    taken: taken.toSorted(inOrder),
    ignored: ignored.toSorted(inOrder),
    errors: [...parsed.flatMap(({ problems }) => problems), ...errors].toSorted(inOrder),
  };
}

export const importText = (text: string): Converted => importSources([{ text }]);

// oxlint-disable-next-line no-control-regex
const CONTROL_CHARACTERS = /[\u0000-\u0008\u000a-\u001f\u007f]/g;

/** Text that is valid in a TOML comment: control characters of the old file are shown as escapes. */
const printable = (text: string): string =>
  text.replaceAll(CONTROL_CHARACTERS, (one) => `\\x${one.charCodeAt(0).toString(16).padStart(2, "0")}`);

/** The TOML text, with ignored keywords as comments at the top. */
export function tomlText(converted: Converted, file: string): string {
  const comments = [
    `Made from ${file} by pathctl import. Check it with: pathctl config check FILE`,
    "Units with a single path are taken, too, whatever find_multipaths says: exclude the disks that are only local.",
    ...converted.taken.map((note) => `${place(note)}: ${note.keyword}: ${note.text}`),
    ...converted.ignored.map((note) => `${place(note)}: ${note.keyword} ignored: ${note.text}`),
  ];
  return `${comments.map((comment) => `# ${printable(comment)}\n`).join("")}\n${stringify(converted.configuration).trimEnd()}\n`;
}

function readable<T>(file: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new CommandError("CONFIGURATION", `cannot read ${file} (${code ?? String(error)})`, { parameter: file });
  }
}

/** The files of a folder like /etc/multipath/conf.d, in the order in which multipath-tools reads them. */
function filesOf(folder: string, isNamed: boolean): string[] {
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch (error) {
    if (!isNamed && (error as NodeJS.ErrnoException).code === "ENOENT") return [];
    return readable(folder, () => {
      throw error;
    });
  }
  return names
    .filter((name) => name.endsWith(".conf") && name !== ".conf")
    .toSorted((a, b) => (a < b ? -1 : 1))
    .map((name) => join(folder, name))
    .filter((file) => readable(file, () => statSync(file).isFile()));
}

/**
 * Reads and converts `file` and the files of `folder` (by default `multipath/conf.d` beside it). If they contain mistakes,
 * only those are printed: `FILE:LINE:COLUMN: what`.
 */
export function importFile(file: string, io: Pick<Io, "err">, folder?: string): Result {
  const more = filesOf(folder ?? join(dirname(file), "multipath", "conf.d"), folder !== undefined);
  const named = [file, ...more].map((name) => ({ file: name, text: readable(name, () => readFileSync(name, "utf8")) }));
  // A single file need not be named in each note.
  const converted = importSources(more.length === 0 ? [{ text: named[0]?.text ?? "" }] : named);
  const { taken, ignored, errors } = converted;
  if (errors.length === 0) {
    const toml = tomlText(converted, [file, ...more].join(", "));
    const checked = checkConfiguration(toml, file);
    if (!checked.ok) throw new Error(`what was made of ${file} is no configuration: ${checked.mistakes[0]?.problem}`);
    const nothing = whyNothingEver(checked.configuration);
    if (nothing !== null) io.err(`${file} excludes every device: ${nothing}\n`);
    return { json: { toml, taken, ignored, errors }, text: toml };
  }
  for (const error of errors) io.err(`${error.file ?? file}:${error.line}:${error.column}: ${error.message}\n`);
  return { json: { toml: null, taken, ignored, errors }, text: "", status: 1 };
}
