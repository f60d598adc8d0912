// A path that is silent for a moment: when it is found, what is told of it, and what is left of it when it has answered.
import test from "ava";
import * as abi from "../../../host/abi.ts";
import { errors, scene } from "./fixtures/holes.ts";
import { READ, request } from "./fixtures/nbd-client.ts";

test("a turn that is short, and a long wait after it, do not make the host a busy one", (t) => {
  const s = scene();
  s.host.advance(5000);
  s.holes.add(0);
  s.client.send(request(READ, 2n, 0n, 4096));
  s.host.settle();
  // It has worked for half a millisecond, and looked for answers ever since.
  s.host.view.setBigUint64(s.host.control + abi.CONTROL_WAITING_NS, s.host.now + 500_000n, true);
  s.host.now += 3_000_000_000n;
  s.host.settle();
  s.host.advance(1);
  t.truthy(s.host.flags(s.paths[0] ?? -1) & abi.PATH_FLAG_STALLED);
  t.deepEqual(errors(s.client, 4096), [[2n, 0]]);
});

test("that a path falls silent is told without sense data and without a host status", (t) => {
  const s = scene();
  s.holes.add(0);
  s.client.send(request(READ, 2n, 0n, 4096));
  s.host.advance(100);
  const told = s.host.events.filter(({ kind, path }) => kind === abi.EVENT_PATH_STATE && path === s.paths[0]);
  t.true(told.length > 0);
  for (const event of told) t.like(event, { sense: 0, hostStatus: 0 });
});

test("a path that was only a little late is trusted as before: the host gives its commands the same time", (t) => {
  const s = scene();
  const timeout = (): number => {
    s.holes.add(0);
    s.client.send(request(READ, 2n, 0n, 4096));
    s.host.settle();
    const [command] = s.held;
    return command?.timeoutMs ?? -1;
  };
  const before = timeout();
  s.host.advance(100);
  for (const command of s.held.splice(0)) s.host.answer(command, s.disk.execute(s.host, command));
  s.holes.clear();
  s.host.advance(2000);
  t.true(before > 0);
  t.is(timeout(), before);
});
