// Collects everything into a file: what `pathctl logs collect` and `spscmd -getlog` do.

import type { Client } from "../api-client.ts";
import { collect, writeBundle, type Manifest } from "./collect.ts";
import { SOURCES } from "./collected-parts.ts";
import { daemonPlaces } from "./daemon-places.ts";
import { counted } from "../../wording.ts";

export interface Wanted {
  readonly sinceMs?: number | undefined;
  /** The configuration that says where everything is, where the daemon does not answer. */
  readonly config?: string | undefined;
}

export interface Collected {
  readonly manifest: Manifest;
  readonly bytes: number;
  /** What was collected, and what could not be. */
  readonly text: string;
}

/** `progress` hears of each part before it is read. */
export async function collectInto(
  client: Client,
  file: string,
  { sinceMs, config }: Wanted,
  progress: (text: string) => void,
): Promise<Collected> {
  const places = await daemonPlaces(client, config);
  const source = { client, places, sinceMs, sys: "/sys", proc: "/proc" };
  let at = 0;
  const { manifest, entries } = await collect(SOURCES, source, (what) => {
    at += 1;
    progress(`${at} of ${SOURCES.length}: ${what}\n`);
  });
  const bytes = await writeBundle(file, manifest, entries);
  const missing = manifest.missing.map(({ what, reason }) => `  without ${what}: ${reason}\n`).join("");
  return {
    manifest,
    bytes,
    text: `${file}: ${counted(entries.length, "file")}, ${counted(bytes, "byte")}\n${missing}`,
  };
}
