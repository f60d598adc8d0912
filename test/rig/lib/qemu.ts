// The real QEMU with a SCSI device handed to its guest (scsi-block, scsi-generic). No guest runs: QEMU's qtest protocol moves the words
// that a guest's driver would write to a virtio SCSI adapter (virtio 1.x, the legacy interface), so commands go the way a guest's do.

import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createInterface, type Interface } from "node:readline";
import { until } from "../../until.ts";

/** What the adapter answers to a command. */
export interface ScsiAnswer {
  /** Of the adapter; 0: the command reached the device. */
  readonly response: number;
  readonly status: number;
  readonly sense: Buffer;
  readonly data: Buffer;
}

// The adapter's place: slot 4 of the first PCI bus, its registers at a port of our choice.
const CONFIG_ADDRESS = 0xcf8;
const CONFIG_DATA = 0xcfc;
const SLOT = 0x8000_0000 + (4 << 11);
const PORT = 0xc000;
const REGISTER = { features: 4, page: 8, size: 12, select: 14, notify: 16, status: 18 };
/** After the control and the event queue. */
const REQUESTS = 2;
// The guest's memory.
const PAGE = 4096;
const RING = 0x10_0000;
const [HEAD, OUT, ANSWER, IN] = [0x11_0000, 0x11_1000, 0x11_4000, 0x11_5000];
const [HEAD_BYTES, ANSWER_BYTES, IN_BYTES] = [51, 108, 8192];
const [NEXT, WRITE] = [1, 2];

export class QemuGuest {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly #reader: Interface;
  #complaint = "";
  /** Of the queue. */
  #size = 0;
  #sent = 0;

  private constructor(child: ChildProcess) {
    const { stdout, stderr } = child;
    if (stdout === null || stderr === null) throw new Error("QEMU has no output");
    this.#child = child;
    stderr.on("data", (text: Buffer) => (this.#complaint += text.toString()));
    this.#reader = createInterface(stdout);
    this.#lines = this.#reader[Symbol.asyncIterator]();
  }

  /**
   * @param device /dev/sdX for scsi-block, /dev/sgN for scsi-generic
   * @param helper the socket that persistent reservations go to
   */
  static async start(kind: "scsi-block" | "scsi-generic", device: string, helper: string): Promise<QemuGuest> {
    const child = spawn(
      "qemu-system-x86_64",
      [
        "-machine",
        "pc",
        // Its processor stands still.
        "-accel",
        "tcg",
        "-S",
        "-m",
        "16",
        "-display",
        "none",
        "-nodefaults",
        "-qtest",
        "stdio",
        "-object",
        `pr-manager-helper,id=pr0,path=${helper}`,
        "-blockdev",
        `driver=host_device,node-name=disk,filename=${device},pr-manager=pr0`,
        "-device",
        "virtio-scsi-pci,id=bus,addr=4,disable-modern=on",
        "-device",
        `${kind},drive=disk,bus=bus.0`,
      ],
      { stdio: ["pipe", "pipe", "pipe"] },
    );
    const guest = new QemuGuest(child);
    await guest.#prepare();
    return guest;
  }

  async #ask(line: string): Promise<string> {
    this.#child.stdin?.write(`${line}\n`);
    const { value, done } = await this.#lines.next();
    if (done === true) throw new Error(`QEMU has ended: ${this.#complaint}`);
    const answer = value as string;
    if (!answer.startsWith("OK")) throw new Error(`QEMU answers ${answer} to ${line}`);
    return answer.slice(3);
  }

  async #write(address: number, bytes: Uint8Array): Promise<void> {
    await this.#ask(`write ${address} ${bytes.length} 0x${Buffer.from(bytes).toString("hex")}`);
  }

  async #read(address: number, length: number): Promise<Buffer> {
    return Buffer.from((await this.#ask(`read ${address} ${length}`)).replace(/^0x/, ""), "hex");
  }

  async #prepare(): Promise<void> {
    const configure = async (register: number, value: number): Promise<void> => {
      await this.#ask(`outl ${CONFIG_ADDRESS} ${SLOT + register}`);
      await this.#ask(`outl ${CONFIG_DATA} ${value}`);
    };
    await configure(0x10, PORT);
    // Ports, memory, and that it may read and write the guest's memory.
    await configure(4, 7);
    for (const status of [1, 3]) await this.#ask(`outb ${PORT + REGISTER.status} ${status}`);
    await this.#ask(`outl ${PORT + REGISTER.features} 0`);
    await this.#ask(`outw ${PORT + REGISTER.select} ${REQUESTS}`);
    this.#size = Number(await this.#ask(`inw ${PORT + REGISTER.size}`));
    await this.#ask(`outl ${PORT + REGISTER.page} ${RING / PAGE}`);
    await this.#ask(`outb ${PORT + REGISTER.status} 7`);
  }

  get #available(): number {
    return RING + 16 * this.#size;
  }

  get #used(): number {
    return Math.ceil((this.#available + 6 + 2 * this.#size) / PAGE) * PAGE;
  }

  /** Sends a command to the guest's disk. @param list what goes to the device, if anything does */
  async command(cdb: readonly number[], list: Uint8Array = new Uint8Array(0)): Promise<ScsiAnswer> {
    const head = Buffer.alloc(HEAD_BYTES);
    // The first unit of the first target.
    head.set([1, 0, 0x40, 0]);
    head.set(cdb, 19);
    await this.#write(HEAD, head);
    await this.#write(ANSWER, new Uint8Array(ANSWER_BYTES));
    await this.#write(IN, new Uint8Array(IN_BYTES));
    const parts = [[HEAD, HEAD_BYTES, 0]];
    if (list.length > 0) {
      await this.#write(OUT, list);
      parts.push([OUT, list.length, 0]);
    }
    parts.push([ANSWER, ANSWER_BYTES, WRITE]);
    if (list.length === 0) parts.push([IN, IN_BYTES, WRITE]);
    for (const [index, [address = 0, length = 0, flags = 0]] of parts.entries()) {
      const descriptor = Buffer.alloc(16);
      descriptor.writeBigUInt64LE(BigInt(address));
      descriptor.writeUInt32LE(length, 8);
      descriptor.writeUInt16LE(flags | (index + 1 < parts.length ? NEXT : 0), 12);
      descriptor.writeUInt16LE(index + 1, 14);
      await this.#write(RING + 16 * index, descriptor);
    }
    const entry = Buffer.alloc(2);
    await this.#write(this.#available + 4 + 2 * (this.#sent % this.#size), entry);
    this.#sent++;
    entry.writeUInt16LE(this.#sent & 0xffff);
    await this.#write(this.#available + 2, entry);
    await this.#ask(`outw ${PORT + REGISTER.notify} ${REQUESTS}`);
    await until(
      `QEMU answers command ${(cdb[0] ?? 0).toString(16)}`,
      async () => (await this.#read(this.#used + 2, 2)).readUInt16LE() === (this.#sent & 0xffff),
    );
    const answer = await this.#read(ANSWER, ANSWER_BYTES);
    const data = await this.#read(IN, IN_BYTES);
    return {
      response: answer.readUInt8(11),
      status: answer.readUInt8(10),
      sense: answer.subarray(12, 12 + Math.min(96, answer.readUInt32LE(0))),
      data: data.subarray(0, list.length > 0 ? 0 : IN_BYTES - answer.readUInt32LE(4)),
    };
  }

  async stop(): Promise<void> {
    const gone = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await gone;
    this.#reader.close();
  }
}
