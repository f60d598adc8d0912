// A virtual machine that starts an image: QEMU with its own translator (no KVM is needed), a serial console, SCSI disks.

import { spawn, type ChildProcess } from "node:child_process";
import { closeSync, ftruncateSync, openSync } from "node:fs";
import { join } from "node:path";
import { until } from "../until.ts";

/** A SCSI disk as the machine sees it. Disks with the same file and name are paths to one logical unit. */
export interface Disk {
  readonly file: string;
  /** NAA identity; also the serial number. */
  readonly naa: string;
}

export interface MachineOptions {
  readonly kernel: string;
  readonly initial: string;
  readonly megabytes: number;
  /** Words of the kernel's command line. */
  readonly words: readonly string[];
  readonly disks: readonly Disk[];
  /** Files that are disks of the machine's own: vda, vdb, ... */
  readonly own?: readonly string[];
}

/** Only what hangs takes longer, however busy the machine is. */
const END_MS_MAX = 1_000_000;
// The processor is of the second level of x86-64, which Debian's and Node's programs and WebAssembly's SIMD may use.
const PROCESSOR = ["-accel", "tcg,thread=single", "-cpu", "Nehalem"];
// The end of a machine, for whatever reason, is the end of the process.
const BARE = ["-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio", "-no-reboot"];

function disk({ file, naa }: Disk, index: number): string[] {
  const drive = `file=${file},if=none,id=d${index},format=raw,file.locking=off`;
  const device = `scsi-hd,bus=s.0,channel=0,scsi-id=${index},drive=d${index},share-rw=on,wwn=0x${naa},serial=${naa}`;
  return ["-drive", drive, "-device", device];
}

/** @returns the file of a disk full of zeroes */
export function emptyDisk(folder: string, name: string, bytes: number): string {
  const file = join(folder, name);
  const descriptor = openSync(file, "w");
  ftruncateSync(descriptor, bytes);
  closeSync(descriptor);
  return file;
}

function own(file: string, index: number): string[] {
  const drive = `file=${file},if=none,id=o${index},format=raw,file.locking=off`;
  return ["-drive", drive, "-device", `virtio-blk-pci,drive=o${index}`];
}

export class Machine {
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;
  #hasEnded = false;
  #commands = 0;
  console = "";

  constructor({ kernel, initial, megabytes, words, disks, own: files = [] }: MachineOptions) {
    // On a busy machine the timer does not tick when the kernel looks whether it does.
    const command = ["console=ttyS0", "quiet", "panic=-1", "no_timer_check", ...words].join(" ");
    const boot = ["-kernel", kernel, "-initrd", initial, "-append", command, "-m", String(megabytes)];
    const devices = [
      "-device",
      "virtio-scsi-pci,id=s",
      "-device",
      "virtio-rng-pci",
      ...disks.flatMap(disk),
      ...files.flatMap(own),
    ];
    const args = [...PROCESSOR, ...BARE, ...boot, ...devices];
    this.#child = spawn("qemu-system-x86_64", args, { stdio: ["pipe", "pipe", "pipe"] });
    const hear = (bytes: Buffer): void => void (this.console += bytes.toString("latin1").replaceAll("\r", ""));
    this.#child.stdout?.on("data", hear);
    this.#child.stderr?.on("data", hear);
    this.#ended = new Promise((resolve) => {
      const end = (): void => {
        this.#hasEnded = true;
        resolve();
      };
      this.#child.on("error", (error) => {
        this.console += error.message;
        end();
      });
      this.#child.on("close", end);
    });
  }

  /** Waits until the console shows it. */
  async says(pattern: RegExp): Promise<RegExpExecArray> {
    const look = (): RegExpExecArray | null => {
      const found = pattern.exec(this.console);
      if (found === null && this.#hasEnded)
        throw new Error(`the machine ended before it said ${pattern}:\n${this.console}`);
      return found;
    };
    return await until(`the machine says ${pattern}`, look, END_MS_MAX).catch((error: unknown) => {
      throw new Error(`${error instanceof Error ? error.message : String(error)}\n${this.console}`);
    });
  }

  /** Gives a line to the shell on the console, and waits for its end. @returns what it said; throws when its status is not 0 */
  async does(command: string): Promise<string> {
    const mark = `command ${++this.#commands} ended`;
    const begin = this.console.length;
    // The shell's echo of the line has quotes within the mark, its answer has none.
    this.#child.stdin?.write(`${command}; echo command "${this.#commands}" ended with $?\n`);
    const found = await this.says(new RegExp(`^${mark} with (\\d+)$`, "m"));
    const said = this.console.slice(begin, found.index);
    if (found[1] !== "0") throw new Error(`${command} ended with status ${found[1]}:\n${said}`);
    return said;
  }

  /** Waits until the machine is off. @returns what it said */
  async ends(): Promise<string> {
    const timer = setTimeout(() => {
      this.console += `\n(killed: it did not end within ${END_MS_MAX / 1000} s)\n`;
      this.stop();
    }, END_MS_MAX);
    await this.#ended;
    clearTimeout(timer);
    return this.console;
  }

  stop(): void {
    this.#child.kill("SIGKILL");
  }
}
