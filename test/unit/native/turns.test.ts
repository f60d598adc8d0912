// One turn waits for what comes first, tells the time, and survives whatever the core puts into its queue.

import { readSync, writeSync } from "node:fs";
import { join } from "node:path";
import { getHeapStatistics } from "node:v8";
import { Worker } from "node:worker_threads";
import test from "ava";
import fc from "fast-check";
import * as abi from "../../../host/abi.ts";
import { clockNs, closeDescriptor, Ring, socketPair, wake } from "../../../host/native/index.ts";
import { BACKENDS, Bench, EBADF, EFAULT, EINVAL, FREE, type Backend } from "./harness.ts";

const addon = join(import.meta.dirname, "..", "..", "..", "host", "native", "index.ts");

/** Runs `script` on another thread, which has `wake`, `writeSync` and `data`. */
function onThread(script: string, data: unknown): Worker {
  const code = `const { workerData: data } = require("node:worker_threads"); const { writeSync } = require("node:fs");
import(${JSON.stringify(addon)}).then(({ wake }) => { ${script} });`;
  return new Worker(code, { eval: true, workerData: data });
}

async function ended(worker: Worker): Promise<void> {
  await new Promise((resolve) => worker.once("exit", resolve));
}

for (const backend of BACKENDS) {
  test(`${backend}: is what was asked for`, (t) => {
    const bench = new Bench(backend);
    t.is(bench.ring.backend, backend);
    bench.ring.close();
  });

  test(`${backend}: a turn ends at the core's deadline, or at the caller's limit, whichever comes first`, (t) => {
    const bench = new Bench(backend);
    const start = clockNs();
    bench.deadline(start + 3_000_000n);
    t.is(bench.ring.enter(60_000_000), 0);
    t.true(bench.nowNs() >= start + 3_000_000n, "not before the deadline");
    const again = clockNs();
    bench.deadline(again + 60_000_000_000n);
    t.is(bench.ring.enter(2000), 0);
    t.true(bench.nowNs() >= again + 2_000_000n && bench.nowNs() < again + 60_000_000_000n);
    bench.deadline(1n);
    t.is(bench.ring.enter(-1), 0, "a deadline in the past does not wait");
    t.true(bench.nowNs() <= clockNs());
    bench.ring.close();
  });

  test(`${backend}: a turn tells when it stopped working and began to wait, or that it has not waited`, (t) => {
    const bench = new Bench(backend);
    const start = clockNs();
    bench.deadline(start + 5_000_000n);
    t.is(bench.ring.enter(60_000_000), 0);
    t.true(bench.waitingNs() >= start && bench.waitingNs() <= bench.nowNs() - 1_000_000n, "it has waited");
    bench.deadline(1n);
    t.is(bench.ring.enter(-1), 0);
    t.is(bench.waitingNs(), bench.nowNs(), "it has not");
    bench.ring.close();
  });

  test(`${backend}: a wake from another thread ends a turn that would wait for ever`, async (t) => {
    const bench = new Bench(backend);
    const before = clockNs();
    const worker = onThread("for (let n = 0; n < 1e6; n++); wake(data);", bench.ring.wakeDescriptor);
    t.is(bench.ring.enter(-1), 1);
    t.true(bench.nowNs() > before);
    t.deepEqual(bench.completions(), []);
    await ended(worker);
    wake(bench.ring.wakeDescriptor);
    wake(bench.ring.wakeDescriptor);
    t.is(bench.ring.enter(-1), 1, "a wake before the turn counts");
    t.is(bench.ring.enter(0), 0, "several wakes are one");
    bench.ring.close();
  });

  test(`${backend}: wakes are not lost while completions pour in`, (t) => {
    const bench = new Bench(backend);
    const [mine, peer] = socketPair("stream");
    const handle = bench.ring.addSocket(mine);
    wake(bench.ring.wakeDescriptor);
    let woken = 0;
    for (let turn = 0; turn < 10 && woken === 0; turn++) {
      // Something lies in the completion queue at every turn, as when the emulated array is busy.
      bench.recv(handle + 1, turn, FREE, 1);
      woken = bench.ring.enter(-1);
    }
    t.is(woken, 1);
    bench.ring.close();
    closeDescriptor(peer);
  });

  test(`${backend}: bytes that come while it waits end the turn, and the completion has the time`, async (t) => {
    const bench = new Bench(backend);
    const [mine, peer] = socketPair("stream");
    const handle = bench.ring.addSocket(mine);
    bench.recv(handle, 1, FREE, 16);
    const before = clockNs();
    const worker = onThread('for (let n = 0; n < 1e6; n++); writeSync(data, "now");', peer);
    const [completion] = bench.until(1);
    t.like(completion, { tag: 1, result: 3 });
    t.true(completion !== undefined && completion.timeNs > before && completion.timeNs <= bench.nowNs());
    await ended(worker);
    bench.ring.close();
    closeDescriptor(peer);
  });

  test(`${backend}: a full completion queue loses nothing`, (t) => {
    const bench = new Bench(backend, { completions: 4 });
    for (let tag = 0; tag < 100; tag++) bench.recv(12345, tag, FREE, 1);
    const tags: number[] = [];
    for (let turn = 0; turn < 25; turn++) {
      bench.ring.enter(-1);
      const taken = bench.completions();
      t.is(taken.length, 4);
      tags.push(...taken.map(({ tag }) => tag));
    }
    t.deepEqual(
      tags,
      Array.from({ length: 100 }, (_, tag) => tag),
    );
    bench.ring.close();
  });

  test(`${backend}: addresses, lengths, counts and handles are checked before anything is touched`, (t) => {
    const bench = new Bench(backend);
    const [mine, peer] = socketPair("stream", true);
    const handle = bench.ring.addSocket(mine);
    const end = bench.memory.length;
    bench.recv(handle, 0, end - 4, 5);
    bench.recv(handle, 1, 0xffff_fff0, 32);
    bench.recv(handle, 2, FREE, 0);
    bench.recv(handle, 3, FREE, 0xffff_ffff);
    bench.recv(handle ^ 0x8000, 4, FREE, 1);
    bench.recv(0, 5, FREE, 1);
    bench.send(handle, 6, FREE, []);
    bench.submit({ op: abi.OP_SEND, tag: 7, handle, address: FREE, length: abi.GATHER_ENTRIES_MAX + 1 });
    bench.submit({ op: abi.OP_SEND, tag: 8, handle, address: end - 8, length: 2 });
    bench.send(handle, 9, FREE, [
      [FREE, 8],
      [end - 1, 2],
    ]);
    bench.send(handle, 10, FREE + 1024, [[FREE, 0]]);
    bench.submit({ op: 77, tag: 11, handle });
    bench.submit({ op: abi.OP_CLOSE, tag: 12, handle: handle + 1 });
    const results = bench.results(13);
    const expected = [
      EFAULT,
      EFAULT,
      EINVAL,
      EINVAL,
      EBADF,
      EBADF,
      EINVAL,
      EINVAL,
      EFAULT,
      EFAULT,
      EINVAL,
      EINVAL,
      EBADF,
    ];
    t.deepEqual(
      expected.map((_, tag) => results.get(tag)),
      expected,
    );
    t.throws(() => readSync(peer, Buffer.alloc(1)), { code: "EAGAIN" }, "not a byte was sent");
    bench.ring.close();
    closeDescriptor(peer);
  });

  test(`${backend}: random submissions do no harm: each is answered, memory elsewhere stays`, (t) => {
    const guarded = 4096;
    const entry = fc.record({
      op: fc.oneof(
        fc.integer({ min: 0, max: 255 }),
        fc.constantFrom(abi.OP_RECV, abi.OP_SEND, abi.OP_SCSI, abi.OP_CLOSE),
      ),
      flags: fc.integer({ min: 0, max: 255 }),
      handle: fc.oneof(fc.integer({ min: 0, max: 0xffff_ffff }), fc.integer({ min: 0x8000, max: 0x8003 })),
      address: fc.oneof(fc.integer({ min: 0, max: 0xffff_ffff }), fc.integer({ min: FREE, max: (1 << 20) - guarded })),
      length: fc.oneof(fc.integer({ min: 0, max: 0xffff_ffff }), fc.integer({ min: 0, max: 200 })),
    });
    const property = fc.property(fc.array(entry, { minLength: 100, maxLength: 100 }), (entries) => {
      const bench = new Bench(backend, { bytes: 1 << 20 });
      const peers = [0, 1].map(() => {
        const [mine, peer] = socketPair("stream");
        bench.ring.addSocket(mine);
        return peer;
      });
      const guard = bench.memory.subarray(bench.memory.length - guarded);
      guard.fill(0xa5);
      for (const [tag, one] of entries.entries()) bench.submit({ tag, ...one });
      const tags = new Set<number>();
      const turn = (): void => {
        bench.ring.enter(0);
        for (const { tag } of bench.completions()) {
          if (tags.has(tag)) throw new Error(`tag ${tag} was answered twice`);
          tags.add(tag);
        }
      };
      turn();
      for (const peer of peers) closeDescriptor(peer);
      for (let count = 0; count < 1000 && tags.size < entries.length; count++) turn();
      bench.ring.close();
      if (tags.size !== entries.length) throw new Error(`${entries.length - tags.size} were never answered`);
      return guard.every((byte) => byte === 0xa5);
    });
    t.notThrows(() => fc.assert(property, { numRuns: 100 }));
  });

  test(`${backend}: closing with ops pending frees everything; a closed ring says so`, (t) => {
    const bench = new Bench(backend);
    const [mine, peer] = socketPair("stream");
    const handle = bench.ring.addSocket(mine);
    for (let tag = 0; tag < 10; tag++) bench.recv(handle, tag, FREE, 4096);
    bench.send(handle, 10, FREE, [[FREE + 4096, 3 << 20]]);
    bench.send(handle, 11, FREE, [[FREE + 4096, 3 << 20]]);
    bench.ring.enter(0);
    bench.ring.close();
    bench.ring.close();
    t.throws(() => writeSync(peer, "anybody there?"), { code: "EPIPE" });
    closeDescriptor(peer);
    t.throws(() => bench.ring.enter(0), { code: "ERR_NATIVE_CLOSED" });
    t.throws(() => bench.ring.addSocket(0), { code: "ERR_NATIVE_CLOSED" });
    t.throws(() => bench.ring.wakeDescriptor, { code: "ERR_NATIVE_CLOSED" });
  });

  test(`${backend}: a turn allocates nothing on the JavaScript heap`, (t) => {
    const bench = new Bench(backend);
    const [one, other] = socketPair("stream");
    const server = bench.ring.addSocket(one);
    const client = bench.ring.addSocket(other);
    const round = (turns: number): number => {
      const before = getHeapStatistics().used_heap_size;
      for (let turn = 0; turn < turns; turn++) pingPong(bench, server, client);
      return getHeapStatistics().used_heap_size - before;
    };
    round(20_000);
    // What the measuring itself allocates is in both rounds; what a turn would allocate is 100 times as much in one.
    const rounds = Array.from({ length: 5 }, () => round(10_000) - round(100));
    t.true(Math.min(...rounds.map(Math.abs)) < 5000, `heap growth in 10,000 turns: ${rounds.join(", ")} bytes`);
    bench.ring.close();
  });
}

/** One request and its reply, both ends in the same ring, without a JavaScript object on the way. */
function pingPong(bench: Bench, server: number, client: number): void {
  transfer(bench, client, server, 28);
  transfer(bench, server, client, 4112);
}

function transfer(bench: Bench, from: number, to: number, bytes: number): void {
  bench.view.setUint32(FREE + abi.GATHER_ADDRESS, FREE + 4096, true);
  bench.view.setUint32(FREE + abi.GATHER_LENGTH, bytes, true);
  bench.pushRaw(abi.OP_RECV, 1, to, FREE + 16384, bytes, abi.SUBMISSION_FLAG_WAIT_ALL);
  bench.pushRaw(abi.OP_SEND, 2, from, FREE, 1);
  // Two completions, together or one after the other.
  for (let left = 2; left > 0; left -= bench.dropCompletions()) bench.ring.enter(-1);
}

test("a ring refuses what is no memory, no control block, no backend", (t) => {
  const options = { backend: "epoll" } as const;
  t.throws(() => new Ring(new Uint8Array(0), 0, options), { code: "ERR_NATIVE_ARGUMENT", message: /memory/ });
  t.throws(() => new Ring(new Uint8Array(100), 0, options), { code: "ERR_NATIVE_LAYOUT", message: /controlBlock/ });
  const backend = "kqueue" as Backend;
  t.throws(() => new Ring(new Uint8Array(1 << 20), 0, { backend }), { code: "ERR_NATIVE_ARGUMENT", message: /kqueue/ });
  const ring = new Ring(new Uint8Array(1 << 20), 0, options);
  t.throws(() => ring.enter(0), { code: "ERR_NATIVE_LAYOUT", message: /initialise the core/ }, "no rings in it yet");
  ring.close();
});

test("a ring refuses descriptors that are no stream sockets", (t) => {
  const bench = new Bench("epoll");
  const [one, other] = socketPair("seqpacket");
  t.throws(() => bench.ring.addSocket(one), { code: "ERR_NATIVE_ARGUMENT", message: /no stream socket/ });
  t.throws(() => bench.ring.addSocket(1_000_000), { code: "ERR_NATIVE_ARGUMENT", message: /not open/ });
  t.throws(() => bench.ring.addSocket(bench.ring.wakeDescriptor), {
    code: "ERR_NATIVE_ARGUMENT",
    message: /no socket/,
  });
  bench.ring.close();
  closeDescriptor(one);
  closeDescriptor(other);
});

test("memory that is detached is noticed before it is touched", (t) => {
  const bench = new Bench("epoll");
  const { buffer } = bench.memory;
  if (buffer instanceof ArrayBuffer) structuredClone(buffer, { transfer: [buffer] });
  t.throws(() => bench.ring.enter(0), { code: "ERR_NATIVE_MEMORY_CHANGED" });
  bench.ring.close();
});

test("wake says when its descriptor is none", (t) => {
  t.throws(() => wake(1_000_000), { code: "ERR_NATIVE_SYSTEM", message: /wake: descriptor 1000000/ });
});
