// `pathctl import multipath.conf FILE`: prints a pathmanager.toml, and what became of each keyword.

import { readFileSync } from "node:fs";

import { stringify } from "smol-toml";

import { CommandError } from "../client.ts";
import type { Io } from "../io.ts";
import type { Result } from "../pathctl/context.ts";
import { convert, type Converted } from "./convert.ts";
import { parseMultipathConf } from "./parse.ts";

/** Everything that is known of a file; `errors` in the order of the file. */
export function importText(text: string): Converted {
  const { statements, problems } = parseMultipathConf(text);
  const converted = convert(statements);
  const errors = [...problems, ...converted.errors].toSorted((a, b) => a.line - b.line || a.column - b.column);
  return { ...converted, errors };
}

const byLine = (a: { readonly line: number }, b: { readonly line: number }): number => a.line - b.line;

/** The TOML text, with what was ignored as comments at its head. */
export function tomlText(converted: Converted, file: string): string {
  const comments = [
    `Made from ${file} by pathctl import. Check it with: pathctl config check FILE`,
    ...converted.taken.toSorted(byLine).map((note) => `line ${note.line}: ${note.keyword}: ${note.text}`),
    ...converted.ignored.toSorted(byLine).map((note) => `line ${note.line}: ${note.keyword} ignored: ${note.text}`),
  ];
  return `${comments.map((comment) => `# ${comment}\n`).join("")}\n${stringify(converted.configuration).trimEnd()}\n`;
}

/** Reads and converts `file`. With mistakes in it nothing is printed but those: `FILE:LINE:COLUMN: what`. */
export function importFile(file: string, io: Pick<Io, "err">): Result {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new CommandError("CONFIGURATION", `cannot read ${file} (${code ?? String(error)})`, { parameter: file });
  }
  const converted = importText(text);
  const { taken, ignored, errors } = converted;
  if (errors.length === 0) {
    const toml = tomlText(converted, file);
    return { json: { toml, taken, ignored, errors }, text: toml };
  }
  for (const error of errors) io.err(`${file}:${error.line}:${error.column}: ${error.message}\n`);
  return { json: { toml: null, taken, ignored, errors }, text: "", status: 1 };
}
