// `pathctl logs collect`: everything a support engineer needs, in one archive, whether or not the daemon runs.

import { createHash } from "node:crypto";
import { existsSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { promisify } from "node:util";

import { CommandError } from "../api-client.ts";
import { packageVersion } from "../io.ts";
import type { Source, SourceContext } from "./collected-parts.ts";
import { makeTar, type Entry } from "../../archive/tar.ts";

/** Of each file its end is kept. */
const FILE_BYTES_MAX = 8 * 1024 * 1024;
const ALL_BYTES_MAX = 64 * 1024 * 1024;
/** After this, parts that have not begun are left out. */
const COLLECT_MS_MAX = 60_000;
/** The longest that one part may take. */
const PART_MS_MAX = 20_000;

interface ManifestFile {
  readonly name: string;
  readonly bytes: number;
  readonly sha256: string;
  /** Bytes left out at the beginning. */
  readonly cutBytes: number;
}

export interface Manifest {
  readonly format: 1;
  readonly pathmanager: string;
  readonly host: string;
  readonly collectedMs: number;
  readonly sinceMs: number | null;
  /** Why the daemon did not answer; null when it did. */
  readonly daemonSilent: string | null;
  readonly files: readonly ManifestFile[];
  /** Parts that could not be read, and why. */
  readonly missing: readonly { readonly what: string; readonly reason: string }[];
}

export const MANIFEST = "manifest.json";

export const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

const reasonOf = (thrown: unknown): string =>
  (thrown instanceof Error ? thrown.message : String(thrown)).split("\n")[0] ?? "";

async function within<T>(work: Promise<T>, ms: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`it took longer than ${Math.round(ms / 1000)} s`)), ms);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}

/** Limits for tests. */
export interface CollectLimits {
  readonly fileBytesMax?: number;
  readonly allBytesMax?: number;
  readonly partMsMax?: number;
  readonly collectMsMax?: number;
}

/** Reads all parts; `progress` hears of each before it is read. */
export async function collect(
  sources: readonly Source[],
  context: SourceContext,
  progress: (what: string) => void,
  limits: CollectLimits = {},
): Promise<{ readonly manifest: Manifest; readonly entries: readonly Entry[] }> {
  const { fileBytesMax = FILE_BYTES_MAX, allBytesMax = ALL_BYTES_MAX } = limits;
  const { partMsMax = PART_MS_MAX, collectMsMax = COLLECT_MS_MAX } = limits;
  const endMs = performance.now() + collectMsMax;
  const entries: Entry[] = [];
  const files: ManifestFile[] = [];
  const missing: { what: string; reason: string }[] = [];
  let left = allBytesMax;
  for (const { what, read } of sources) {
    progress(what);
    try {
      const ms = Math.min(partMsMax, endMs - performance.now());
      if (ms <= 0) throw new Error("there was no time left");
      for (const [name, text] of Object.entries(await within(read(context), ms))) {
        const all = Buffer.from(text);
        const bytes = all.subarray(Math.max(0, all.length - Math.min(fileBytesMax, left)));
        left -= bytes.length;
        entries.push({ name, bytes });
        files.push({ name, bytes: bytes.length, sha256: sha256(bytes), cutBytes: all.length - bytes.length });
      }
    } catch (thrown) {
      missing.push({ what, reason: reasonOf(thrown) });
    }
  }
  const manifest: Manifest = {
    format: 1,
    pathmanager: packageVersion(),
    host: hostname(),
    collectedMs: Date.now(),
    sinceMs: context.sinceMs ?? null,
    daemonSilent: context.places.silent,
    files,
    missing,
  };
  return { manifest, entries };
}

/** Writes the archive; a file that exists is not overwritten, and none is left half written. */
export async function writeBundle(file: string, manifest: Manifest, entries: readonly Entry[]): Promise<number> {
  if (existsSync(file)) {
    throw new CommandError("LOG", `${file} exists`, { parameter: file, remedy: "name another file, or remove it" });
  }
  // zlib is loaded where it is needed: every start of a command would pay for it.
  const { gzip } = await import("node:zlib");
  const head = { name: MANIFEST, bytes: Buffer.from(`${JSON.stringify(manifest, null, 1)}\n`) };
  const folder = "pathmanager-logs";
  const all = [head, ...entries].map(({ name, bytes }) => ({ name: `${folder}/${name}`, bytes }));
  const packed = await promisify(gzip)(makeTar(all, { timeMs: manifest.collectedMs, mode: 0o600 }));
  const partial = `${file}.partial`;
  try {
    writeFileSync(partial, packed, { mode: 0o600, flag: "wx" });
    renameSync(partial, file);
  } catch (thrown) {
    rmSync(partial, { force: true });
    const { code } = thrown as NodeJS.ErrnoException;
    throw new CommandError("LOG", `cannot write ${file} (${code ?? reasonOf(thrown)})`, {
      parameter: file,
      remedy: "name a file in a folder that you may write to and that has room",
    });
  }
  return packed.length;
}
