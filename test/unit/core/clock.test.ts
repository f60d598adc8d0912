// The clock is the host's, and hosts stand still, jump and go back.
import test from "ava";
import * as abi from "../../../host/abi.ts";
import { Host } from "./fixtures/harness.ts";
import { READ, replies, request } from "./fixtures/nbd-client.ts";

function scene(): { host: Host; unit: number; send: () => void; answer: () => number | undefined } {
  const host = new Host();
  const { unit } = host.unit();
  host.must(host.core.modeSet(abi.MODE_PATROL, 0n));
  host.must(host.core.unitSet(unit, abi.UNIT_SET_IO_TIMEOUT_MS, 5000n));
  const client = host.connect(unit);
  return {
    host,
    unit,
    send: () => client.send(request(READ, 1n, 0n, 512)),
    answer: () => replies(client.received, new Map([[1n, 512]]))[0]?.error,
  };
}

test("a host that stood still for longer than the deadline still gets its answer", (t) => {
  const { host, send, answer } = scene();
  host.device = () => undefined;
  send();
  host.settle();
  host.now += 40_000_000_000n;
  host.turn();
  t.is(answer(), undefined);
  for (const command of host.outstanding.slice()) host.answer(command, {});
  host.settle();
  t.is(answer(), 0);
});

test("after a standstill deadlines and the promised next turn are right again", (t) => {
  const { host, send, answer } = scene();
  host.device = () => undefined;
  send();
  host.settle();
  host.now += 40_000_000_000n;
  host.settle();
  t.true(host.deadline() > host.now - 2_000_000_000n);
  host.advance(6000);
  t.is(answer(), 5);
  send();
  host.settle();
  host.advance(4900);
  t.is(answer(), undefined);
  host.advance(200);
  t.is(answer(), 5);
});

test("an idle core loses no time however long it was idle", (t) => {
  const { host, send, answer } = scene();
  host.now += 3_600_000_000_000n;
  host.settle();
  host.device = () => undefined;
  send();
  host.settle();
  host.advance(4900);
  t.is(answer(), undefined);
  host.advance(200);
  t.is(answer(), 5);
});

test("a clock that goes back changes nothing", (t) => {
  const { host, send, answer } = scene();
  host.device = () => undefined;
  send();
  host.settle();
  host.now -= 500_000_000n;
  host.settle();
  for (const command of host.outstanding.slice()) host.answer(command, {});
  host.settle();
  t.is(answer(), 0);
});

test("an event carries the host's time, and one that was told twice is in the ring once", (t) => {
  const host = new Host();
  const { paths } = host.unit();
  host.settle();
  const ring = host.control + abi.CONTROL_EVENT_QUEUE;
  const tail = (): number => host.u32(ring + abi.RING_TAIL);
  host.now += 123_456_789n;
  host.view.setBigUint64(host.control + abi.CONTROL_NOW_NS, host.now, true);
  const first = tail();
  host.must(host.core.pathSet(paths[0] ?? -1, abi.PATH_SET_ENABLED, 0n));
  host.must(host.core.pathSet(paths[0] ?? -1, abi.PATH_SET_ENABLED, 0n));
  const times = [];
  for (let at = first; at !== tail(); at++) {
    const entry = host.u32(ring + abi.RING_BASE) + (at & (host.u32(ring + abi.RING_CAPACITY) - 1)) * abi.EVENT_BYTES;
    times.push(host.view.getBigUint64(entry + abi.EVENT_TIME_NS, true));
  }
  // It is out of use, and the other one is in use now.
  t.deepEqual(times, [host.now, host.now]);
});

test("an answer from before a standstill that was longer than the clock had run by then is an answer", (t) => {
  const { host, send, answer } = scene();
  host.device = () => undefined;
  send();
  host.settle();
  for (const command of host.outstanding.slice()) host.answer(command, {});
  host.now += 40_000_000_000n;
  host.settle();
  t.is(answer(), 0);
  // What follows is timed rightly.
  send();
  host.settle();
  host.advance(4900);
  t.is(answer(), undefined);
  host.advance(200);
  t.is(answer(), 5);
});

test("a path that is added long after the last turn is what it is since now", (t) => {
  const host = new Host();
  const { unit } = host.unit();
  host.settle();
  host.now += 3_600_000_000_000n;
  host.view.setBigUint64(host.control + abi.CONTROL_NOW_NS, host.now, true);
  const path = host.must(host.core.pathAdd(unit, 0, 9, 9, 1, 8));
  t.is(host.pathCount64(path, abi.PATH_SINCE_NS), host.now);
});
