// The archive that Linux takes as its initial file system ("newc"; the kernel's Documentation/driver-api/early-userspace). Its bytes depend on
// what is put in alone: no times, no owners but root. Device files need no privilege here.

import { lstatSync, readFileSync, readdirSync, readlinkSync } from "node:fs";
import { join } from "node:path";

const FOLDER = 0o40_755;
const LINK = 0o120_777;
const CHARACTER_DEVICE = 0o20_600;

export class Cpio {
  readonly #parts: Buffer[] = [];
  readonly #folders = new Set<string>();
  #inode = 0;

  #entry(name: string, mode: number, data: Buffer, device: readonly [number, number] = [0, 0]): void {
    const fields = [++this.#inode, mode, 0, 0, 1, 0, data.length, 0, 0, ...device, name.length + 1, 0];
    const head = Buffer.from(
      `070701${fields.map((field) => field.toString(16).padStart(8, "0")).join("")}${name}\0`,
      "latin1",
    );
    this.#parts.push(padded(head), padded(data));
  }

  /** With those above it. */
  folder(name: string): void {
    if (this.#folders.has(name)) return;
    const above = name.lastIndexOf("/");
    if (above > 0) this.folder(name.slice(0, above));
    this.#folders.add(name);
    this.#entry(name, FOLDER, Buffer.alloc(0));
  }

  #above(name: string): void {
    const above = name.lastIndexOf("/");
    if (above > 0) this.folder(name.slice(0, above));
  }

  file(name: string, data: Buffer, mode = 0o644): void {
    this.#above(name);
    this.#entry(name, 0o100_000 | mode, data);
  }

  link(name: string, target: string): void {
    this.#above(name);
    this.#entry(name, LINK, Buffer.from(target));
  }

  device(name: string, major: number, minor: number): void {
    this.#above(name);
    this.#entry(name, CHARACTER_DEVICE, Buffer.alloc(0), [major, minor]);
  }

  /** Everything under `from`, sorted. */
  tree(name: string, from: string): void {
    const stat = lstatSync(from);
    if (stat.isSymbolicLink()) return this.link(name, readlinkSync(from));
    if (stat.isFile()) return this.file(name, readFileSync(from), stat.mode & 0o755);
    this.folder(name);
    for (const one of readdirSync(from).toSorted()) this.tree(`${name}/${one}`, join(from, one));
  }

  bytes(): Buffer {
    this.#inode = -1;
    this.#entry("TRAILER!!!", 0, Buffer.alloc(0));
    return Buffer.concat(this.#parts);
  }
}

function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc((4 - (bytes.length % 4)) % 4)]);
}
