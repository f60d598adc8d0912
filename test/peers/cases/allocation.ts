// Data and holes as seen by real clients, and how clients use this information.

import { statSync } from "node:fs";
import { join } from "node:path";
import { type Case, check, type Context, same } from "../case.ts";
import { Daemon } from "../daemon.ts";
import * as N from "../raw.ts";
import { nbdsh, run } from "../run.ts";

const MIB = 1 << 20;

/** The only data on the unit: 1 MiB at 0, 64 KiB at 20 MiB, the last 4 KiB. */
async function thin({ daemon }: Context, number: number): Promise<number> {
  const { bytes } = await daemon.unit(number);
  await nbdsh(`
h = nbd.NBD()
h.connect_uri("${daemon.uri(`${number}`)}")
size = h.get_size()
h.zero(size, 0)
h.pwrite(b"\\x11" * (1 << 20), 0)
h.pwrite(b"\\x22" * 65536, 20 << 20)
h.pwrite(b"\\x33" * 4096, size - 4096)
h.flush()
h.shutdown()
`);
  return bytes;
}

/** Bytes read over all paths of a unit. */
async function bytesRead({ daemon }: Context, number: number): Promise<number> {
  return (await daemon.unit(number)).paths.reduce((sum, path) => sum + path.statistics.bytesRead, 0);
}

interface Extent {
  readonly offset: number;
  readonly length: number;
  readonly type: number;
}

const expected = (bytes: number): Extent[] => [
  { offset: 0, length: MIB, type: 0 },
  { offset: MIB, length: 19 * MIB, type: 3 },
  { offset: 20 * MIB, length: 65536, type: 0 },
  { offset: 20 * MIB + 65536, length: bytes - 20 * MIB - 65536 - 4096, type: 3 },
  { offset: bytes - 4096, length: 4096, type: 0 },
];

/**
 * A client that requests no information: fixed newstyle, structured replies, a context, GO without info requests, like
 * go-nbd.
 */
const PLAIN_CLIENT = (socket: string, name: string): string => `
h = nbd.NBD()
h.set_request_block_size(False)
h.set_strict_mode(0)
h.set_export_name("${name}")
h.add_meta_context("base:allocation")
h.connect_unix("${socket}")
assert h.can_meta_context("base:allocation")
h.zero(1 << 20, 0)
model = bytearray(1 << 20)
def put(at, data):
    h.pwrite(data, at)
    model[at:at + len(data)] = data
for at, length in ((1, 1), (511, 2), (4095, 2), (100, 5000), (65537, 70001), (4096, 4096), (300000, 512)):
    put(at, os.urandom(length))
    assert h.pread(length, at) == model[at:at + length], at
h.zero(3333, 102)
model[102:102 + 3333] = bytes(3333)
h.zero(200000, 65600, nbd.CMD_FLAG_NO_HOLE | nbd.CMD_FLAG_FUA)
model[65600:65600 + 200000] = bytes(200000)
h.trim(100, 300001)
h.flush()
assert h.pread(1 << 20, 0) == model
other = nbd.NBD()
other.set_export_name("${name}")
other.connect_unix("${socket}")
assert other.pread(1 << 20, 0) == model, "an aligned client reads something else"
found = []
h.block_status(1000001, 4097, lambda context, offset, entries, error: found.extend(entries))
assert sum(found[0::2]) <= 1000001 and found, found
h.shutdown()
other.shutdown()
`;

/** Each of many clients writes its own bytes of the same blocks, all at once. */
const NEIGHBOURS = (socket: string, name: string): string => `
hs = []
for i in range(8):
    h = nbd.NBD()
    h.set_request_block_size(False)
    h.set_strict_mode(0)
    h.set_export_name("${name}")
    h.connect_unix("${socket}")
    hs.append(h)
hs[0].zero(65536, 0)
model = bytearray(65536)
waiting = {h: set() for h in hs}
for round in range(40):
    for i, h in enumerate(hs):
        for k in range(8):
            at = (k * 8 + i) * 100 + 37
            data = bytes([1 + (round * 8 + i + k) % 255]) * 100
            model[at:at + 100] = data
            buffer = nbd.Buffer.from_bytearray(bytearray(data))
            waiting[h].add((h.aio_pwrite(buffer, at), buffer))
    for h in hs:
        for cookie, buffer in list(waiting[h]):
            while not h.aio_command_completed(cookie): h.poll(-1)
        waiting[h].clear()
assert hs[3].pread(65536, 0) == model
for h in hs: h.shutdown()
`;

export const cases: readonly Case[] = [
  {
    name: "nbdinfo --map tells holes as holes",
    run: async (context) => {
      const bytes = await thin(context, 0);
      const { stdout } = await run("nbdinfo", ["--map", "--json", context.daemon.uri("0")]);
      const found = (JSON.parse(stdout) as Extent[]).map(({ offset, length, type }) => ({ offset, length, type }));
      same(found, expected(bytes), "map");
      const { stdout: totals } = await run("nbdinfo", ["--map", "--totals", context.daemon.uri("0")]);
      check(/^\s*1118208\s.*data/m.test(totals), `totals:\n${totals}`);
    },
  },
  {
    name: "qemu-img map and convert: holes of a thin unit are copied as holes",
    run: async (context) => {
      const { daemon, folder } = context;
      const bytes = await thin(context, 0);
      const { stdout } = await run("qemu-img", ["map", "--output=json", "-f", "raw", daemon.uri("0")]);
      const map = JSON.parse(stdout) as { start: number; length: number; zero: boolean; data: boolean }[];
      same(
        map.map(({ start, length, zero, data }) => [start, length, zero, data]),
        expected(bytes).map(({ offset, length, type }) => [offset, length, type === 3, type === 0]),
        "map",
      );
      for (const format of ["raw", "qcow2"]) {
        const copy = join(folder, `copy.${format}`);
        const before = await bytesRead(context, 0);
        await run("qemu-img", ["convert", "-f", "raw", "-O", format, daemon.uri("0"), copy]);
        // qemu-img also makes zeroes sparse that it has read; so it must not have read them.
        const read = (await bytesRead(context, 0)) - before;
        check(read < 4 * MIB, `of a unit with 1.1 MiB of data ${read} bytes were read`);
        const held = statSync(copy).blocks * 512;
        check(held < 4 * MIB, `its copy takes ${held} bytes`);
        await run("qemu-img", ["compare", "-f", "raw", "-F", format, daemon.uri("0"), copy]);
      }
    },
  },
  {
    name: "nbdcopy keeps a thin unit thin, there and back",
    run: async (context) => {
      const { daemon, folder } = context;
      const bytes = await thin(context, 0);
      const copy = join(folder, "copy.raw");
      await run("nbdcopy", [daemon.uri("0"), copy]);
      check(statSync(copy).blocks * 512 < 4 * MIB, "the file is not sparse");
      await run("nbdcopy", ["--flush", copy, daemon.uri("1")]);
      const { stdout } = await run("nbdinfo", ["--map", "--json", daemon.uri("1")]);
      const found = (JSON.parse(stdout) as Extent[]).map(({ offset, length, type }) => ({ offset, length, type }));
      same(found, expected(bytes), "map of the copy");
    },
  },
  {
    name: "nbdsh: extents follow each other, REQ_ONE gets one, ends are kept to",
    run: async (context) => {
      await thin(context, 0);
      await nbdsh(`
h = nbd.NBD()
h.add_meta_context("base:allocation")
h.add_meta_context("qemu:dirty-bitmap:none")
h.connect_uri("${context.daemon.uri("0")}")
assert h.can_meta_context("base:allocation") and not h.can_meta_context("qemu:dirty-bitmap:none")
def status(length, offset, flags = 0):
    found = []
    def one(context, at, entries, error):
        assert context == "base:allocation" and at == offset
        found.extend(entries)
    h.block_status(length, offset, one, flags)
    return found
assert status(4096, 0) == [4096, 0]
assert status(2 << 20, 0) == [1 << 20, 0, 1 << 20, 3], status(2 << 20, 0)
assert status(2 << 20, 0, nbd.CMD_FLAG_REQ_ONE) == [1 << 20, 0]
assert status(512, h.get_size() - 512) == [512, 0]
h.pwrite(b"\\x44" * 512, 30 << 20)
assert status(8192, 30 << 20) == [4096, 0, 4096, 3]
h.trim(4096, 30 << 20)
assert status(8192, 30 << 20) == [8192, 3]
h.set_strict_mode(0)
for length, offset in ((0, 0), (512, h.get_size()), (100, 0)):
    try:
        status(length, offset)
        raise SystemExit("accepted %d at %d" % (length, offset))
    except nbd.Error as e:
        assert e.errno == "EINVAL", e.errno
assert status(4096, 0) == [4096, 0]
h.shutdown()
`);
    },
  },
  {
    name: "a client that asks for no block sizes reads, writes and zeroes any bytes",
    run: async ({ daemon }) => {
      await nbdsh(PLAIN_CLIENT(daemon.nbdSocket, "0"));
    },
  },
  {
    name: "clients that write different bytes of the same blocks keep each other's",
    run: async ({ daemon }) => {
      await nbdsh(NEIGHBOURS(daemon.nbdSocket, "0"));
    },
  },
  {
    name: "bare bytes: BLOCK_STATUS that was not agreed to is refused, though replies are structured",
    run: async ({ daemon }) => {
      const client = await N.RawClient.open(daemon.nbdSocket, "0", true);
      same((await client.ask({ type: N.BLOCK_STATUS, length: 4096 })).error, N.EINVAL, "BLOCK_STATUS");
      same((await client.ask({ type: N.READ, length: 4096 })).error, 0, "the connection goes on");
      client.close();
    },
  },
  {
    name: "blocks of 4096 bytes: any bytes without asking for block sizes, neighbours, the map",
    run: async ({ folder }) => {
      const configuration = "[array]\nunits = 1\nunit_mib = 64\nblock_bytes = 4096\n";
      const daemon = new Daemon(join(folder, "large-blocks"), { configuration });
      await daemon.start();
      try {
        await nbdsh(PLAIN_CLIENT(daemon.nbdSocket, "0"));
        await nbdsh(NEIGHBOURS(daemon.nbdSocket, "0"));
        await run("nbdinfo", ["--map", daemon.uri("0")]);
        await run("qemu-img", ["map", "-f", "raw", daemon.uri("0")]);
      } finally {
        await daemon.stop("SIGKILL");
      }
    },
  },
  {
    name: "the client over limits.connections is told so, and which key helps; one that goes makes room",
    run: async ({ folder }) => {
      const configuration = "limits.connections = 2\n[array]\nunits = 1\n";
      const daemon = new Daemon(join(folder, "full"), { configuration });
      await daemon.start();
      try {
        await nbdsh(`
hs = []
for i in range(2):
    h = nbd.NBD()
    h.set_export_name("0")
    h.connect_unix("${daemon.nbdSocket}")
    hs.append(h)
told = []
h = nbd.NBD()
h.set_debug(True)
h.set_debug_callback(lambda context, message: told.append(message))
h.set_export_name("0")
try:
    h.connect_unix("${daemon.nbdSocket}")
    raise SystemExit("connected")
except nbd.Error as e:
    assert "policy" in e.string, e.string
assert any("all 2 connections are in use; raise limits.connections" in message for message in told), told
hs[0].shutdown()
import time
for attempt in range(100):
    h = nbd.NBD()
    h.set_export_name("0")
    try:
        h.connect_unix("${daemon.nbdSocket}")
        break
    except nbd.Error:
        time.sleep(0.05)
assert h.pread(512, 0) is not None
`);
      } finally {
        await daemon.stop("SIGKILL");
      }
    },
  },
];
