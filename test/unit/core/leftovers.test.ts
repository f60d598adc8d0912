// Commands that an earlier daemon has left under way: what writes waits until they have ended.
import test from "ava";
import * as abi from "../../../host/abi.ts";
import { errors, idle, scene, type Scene } from "./fixtures/holes.ts";
import { FLUSH, READ, TRIM, WRITE, WRITE_ZEROES, request } from "./fixtures/nbd-client.ts";

const CAPABILITIES = abi.UNIT_CAN_UNMAP | abi.UNIT_CAN_WRITE_SAME;
const setLeftovers = (s: Scene, value: bigint): number => s.host.core.unitSet(s.unit, abi.UNIT_SET_LEFTOVERS, value);

test("what changes the medium waits, reads and flushes go on; then it goes out, once", (t) => {
  const s = scene(2, CAPABILITIES);
  s.host.keepLog = true;
  t.is(setLeftovers(s, 1n), 0);
  s.client.send(request(WRITE, 1n, 0n, 512), Buffer.alloc(512, 7));
  s.client.send(request(WRITE_ZEROES, 3n, 4096n, 512), request(TRIM, 5n, 8192n, 512));
  s.client.send(request(READ, 2n, 16_384n, 512), request(FLUSH, 7n, 0n, 0));
  s.host.advance(5000);
  t.deepEqual(
    errors(s.client).toSorted(([a], [b]) => Number(a - b)),
    [
      [2n, 0],
      [7n, 0],
    ],
  );
  const changing = (): number => s.host.log.filter(({ cdb }) => [0x8a, 0x93, 0x42].includes(cdb[0] ?? 0)).length;
  t.is(changing(), 0);
  t.is(setLeftovers(s, 0n), 0);
  s.host.advance(1);
  t.is(changing(), 3);
  t.deepEqual(new Set(errors(s.client).map(String)), new Set(["1,0", "3,0", "5,0"]));
  t.is(s.disk.media[0], 7);
  t.deepEqual(idle(s), s.free);
});

test("what waits has its own deadline; nothing of it goes out later", (t) => {
  const s = scene();
  s.host.must(s.host.core.unitSet(s.unit, abi.UNIT_SET_IO_TIMEOUT_MS, 1000n));
  setLeftovers(s, 1n);
  s.client.send(request(WRITE, 1n, 0n, 512), Buffer.alloc(512, 7));
  s.host.advance(1100);
  t.deepEqual(errors(s.client), [[1n, 5]]);
  setLeftovers(s, 0n);
  s.host.advance(100);
  t.is(s.disk.media[0], 0);
  t.deepEqual(idle(s), s.free);
});

test("told twice it counts once; anything but 0 and 1 is refused", (t) => {
  const s = scene();
  t.is(setLeftovers(s, 1n), 0);
  t.is(setLeftovers(s, 1n), 0);
  t.is(setLeftovers(s, 2n), -abi.ERROR_RANGE);
  t.is(setLeftovers(s, 0n), 0);
  t.is(setLeftovers(s, 0n), 0);
  s.client.send(request(WRITE, 1n, 0n, 512), Buffer.alloc(512, 7));
  s.host.advance(1);
  t.deepEqual(errors(s.client), [[1n, 0]]);
});
