// Starts the two kinds of guest: user-mode-linux, and a virtual machine for what user-mode-linux does not have (ublk).

import { spawn, type ChildProcess } from "node:child_process";
import { closeSync, openSync, statfsSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { ensureWrapper } from "./kernel.ts";
import { findProgram } from "./packages.ts";
import type { UblkKernel } from "./ublk-kernel.ts";

/** A guest that boots: all its processes are in the process group of `child`. */
export interface Guest {
  readonly child: ChildProcess;
  /** What the guest writes to ttyS1 and ttyS2. */
  readonly out: Readable;
  readonly err: Readable;
}

export interface Boot {
  readonly project: string;
  /** The run's own folder, which the guest sees, too. */
  readonly run: string;
  readonly memoryMib: number;
}

// A session of its own: Ctrl-C reaches only the caller, and one kill reaches every process of the guest.
const APART = { detached: true } as const;

/** The guest's memory is a file; /dev/shm is the fastest place for it, but small in many containers. */
function memoryFolder(bytes: number, otherwise: string): string {
  try {
    const { bavail, bsize } = statfsSync("/dev/shm");
    return bavail * bsize > bytes ? "/dev/shm" : otherwise;
  } catch {
    return otherwise;
  }
}

const init = (project: string): string => `init=${join(project, "test", "rig", "init.sh")}`;

/** @returns a guest on the host's tree by way of hostfs */
export function bootUserMode({ project, run, memoryMib }: Boot): Guest {
  const log = openSync(join(run, "kernel.log"), "w");
  const program = findProgram("linux.uml") ?? "linux.uml";
  const words = [`mem=${memoryMib}M`, "rootfstype=hostfs", "ro", init(project), `rig_run=${run}`, `uml_dir=${run}`];
  const lines = ["con=null", "con0=null,fd:1", "ssl1=null,fd:3", "ssl2=null,fd:4"];
  const child = spawn(program, [...words, "umid=guest", ...lines, "panic=-1", "quiet"], {
    ...APART,
    cwd: run,
    stdio: ["ignore", log, log, "pipe", "pipe"],
    env: {
      PATH: process.env["PATH"] ?? "/usr/sbin:/usr/bin:/sbin:/bin",
      HOME: run,
      LD_PRELOAD: ensureWrapper(project),
      TMPDIR: memoryFolder(memoryMib * 2 ** 20, run),
    },
  });
  closeSync(log);
  const [, , , out, err] = child.stdio;
  return { child, out: out as Readable, err: err as Readable };
}

/** Waits for the one connection to a socket of this path. */
async function line(path: string): Promise<{ readonly connected: Promise<Socket>; close(): void }> {
  const { promise, resolve } = Promise.withResolvers<Socket>();
  const server = createServer(resolve);
  await new Promise<void>((listening, reject) => server.once("error", reject).listen(path, listening));
  return { connected: promise, close: () => void server.close() };
}

const FILES = "files.sock";
/** Both end with the shell's process group; the file server also ends by itself when the machine has. */
const VIRTUAL = `
"$1" --socket-path="$2" -o source=/ -o cache=always -o sandbox=chroot -f &
shift 2
for try in $(seq 200); do [ -S ${FILES} ] && break; sleep 0.05; done
exec "$@"
`;

function machineArguments({ project, run, memoryMib }: Boot, kernel: UblkKernel): string[] {
  const memory = `memory-backend-memfd,id=memory,size=${memoryMib}M,share=on`;
  // On a busy machine the timer does not tick when the kernel looks whether it does. Nobody attacks this guest, and what a
  // kernel does against attacks costs a translated processor a third of its speed.
  const command = ["console=ttyS0", "quiet", "panic=-1", "no_timer_check", "mitigations=off", "nokaslr"];
  command.push("rootfstype=virtiofs", "root=tree", "ro", init(project), `rig_run=${run}`);
  const serial = (name: string): string[] => ["-serial", `unix:${join(run, name)}`];
  // Its clock counts instructions, 4 ns each, while it has something to do: however busy the host is, no time limit in the guest ends
  // early, and what an I/O costs can be compared.
  const processor = ["-accel", "tcg,thread=single", "-icount", "shift=2", "-cpu", "Nehalem"];
  // The end of a machine, for whatever reason, is the end of the process.
  const bare = ["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"];
  const room = ["-m", String(memoryMib), "-object", memory, "-numa", "node,memdev=memory"];
  const files = ["-chardev", `socket,id=files,path=${join(run, FILES)}`];
  const tree = ["-device", "vhost-user-fs-pci,chardev=files,tag=tree"];
  const lines = ["-serial", `file:${join(run, "kernel.log")}`, ...serial("out.sock"), ...serial("err.sock")];
  const boot = ["-kernel", kernel.image, "-append", command.join(" ")];
  return [...processor, ...bare, ...room, ...files, ...tree, ...lines, ...boot];
}

/** @returns a guest on the host's tree by way of virtiofs, once it has begun */
export async function bootVirtual(boot: Boot, kernel: UblkKernel): Promise<Guest> {
  const { run } = boot;
  const [out, err] = [await line(join(run, "out.sock")), await line(join(run, "err.sock"))];
  const log = openSync(join(run, "machine.log"), "w");
  const machine = [findProgram("qemu-system-x86_64") ?? "qemu-system-x86_64", ...machineArguments(boot, kernel)];
  const args = ["-c", VIRTUAL, "rig", kernel.fileServer, join(run, FILES), ...machine];
  const child = spawn("sh", args, { ...APART, cwd: run, stdio: ["ignore", log, log] });
  closeSync(log);
  const ended = new Promise<never>((_, reject) => {
    child.once("error", reject).once("exit", () => reject(new Error("rig: the virtual machine ended at its start")));
  });
  try {
    const [outLine, errLine] = await Promise.race([Promise.all([out.connected, err.connected]), ended]);
    return { child, out: outLine, err: errLine };
  } finally {
    out.close();
    err.close();
    ended.catch(() => undefined);
  }
}
