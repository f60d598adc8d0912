// kill -9 of the daemon under load, and a restart: clients that reconnect continue, and nothing acknowledged is lost. The
// units are files, as an array's data outlives a host's process. (The kernel's own client is tested in the rig.)

import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Case, check, type Context, same } from "../case.ts";
import { Daemon } from "../daemon.ts";
import { nbdsh, run } from "../run.ts";

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** A separate daemon for the case, with units in files; it is always stopped afterwards. */
async function withDaemon(context: Context, use: (daemon: Daemon) => Promise<void>): Promise<void> {
  const folder = join(context.folder, "restart");
  mkdirSync(join(folder, "units"), { recursive: true });
  const configuration = `[array]\nunits = 1\nunit_mib = 64\npaths = 4\ndirectory = "${join(folder, "units")}"\n`;
  const daemon = new Daemon(folder, { configuration });
  try {
    await daemon.start();
    await use(daemon);
  } finally {
    await daemon.stop("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * Writes blocks that contain their round, eight at a time, until the file `stop` exists; a broken connection is reopened. At
 * the end each block has to contain the last round that was acknowledged for it, or a later one that was sent.
 */
const WRITER = (socket: string, stop: string): string => `
import time, random, struct
BLOCK, BLOCKS = 4096, 2048
acknowledged, sent = {}, {}
reconnects = 0
def connect(limit):
    while True:
        try:
            h = nbd.NBD()
            h.set_export_name("0")
            h.connect_unix("${socket}")
            return h
        except nbd.Error:
            if time.monotonic() > limit: raise
            time.sleep(0.05)
def data(block, number):
    return struct.pack("<QQ", block, number) * (BLOCK // 16)
h = connect(time.monotonic() + 10)
number = 0
while not os.path.exists("${stop}"):
    flight = []
    try:
        for block in random.sample(range(BLOCKS), 8):
            number += 1
            sent.setdefault(block, []).append(number)
            buffer = nbd.Buffer.from_bytearray(bytearray(data(block, number)))
            flight.append((h.aio_pwrite(buffer, block * BLOCK), block, number, buffer))
        for cookie, block, mine, _ in flight:
            while not h.aio_command_completed(cookie): h.poll(-1)
            acknowledged[block] = mine
    except nbd.Error:
        reconnects += 1
        h = connect(time.monotonic() + 60)
wrong = 0
for block, last in acknowledged.items():
    raw = h.pread(BLOCK, block * BLOCK)
    who, found = struct.unpack("<QQ", raw[:16])
    assert raw == data(who, found), "a block is torn: %d" % block
    assert who == block, "block %d holds block %d" % (block, who)
    assert found == last or (found > last and found in sent[block]), "block %d holds %d, acknowledged was %d" % (block, found, last)
print(len(acknowledged), reconnects)
`;

export const cases: readonly Case[] = [
  {
    name: "kill -9 under load, three times: a libnbd client that reconnects finds everything acknowledged",
    run: (context) =>
      withDaemon(context, async (daemon) => {
        const stop = join(daemon.folder, "stop");
        const writing = nbdsh(WRITER(daemon.nbdSocket, stop), { timeoutMs: 150_000 });
        for (let round = 0; round < 3; round++) {
          await pause(1000);
          await daemon.stop("SIGKILL");
          await daemon.start();
        }
        await pause(500);
        writeFileSync(stop, "");
        const [blocks = 0, reconnects = 0] = (await writing).stdout.trim().split(" ").map(Number);
        check(blocks > 100, `only ${blocks} blocks were acknowledged`);
        same(reconnects, 3, "reconnects");
      }),
  },
  {
    name: "kill -9: QEMU's client with reconnect-delay goes on",
    run: (context) =>
      withDaemon(context, async (daemon) => {
        const server = `server.type=unix,server.path=${daemon.nbdSocket}`;
        const image = `driver=raw,file.driver=nbd,${server.replaceAll("server", "file.server")},file.export=0,file.reconnect-delay=30`;
        const commands = ["write -P 0x21 0 1M", "flush", "sleep 1500", "write -P 0x22 1M 1M", "read -P 0x21 0 1M"];
        const args = [...commands, "sleep 1500", "read -P 0x22 1M 1M"].flatMap((command) => ["-c", command]);
        const working = run("qemu-io", ["--image-opts", ...args, image]);
        for (let round = 0; round < 2; round++) {
          await pause(700);
          await daemon.stop("SIGKILL");
          await daemon.start();
          await pause(500);
        }
        const { stdout, stderr } = await working;
        check(!/error|failed/i.test(stdout + stderr), stdout + stderr);
      }),
  },
  {
    name: "kill -9: what was set by command is there after the start",
    run: (context) =>
      withDaemon(context, async (daemon) => {
        await daemon.call("PATCH", "/v1/units/0", { name: "database", policy: "round-robin" });
        await daemon.stop("SIGKILL");
        await daemon.start();
        const unit = await daemon.unit(0);
        same([unit.name, unit.policy.name], ["database", "round-robin"], "name and policy");
        await run("nbdinfo", ["--size", daemon.uri("database")]);
      }),
  },
];
