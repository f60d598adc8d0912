// After a lone reply the ring looks out for the next request before it sleeps: nothing is lost by it, and everything else
// that ends a wait ends this one too.

import { Worker } from "node:worker_threads";
import test from "ava";
import * as abi from "../../../host/abi.ts";
import { clockNs, closeDescriptor, Ring, socketPair, wake } from "../../../host/native/index.ts";
import { Bench, FREE } from "./harness.ts";

const ROUNDS = 4000;
const REQUEST_BYTES = 28;
const REPLY_BYTES = 16;

/** A client on a thread of its own: asks, waits for the answer, asks again; every thousandth time it thinks for 3 ms. */
const CLIENT = `
const { workerData: { peer, rounds } } = require("node:worker_threads");
const { readSync, writeSync } = require("node:fs");
const request = Buffer.alloc(${REQUEST_BYTES}), reply = Buffer.alloc(${REPLY_BYTES});
for (let round = 0; round < rounds; round++) {
  if (round % 1000 === 999) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 3);
  request.writeUInt32LE(round);
  writeSync(peer, request);
  for (let done = 0; done < reply.length;) done += readSync(peer, reply, done, reply.length - done, null);
  if (reply.readUInt32LE() !== round) throw new Error("round " + round + " got the answer to " + reply.readUInt32LE());
}`;

for (const pollUs of [0, 50, 1000]) {
  test(`a client that asks one thing after the other gets every answer: pollUs ${pollUs}`, async (t) => {
    const bench = new Bench("io_uring", { pollUs });
    const [mine, peer] = socketPair("stream");
    const handle = bench.ring.addSocket(mine);
    const client = new Worker(CLIENT, { eval: true, workerData: { peer, rounds: ROUNDS } });
    const ended = new Promise<number>((resolve, reject) => client.once("exit", resolve).once("error", reject));
    bench.recv(handle, 1, FREE, REQUEST_BYTES, abi.SUBMISSION_FLAG_WAIT_ALL);
    for (let round = 0, told = 0; round < ROUNDS; round++) {
      const completions = bench.until(1);
      t.like(completions.find(({ tag }) => tag === 1) ?? {}, { result: REQUEST_BYTES });
      told += completions.filter(({ tag, result }) => tag === 2 && result === REPLY_BYTES).length;
      t.is(told, round, "the reply before was told with this request at the latest");
      bench.recv(handle, 1, FREE, REQUEST_BYTES, abi.SUBMISSION_FLAG_WAIT_ALL);
      // The answer begins as the request does. It lies elsewhere: the request's place is being received into again.
      bench.memory.copyWithin(FREE + 8192, FREE, FREE + REPLY_BYTES);
      bench.send(handle, 2, FREE + 4096, [[FREE + 8192, REPLY_BYTES]], abi.SUBMISSION_FLAG_LAZY);
    }
    t.is(bench.until(1)[0]?.tag, 2);
    t.is(await ended, 0);
    bench.ring.close();
    closeDescriptor(peer);
  });
}

test("the core's deadline, the caller's limit and a wake end a wait while the ring looks out", async (t) => {
  const bench = new Bench("io_uring", { pollUs: 1000 });
  const [mine, peer] = socketPair("stream");
  const handle = bench.ring.addSocket(mine);
  const reply = (): void => bench.send(handle, 2, FREE + 4096, [[FREE, 1]], abi.SUBMISSION_FLAG_LAZY);
  for (let round = 0; round < 100; round++) {
    reply();
    bench.ring.enter(100);
    t.is(bench.dropCompletions(), 1, "the SEND is told when the wait ends");
  }
  const start = clockNs();
  bench.deadline(start + 300_000n);
  reply();
  t.is(bench.ring.enter(-1), 0);
  t.true(bench.nowNs() >= start + 300_000n);
  bench.deadline(0xffff_ffff_ffff_ffffn);
  reply();
  wake(bench.ring.wakeDescriptor);
  t.is(bench.ring.enter(-1), 1);
  bench.ring.close();
  closeDescriptor(peer);
});

test("pollUs above 1000 is refused", (t) => {
  const bench = new Bench("epoll");
  const error = t.throws(() => new Ring(bench.memory, 256, { backend: "io_uring", pollUs: 1001 }));
  t.regex(String(error?.message), /pollUs: 1001 is more than 1000/);
  bench.ring.close();
});
