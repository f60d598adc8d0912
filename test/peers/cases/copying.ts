// Copies whole images through the export in both directions, with nbdcopy and QEMU's tools.

import { randomFillSync } from "node:crypto";
import { openSync, closeSync, writeSync } from "node:fs";
import { join } from "node:path";
import { type Case, check, type Context, same } from "../case.ts";
import { run } from "../run.ts";

/** A file of the unit's size, of random bytes with holes of zeroes. */
function image(path: string, bytes: number): string {
  const piece = Buffer.alloc(1 << 20);
  const file = openSync(path, "w");
  for (let at = 0; at < bytes; at += piece.length) {
    if ((at / piece.length) % 5 === 3) piece.fill(0);
    else randomFillSync(piece);
    writeSync(file, piece, 0, Math.min(piece.length, bytes - at));
  }
  closeSync(file);
  return path;
}

async function copyAndCompare({ daemon, folder }: Context, unit: number, ...args: string[]): Promise<void> {
  const source = image(join(folder, "source.raw"), (await daemon.unit(unit)).bytes);
  const back = join(folder, "back.raw");
  await run("nbdcopy", [...args, source, daemon.uri(`${unit}`)]);
  await run("nbdcopy", [...args, daemon.uri(`${unit}`), back]);
  await run("cmp", [source, back]);
}

export const cases: readonly Case[] = [
  {
    name: "nbdcopy there and back, four connections, 64 requests each",
    run: (context) => copyAndCompare(context, 0, "--connections=4", "--requests=64", "--flush"),
  },
  {
    name: "nbdcopy there and back, one request at a time",
    run: (context) => copyAndCompare(context, 0, "--synchronous"),
  },
  {
    name: "nbdcopy with the largest requests, and odd ones",
    run: async (context) => {
      await copyAndCompare(context, 0, "--request-size=33554432", "--requests=2", "--connections=1");
      await copyAndCompare(context, 0, "--request-size=1048576", "--allocated");
    },
  },
  {
    name: "nbdcopy from one unit to another",
    run: async (context) => {
      const { daemon, folder } = context;
      await copyAndCompare(context, 0);
      const back = join(folder, "back.raw");
      await run("nbdcopy", [daemon.uri("0"), daemon.uri("1")]);
      await run("nbdcopy", [daemon.uri("1"), back]);
      await run("cmp", [join(folder, "source.raw"), back]);
    },
  },
  {
    name: "qemu-img info, convert, compare",
    run: async ({ daemon, folder }) => {
      const unit = await daemon.unit(0);
      const shown = JSON.parse((await run("qemu-img", ["info", "--output=json", daemon.uri("0")])).stdout);
      same(shown["virtual-size"], unit.bytes, "virtual size");
      const source = image(join(folder, "source.raw"), unit.bytes);
      await run("qemu-img", ["convert", "-n", "-f", "raw", "-O", "raw", "-W", "-m", "8", source, daemon.uri("0")]);
      await run("qemu-img", ["compare", "-f", "raw", "-F", "raw", source, daemon.uri("0")]);
      const packed = join(folder, "packed.qcow2");
      await run("qemu-img", ["convert", "-f", "raw", "-O", "qcow2", daemon.uri("0"), packed]);
      await run("qemu-img", ["compare", "-f", "raw", "-F", "qcow2", source, packed]);
      // One byte differs: compare has to detect it, or the comparisons above prove nothing.
      await run("qemu-io", ["-f", "raw", "-c", "write -P 0x77 5M 512", daemon.uri("0")]);
      const { status } = await run("qemu-img", ["compare", "-f", "raw", "-F", "raw", source, daemon.uri("0")], {
        statuses: [1],
      });
      check(status === 1, "compare found no difference");
    },
  },
];
