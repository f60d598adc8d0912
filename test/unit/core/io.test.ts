// Every command reaches the medium and comes back as it should.
import test from "ava";
import * as abi from "../../../host/reactor/abi.ts";
import { Disk } from "./disk.ts";
import { Host } from "./harness.ts";
import { READ, WRITE, replies, request } from "./nbd-client.ts";

test("a write is read back, through one connection", (t) => {
  const host = new Host();
  const disk = new Disk(1 << 20);
  host.device = (command) => disk.execute(host, command);
  const { unit } = host.unit({ blocks: 2048n });
  const client = host.connect(unit);
  const data = Buffer.alloc(4096, 0xa5);
  client.send(request(WRITE, 1n, 8192n, 4096), data, request(READ, 2n, 8192n, 4096));
  host.settle();
  const found = replies(client.received, new Map([[2n, 4096]]));
  t.deepEqual(
    found.map((reply) => [reply.cookie, reply.error]),
    [
      [1n, 0],
      [2n, 0],
    ],
  );
  t.deepEqual(found[1]?.data, data);
  t.is(host.unitField(unit, abi.UNIT_REQUESTS), 0);
});
