// A virtual machine that starts an image: QEMU with its own translator (no KVM is needed), a serial console, SCSI disks.

import { spawn, type ChildProcess } from "node:child_process";
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
}

/** Only what hangs takes longer, however busy the machine is. */
const END_MS_MAX = 300_000;
// The processor has what V8 needs for WebAssembly's SIMD.
const PROCESSOR = ["-accel", "tcg,thread=single", "-cpu", "qemu64,+ssse3,+sse4.1,+sse4.2"];
// The end of a machine, for whatever reason, is the end of the process.
const BARE = ["-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio", "-no-reboot"];

function disk({ file, naa }: Disk, index: number): string[] {
  const drive = `file=${file},if=none,id=d${index},format=raw,file.locking=off`;
  const device = `scsi-hd,bus=s.0,channel=0,scsi-id=${index},drive=d${index},share-rw=on,wwn=0x${naa},serial=${naa}`;
  return ["-drive", drive, "-device", device];
}

export class Machine {
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;
  #hasEnded = false;
  console = "";

  constructor({ kernel, initial, megabytes, words, disks }: MachineOptions) {
    const command = ["console=ttyS0", "quiet", "panic=-1", ...words].join(" ");
    const boot = ["-kernel", kernel, "-initrd", initial, "-append", command, "-m", String(megabytes)];
    const devices = ["-device", "virtio-scsi-pci,id=s", "-device", "virtio-rng-pci", ...disks.flatMap(disk)];
    const args = [...PROCESSOR, ...BARE, ...boot, ...devices];
    this.#child = spawn("qemu-system-x86_64", args, { stdio: ["ignore", "pipe", "pipe"] });
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
