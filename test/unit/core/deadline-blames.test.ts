// A path that let a request's deadline pass has failed, and is not back because it answers what is no I/O.
import test from "ava";
import * as abi from "../../../host/abi.ts";
import { READ, replies, request } from "./fixtures/nbd-client.ts";
import { TUR, scene } from "./fixtures/scene.ts";

test("a path that lets a deadline pass is back when it has read, not when it says that it is ready", (t) => {
  const { host, unit, paths, faults } = scene(undefined, 1);
  const [first = -1] = paths;
  host.must(host.core.unitSet(unit, abi.UNIT_SET_STALL_MAX_MS, 0n));
  host.must(host.core.unitSet(unit, abi.UNIT_SET_IO_TIMEOUT_MS, 5000n));
  host.must(host.core.modeSet(abi.MODE_PATROL, 0n));
  host.advance(100);
  const failed = (): number => host.flags(first) & abi.PATH_FLAG_FAILED;
  faults.set(0, ({ cdb }) => (cdb[0] === TUR || cdb[0] === 0x12 ? undefined : "hang"));
  const client = host.connect(unit);
  client.send(request(READ, 1n, 0n, 512));
  host.advance(5001);
  t.is(replies(client.received)[0]?.error, 5);
  t.truthy(failed());
  host.must(host.core.pathSet(first, abi.PATH_SET_FAILED, 0n));
  host.advance(1000);
  t.truthy(failed(), "it has read nothing");
  faults.clear();
  for (const command of host.outstanding.slice()) host.answer(command, { hostStatus: 3 });
  host.settle();
  host.must(host.core.pathSet(first, abi.PATH_SET_FAILED, 0n));
  host.advance(1000);
  t.is(failed(), 0);
});
