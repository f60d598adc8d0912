// A trim in several commands, of which each needs a page for its parameter list, where the pool has none left.
import test from "ava";
import * as abi from "../../../host/abi.ts";
import { Host, type Client } from "./fixtures/harness.ts";
import { READ, TRIM, replies, request } from "./fixtures/nbd-client.ts";
import type { Scsi } from "./fixtures/scsi.ts";

const EIO = 5;
const KIB = 1 << 10;
const MIB = 1 << 20;
const UNMAP = 0x42;

interface Scene {
  host: Host;
  unit: number;
  paths: number[];
  client: Client;
  /** Clients of units of their own, that take all of the pool but `left` bytes and one page. */
  fill: (left: number) => void;
  trims: () => Scsi[];
  lbas: number[];
}

/** A unit that trims 4 KiB at a time, by two paths of which port 1 has the lower priority. */
function scene(): Scene {
  const host = new Host({ pool: 32 * MIB, units: 32, paths: 64, connections: 64 });
  host.must(host.core.modeSet(abi.MODE_PATROL, 0n));
  const lbas: number[] = [];
  host.device = (command) => {
    if (command.cdb[0] === UNMAP) lbas.push(Number(host.bytes(command.buffer, command.bytes).readBigUInt64BE(8)));
    return command.check && command.port !== 0 ? {} : undefined;
  };
  const { unit, paths } = host.unit({ blocks: 1n << 30n, capabilities: abi.UNIT_CAN_UNMAP });
  host.must(host.core.unitSet(unit, abi.UNIT_SET_UNMAP_BLOCKS_MAX, 8n));
  const client = host.connect(unit);
  const hold = (bytes: number): void => {
    const own = host.unit({ blocks: 1n << 30n, paths: 1 });
    host.must(host.core.unitSet(own.unit, abi.UNIT_SET_STALL_MAX_MS, 0n));
    host.connect(own.unit).send(request(READ, 1n, 0n, bytes));
    host.settle();
  };
  const fill = (left: number): void => {
    hold(31 * MIB);
    while (host.core.inspect(2) > left)
      hold(Math.min(2 ** Math.floor(Math.log2(host.core.inspect(2) - left)), MIB / 2));
  };
  return { host, unit, paths, client, fill, trims: () => host.outstanding.filter(({ cdb }) => cdb[0] === UNMAP), lbas };
}

const errors = (client: Client): number[] => replies(client.received).map(({ error }) => error);

for (const [left, atOnce] of [
  [0, 1],
  [4 * KIB, 2],
  [64 * KIB, 4],
] as const) {
  test(`with ${left} bytes left ${atOnce} commands go out at once; the others follow, and each trims what it should`, (t) => {
    const s = scene();
    for (const path of s.paths) s.host.must(s.host.core.pathSet(path, abi.PATH_SET_ENABLED, 0n));
    s.client.send(request(TRIM, 1n, 0n, 16 * KIB));
    s.host.settle();
    s.fill(left);
    t.is(s.host.core.inspect(2), left);
    s.host.must(s.host.core.pathSet(s.paths[1] ?? -1, abi.PATH_SET_ENABLED, 1n));
    s.host.settle();
    t.is(s.trims().length, atOnce);
    for (let i = 0; i < 4; i++) {
      t.true(s.trims().length <= atOnce);
      const [command] = s.trims();
      if (command === undefined) return t.fail(`nothing goes on after ${s.lbas.join()}`);
      t.deepEqual(errors(s.client), []);
      s.host.answer(command, {});
      s.host.settle();
    }
    t.deepEqual(errors(s.client), [0]);
    t.deepEqual(s.lbas, [0, 8, 16, 24]);
    t.is(s.host.core.inspect(2), left + 4 * KIB);
  });
}

test("a trim whose page a lost command still has, and for which there is no other, fails instead of waiting for nothing", (t) => {
  const s = scene();
  for (const path of s.paths) s.host.must(s.host.core.pathSet(path, abi.PATH_SET_DEPTH, 1n));
  const reader = s.host.connect(s.host.unit({ blocks: 1n << 30n, paths: 1 }).unit);
  s.client.send(request(TRIM, 1n, 0n, 16 * KIB));
  s.host.advance(6000);
  const [lost, again] = s.trims();
  t.deepEqual(s.lbas, [0, 0], "the first command is under way twice");
  if (lost === undefined || again === undefined) return t.fail();
  s.fill(0);
  t.is(s.host.core.inspect(2), 0);
  // In one turn the page of the second command is given back, and a read takes it.
  const recv = reader.recv;
  if (recv === undefined) return t.fail();
  reader.recv = undefined;
  s.host.answer(again, {});
  request(READ, 1n, 0n, 4 * KIB).copy(s.host.bytes(recv.address, recv.length));
  s.host.complete(recv.tag, 28);
  s.host.settle();
  t.deepEqual(errors(s.client), [EIO]);
  t.deepEqual(s.trims(), [lost]);
  t.is(s.host.core.inspect(2), 0);
  s.host.answer(lost, {});
  s.host.settle();
  t.is(s.host.core.inspect(2), 4 * KIB);
});
