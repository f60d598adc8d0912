// An NBD client in a thread of its own: keeps a number of 4 KiB reads and writes in flight on a socket until told to end.
// It has its own heap, so that what it allocates does not count as the reactor's.

import { Socket } from "node:net";
import { parentPort, workerData } from "node:worker_threads";

const { fd, depth, ios, bytes } = workerData as { fd: number; depth: number; ios: number; bytes: number };
const BLOCK = 4096;
const HEADER = 28;
const REPLY = 16;

const socket = new Socket({ fd });
let sent = 0;
let answered = 0;
let errors = 0;
let expect = REPLY;
let held = 0;
const reads: boolean[] = [];

function request(): void {
  const write = sent % 3 === 0;
  const packet = Buffer.alloc(HEADER + (write ? BLOCK : 0), sent & 0xff);
  packet.writeUInt32BE(0x25609513, 0);
  packet.writeUInt16BE(0, 4);
  packet.writeUInt16BE(write ? 1 : 0, 6);
  packet.writeBigUInt64BE(BigInt(sent), 8);
  packet.writeBigUInt64BE(BigInt(((sent * 7919) % (bytes / BLOCK)) * BLOCK), 16);
  packet.writeUInt32BE(BLOCK, 24);
  reads[sent] = !write;
  sent++;
  socket.write(packet);
}

let header = Buffer.alloc(0);
socket.on("data", (chunk: Buffer) => {
  let at = 0;
  while (at < chunk.length) {
    const step = Math.min(expect - held, chunk.length - at);
    if (header.length < REPLY)
      header = Buffer.concat([header, chunk.subarray(at, at + Math.min(step, REPLY - header.length))]);
    held += step;
    at += step;
    if (held === REPLY && expect === REPLY) {
      const index = Number(header.readBigUInt64BE(8));
      if (header.readUInt32BE(0) !== 0x67446698 || header.readUInt32BE(4) !== 0) errors++;
      else if (reads[index] === true) expect = REPLY + BLOCK;
    }
    if (held < expect) continue;
    held = 0;
    expect = REPLY;
    header = Buffer.alloc(0);
    answered++;
    if (sent < ios) request();
    if (answered === ios) {
      socket.end();
      parentPort?.postMessage({ answered, errors });
    }
  }
});
for (let i = 0; i < depth; i++) request();
