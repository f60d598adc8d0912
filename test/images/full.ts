// The full image in a virtual machine: Node, daemon, commands; upgraded while data is written and verified.

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { median } from "../../bench/report.ts";
import { buildFull } from "../../host/embedding/images/build-images.ts";
import type { FullImage } from "../../host/embedding/images/full.ts";
import { until } from "../until.ts";
import { Machine, emptyDisk, type Disk } from "./machine.ts";

/** Budget of docs/embedding.md: root and initial file system, compressed. */
const IMAGE_BYTES_MAX = 45e6;
const MEGABYTES = 768;
const NAA = "5000c50015ea71ae";
/** The goal of a start is twice Node's own and this; what is asserted has room. */
const START_MS = 400;
const START_ROOM = 2;
const ROUNDS = 5;
/** What the image allows the daemon's start: here every instruction is translated, on a machine that may be busy. */
const START_S = 900;
/** Of /proc/PID/stat. */
const TICK_MS = 10;

function must(command: string, args: readonly string[]): void {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: "utf8" });
  assert.equal(status, 0, `${command} ${args.join(" ")}: ${stdout}${stderr}`);
}

/** What `upgrade` is given for an image that is a disk of the machine. */
function argumentsFor(file: string): string {
  const bytes = readFileSync(file);
  return `${bytes.length} ${createHash("sha256").update(bytes).digest("hex")}`;
}

/** The same image with one file more. */
function nextImage(image: FullImage, scratch: string): string {
  const file = join(scratch, "next.squashfs");
  const mark = join(scratch, "next-version");
  writeFileSync(mark, "next\n");
  cpSync(image.root, file);
  must("mksquashfs", [mark, file, "-quiet", "-no-progress", "-all-root"]);
  return file;
}

/** An image without anything to run. */
function hollowImage(scratch: string): string {
  const file = join(scratch, "hollow.squashfs");
  const folder = join(scratch, "hollow");
  for (const name of ["dev", "proc", "sys", "run", "state", "tmp"]) mkdirSync(join(folder, name), { recursive: true });
  must("mksquashfs", [folder, file, "-noappend", "-quiet", "-no-progress", "-all-root"]);
  return file;
}

function loadProgram(scratch: string): string {
  const file = join(scratch, "load");
  const source = join(import.meta.dirname, "load.c");
  must("musl-gcc", ["-std=c11", "-Wall", "-Wextra", "-Werror", "-O2", "-static", "-s", "-o", file, source]);
  return file;
}

async function upgradeTwice(machine: Machine, hollow: string, next: string): Promise<string> {
  await machine.says(/keeper: ready after \d+ ms/);
  await machine.does("! touch /etc/anything && mount | grep ' / type squashfs (ro,'");
  await machine.does("pathctl attach 0 /dev/nbd0");
  await machine.does("cat /dev/vdd > /run/load && chmod +x /run/load");
  await machine.does("/run/load /dev/nbd0 /run/stop > /run/load.out 2>&1 & sleep 2");
  await machine.does(`! upgrade /dev/vdc ${argumentsFor(next).replace(/.$/, "x")} && test ! -e /state/slot.try`);
  const refused = await machine.does(`! READY_S=5 upgrade /dev/vdb ${argumentsFor(hollow)}`);
  assert.match(refused, /the new daemon did not get ready; the old one serves again/);
  await machine.does("test ! -e /state/slot && test ! -e /state/slot.try && test $(cat /run/root) = /");
  const said = await machine.does(`upgrade /dev/vdc ${argumentsFor(next)}`);
  assert.match(said, /upgrade: slot b serves/);
  await machine.does("test -e $(cat /run/root)/next-version && sleep 2 && touch /run/stop && sleep 3");
  const load = await machine.does("cat /run/load.out");
  const outcome = /load: (\d+) I\/Os, 0 wrong or failed, longest (\d+) ms/.exec(load);
  assert.ok(Number(outcome?.[1]) > 0, load);
  return `${outcome?.[1]} I/Os, longest ${outcome?.[2]} ms`;
}

async function answers(socket: string): Promise<boolean> {
  const end = connect(socket);
  try {
    await once(end, "connect");
    return true;
  } catch {
    return false;
  } finally {
    end.destroy();
  }
}

interface Start {
  readonly wallMs: number;
  /** Of all processes together. */
  readonly processorMs: number;
}

function processorMs(pid: number): number {
  const [, after = ""] = /\) (.*)/.exec(readFileSync(`/proc/${pid}/stat`, "utf8")) ?? [];
  const [user, system] = after.split(" ").slice(11, 13).map(Number);
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ");
  const below = children.filter((child) => child !== "").map((child) => processorMs(Number(child)));
  return ((user ?? 0) + (system ?? 0)) * TICK_MS + below.reduce((all, one) => all + one, 0);
}

/** The daemon of the image on this machine, from its start until its socket takes a connection. */
async function startOf(node: string, stage: string, folder: string): Promise<Start> {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const config = join(folder, "pathmanager.toml");
  const socket = join(folder, "api.sock");
  const sockets = `[sockets]\napi = "${socket}"\nnbd = "${folder}/nbd.sock"\n`;
  const places = `[state]\ndirectory = "${folder}"\n[log]\nfile = "${folder}/spsevent.log"\nsystem = false\n`;
  writeFileSync(config, `emulated = true\n${sockets}${places}`);
  const options = ["--optimize-for-size", "--max-semi-space-size=4", "--max-old-space-size=1024"];
  const program = join(stage, "opt", "pathmanager", "host", "cli", "bin", "pathmanagerd.js");
  const env = { ...process.env, NODE_COMPILE_CACHE: join(folder, "cache") };
  const begin = performance.now();
  const child = spawn(node, [...options, program, "--config", config, "--log-level", "error"], {
    stdio: "ignore",
    env,
  });
  await until("the daemon's socket", () => answers(socket));
  const start = { wallMs: performance.now() - begin, processorMs: processorMs(child.pid ?? 0) };
  const exit = once(child, "exit");
  child.kill("SIGTERM");
  await exit;
  return start;
}

function startAlone(node: string): Start {
  const begin = performance.now();
  const { stdout } = spawnSync(node, ["-e", "console.log(JSON.stringify(process.cpuUsage()))"], { encoding: "utf8" });
  const { user, system } = JSON.parse(stdout) as NodeJS.CpuUsage;
  return { wallMs: performance.now() - begin, processorMs: (user + system) / 1000 };
}

export function fullTests(scratch: string): Record<string, () => Promise<void>> {
  let made: FullImage | undefined;
  const image = (): FullImage => (made ??= buildFull());
  return {
    "full: is small": async () => {
      const [rootBytes, initialBytes] = [image().root, image().initial].map((file) => statSync(file).size);
      console.log(`# root ${rootBytes} bytes, initial file system ${initialBytes} bytes`);
      assert.ok((rootBytes ?? 0) + (initialBytes ?? 0) <= IMAGE_BYTES_MAX);
    },

    "full: starts about as fast as Node alone": async () => {
      const node = join(image().stage, "usr", "bin", "node");
      const folder = join(scratch, "start");
      const [alone, daemon]: [Start[], Start[]] = [[], []];
      // The first start fills the cache of compiled code, as the first start of a machine does.
      await startOf(node, image().stage, folder);
      for (let round = 0; round < ROUNDS; round++) {
        alone.push(startAlone(node));
        daemon.push(await startOf(node, image().stage, folder));
      }
      const of = (starts: readonly Start[], which: keyof Start): number => median(starts.map((one) => one[which]));
      for (const which of ["wallMs", "processorMs"] as const) {
        const budget = 2 * of(alone, which) + START_MS;
        const took = `${of(daemon, which).toFixed()} ms to the socket, budget ${budget.toFixed()} ms`;
        console.log(`# ${which}: node alone ${of(alone, which).toFixed()} ms, ${took}`);
      }
      // The time of the processor does not depend on what else the machine does.
      const budget = 2 * of(alone, "processorMs") + START_MS;
      assert.ok(of(daemon, "processorMs") <= START_ROOM * budget);
    },

    "full: an upgrade fails no request, a bad one is undone, the watchdog and the next start are the new image's":
      async () => {
        const file = join(scratch, "full.disk");
        must("cp", ["--sparse=always", image().disk, file]);
        const [hollow, next] = [hollowImage(scratch), nextImage(image(), scratch)];
        const disk = emptyDisk(scratch, "unit.disk", 64 << 20);
        const disks: Disk[] = [0, 1].map(() => ({ file: disk, naa: NAA }));
        const own = [file, hollow, next, loadProgram(scratch)];
        const start = (): Machine =>
          new Machine({ ...image(), megabytes: MEGABYTES, words: [`PATHMANAGER_START_S=${START_S}`], disks, own });
        const machine = start();
        try {
          console.log(`# under an upgrade: ${await upgradeTwice(machine, hollow, next)}`);
          void machine.does("kill -STOP $(cat /run/keeper.pid)").catch(() => undefined);
          assert.match(await machine.ends(), /Initiating system reboot/);
        } finally {
          machine.stop();
        }
        const again = start();
        try {
          await again.says(/^first: slot b$/m);
          const ready = await again.says(/keeper: ready after (\d+) ms/);
          console.log(`# ready ${ready[1]} ms after the daemon's start in QEMU`);
          await again.does("test -e /next-version && ! test -e /state/slot.try");
          // Devices are attached again a moment after the daemon is ready.
          const seen = "pathctl show | grep -q '2 of 2 paths usable' && test $(cat /sys/block/nbd0/size) -gt 0";
          await again.does(`until ${seen}; do sleep 1; done`);
        } finally {
          again.stop();
        }
      },
  };
}
