// `pathctl logs show`: what a collected archive says, for someone who was not there.

import { readFileSync } from "node:fs";

import type { PathView } from "../../control/schemas/path-schema.ts";
import type { Output } from "../../control/schemas/routes.ts";
import { clean } from "../../liaison/clean.ts";
import { kindOf, MESSAGES, type MessageName } from "../../liaison/messages.ts";
import { CommandError } from "../api-client.ts";
import { sizeText } from "../text.ts";
import { MANIFEST, sha256, type Manifest } from "./collect.ts";
import { linesOf, type LogLine } from "./log-lines.ts";
import { readTar } from "../../archive/tar.ts";
import { counted } from "../../wording.ts";

/** An archive that unpacks to more than this was not made by us. */
const UNPACKED_BYTES_MAX = 256 * 1024 * 1024;
const LINES_SHOWN = 40;

export interface Bundle {
  readonly manifest: Manifest;
  readonly files: ReadonlyMap<string, Uint8Array>;
  /** Files that are not as the manifest says. */
  readonly damaged: readonly string[];
}

const noBundle = (file: string, reason: string): CommandError =>
  new CommandError("LOG", `${file} is no archive of pathctl logs collect: ${reason}`, { parameter: file });

export async function readBundle(file: string): Promise<Bundle> {
  const { gunzipSync } = await import("node:zlib");
  let packed: Buffer;
  try {
    packed = readFileSync(file);
  } catch (thrown) {
    const { code } = thrown as NodeJS.ErrnoException;
    throw new CommandError("LOG", `cannot read ${file} (${code ?? String(thrown)})`, { parameter: file });
  }
  try {
    const entries = readTar(gunzipSync(packed, { maxOutputLength: UNPACKED_BYTES_MAX }));
    const files = new Map(entries.map(({ name, bytes }) => [name.replace(/^[^/]*\//, ""), bytes]));
    const manifest = JSON.parse(textIn(files, MANIFEST)) as Manifest;
    if (manifest.format !== 1 || !Array.isArray(manifest.files)) throw new Error("its manifest has another format");
    const damaged = manifest.files.filter(({ name, sha256: digest }) => {
      const bytes = files.get(name);
      return bytes === undefined || sha256(bytes) !== digest;
    });
    return { manifest, files, damaged: damaged.map(({ name }) => name) };
  } catch (thrown) {
    throw noBundle(file, thrown instanceof Error ? thrown.message : String(thrown));
  }
}

/** A file's text; "" when it is not there. */
function textIn(files: ReadonlyMap<string, Uint8Array>, name: string): string {
  const bytes = files.get(name);
  return bytes === undefined ? "" : Buffer.from(bytes).toString("utf8");
}

function jsonIn<T>(files: ReadonlyMap<string, Uint8Array>, name: string): T | null {
  try {
    return JSON.parse(textIn(files, name)) as T;
  } catch {
    return null;
  }
}

const listOf = (title: string, lines: readonly string[]): string =>
  lines.length === 0 ? "" : `\n${title}\n${lines.map((line) => `  ${clean(line)}\n`).join("")}`;

function head({ manifest, damaged }: Bundle): string {
  const { host, collectedMs, pathmanager, daemonSilent, sinceMs } = manifest;
  const since = sinceMs === null ? "" : `, from ${new Date(sinceMs).toISOString()} on`;
  const lines = [
    `collected  ${new Date(collectedMs).toISOString()} on ${host}${since}`,
    `version    ${pathmanager}`,
    `daemon     ${daemonSilent ?? "it answered"}`,
    ...damaged.map((name) => `DAMAGED    ${name} is not as it was collected`),
  ];
  return lines.map((line) => `${clean(line)}\n`).join("");
}

function pathTrouble({ number, initiatorPort, targetPort, state, conditions, lastError }: PathView): string {
  const what = [state, ...conditions].join(", ");
  const why = lastError === null ? "" : `; last error: ${lastError.text}`;
  return `  ${number} over ${initiatorPort} and ${targetPort ?? "?"}: ${what}${why}`;
}

/** Units and paths that are not as they should be. */
function troubles(files: Bundle["files"]): string[] {
  const units = jsonIn<Output<"units">>(files, "daemon/units.json")?.units ?? [];
  return units.flatMap((unit) => {
    const bad = unit.paths.filter(({ healthy, conditions }) => !healthy || conditions.length > 0);
    if (unit.state === "ok" && bad.length === 0) return [];
    const about = `LogicalUnit #${unit.number} ${unit.name}: ${unit.state}, ${counted(unit.paths.length, "path")}`;
    return [about].concat(bad.map(pathTrouble));
  });
}

/** Lines of the log; where there is none, of the state file's events. */
function logOf(files: Bundle["files"]): LogLine[] {
  return linesOf(textIn(files, "log/spsevent.log.old") + textIn(files, "log/spsevent.log"), {});
}

/** The kinds of warnings and errors in the log, with what they mean; the most frequent first. */
function explained(lines: readonly LogLine[]): string[] {
  const counts = new Map<number, number>();
  for (const { level, message } of lines) {
    if (level !== "info") counts.set(message, (counts.get(message) ?? 0) + 1);
  }
  const kinds = (Object.keys(MESSAGES) as MessageName[]).map(kindOf);
  return [...counts]
    .toSorted(([, a], [, b]) => b - a)
    .flatMap(([number, count]) => {
      const kind = kinds.find((candidate) => candidate.number === number);
      if (kind === undefined) return [`${number} (${counted(count, "time")}), unknown to this version`];
      const causes = kind.causes === undefined ? [] : [`    likely causes: ${kind.causes.join("; ")}`];
      const known = [`${number} ${kind.text} (${counted(count, "time")})`, `    ${kind.means}`];
      return known.concat(causes, `    what to do: ${kind.remedy}`);
    });
}

/** How the last daemon ended, if it was not stopped. */
function lastWords({ files, manifest }: Bundle): string[] {
  const life = jsonIn<{ pid: number; death: string | null }>(files, "state/running.json");
  if (life === null || (life.death === null && manifest.daemonSilent === null)) return [];
  return [life.death ?? `process ${life.pid} was running, or ended without a word`];
}

/** Everything a reader should know first. */
export function bundleText(bundle: Bundle): string {
  const { files, manifest } = bundle;
  const status = jsonIn<Output<"status">>(files, "daemon/status.json");
  const lines = logOf(files);
  const serious = lines.filter(({ level }) => level !== "info").slice(-LINES_SHOWN);
  return [
    head(bundle),
    listOf("What needs attention", status?.attention ?? []),
    listOf("Units that are not as they should be", troubles(files)),
    listOf("The daemon's last words", lastWords(bundle)),
    listOf(
      `Warnings and errors of the log (the last ${LINES_SHOWN} at most)`,
      serious.map(({ line }) => line),
    ),
    listOf("What they mean", explained(lines)),
    listOf(
      "Not collected",
      manifest.missing.map(({ what, reason }) => `${what}: ${reason}`),
    ),
    listOf(
      "Files (pathctl logs show FILE NAME prints one)",
      manifest.files.map(
        ({ name, bytes, cutBytes }) =>
          `${name}  ${sizeText(bytes)}${cutBytes > 0 ? `, its beginning is missing (${sizeText(cutBytes)})` : ""}`,
      ),
    ),
  ].join("");
}

/** One file of the archive, safe to print. */
export function fileText({ files }: Bundle, name: string): string {
  if (!files.has(name)) {
    throw new CommandError("LOG", `the archive has no file ${name}`, {
      parameter: name,
      remedy: `it has: ${[...files.keys()].map(clean).join(", ")}`,
    });
  }
  return textIn(files, name).split("\n").map(clean).join("\n");
}
