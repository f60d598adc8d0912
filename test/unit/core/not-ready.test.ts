// A logical unit that is not ready for a moment is waited for, as long as a request may take; no path is blamed for it.
import test from "ava";
import * as abi from "../../../host/abi.ts";
import { READ, replies, request } from "./fixtures/nbd-client.ts";
import type { Scene } from "./fixtures/scene.ts";
import { REPORT, TUR, read, scene } from "./fixtures/scene.ts";
import { check } from "./fixtures/scsi.ts";

const EIO = 5;

/** I/O on the ports in `ports` is answered NOT READY with 04/`ascq`; the report says that all groups are optimized. */
function notReady(ascq: number, ports = new Set([0, 1]), capabilities = abi.UNIT_CAN_ALUA): Scene {
  const s = scene([], 2, capabilities);
  const { host } = s;
  s.paths.forEach((path, i) => host.must(host.core.pathSet(path, abi.PATH_SET_TARGET_PORT_GROUP, BigInt(i + 1))));
  for (const port of [0, 1]) {
    s.faults.set(port, ({ cdb, buffer, bytes }) => {
      if (cdb[0] === TUR) return {};
      if (cdb[0] !== REPORT) return ports.has(port) ? check(2, 4, ascq) : undefined;
      host.bytes(buffer, 20).set([0, 0, 0, 16, 0, 0x8f, 0, 1, 0, 2, 0, 0, 0, 0x8f, 0, 2, 0, 2, 0, 0]);
      return { residual: bytes - 20 };
    });
  }
  return s;
}

const failed = ({ host, paths }: Scene): boolean =>
  paths.some((path) => (host.flags(path) & abi.PATH_FLAG_FAILED) !== 0);

const conditions: [number, string][] = [
  [0x00, "cause not reportable"],
  [0x01, "becoming ready"],
  [0x04, "format in progress"],
  [0x05, "rebuild in progress"],
  [0x06, "recalculation in progress"],
  [0x07, "operation in progress"],
  [0x08, "long write in progress"],
  [0x09, "self-test in progress"],
  [0x0a, "access state transition, which the report of the port groups does not show"],
  [0x0b, "standby, which the report of the port groups does not show"],
  [0x11, "enable spinup required"],
  [0x14, "space allocation in progress"],
  [0x1a, "START STOP UNIT in progress"],
  [0x1b, "sanitize in progress"],
  [0x1d, "configuration in progress"],
  [0x24, "depopulation in progress"],
  [0x25, "depopulation restoration in progress"],
];

for (const [ascq, name] of conditions) {
  test(`02/04/${ascq.toString(16).padStart(2, "0")}, ${name}: 2 s of it on every path delay a request and fail nothing`, (t) => {
    const ports = new Set([0, 1]);
    const s = notReady(ascq, ports);
    const client = s.host.connect(s.unit);
    client.send(request(READ, 1n, 0n, 512));
    s.host.advance(2000);
    t.is(replies(client.received).length, 0);
    t.false(failed(s));
    t.true(s.seen.filter(({ operation }) => operation === 0x88).length < 500, "it is asked at a measured pace");
    ports.clear();
    s.host.advance(100);
    t.is(replies(client.received, new Map([[1n, 512]]))[0]?.error, 0);
    t.false(failed(s));
  });

  test(`02/04/${ascq.toString(16).padStart(2, "0")}, ${name}: on one path, the request goes to the other at once`, (t) => {
    // The higher priority is port 0's.
    const s = notReady(ascq, new Set([0]));
    t.is(read(s.host, s.unit), 0);
    t.false(failed(s));
  });
}

test("a unit that stays not ready is answered at the request's deadline, and not before", (t) => {
  for (const ascq of [0x0a, 0x14]) {
    const s = notReady(ascq);
    s.host.must(s.host.core.unitSet(s.unit, abi.UNIT_SET_IO_TIMEOUT_MS, 3000n));
    const client = s.host.connect(s.unit);
    client.send(request(READ, 1n, 0n, 512));
    s.host.advance(2900);
    t.is(replies(client.received).length, 0);
    s.host.advance(200);
    t.is(replies(client.received)[0]?.error, EIO);
  }
});

for (const [ascq, name] of [
  [0x02, "initializing command required"],
  [0x03, "manual intervention required"],
] as const) {
  test(`02/04/0${ascq}, ${name}: no time cures it, the path has failed`, (t) => {
    const s = notReady(ascq, new Set([0]), 0);
    t.is(read(s.host, s.unit), 0);
    t.true((s.host.flags(s.paths[0] ?? -1) & abi.PATH_FLAG_FAILED) !== 0);
  });
}
