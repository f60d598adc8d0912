// A tar archive whose bytes depend on its files alone: sorted, no times, no owners (ustar; gzip without a name or time).

import { readFileSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";

const BLOCK = 512;

/** Every file under `folder`, sorted, relative to it. */
function filesUnder(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((name) => statSync(join(folder, name)).isFile())
    .toSorted();
}

function header(name: string, bytes: number, mode: number): Buffer {
  const block = Buffer.alloc(BLOCK);
  const cut = name.length <= 100 ? 0 : name.lastIndexOf("/", 155);
  const put = (text: string, at: number, room: number): void => {
    if (text.length > room) throw new Error(`${name} does not fit into a tar header`);
    block.write(text, at, "latin1");
  };
  const octal = (value: number, at: number, width: number): void =>
    put(`${value.toString(8).padStart(width - 1, "0")}\0`, at, width);
  put(cut === 0 ? name : name.slice(cut + 1), 0, 100);
  octal(mode, 100, 8);
  octal(0, 108, 8);
  octal(0, 116, 8);
  octal(bytes, 124, 12);
  octal(0, 136, 12);
  put("        ", 148, 8);
  put("0", 156, 1);
  put("ustar\x0000", 257, 8);
  if (cut !== 0) put(name.slice(0, cut), 345, 155);
  const sum = block.reduce((total, byte) => total + byte, 0);
  put(`${sum.toString(8).padStart(6, "0")}\0 `, 148, 8);
  return block;
}

/** @param top the folder that the archive unpacks to */
export function tarball(folder: string, top: string): Buffer {
  const parts: Buffer[] = [];
  for (const name of filesUnder(folder)) {
    const bytes = readFileSync(join(folder, name));
    parts.push(header(`${top}/${name}`, bytes.length, 0o644), bytes);
    parts.push(Buffer.alloc((BLOCK - (bytes.length % BLOCK)) % BLOCK));
  }
  parts.push(Buffer.alloc(2 * BLOCK));
  const packed = gzipSync(Buffer.concat(parts), { level: 9 });
  // Byte 9 names the system that packed it.
  packed[9] = 255;
  return packed;
}
