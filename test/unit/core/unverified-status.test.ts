// GOOD counts only where the host's driver does not say itself that something went wrong: drivers of older kernels report errors
// of their own (DRIVER_SOFT, MEDIA, ERROR, INVALID, HARD) beside a status that nobody has sent.
import test from "ava";
import { READ, WRITE, replies, request } from "./fixtures/nbd-client.ts";
import { scene } from "./fixtures/scene.ts";
import { check } from "./fixtures/scsi.ts";

const UNVERIFIED_BY = [2, 3, 4, 5, 7, 9, 15];

for (const driverStatus of UNVERIFIED_BY) {
  for (const [name, answer] of [
    ["GOOD", { driverStatus }],
    ["CONDITION MET", { status: 4, driverStatus }],
    ["RECOVERED ERROR", { ...check(1, 0x17, 0), driverStatus }],
  ] as const) {
    test(`${name} with driver status ${driverStatus} is not believed: what was not done is done elsewhere`, (t) => {
      const { host, unit, disk, faults } = scene();
      faults.set(0, (command) => (command.check ? undefined : answer));
      const client = host.connect(unit);
      client.send(request(WRITE, 1n, 0n, 512), Buffer.alloc(512, 0x77));
      host.advance(5000);
      t.deepEqual(
        replies(client.received).map(({ error }) => error),
        [0],
      );
      t.true(disk.media.subarray(0, 512).equals(Buffer.alloc(512, 0x77)));
      client.send(request(READ, 2n, 0n, 512));
      host.advance(5000);
      const [read] = replies(client.received, new Map([[2n, 512]]));
      t.true(read?.data.equals(Buffer.alloc(512, 0x77)));
    });
  }
}

test("driver status SENSE only says that there is sense data", (t) => {
  const { host, unit, faults, seen } = scene();
  faults.set(0, (command) => (command.check ? undefined : { driverStatus: 8 }));
  const client = host.connect(unit);
  client.send(request(WRITE, 1n, 0n, 512), Buffer.alloc(512, 1));
  host.advance(10);
  t.deepEqual(
    replies(client.received).map(({ error }) => error),
    [0],
  );
  t.is(seen.filter(({ operation }) => operation === 0x8a).length, 1);
});
