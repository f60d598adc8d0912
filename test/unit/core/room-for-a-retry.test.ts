// What is to be sent again waits for room on the path that is left, and is sent as soon as there is some.
import test from "ava";
import * as abi from "../../../host/abi.ts";
import { errors, scene } from "./fixtures/holes.ts";
import { READ, request } from "./fixtures/nbd-client.ts";

test("a command that one path has refused waits for room on the other as long as that takes", (t) => {
  const s = scene();
  const { host, unit, paths } = s;
  host.must(host.core.unitSet(unit, abi.UNIT_SET_STALL_MAX_MS, 0n));
  for (const path of paths) host.must(host.core.pathSet(path, abi.PATH_SET_DEPTH, 1n));
  const [first = -1] = paths;
  s.holes.add(0).add(1);
  // The first goes to path 0 and is given back; the second one fills path 1 meanwhile.
  s.client.send(request(READ, 2n, 0n, 512));
  host.settle();
  host.must(host.core.pathSet(first, abi.PATH_SET_ENABLED, 0n));
  s.client.send(request(READ, 4n, 4096n, 512));
  host.settle();
  host.must(host.core.pathSet(first, abi.PATH_SET_ENABLED, 1n));
  t.deepEqual(
    s.held.map(({ port }) => port),
    [0, 1],
  );
  const [refused, other] = s.held;
  if (refused === undefined || other === undefined) return t.fail();
  host.answer(refused, { hostStatus: 1 });
  host.advance(5000);
  t.deepEqual(errors(s.client), []);
  s.holes.clear();
  host.answer(other, s.disk.execute(host, other));
  host.settle();
  t.deepEqual(
    errors(s.client)
      .map(([cookie, error]) => [Number(cookie), error])
      .toSorted(),
    [
      [2, 0],
      [4, 0],
    ],
  );
});
