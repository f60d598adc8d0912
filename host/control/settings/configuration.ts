// Reads and checks the configuration file. Every mistake names the file, the line, the key, what is wrong and what is allowed;
// all mistakes in a file are reported at once.

import { readFileSync, statSync } from "node:fs";
import { parse, TomlError } from "smol-toml";
import type * as z from "zod";
import { wwidOf } from "../../discovery/wwid.ts";
import { keyPositions, lineOf, type KeyPosition } from "./configuration-lines.ts";
import { policyOfConfiguration } from "./effective.ts";
import { ControlError, reasonOf } from "../ground/control-errors.ts";
import { renameFormerKeys } from "./former-keys.ts";
import { didYouMean } from "../../settings/did-you-mean.ts";
import { parametersMistake } from "./policies.ts";
import { Configuration, isEmulated } from "../schemas/configuration-schema.ts";
import { nbdTcpContradictions, type Complain } from "./contradictions.ts";
import { NUMBERED_NAME } from "../schemas/constants.ts";

/** One mistake in a configuration file. */
export interface Mistake {
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** Dotted, with array indexes from 0: `units[1].name`. Empty when the text is not TOML. */
  readonly key: string;
  readonly problem: string;
}

/** The configuration, with what is to be said of it, or every mistake in it. */
export type Checked =
  | { readonly ok: true; readonly configuration: Configuration; readonly notes: readonly Mistake[] }
  | { readonly ok: false; readonly mistakes: readonly Mistake[] };

/** Checks the text of a configuration file; `file` appears in the messages only. */
export function checkConfiguration(text: string, file: string): Checked {
  let values: unknown;
  try {
    values = parse(text);
  } catch (thrown) {
    if (!(thrown instanceof TomlError)) throw thrown;
    const problem = thrown.message.split("\n")[0]?.replace(/^Invalid TOML document: /, "") ?? thrown.message;
    return { ok: false, mistakes: [{ file, line: thrown.line, key: "", problem: `not TOML: ${problem}` }] };
  }
  const { positions, notes, mistakes: twice } = renameFormerKeys(values, keyPositions(text));
  const told = ({ line, path, problem }: (typeof notes)[number]): Mistake => ({
    file,
    line,
    key: dotted(path),
    problem,
  });
  const result = Configuration.safeParse(values);
  const mistakes = twice.map(told);
  if (!result.success) mistakes.push(...result.error.issues.flatMap((issue) => mistakesOf(issue, file, positions)));
  if (result.success) mistakes.push(...contradictions(result.data, file, positions));
  if (mistakes.length > 0 || !result.success) {
    return { ok: false, mistakes: mistakes.toSorted((a, b) => a.line - b.line) };
  }
  // Resolved here, so that displays show it and a reload compares like with like.
  return { ok: true, configuration: { ...result.data, emulated: isEmulated(result.data) }, notes: notes.map(told) };
}

/** The configuration without any file: the emulated array, for a first rescan. A file that selects no device serves no device. */
export const WITHOUT_FILE: Configuration = Configuration.parse({ emulated: true });

/** What was read; `file` is null where there was none, `notes` is a line each. */
export interface Loaded {
  readonly configuration: Configuration;
  readonly file: string | null;
  readonly notes: readonly string[];
}

/** Reads and checks a file. A missing file is fine unless someone named it (`required`). */
export function loadConfiguration(file: string, required: boolean): Loaded {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
    refuseWritable(file);
  } catch (thrown) {
    const missing = thrown instanceof Error && "code" in thrown && thrown.code === "ENOENT";
    if (missing && !required) return { configuration: WITHOUT_FILE, file: null, notes: [] };
    if (thrown instanceof ControlError) throw thrown;
    throw new ControlError("CONFIGURATION", `cannot read the configuration file ${file}: ${reasonOf(thrown)}`, {
      parameter: file,
      remedy: "name a file that can be read with --config",
      cause: thrown,
    });
  }
  const checked = checkConfiguration(text, file);
  if (checked.ok) return { configuration: checked.configuration, file, notes: checked.notes.map(mistakeText) };
  throw new ControlError("CONFIGURATION", checked.mistakes.map(mistakeText).join("\n"), {
    parameter: checked.mistakes[0]?.key ?? file,
    remedy: "correct the file; `pathctl config check` looks at it without starting anything",
  });
}

/** Whoever can write the file decides what a daemon running as root does. */
function refuseWritable(file: string): void {
  const status = statSync(file);
  if (!status.isFile() || (status.mode & 0o002) === 0) return;
  throw new ControlError("CONFIGURATION", `everybody may write the configuration file ${file}`, {
    parameter: file,
    remedy: `chmod o-w ${file}, and look at what is in it`,
  });
}

/** `file:line: key: problem`, the form that editors jump to. */
export function mistakeText(mistake: Mistake): string {
  return `${mistake.file}:${mistake.line}: ${mistake.key === "" ? "" : `${mistake.key}: `}${mistake.problem}`;
}

function dotted(path: readonly PropertyKey[]): string {
  return path.reduce<string>(
    (text, part) =>
      typeof part === "number" ? `${text}[${part}]` : text === "" ? String(part) : `${text}.${String(part)}`,
    "",
  );
}

type Issue = z.core.$ZodIssue;

function mistakesOf(issue: Issue, file: string, positions: readonly KeyPosition[]): Mistake[] {
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => {
      const path = [...issue.path, key];
      const valid = keysAt(issue.path);
      const meant = didYouMean(key, valid);
      const hint = meant === undefined ? `known here: ${valid.join(", ")}` : `did you mean ${meant}?`;
      return { file, line: lineOf(positions, path), key: dotted(path), problem: `unknown key; ${hint}` };
    });
  }
  // A union reports what every alternative said; the alternative that got furthest is the one that was meant.
  if (issue.code === "invalid_union" && issue.errors.length > 0) {
    const deepest = issue.errors
      .flatMap((issues) => issues)
      .filter((inner) => inner.path.length > 0 || inner.code === "unrecognized_keys")
      .map((inner): Issue => Object.assign(inner, { path: [...issue.path, ...inner.path] }));
    if (deepest.length > 0) return deepest.flatMap((inner) => mistakesOf(inner, file, positions));
  }
  const line = lineOf(positions, issue.path);
  return [{ file, line, key: dotted(issue.path), problem: problemOf(issue) }];
}

function problemOf(issue: Issue): string {
  switch (issue.code) {
    case "invalid_value":
      return `must be ${oneOf(issue.values)}`;
    case "invalid_type":
      return issue.message.startsWith("Invalid input: expected") ? `must be ${article(issue.expected)}` : issue.message;
    case "too_small":
      return issue.message.startsWith("Too small") ? `must be ${String(issue.minimum)} or more` : issue.message;
    case "too_big":
      return issue.message.startsWith("Too big") ? `must be ${String(issue.maximum)} or less` : issue.message;
    case "invalid_union":
      return `must be ${issue.errors
        .flatMap((issues) => issues.slice(0, 1).map(problemOf))
        .map((text) => text.replace(/^must be /, ""))
        .join(", or ")}`;
    default:
      return issue.message;
  }
}

function oneOf(values: readonly unknown[]): string {
  const shown = values.map((value) => JSON.stringify(value));
  return shown.length === 1 ? (shown[0] ?? "") : `one of ${shown.join(", ")}`;
}

function article(type: string): string {
  if (type === "int") return "a whole number";
  if (type === "object" || type === "record") return "a table";
  return /^[aeiou]/.test(type) ? `an ${type}` : `a ${type}`;
}

/** The keys the schema knows at a path. */
function keysAt(path: readonly PropertyKey[]): string[] {
  let schema: unknown = Configuration;
  for (const part of path) schema = typeof part === "number" ? elementOf(schema) : shapeOf(schema)?.[String(part)];
  return Object.keys(shapeOf(schema) ?? {});
}

interface Definition {
  readonly shape?: Record<string, unknown>;
  readonly innerType?: unknown;
  readonly element?: unknown;
  readonly options?: readonly unknown[];
  readonly in?: unknown;
}

function definitionOf(schema: unknown): Definition | undefined {
  return typeof schema === "object" && schema !== null && "def" in schema ? (schema.def as Definition) : undefined;
}

/** What `pick` finds in a schema, or else in the first of its parts that has it. */
function within<T>(schema: unknown, pick: (definition: Definition) => T | undefined): T | undefined {
  const definition = definitionOf(schema);
  if (definition === undefined) return undefined;
  const own = pick(definition);
  if (own !== undefined) return own;
  for (const inner of [definition.innerType, definition.in, ...(definition.options ?? [])]) {
    const found = within(inner, pick);
    if (found !== undefined) return found;
  }
  return undefined;
}

const shapeOf = (schema: unknown): Record<string, unknown> | undefined => within(schema, ({ shape }) => shape);
const elementOf = (schema: unknown): unknown => within(schema, ({ element }) => element);

/** Parameters that the policy does not take, or that no file can set. */
function policyContradictions(policy: Configuration["policy"], at: readonly PropertyKey[], complain: Complain): void {
  const { name, parameters } = policyOfConfiguration(policy);
  if (name === "round-robin-subset") {
    return complain(at, `${name} needs paths, which \`pathctl unit policy\` names; the file has no key for them`);
  }
  const mistake = parametersMistake(name, parameters);
  if (mistake === null) return;
  const key = mistake.parameter === "historyPercent" ? "history_percent" : mistake.parameter;
  complain([...at, key], `the policy ${name} has no parameter ${key}; ${mistake.remedy}`);
}

/** The same for one unit or one array, whose own settings override the general ones. */
function ownContradictions(c: Configuration, of: "units" | "arrays", index: number, complain: Complain): void {
  const { policy, timeouts } = c[of][index] ?? {};
  const at = [of, index] as const;
  if (policy !== undefined) {
    policyContradictions(policy, [...at, "policy"], complain);
  }
  const least = timeouts?.stall_min_ms ?? c.timeouts.stall_min_ms;
  const most = timeouts?.stall_max_ms ?? c.timeouts.stall_max_ms;
  if (timeouts === undefined || most === 0 || least <= most) return;
  if (timeouts.stall_min_ms === undefined) {
    if (timeouts.stall_max_ms === undefined) return;
    return complain([...at, "timeouts", "stall_max_ms"], `must not be below stall_min_ms (${least})`);
  }
  complain([...at, "timeouts", "stall_min_ms"], `must not be above stall_max_ms (${most})`);
}

/** Mistakes that no single key shows. */
function contradictions(c: Configuration, file: string, positions: readonly KeyPosition[]): Mistake[] {
  const found: Mistake[] = [];
  const complain: Complain = (path, problem) => {
    found.push({ file, line: lineOf(positions, path), key: dotted(path), problem });
  };
  if (c.timeouts.stall_max_ms !== 0 && c.timeouts.stall_min_ms > c.timeouts.stall_max_ms) {
    complain(["timeouts", "stall_min_ms"], `must not be above stall_max_ms (${c.timeouts.stall_max_ms})`);
  }
  policyContradictions(c.policy, ["policy"], complain);
  if (c.emulated === true && c.devices.length > 0) {
    complain(["emulated"], "must not be true while devices names real ones; leave out one of the two");
  }
  nbdTcpContradictions(c.sockets.nbd_tcp, complain);
  for (const index of c.arrays.keys()) ownContradictions(c, "arrays", index, complain);
  const identities = new Set<string>();
  const names = new Set<string>();
  for (const [index, unit] of c.units.entries()) {
    ownContradictions(c, "units", index, complain);
    const identity = wwidOf(unit.identity) ?? unit.identity;
    if (identities.has(identity)) complain(["units", index, "identity"], "the same unit stands here twice");
    identities.add(identity);
    if (unit.name === undefined) continue;
    if (names.has(unit.name)) complain(["units", index, "name"], "another unit has this name");
    names.add(unit.name);
    const number = NUMBERED_NAME.exec(unit.name)?.[1];
    if (number === undefined) continue;
    const owner = `LogicalUnit #${Number(number)}`;
    complain(
      ["units", index, "name"],
      `${unit.name} is what ${owner} is called until it has a name; choose another name`,
    );
  }
  return found;
}
