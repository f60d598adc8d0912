// The ublk front end against the kernel's driver, over four real sg paths: data, recovery after kill -9, and every way a device ends.

import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { until } from "../../until.ts";
import { run, start } from "../lib/command.ts";
import { runFio, type Load } from "../lib/fio.ts";
import { ScsiDebug } from "../lib/scsi-debug.ts";
import { writeText } from "../lib/files.ts";
import { afterwards, test, type Rig } from "../lib/test.ts";

export const rig: Rig = { kernel: "ublk", array: "scsi_debug", units: 1, paths: 4, unitMib: 64, timeLimitS: 900 };

const DEVICE = "/dev/ublkb0";
const FOLDER = "/mnt/ublk";
/** Only what hangs takes longer: the machine's instructions are translated, on a host that may be busy. */
const MS_MAX = 300_000;

class Server {
  readonly child: ChildProcess;
  readonly ended: Promise<void>;
  said = "";

  constructor(how?: "--resume") {
    const args = ["test/rig/lib/ublk-server.ts", "0", "64", ...(how === undefined ? [] : [how])];
    this.child = spawn("node", args, { stdio: ["ignore", "pipe", "inherit"] });
    this.child.stdout?.on("data", (bytes: Buffer) => void (this.said += bytes.toString()));
    this.ended = new Promise((resolve) => void this.child.once("exit", () => resolve()));
    afterwards(() => void this.child.kill("SIGKILL"));
  }

  async says(text: string): Promise<void> {
    await until(`the server says "${text}"`, () => this.said.includes(text) || undefined, MS_MAX);
  }

  async end(signal: "SIGKILL" | "SIGTERM"): Promise<void> {
    this.child.kill(signal);
    await this.ended;
  }

  async detach(): Promise<void> {
    this.child.kill("SIGUSR2");
    await until("the server has detached", () => this.said.includes("detached") || undefined, MS_MAX);
    assert.ok(!this.said.includes("not detached"), this.said);
    await this.end("SIGTERM");
  }
}

const load = (filename: string, mib: number): Promise<Load> =>
  runFio({
    name: "verified",
    filename,
    rw: "randwrite",
    bsrange: "4k-32k",
    size: `${mib}m`,
    io_size: `${mib}m`,
    direct: 1,
    ioengine: "libaio",
    iodepth: 16,
    verify: "crc32c",
    verify_backlog: 64,
    verify_fatal: 1,
  });

const queue = (name: string): string => readFileSync(`/sys/block/ublkb0/queue/${name}`, "utf8").trim();

/** Writes that the device has completed. */
const written = (): number => Number(readFileSync("/sys/block/ublkb0/stat", "utf8").trim().split(/\s+/)[4]);

test("a unit is a block device with its limits; whatever is written is read back, discarded and zeroed", async () => {
  run("modprobe", "ublk_drv");
  const server = new Server();
  await server.says(`serves ${DEVICE}`);
  assert.deepEqual(
    ["logical_block_size", "physical_block_size", "optimal_io_size", "max_hw_sectors_kb", "write_cache", "fua"].map(
      queue,
    ),
    ["512", "4096", "65536", "1024", "write back", "1"],
  );
  const { status, errors, complaint } = await load(DEVICE, 4);
  assert.deepEqual([status, errors], [0, 0], complaint);
  run("blkdiscard", "-z", "-o", "0", "-l", "1M", DEVICE);
  run("blkdiscard", "-o", "1M", "-l", "1M", DEVICE);
  run("cmp", "-n", "2097152", "/dev/zero", DEVICE);
  await server.detach();
  assert.ok(!existsSync(DEVICE) && !existsSync("/dev/ublkc0"), "nothing is left of the device");
});

test("ext4 under verified load: two of four paths die and return, the server is killed and taken over from, 0 errors", async () => {
  let server = new Server();
  await server.says(`serves ${DEVICE}`);
  run("mkfs.ext4", "-q", "-E", "lazy_itable_init=0,nodiscard", DEVICE);
  run("mkdir", "-p", FOLDER);
  run("mount", DEVICE, FOLDER);
  let isOver = false;
  const before = written();
  const loaded = load(`${FOLDER}/file`, 16).finally(() => (isOver = true));
  await until("the load writes", () => written() > before + 100 || undefined, MS_MAX);
  const devices = new ScsiDebug().devices(0).slice(0, 2);
  const state = (text: "offline" | "running"): void => {
    for (const { pathNumber } of devices) writeText(`/sys/bus/scsi/devices/${pathNumber}/state`, text);
  };
  state("offline");
  const meanwhile = written();
  await until("it writes over the other paths", () => written() > meanwhile + 50 || undefined, MS_MAX);
  state("running");
  assert.equal(isOver, false, "the load goes on");
  await server.end("SIGKILL");
  server = new Server("--resume");
  await server.says(`serves ${DEVICE}`);
  const { status, errors, complaint } = await loaded;
  assert.deepEqual([status, errors], [0, 0], complaint);
  run("umount", FOLDER);
  run("fsck.ext4", "-f", "-n", DEVICE);
  await server.detach();
});

test("a device is taken over once and twice with the I/O that waits for it, and leaves nothing behind", async () => {
  const server = new Server();
  await server.says(`serves ${DEVICE}`);
  await server.end("SIGKILL");
  const read = start("dd", `if=${DEVICE}`, "of=/dev/null", "bs=4k", "count=1", "iflag=direct");
  const next = new Server("--resume");
  await next.says(`serves ${DEVICE}`);
  assert.equal((await read).status, 0, "the request that waited is answered");
  await next.end("SIGKILL");
  const third = new Server("--resume");
  await third.says(`serves ${DEVICE}`);
  await third.detach();
  assert.ok(!existsSync(DEVICE), "nothing is left of the device");
});
