// A SCSI disk in memory for the tests: carries out what the core sends, as SBC-3 says.

import type { Host } from "./harness.ts";
import { check } from "./scsi.ts";
import type { Answer, Scsi } from "./scsi.ts";

export class Disk {
  readonly media: Buffer;
  readonly blockBytes: number;
  readonly identity: readonly number[];
  flushes = 0;

  constructor(bytes: number, blockBytes = 512, identity: readonly number[] = []) {
    this.media = Buffer.alloc(bytes);
    this.blockBytes = blockBytes;
    this.identity = identity;
  }

  /** Carries one command out. */
  execute(host: Host, command: Scsi): Answer {
    const cdb = command.cdb;
    switch (cdb[0]) {
      case 0x00:
        return {};
      case 0x12:
        return this.#inquiry(host, command);
      case 0x88:
      case 0x8a:
      case 0x93:
        return this.#blocks(host, command, Number(cdb.readBigUInt64BE(2)), cdb.readUInt32BE(10));
      case 0x91:
        this.flushes++;
        return {};
      case 0x42:
        return this.#unmap(host, command);
      default:
        return check(5, 0x20, 0);
    }
  }

  #blocks(host: Host, command: Scsi, lba: number, blocks: number): Answer {
    const start = lba * this.blockBytes;
    const bytes = blocks * this.blockBytes;
    if (start + bytes > this.media.length) return check(5, 0x21, 0);
    const memory = host.bytes(command.buffer, command.bytes);
    if (command.cdb[0] === 0x93) {
      for (let i = 0; i < blocks; i++) memory.copy(this.media, start + i * this.blockBytes, 0, this.blockBytes);
      return {};
    }
    if (bytes !== command.bytes) throw new Error(`CDB says ${bytes} bytes, the slot ${command.bytes}`);
    if (command.cdb[0] === 0x88) this.media.copy(memory, 0, start, start + bytes);
    else memory.copy(this.media, start);
    return {};
  }

  #unmap(host: Host, command: Scsi): Answer {
    const list = host.bytes(command.buffer, command.bytes);
    const start = Number(list.readBigUInt64BE(8)) * this.blockBytes;
    this.media.fill(0, start, start + list.readUInt32BE(16) * this.blockBytes);
    return {};
  }

  #inquiry(host: Host, command: Scsi): Answer {
    if (command.cdb[2] !== 0x83) return check(5, 0x24, 0);
    const designator = this.identity.slice(2);
    const page = [
      0,
      0x83,
      0,
      4 + designator.length,
      this.identity[1] ?? 1,
      this.identity[0] ?? 3,
      0,
      designator.length,
    ];
    const all = Buffer.from([...page, ...designator]);
    const length = Math.min(all.length, command.bytes);
    all.copy(host.bytes(command.buffer, command.bytes), 0, 0, length);
    return { residual: command.bytes - length };
  }
}
