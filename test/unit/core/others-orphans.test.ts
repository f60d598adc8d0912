// A reset by one path settles what that path has lost, and nothing else; and it is not sent when the host is about to abort.
import test from "ava";
import * as abi from "../../../host/abi.ts";
import { type Scene, errors, scene } from "./fixtures/holes.ts";
import { READ, WRITE, request } from "./fixtures/nbd-client.ts";

/** Writes of 512 bytes at 0 and at 512 * 8 that ports 0 and 1 swallow; `ports` answer everything else. */
function twoLost(): Scene {
  const s = scene(3);
  s.host.must(s.host.core.unitSet(s.unit, abi.UNIT_SET_IO_TIMEOUT_MS, 600_000n));
  const left = new Set([0, 1]);
  s.host.device = (command) => {
    if (command.check || command.cdb[0] !== 0x8a || !left.delete(command.port)) return s.disk.execute(s.host, command);
    s.held.push(command);
    return undefined;
  };
  const enable = (at: number, value: bigint): void =>
    void s.host.must(s.host.core.pathSet(s.paths[at] ?? -1, abi.PATH_SET_ENABLED, value));
  s.client.send(request(WRITE, 1n, 0n, 512), Buffer.alloc(512, 1));
  s.host.settle();
  enable(0, 0n);
  s.client.send(request(WRITE, 3n, 4096n, 512), Buffer.alloc(512, 3));
  s.host.settle();
  s.client.send(request(READ, 2n, 65_536n, 512));
  s.host.advance(1);
  s.client.send(request(READ, 2n, 65_536n, 512));
  s.host.advance(500);
  enable(0, 1n);
  for (let i = 0; i < 5; i++) {
    s.client.send(request(READ, 2n, 65_536n, 512));
    s.host.advance(1);
  }
  return s;
}

test("a reset by one path leaves what another one has lost as it is", (t) => {
  const s = twoLost();
  t.deepEqual(
    s.held.map(({ port }) => port),
    [0, 1],
  );
  errors(s.client);
  s.client.send(request(WRITE, 5n, 0n, 512), Buffer.alloc(512, 5));
  s.client.send(request(WRITE, 7n, 4096n, 512), Buffer.alloc(512, 7));
  while (s.host.resets.length === 0 && s.host.now < 60_000_000_000n) s.host.advance(100);
  const reset = s.host.resets.find(({ port }) => port === 0);
  if (reset === undefined) return t.fail("there was no reset by port 0");
  s.host.complete(reset.tag, 0);
  s.host.settle();
  t.deepEqual(errors(s.client), [[5n, 0]], "the other write's orphan may still land");
  t.is(s.host.unitField(s.unit, abi.UNIT_ORPHANS), 1);
});

test("no reset is sent for a command that the host is about to abort, which is milder", (t) => {
  const s = scene(2);
  s.host.must(s.host.core.unitSet(s.unit, abi.UNIT_SET_IO_TIMEOUT_MS, 600_000n));
  s.host.must(s.host.core.unitSet(s.unit, abi.UNIT_SET_COMMAND_TIMEOUT_MS, 3500n));
  s.host.must(s.host.core.unitSet(s.unit, abi.UNIT_SET_LOST_RESET_MS, 3000n));
  s.holes.add(0);
  s.client.send(request(WRITE, 1n, 0n, 512), Buffer.alloc(512, 1));
  s.host.advance(1);
  s.holes.clear();
  for (let i = 0; i < 5; i++) {
    s.client.send(request(READ, 2n, 65_536n, 512));
    s.host.advance(1);
  }
  s.host.advance(94);
  s.client.send(request(WRITE, 3n, 0n, 512), Buffer.alloc(512, 2));
  s.host.advance(4300);
  t.deepEqual(s.host.resets, [], "the host ends it after 3.5 s, and has 1 s for that");
  s.host.advance(200);
  t.is(s.host.resets.length, 1);
});
