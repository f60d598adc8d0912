// A tar archive whose bytes depend on its files alone: sorted, no times, no owners (gzip without a name or time).

import { readFileSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { makeTar } from "../archive/tar.ts";

/** Every file under `folder`, sorted, relative to it. */
function filesUnder(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((name) => statSync(join(folder, name)).isFile())
    .toSorted();
}

/** @param top the folder that the archive unpacks to */
export function tarball(folder: string, top: string): Buffer {
  const files = filesUnder(folder).map((name) => ({ name: `${top}/${name}`, bytes: readFileSync(join(folder, name)) }));
  const packed = gzipSync(makeTar(files, { timeMs: 0, mode: 0o644 }), { level: 9 });
  // Byte 9 names the system that packed it.
  packed[9] = 255;
  return packed;
}
