// The copy of the settings: a second file beside the state file, in lines, replaced as a whole with each change. Its sequence
// number and digest show whether the state file lacks anything; what that lost is restored from the copy.

import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import * as z from "zod";
import { reasonOf } from "../ground/control-errors.ts";
import { LAYOUT } from "./state-layout.ts";
import { SettingsLines } from "./settings-lines.ts";
import { checked, rowOf, unchecked, type SettingsRow } from "./settings-rows.ts";

/** Name of the file in the state directory. */
export const COPY_FILE = "settings.copy";
const MODE = 0o640;

/** Identifies one state of one installation's settings. */
export interface Seal {
  /** Identifies the installation's settings, whatever happens to them. */
  readonly id: string;
  /** Grows by one with each change. */
  readonly sequence: number;
  /** Over the lines of all rows. */
  readonly digest: string;
}

const Head = z.object({
  /** Layout of the rows: that of the state file. */
  layout: z.literal(LAYOUT),
  id: z.string(),
  sequence: z.int().positive(),
  digest: z.string(),
  /** Number of the newest event at that time. */
  lastEvent: z.int(),
  /** Why the settings are incomplete; null when they are complete. */
  incomplete: z.string().nullable(),
});

/** What the first line holds besides the seal. */
export type Remarks = Pick<z.infer<typeof Head>, "lastEvent" | "incomplete">;

export type SettingsCopy =
  | { readonly kind: "absent" }
  | ({ readonly kind: "sound"; readonly seal: Seal; readonly rows: readonly SettingsRow[] } & Remarks)
  | ({
      readonly kind: "damaged";
      readonly reason: string;
      /** Null when the state is unknown. */
      readonly seal: Seal | null;
      /** Those that are as written. */
      readonly rows: readonly SettingsRow[];
    } & Remarks);

function headOf(line: string): z.infer<typeof Head> | null {
  const text = unchecked(line);
  if (text === null) return null;
  try {
    return Head.parse(JSON.parse(text));
  } catch {
    return null;
  }
}

export function readSettingsCopy(file: string): SettingsCopy {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (thrown) {
    if (thrown instanceof Error && "code" in thrown && thrown.code === "ENOENT") return { kind: "absent" };
    return { kind: "damaged", reason: reasonOf(thrown), seal: null, rows: [], lastEvent: 0, incomplete: null };
  }
  const start = text.indexOf("\n") + 1;
  const body = text.slice(start);
  const head = headOf(text.slice(0, Math.max(0, start - 1)));
  const rows = body
    .split("\n")
    .map(rowOf)
    .filter((row) => row !== null);
  const lines = new SettingsLines(rows);
  const isWhole = head !== null && lines.digest === head.digest && lines.body === body;
  const remarks = { lastEvent: head?.lastEvent ?? 0, incomplete: head?.incomplete ?? null };
  const seal = head === null ? null : { id: head.id, sequence: head.sequence, digest: head.digest };
  if (isWhole && seal !== null) return { kind: "sound", seal, rows, ...remarks };
  const reason = head === null ? "it does not begin as it was written" : "some of its lines are not what was written";
  return { kind: "damaged", reason, seal, rows, ...remarks };
}

function onDisk(descriptor: number): void {
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/**
 * Writes a new copy beside the present one; on return it is on disk.
 * @param body the lines of all rows
 */
export function prepareSettingsCopy(file: string, seal: Seal, body: string, remarks: Remarks): void {
  const head = checked(JSON.stringify({ layout: LAYOUT, ...seal, ...remarks } satisfies z.infer<typeof Head>));
  const bytes = Buffer.from(`${head}\n${body}`);
  // The folder may have been deleted under the running daemon.
  mkdirSync(dirname(file), { recursive: true, mode: 0o750 });
  const descriptor = openSync(`${file}.new`, "w", MODE);
  try {
    for (let done = 0; done < bytes.length;) done += writeSync(descriptor, bytes, done);
  } catch (thrown) {
    closeSync(descriptor);
    throw thrown;
  }
  onDisk(descriptor);
}

/** Puts the prepared copy in the place of the previous one. */
export function publishSettingsCopy(file: string): void {
  renameSync(`${file}.new`, file);
  onDisk(openSync(dirname(file), "r"));
}
