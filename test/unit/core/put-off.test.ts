// Requests that have waited beyond their time for a transition of port groups have all of their time when it has ended.
import test from "ava";
import * as abi from "../../../host/abi.ts";
import { READ, replies, request } from "./fixtures/nbd-client.ts";
import { REPORT, TUR, scene } from "./fixtures/scene.ts";
import { check } from "./fixtures/scsi.ts";

const EIO = 5;
const TRANSITION_S = 250;

test("what was put off for a transition has its whole time from the end of that, and no more", (t) => {
  const s = scene([], 1, abi.UNIT_CAN_ALUA);
  const { host, unit } = s;
  let state: number = abi.ALUA_TRANSITIONING;
  s.paths.forEach((path) => host.must(host.core.pathSet(path, abi.PATH_SET_TARGET_PORT_GROUP, 1n)));
  host.must(host.core.unitSet(unit, abi.UNIT_SET_STALL_MAX_MS, 0n));
  s.faults.set(0, ({ cdb, buffer, bytes, check: isCheck }) => {
    if (cdb[0] === TUR || (isCheck && cdb[0] !== REPORT)) return {};
    if (cdb[0] !== REPORT) return state === abi.ALUA_TRANSITIONING ? check(2, 4, 0x0a) : "hang";
    const report = [0, 0, 0, 16, 0x10, TRANSITION_S, 0, 0, state, 0x8f, 0, 1, 0, 2, 0, 1, 0, 0, 0, 1];
    host.bytes(buffer, bytes).set(report);
    return { residual: bytes - report.length };
  });
  const client = host.connect(unit);
  const error = (): number | undefined => replies(client.received, new Map([[1n, 512]]))[0]?.error;
  client.send(request(READ, 1n, 0n, 512));
  host.advance(230_000);
  t.is(error(), undefined);
  t.is(host.outstanding.length, 0, "it waits");
  state = abi.ALUA_OPTIMIZED;
  for (let i = 0; i < 200 && host.outstanding.length === 0; i++) host.advance(50);
  t.is(host.outstanding.length, 1, "it is under way, and not answered");
  host.advance(59_000);
  t.is(error(), undefined);
  host.advance(1100);
  t.is(error(), EIO);
});

/** A unit whose only port is in transition, as its report says for as long as `ends` is false. */
function inTransition(ioTimeoutMs: bigint) {
  const s = scene([], 1, abi.UNIT_CAN_ALUA);
  const { host, unit } = s;
  const now = { ends: false };
  s.paths.forEach((path) => host.must(host.core.pathSet(path, abi.PATH_SET_TARGET_PORT_GROUP, 1n)));
  host.must(host.core.unitSet(unit, abi.UNIT_SET_STALL_MAX_MS, 0n));
  host.must(host.core.unitSet(unit, abi.UNIT_SET_IO_TIMEOUT_MS, ioTimeoutMs));
  s.faults.set(0, ({ cdb, buffer, bytes, check: isCheck }) => {
    if (cdb[0] === TUR || (isCheck && cdb[0] !== REPORT)) return {};
    if (cdb[0] !== REPORT) return now.ends ? {} : check(2, 4, 0x0a);
    const state = now.ends ? abi.ALUA_OPTIMIZED : abi.ALUA_TRANSITIONING;
    const report = [0, 0, 0, 16, 0x10, TRANSITION_S, 0, 0, state, 0x8f, 0, 1, 0, 2, 0, 1, 0, 0, 0, 1];
    host.bytes(buffer, bytes).set(report);
    return { residual: bytes - report.length };
  });
  return { ...s, now };
}

test("a request of half a second is put off for a transition 255 times at most", (t) => {
  const { host, unit } = inTransition(500n);
  const client = host.connect(unit);
  client.send(request(READ, 1n, 0n, 512));
  let waitedMs = 0;
  for (; waitedMs < TRANSITION_S * 1000 && client.received.length === 0; waitedMs += 250) host.advance(250);
  t.is(replies(client.received, new Map([[1n, 512]]))[0]?.error, EIO);
  t.true(Math.abs(waitedMs - 256 * 500) <= 1000, `${waitedMs} ms`);
});

test("a transition that was waited for ends when nobody waits any more: the next one has its own time", (t) => {
  const { host, unit, now } = inTransition(60_000n);
  const gone = host.connect(unit);
  gone.send(request(READ, 1n, 0n, 512));
  host.advance(100_000);
  host.must(host.core.connectionClose(gone.handle));
  host.settle();
  now.ends = true;
  host.advance(30_000);
  t.is(host.flags(0) & abi.PATH_FLAG_FAILED, 0);
  host.device = () => undefined;
  const client = host.connect(unit);
  client.send(request(READ, 2n, 0n, 512));
  host.advance(59_000);
  t.is(client.received.length, 0);
  host.advance(1100);
  t.is(replies(client.received)[0]?.error, EIO);
});
