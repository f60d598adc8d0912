// The ring carries bytes between sockets and the core's memory: all of them, in order, on both backends.

import { once } from "node:events";
import { readSync, writeSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import test from "ava";
import * as abi from "../../../host/abi.ts";
import { closeDescriptor, duplicate, socketPair } from "../../../host/native/index.ts";
import { BACKENDS, Bench, EALREADY, EBADF, ECONNRESET, EPIPE, FREE } from "./harness.ts";

/** A socket of the ring and the descriptor of its peer. */
function connected(bench: Bench): [handle: number, peer: number] {
  const [mine, peer] = socketPair("stream");
  return [bench.ring.addSocket(mine), peer];
}

/** Node has no public way to tell a socket's descriptor. */
function descriptorOf(socket: Socket | undefined): number {
  const handle: unknown = Reflect.get(socket ?? {}, "_handle");
  return Number(Reflect.get(Object(handle), "fd"));
}

function broken(result: number | undefined): boolean {
  return result === EPIPE || result === ECONNRESET;
}

/** Reads exactly `bytes` bytes. */
function readAll(fd: number, bytes: number): Buffer {
  const all = Buffer.alloc(bytes);
  for (let done = 0; done < bytes;) {
    const count = readSync(fd, all, done, bytes - done, null);
    if (count === 0) throw new Error(`end of stream after ${done} of ${bytes} bytes`);
    done += count;
  }
  return all;
}

for (const backend of BACKENDS) {
  test(`${backend}: RECV gives what has come, not more`, (t) => {
    const bench = new Bench(backend);
    const [handle, peer] = connected(bench);
    bench.recv(handle, 7, FREE, 100);
    t.is(bench.ring.enter(0), 0);
    t.deepEqual(bench.completions(), []);
    writeSync(peer, "hello");
    const [completion] = bench.until(1);
    t.like(completion, { tag: 7, result: 5 });
    t.is(Buffer.from(bench.memory.subarray(FREE, FREE + 6)).toString("latin1"), "hello\0");
    bench.ring.close();
    closeDescriptor(peer);
  });

  test(`${backend}: RECV with WAIT_ALL waits for every byte`, (t) => {
    const bench = new Bench(backend);
    const [handle, peer] = connected(bench);
    bench.recv(handle, 1, FREE, 6, abi.SUBMISSION_FLAG_WAIT_ALL);
    writeSync(peer, "abc");
    bench.ring.enter(0);
    bench.ring.enter(1000);
    t.deepEqual(bench.completions(), []);
    writeSync(peer, "defg");
    t.like(bench.until(1)[0], { tag: 1, result: 6 });
    bench.recv(handle, 2, FREE + 6, 10, abi.SUBMISSION_FLAG_WAIT_ALL);
    closeDescriptor(peer);
    t.like(bench.until(1)[0], { tag: 2, result: 1 }, "the stream ends: the bytes that came");
    t.is(Buffer.from(bench.memory.subarray(FREE, FREE + 7)).toString(), "abcdefg");
    bench.recv(handle, 3, FREE, 10);
    t.like(bench.until(1)[0], { tag: 3, result: 0 }, "end of stream");
    bench.ring.close();
  });

  test(`${backend}: SEND gathers, in order, behind other SENDs`, (t) => {
    const bench = new Bench(backend);
    const [handle, peer] = connected(bench);
    bench.memory.set(Buffer.from("one two three "), FREE);
    bench.send(handle, 1, FREE + 4096, [
      [FREE, 4],
      [FREE + 100, 0],
      [FREE + 8, 6],
    ]);
    bench.send(handle, 2, FREE + 8192, [[FREE + 4, 4]]);
    t.deepEqual(
      [...bench.results(2)],
      [
        [1, 10],
        [2, 4],
      ],
    );
    t.is(readAll(peer, 14).toString(), "one three two ");
    bench.ring.close();
    closeDescriptor(peer);
  });

  test(`${backend}: a SEND larger than the socket takes goes out to the last byte`, (t) => {
    const bytes = 24 << 20;
    const bench = new Bench(backend, { bytes: FREE + bytes });
    const [handle, peer] = connected(bench);
    for (let at = 0; at < bytes; at += 4) bench.view.setUint32(FREE + at, at, true);
    const third = bytes / 3;
    bench.send(handle, 1, 4096 + 1024 * abi.SUBMISSION_BYTES, [
      [FREE, third],
      [FREE + third, third],
      [FREE + 2 * third, third],
    ]);
    bench.ring.enter(0);
    t.deepEqual(bench.completions(), [], "it cannot be out yet");
    const received: Buffer[] = [];
    let left = bytes;
    while (left > 0) {
      const part = readAll(peer, Math.min(left, 1_000_003));
      received.push(part);
      left -= part.length;
      bench.ring.enter(0);
    }
    t.true(Buffer.concat(received).equals(bench.memory.subarray(FREE, FREE + bytes)));
    t.like(bench.until(1)[0], { tag: 1, result: bytes });
    bench.ring.close();
    closeDescriptor(peer);
  });

  test(`${backend}: a peer that vanishes ends RECV and SEND`, (t) => {
    const bench = new Bench(backend);
    const [handle, peer] = connected(bench);
    bench.recv(handle, 1, FREE, 100);
    bench.send(handle, 2, FREE, [[FREE + 4096, 3 << 20]]);
    bench.send(handle, 3, FREE, [[FREE + 4096, 3 << 20]]);
    bench.send(handle, 4, FREE, [[FREE + 4096, 3 << 20]]);
    bench.ring.enter(0);
    closeDescriptor(peer);
    bench.send(handle, 5, FREE, [[FREE + 4096, 10]]);
    const results = bench.results(5);
    t.true(results.get(1) === 0 || results.get(1) === ECONNRESET);
    t.true(broken(results.get(4)) && broken(results.get(5)));
    bench.ring.close();
  });

  test(`${backend}: CLOSE ends what is pending, then completes; the handle is dead and its place is used again`, (t) => {
    const bench = new Bench(backend);
    const [handle, peer] = connected(bench);
    bench.recv(handle, 1, FREE, 100);
    bench.recv(handle, 2, FREE, 100);
    bench.ring.enter(0);
    bench.memory.set(Buffer.from("last words"), FREE + 4096);
    bench.send(handle, 3, FREE, [[FREE + 4096, 10]]);
    bench.submit({ op: abi.OP_CLOSE, tag: 4, handle });
    bench.recv(handle, 5, FREE, 100);
    const order = bench.until(5);
    t.is(order.at(-1)?.tag === 4 || order.at(-1)?.tag === 5, true);
    const closed = order.findIndex(({ tag }) => tag === 4);
    for (const tag of [1, 2, 3]) t.true(order.findIndex((one) => one.tag === tag) < closed);
    const results = new Map(order.map(({ tag, result }) => [tag, result]));
    t.deepEqual(
      [1, 2, 3, 4, 5].map((tag) => results.get(tag)),
      [0, 0, 10, 0, EBADF],
    );
    t.is(readAll(peer, 10).toString(), "last words");
    t.is(readSync(peer, Buffer.alloc(1)), 0, "the peer sees the end");
    closeDescriptor(peer);
    const [again, other] = connected(bench);
    t.not(again, handle);
    bench.recv(handle, 6, FREE, 100);
    t.like(bench.until(1)[0], { tag: 6, result: EBADF }, "the old handle does not reach the new socket");
    bench.ring.close();
    closeDescriptor(other);
  });

  test(`${backend}: WATCH tells that the peer has closed its socket, though what it has sent is unread`, (t) => {
    const bench = new Bench(backend);
    const [handle, peer] = connected(bench);
    bench.submit({ op: abi.OP_WATCH, tag: 1, handle });
    writeSync(peer, "unread");
    bench.ring.enter(0);
    bench.ring.enter(1000);
    t.deepEqual(bench.completions(), []);
    closeDescriptor(peer);
    t.like(bench.until(1)[0], { tag: 1, result: 0 });
    bench.submit({ op: abi.OP_WATCH, tag: 2, handle });
    t.like(bench.until(1)[0], { tag: 2, result: 0 }, "it had closed it before");
    bench.recv(handle, 3, FREE, 100);
    t.like(bench.until(1)[0], { tag: 3, result: 6 });
    bench.submit({ op: abi.OP_CLOSE, tag: 4, handle });
    t.like(bench.until(1)[0], { tag: 4, result: 0 });
    bench.ring.close();
  });

  test(`${backend}: WATCH ends with CLOSE, before it; a second one is refused meanwhile`, (t) => {
    const bench = new Bench(backend);
    const [handle, peer] = connected(bench);
    bench.submit({ op: abi.OP_WATCH, tag: 1, handle });
    bench.submit({ op: abi.OP_WATCH, tag: 2, handle });
    t.like(bench.until(1)[0], { tag: 2, result: EALREADY });
    bench.submit({ op: abi.OP_CLOSE, tag: 3, handle });
    t.deepEqual(
      bench.until(2).map(({ tag, result }) => [tag, result]),
      [
        [1, 0],
        [3, 0],
      ],
    );
    t.is(readSync(peer, Buffer.alloc(1)), 0, "the peer sees the end");
    closeDescriptor(peer);
    bench.ring.close();
  });

  test(`${backend}: a peer that only sends no more still hears, so WATCH goes on`, async (t) => {
    const bench = new Bench(backend);
    const server = createServer({ allowHalfOpen: true });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    const [near, far] = await Promise.all([
      once(server, "connection").then(([socket]: Socket[]) => socket),
      new Promise<Socket>((resolve) => {
        const socket = connect({ host: "127.0.0.1", port, allowHalfOpen: true }, () => resolve(socket));
      }),
    ]);
    const handle = bench.ring.addSocket(duplicate(descriptorOf(near)));
    near?.destroy();
    bench.submit({ op: abi.OP_WATCH, tag: 1, handle });
    bench.ring.enter(0);
    far.end();
    await once(far, "finish");
    bench.recv(handle, 2, FREE, 100);
    t.like(bench.until(1)[0], { tag: 2, result: 0 }, "end of stream");
    bench.ring.enter(10_000);
    t.deepEqual(bench.completions(), []);
    bench.submit({ op: abi.OP_CLOSE, tag: 3, handle });
    t.deepEqual(
      bench.until(2).map(({ tag }) => tag),
      [1, 3],
    );
    bench.ring.close();
    far.destroy();
    server.close();
  });

  test(`${backend}: LAZY success comes with the next completion, a failure at once`, (t) => {
    const bench = new Bench(backend);
    const [handle, peer] = connected(bench);
    bench.recv(handle, 1, FREE, 100);
    bench.send(handle, 2, FREE + 4096, [[FREE + 8192, 16]], abi.SUBMISSION_FLAG_LAZY);
    writeSync(peer, "x");
    t.deepEqual([...bench.results(2)].toSorted(), [
      [1, 1],
      [2, 16],
    ]);
    t.is(readAll(peer, 16).length, 16);
    closeDescriptor(peer);
    bench.send(handle, 3, FREE + 4096, [[FREE + 8192, 16]], abi.SUBMISSION_FLAG_LAZY);
    t.is(bench.results(1).get(3), EPIPE);
    bench.ring.close();
  });

  test(`${backend}: a hundred sockets talk at once, each to its own peer`, (t) => {
    const bench = new Bench(backend);
    const pairs = Array.from({ length: 100 }, () => connected(bench));
    for (let round = 0; round < 20; round++) {
      for (const [index, [handle, peer]] of pairs.entries()) {
        bench.recv(handle, index, FREE + index * 64, 64);
        writeSync(peer, `round ${round} socket ${index}`);
      }
      const results = bench.results(100);
      for (const [index, [handle]] of pairs.entries()) {
        const bytes = results.get(index) ?? -1;
        const text = Buffer.from(bench.memory.subarray(FREE + index * 64, FREE + index * 64 + bytes)).toString();
        t.is(text, `round ${round} socket ${index}`);
        bench.send(handle, index, FREE + 16384 + index * 8, [[FREE + index * 64, bytes]]);
      }
      bench.results(100);
      for (const [index, [, peer]] of pairs.entries()) {
        const text = `round ${round} socket ${index}`;
        t.is(readAll(peer, text.length).toString(), text);
      }
    }
    bench.ring.close();
    for (const [, peer] of pairs) closeDescriptor(peer);
  });
}
