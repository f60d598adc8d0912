// What displays read from the records of units and paths says what is so.
import test from "ava";
import * as abi from "../../../host/abi.ts";
import { READ, replies, request, WRITE } from "./fixtures/nbd-client.ts";
import { read, scene } from "./fixtures/scene.ts";

const { UNIT_FLAG_RELEASED, UNIT_FLAG_PRESENT } = abi;

test("since when a path is what it is: failed by I/O, by a check, by order; back", (t) => {
  const { host, unit, paths, faults } = scene(undefined, 3);
  const [byIo = -1, byCheck = -1, byOrder = -1] = paths;
  const sinceNs = (path: number): bigint => host.pathCount64(path, abi.PATH_SINCE_NS);
  const failed = (path: number): boolean => (host.flags(path) & abi.PATH_FLAG_FAILED) !== 0;
  host.advance(1000);
  const beganNs = host.now;
  for (const path of paths) t.true(sinceNs(path) < beganNs);
  faults.set(0, () => ({ hostStatus: 1 }));
  t.is(read(host, unit), 0);
  t.true(failed(byIo));
  t.true(sinceNs(byIo) >= beganNs && sinceNs(byIo) <= host.now);
  faults.set(1, ({ check }) => (check ? { hostStatus: 1 } : undefined));
  while (!failed(byCheck)) host.advance(100);
  t.true(host.now - sinceNs(byCheck) <= 200_000_000n);
  host.advance(5000);
  host.must(host.core.pathSet(byOrder, abi.PATH_SET_FAILED, 1n));
  t.true(host.now - sinceNs(byOrder) <= 1_000_000n);
  const failedNs = sinceNs(byIo);
  t.true(failedNs < beganNs + 1_000_000_000n, "nothing has changed since");
  faults.clear();
  while (failed(byIo)) host.advance(100);
  t.true(host.now - sinceNs(byIo) <= 200_000_000n);
});

test("a unit is shown as released from the order on until a path is usable", (t) => {
  const { host, unit, paths } = scene();
  const flags = (): number => host.unitField(unit, abi.UNIT_FLAGS) & (UNIT_FLAG_RELEASED | UNIT_FLAG_PRESENT);
  const release = (value: bigint): number => host.must(host.core.unitSet(unit, abi.UNIT_SET_RELEASED, value));
  host.advance(100);
  release(1n);
  t.is(flags(), UNIT_FLAG_PRESENT, "there is nothing to release");
  for (const path of paths) host.must(host.core.pathSet(path, abi.PATH_SET_FAILED, 1n));
  host.settle();
  t.is(flags(), UNIT_FLAG_PRESENT);
  release(1n);
  t.is(flags(), UNIT_FLAG_PRESENT | UNIT_FLAG_RELEASED);
  release(0n);
  t.is(flags(), UNIT_FLAG_PRESENT);
  release(1n);
  host.must(host.core.pathSet(paths[0] ?? -1, abi.PATH_SET_FAILED, 0n));
  host.advance(1000);
  t.is(flags(), UNIT_FLAG_PRESENT);
  const client = host.connect(unit);
  client.send(request(READ, 1n, 0n, 512));
  host.settle();
  t.is(replies(client.received, new Map([[1n, 512]]))[0]?.error, 0);
});

test("sizes, latencies and waits of a unit's requests are counted, and the host sees what of the pool is free", (t) => {
  const { host, unit, paths } = scene();
  const statistics = host.unitField(unit, abi.UNIT_STATISTICS);
  const counter = (field: number): number => Number(host.view.getBigUint64(statistics + field, true));
  const ofSize = (size: number): number[] => {
    const at = abi.STATISTICS_SIZES + size * abi.STATISTICS_SIZE_BYTES;
    return Array.from({ length: abi.STATISTICS_SIZE_BYTES / 8 }, (_, index) => counter(at + index * 8));
  };
  const free = (): number => host.view.getUint32(host.control + abi.CONTROL_POOL_FREE, true);
  host.advance(100);
  const freeAtRest = free();
  t.true(freeAtRest > 0);
  t.is(read(host, unit), 0);
  t.is(ofSize(0)[0], 1);
  t.is(counter(abi.STATISTICS_WAITED), 0, "there was a path");
  for (const path of paths) host.must(host.core.pathSet(path, abi.PATH_SET_FAILED, 1n));
  const client = host.connect(unit);
  client.send(request(WRITE, 2n, 0n, 8192), Buffer.alloc(8192, 3));
  host.settle();
  t.is(free(), freeAtRest - 8192);
  host.advance(3000);
  for (const path of paths) host.must(host.core.pathSet(path, abi.PATH_SET_FAILED, 0n));
  host.advance(2000);
  t.is(replies(client.received)[0]?.error, 0);
  t.is(free(), freeAtRest);
  t.is(counter(abi.STATISTICS_WAITED), 1);
  t.true(counter(abi.STATISTICS_WAIT_SUM_NS) >= 3e9 && counter(abi.STATISTICS_WAIT_SUM_NS) < 6e9);
  const [count = 0, sumNs = 0, ...buckets] = ofSize(abi.STATISTICS_SIZE_CLASSES + 1);
  t.is(count, 1, "a write of more than 4 and at most 64 KiB");
  t.is(sumNs, counter(abi.STATISTICS_LATENCY_SUM_WRITE_NS));
  const bucket = buckets.indexOf(1);
  const endNs = 2 ** (abi.STATISTICS_SIZE_OCTAVE_FIRST + 2 * bucket);
  t.true(sumNs < endNs && sumNs >= endNs / 4, `${sumNs} ns in bucket ${bucket}`);
  host.must(host.core.unitSet(unit, abi.UNIT_SET_STATISTICS_RESET, 1n));
  t.true(
    [...ofSize(0), ...ofSize(abi.STATISTICS_SIZE_CLASSES + 1), counter(abi.STATISTICS_WAITED)].every((n) => n === 0),
  );
});

test("the bytes that a path has read and written are added up", (t) => {
  const { host, unit, paths } = scene();
  const [first = -1] = paths;
  host.advance(100);
  const client = host.connect(unit);
  const bytes = (): bigint[] => [abi.PATH_BYTES_READ, abi.PATH_BYTES_WRITTEN].map((at) => host.pathCount64(first, at));
  t.deepEqual(bytes(), [0n, 0n]);
  for (let i = 1n; i <= 3n; i++) {
    client.send(request(WRITE, i, 0n, 8192), Buffer.alloc(8192, 3), request(READ, 4n, 0n, 512));
    host.settle();
    t.deepEqual(bytes(), [512n * i, 8192n * i]);
  }
});
