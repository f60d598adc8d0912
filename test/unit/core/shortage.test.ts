// What the host itself could not do for want of memory or room says nothing about a path: neither that it has failed nor
// that it works.
import test from "ava";
import * as abi from "../../../host/abi.ts";
import { READ, WRITE, replies, request } from "./fixtures/nbd-client.ts";
import { TUR, read, scene } from "./fixtures/scene.ts";

const EIO = 5;
const SHORTAGES: readonly [string, number][] = [
  ["no memory", -12],
  ["try again", -11],
  ["busy", -16],
  ["no room in the driver", -33],
];
const BAD = abi.PATH_FLAG_FAILED | abi.PATH_FLAG_SUSPECT | abi.PATH_FLAG_MARGINAL;

for (const [name, result] of SHORTAGES) {
  for (const kind of [READ, WRITE]) {
    test(`${name}, ${kind === READ ? "reading" : "writing"}: no path fails, and the request goes out again after a pause`, (t) => {
      const { host, unit, paths, faults } = scene();
      let shortages = 0;
      t.is(read(host, unit), 0);
      for (const port of [0, 1]) faults.set(port, () => (++shortages <= 10 ? { result } : undefined));
      const client = host.connect(unit);
      client.send(request(kind, 1n, 0n, 512), kind === WRITE ? Buffer.alloc(512) : Buffer.alloc(0));
      host.advance(1);
      t.is(replies(client.received).length, 0, "it waits");
      host.advance(500);
      t.is(replies(client.received, new Map([[1n, 512]]))[0]?.error, 0);
      for (const path of paths) t.is(host.flags(path) & BAD, 0);
      t.false(host.kinds().includes(abi.EVENT_PATH_ERROR_IO));
    });
  }

  test(`${name} for longer than a request may take: it is answered with an error, and still no path fails`, (t) => {
    const { host, unit, paths, faults } = scene();
    t.is(read(host, unit), 0);
    for (const port of [0, 1]) faults.set(port, () => ({ result }));
    const client = host.connect(unit);
    client.send(request(READ, 1n, 0n, 512));
    host.advance(120_000);
    t.is(replies(client.received)[0]?.error, EIO);
    for (const path of paths) t.is(host.flags(path) & BAD, 0);
  });

  test(`${name} in a check: a path that works goes on, one that has failed does not come back by it`, (t) => {
    const { host, unit, paths, faults } = scene();
    t.is(read(host, unit), 0);
    const [first = -1, second = -1] = paths;
    faults.set(0, () => ({ hostStatus: 1 }));
    t.is(read(host, unit), 0);
    t.truthy(host.flags(first) & abi.PATH_FLAG_FAILED);
    let checks = 0;
    for (const port of [0, 1]) {
      faults.set(port, ({ cdb }) => {
        if (cdb[0] === TUR) checks++;
        return { result };
      });
    }
    host.advance(60_000);
    t.true(checks > 0);
    t.truthy(host.flags(first) & abi.PATH_FLAG_FAILED);
    t.is(host.flags(second) & BAD, 0);
    faults.clear();
    host.advance(60_000);
    t.is(host.flags(first) & BAD, 0);
    t.is(read(host, unit), 0);
  });
}
