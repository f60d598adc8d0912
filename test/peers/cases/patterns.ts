// qemu-io: patterns, zeroes, discards, flushes, FUA; and fio, which verifies its writes.

import { type Case, check, same } from "../case.ts";
import { verify } from "../fio.ts";
import { run } from "../run.ts";

async function qemuIo(uri: string, commands: readonly string[]): Promise<string> {
  const args = commands.flatMap((command) => ["-c", command]);
  const { stdout, stderr } = await run("qemu-io", ["-f", "raw", "-t", "none", ...args, uri]);
  const said = stdout + stderr;
  check(!/failed|error/i.test(said), said);
  return said;
}

export const cases: readonly Case[] = [
  {
    name: "qemu-io: patterns are read back, also where they overlap",
    run: async ({ daemon }) => {
      await qemuIo(daemon.uri("0"), [
        "write -P 0x11 0 1M",
        "write -P 0x22 512k 64k",
        "write -P 0x33 4k 512",
        "read -P 0x11 0 4k",
        "read -P 0x33 4k 512",
        "read -P 0x11 4608 519680",
        "read -P 0x22 512k 64k",
        "read -P 0x11 576k 448k",
      ]);
    },
  },
  {
    name: "qemu-io: write zeroes with and without a hole, discard",
    run: async ({ daemon }) => {
      await qemuIo(daemon.uri("0"), [
        "write -P 0x44 0 4M",
        "write -z 1M 512k",
        "write -z -u 2M 512k",
        "discard 3M 512k",
        "read -P 0x44 0 1M",
        "read -P 0 1M 512k",
        "read -P 0x44 1536k 512k",
        "read -P 0 2M 512k",
        "read -P 0x44 2560k 512k",
        "read 3M 512k",
        "read -P 0x44 3584k 512k",
      ]);
    },
  },
  {
    name: "qemu-io: flush and FUA",
    run: async ({ daemon }) => {
      await qemuIo(daemon.uri("0"), [
        "write -f -P 0x55 0 64k",
        "flush",
        "write -z -f 64k 64k",
        "read -P 0x55 0 64k",
        "read -P 0 64k 64k",
      ]);
    },
  },
  {
    name: "qemu-io: many at once",
    run: async ({ daemon }) => {
      const writes = Array.from({ length: 64 }, (_, i) => `aio_write -q -P ${i + 1} ${i * 96}k 96k`);
      const reads = Array.from({ length: 64 }, (_, i) => `aio_read -q -P ${i + 1} ${i * 96}k 96k`);
      await qemuIo(daemon.uri("0"), [...writes, "aio_flush", ...reads, "aio_flush"]);
    },
  },
  {
    name: "fio verifies random writes of mixed sizes at depth 32",
    run: async ({ daemon, folder }) => {
      const bytes = (await daemon.unit(0)).bytes;
      const result = await verify({ uri: daemon.uri("0"), folder, bytes, depth: 32, sizes: "512-128k" });
      same([result.errors, result.bytesWritten > 0], [0, true], "fio");
    },
  },
  {
    name: "fio verifies through four connections at once",
    run: async ({ daemon, folder }) => {
      const bytes = (await daemon.unit(0)).bytes;
      const jobs = Array.from({ length: 4 }, (_, job) =>
        verify({
          uri: daemon.uri("0"),
          folder,
          name: `job${job}`,
          offset: (job * bytes) / 4,
          bytes: bytes / 4,
          depth: 16,
          sizes: "4k-64k",
        }),
      );
      for (const result of await Promise.all(jobs)) same(result.errors, 0, "fio");
    },
  },
];
