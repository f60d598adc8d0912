// What a client was told to be on the medium is there, whatever the device's write cache does and control learns of it.
import test, { type ExecutionContext } from "ava";
import * as abi from "../../../host/reactor/abi.ts";
import { Disk } from "./disk.ts";
import type { Client } from "./harness.ts";
import { Host } from "./harness.ts";
import { FUA, WRITE, replies, request } from "./nbd-client.ts";
import type { Scsi } from "./scsi.ts";

const CACHE = abi.UNIT_CAN_CACHE_WRITES;
/** Operation code and second byte of commands. */
const WRITE_PLAIN = [0x8a, 0];
const WRITE_FUA = [0x8a, 8];
const SYNC = [0x91, 0];

interface Scene {
  host: Host;
  disk: Disk;
  unit: number;
  client: Client;
  /** Operation code and second byte of each command that was carried out. */
  done: () => number[][];
}

function scene(capabilities: number, depth = 128): Scene {
  const host = new Host();
  host.keepLog = true;
  const disk = new Disk(1 << 20);
  host.device = (command) => disk.execute(host, command);
  const { unit } = host.unit({ blocks: 2048n, capabilities, depth });
  const done = (): number[][] => host.log.splice(0).map(({ cdb }) => [cdb[0] ?? 0, cdb[1] ?? 0]);
  return { host, disk, unit, client: host.connect(unit), done };
}

function set(s: Scene, capabilities: number): void {
  s.host.must(s.host.core.unitSet(s.unit, abi.UNIT_SET_CAPABILITIES, BigInt(capabilities)));
}

function errors(t: ExecutionContext, client: Client, expected: readonly [bigint, number][]): void {
  const found = replies(client.received).map(({ cookie, error }): [bigint, number] => [cookie, error]);
  t.deepEqual(found, [...expected]);
}

const cases: [string, number, number, number[][]][] = [
  // what control learns, capabilities before and after, commands
  ["the bit is gone: a flush follows", abi.UNIT_CAN_FUA | CACHE, CACHE, [WRITE_PLAIN, SYNC]],
  ["bit and cache are new: the bit", 0, abi.UNIT_CAN_FUA | CACHE, [WRITE_FUA]],
  ["the cache is new: a flush follows", 0, CACHE, [WRITE_PLAIN, SYNC]],
  ["the bit is new: the bit alone", CACHE, abi.UNIT_CAN_FUA | CACHE, [WRITE_FUA]],
  ["the cache is gone: nothing follows", CACHE, 0, [WRITE_PLAIN]],
];

for (const [name, before, after, expected] of cases) {
  test(`FUA of a write that waits while control learns something new of the device: ${name}`, (t) => {
    const s = scene(before, 1);
    const kept: Scsi[] = [];
    s.host.device = (command) => {
      if (kept.length > 0) return s.disk.execute(s.host, command);
      kept.push(command);
      return undefined;
    };
    s.client.send(request(WRITE, 1n, 0n, 512), Buffer.alloc(512, 1));
    s.client.send(request(WRITE, 3n, 4096n, 512, FUA), Buffer.alloc(512, 3));
    s.host.settle();
    t.is(s.done().length, 1, "the path takes one at a time");
    set(s, after);
    for (const command of kept) s.host.answer(command, s.disk.execute(s.host, command));
    s.host.settle();
    t.deepEqual(s.done(), expected);
    errors(t, s.client, [
      [1n, 0],
      [3n, 0],
    ]);
  });
}

test("FUA of a write that went out without the bit: a flush follows when the device has a cache by then", (t) => {
  const s = scene(0);
  s.host.device = () => undefined;
  s.client.send(request(WRITE, 1n, 0n, 512, FUA), Buffer.alloc(512, 1));
  s.host.settle();
  set(s, abi.UNIT_CAN_FUA | CACHE);
  s.host.device = (command) => s.disk.execute(s.host, command);
  for (const command of s.host.outstanding.slice()) s.host.answer(command, s.disk.execute(s.host, command));
  s.host.settle();
  t.deepEqual(s.done(), [WRITE_PLAIN, SYNC]);
  errors(t, s.client, [[1n, 0]]);
});
