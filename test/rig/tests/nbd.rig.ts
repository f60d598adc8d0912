// The kernel's nbd driver, attached by the native helpers to a server of a few lines.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { Socket } from "node:net";
import { setTimeout } from "node:timers/promises";
import { promisify } from "node:util";
import {
  closeDescriptor,
  nbdAttach,
  nbdDetach,
  nbdReconfigure,
  nbdStatus,
  socketPair,
} from "../../../host/native/index.ts";
import { KernelAttachments } from "../../../host/export/attach.ts";
import { until } from "../../until.ts";
import { run } from "../lib/command.ts";
import { readText } from "../lib/files.ts";
import { afterwards, test, type Rig } from "../lib/test.ts";

export const rig: Rig = { array: "none", timeLimitS: 60, isEssential: true };

const REQUEST_BYTES = 28;
const SIZE = 1 << 20;
const CAN_MULTI_CONN = 0x100;

interface Served {
  reads: number;
}

/** Serves reads of a pattern (each byte is the low byte of its sector's number) on one end of a socket pair. */
function serve(served: Served): { readonly kernel: number; readonly server: Socket } {
  const [kernel, mine] = socketPair("stream");
  return { kernel, server: serveOn(mine, served) };
}

function serveOn(descriptor: number, served: Served): Socket {
  const socket = new Socket({ fd: descriptor });
  let received = Buffer.alloc(0);
  socket.on("data", (bytes) => {
    received = Buffer.concat([received, bytes]);
    for (; received.length >= REQUEST_BYTES; received = received.subarray(REQUEST_BYTES)) {
      if (received.readUInt16BE(6) !== 0) continue;
      const offset = Number(received.readBigUInt64BE(16));
      const data = Buffer.alloc(received.readUInt32BE(24));
      for (let at = 0; at < data.length; at++) data[at] = ((offset + at) / 512) & 0xff;
      const reply = Buffer.alloc(16);
      reply.writeUInt32BE(0x67446698, 0);
      received.copy(reply, 8, 8, 16);
      socket.write(Buffer.concat([reply, data]));
      served.reads++;
    }
  });
  socket.on("error", () => {});
  return socket;
}

const execute = promisify(execFile);

test("a device is attached, read, grows, is listed and detached", async () => {
  run("modprobe", "nbd");
  const served = { reads: 0 };
  const sockets = [serve(served).kernel, serve(served).kernel];
  const index = await nbdAttach({
    index: -1,
    sockets,
    sizeBytes: SIZE,
    blockBytes: 4096,
    serverFlags: 1 | CAN_MULTI_CONN,
    timeoutSeconds: 30,
    deadConnectionTimeoutSeconds: 5,
    identifier: "unit 0",
  });
  afterwards(() => nbdDetach(index));
  for (const fd of sockets) closeDescriptor(fd);
  const folder = `/sys/block/nbd${index}`;
  assert.equal(readText(`${folder}/size`), String(SIZE / 512));
  assert.equal(readText(`${folder}/queue/logical_block_size`), "4096");
  const { stdout } = await execute("dd", [`if=/dev/nbd${index}`, "bs=4096", "skip=10", "count=1", "status=none"], {
    encoding: "buffer",
  });
  assert.deepEqual([stdout.length, stdout[0], stdout[4095]], [4096, 80, 87]);
  assert.ok(served.reads > 0);
  assert.deepEqual(await nbdStatus(index), [{ index, connected: true }]);
  await assert.rejects(
    nbdAttach({ index, sockets: [0], sizeBytes: SIZE, blockBytes: 512, serverFlags: 1 }),
    /nbd\d+: .*busy/,
  );
  await nbdReconfigure(index, { sizeBytes: 2 * SIZE, identifier: "unit 0" });
  assert.equal(readText(`${folder}/size`), String((2 * SIZE) / 512));
  await assert.rejects(nbdReconfigure(index, { sizeBytes: SIZE, identifier: "unit 1" }), /identifier/);
  await nbdDetach(index);
  assert.ok((await nbdStatus()).some((device) => device.index === index && !device.connected));
  await assert.rejects(nbdDetach(9999), /nbd9999/);
});

test("a connection that died is replaced while a reader waits", async () => {
  const served = { reads: 0 };
  const first = serve(served);
  const index = await nbdAttach({
    index: -1,
    sockets: [first.kernel],
    sizeBytes: SIZE,
    blockBytes: 512,
    serverFlags: 1,
    deadConnectionTimeoutSeconds: 30,
  });
  afterwards(() => nbdDetach(index));
  closeDescriptor(first.kernel);
  first.server.destroy();
  const before = served.reads;
  const reading = execute("dd", [`if=/dev/nbd${index}`, "bs=512", "skip=3", "count=1", "status=none", "iflag=direct"], {
    encoding: "buffer",
  });
  await setTimeout(200);
  assert.equal(served.reads, before, "nobody serves the reader");
  const second = serve(served);
  await nbdReconfigure(index, { sockets: [second.kernel] });
  closeDescriptor(second.kernel);
  const { stdout } = await reading;
  assert.deepEqual([stdout.length, stdout[0]], [512, 3]);
});

/** A daemon's attachments, with a server of a few lines in the place of the reactor. */
function attachments(servers: Map<number, Socket>): KernelAttachments {
  const served = { reads: 0 };
  return new KernelAttachments(
    (descriptor) => {
      const handle = servers.size;
      servers.set(handle, serveOn(descriptor, served));
      return Promise.resolve(handle);
    },
    (problem) => assert.fail(problem),
  );
}

const UNIT = { unit: 0, number: 0, identity: "unit 0", bytes: BigInt(SIZE), blockBytes: 512, capabilities: 0 };

function read(index: number): Promise<{ stdout: Buffer }> {
  const from = [`if=/dev/nbd${index}`, "bs=512", "skip=3", "count=1", "status=none", "iflag=direct"];
  return execute("dd", from, { encoding: "buffer" });
}

test("a device of a daemon that lives gets another connection for each it has lost", async () => {
  const servers = new Map<number, Socket>();
  const kernel = attachments(servers);
  const { index } = await kernel.attach(UNIT, { connections: 2 });
  afterwards(() => nbdDetach(index));
  for (const lost of [[0], [1, 2]]) {
    const expected = servers.size + lost.length;
    for (const handle of lost) servers.get(handle)?.destroy();
    for (const handle of lost) kernel.connectionClosed(handle);
    assert.equal((await read(index)).stdout[0], 3);
    // A connection that is left may serve the read before the other one is replaced.
    await until("each was replaced", () => servers.size === expected);
  }
  await kernel.detach(index);
  for (const handle of servers.keys()) kernel.connectionClosed(handle);
  await setTimeout(200);
  assert.equal(servers.size, 5, "what was detached gets no connection");
});

test("a device that is taken over gets the size that its unit has now, and one in service follows its unit", async () => {
  const servers = new Map<number, Socket>();
  const { index } = await attachments(servers).attach(UNIT);
  afterwards(() => nbdDetach(index));
  servers.get(0)?.destroy();
  const next = attachments(servers);
  const before = { device: `/dev/nbd${index}`, index, connections: 1, deadConnectionTimeoutS: 30 };
  await next.resume({ ...UNIT, bytes: BigInt(2 * SIZE) }, before);
  assert.equal(readText(`/sys/block/nbd${index}/size`), String((2 * SIZE) / 512));
  await next.resize(0, BigInt(3 * SIZE));
  assert.equal(readText(`/sys/block/nbd${index}/size`), String((3 * SIZE) / 512));
});
