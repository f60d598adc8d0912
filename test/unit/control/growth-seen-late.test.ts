// A unit that grows, or shrinks, may show its size on one path earlier than on another.

import test, { type ExecutionContext } from "ava";
import type { FoundPath, Found } from "../../../host/discovery/discover.ts";
import { findDevices } from "../../../host/control/devices/device-scan.ts";
import { reconcile, removeContradicting } from "../../../host/control/devices/reconcile.ts";
import { agreedSize } from "../../../host/control/devices/sizes.ts";
import { PATH_SET_FAILED } from "../../../host/abi.ts";
import { statusOf } from "../../../host/control/daemon-status.ts";
import { until } from "../../until.ts";
import { TestDaemon } from "./fixtures/daemon.ts";

const MIB = 1 << 20;
const CONFIGURATION = "policy = 'static'\n[patrol]\nmode = 'none'\n[array]\nunits = 1\npaths = 4\nunit_mib = 16\n";

const told = (...sizes: number[]) => sizes.map((bytes, index) => ({ number: `${index}:0:0:0`, bytes }));

test("the smallest size holds until all agree; a unit that had a size loses none of it to one path", (t) => {
  t.deepEqual(agreedSize(told(32, 32), 0), { bytes: 32, dispute: null });
  t.is(agreedSize(told(32, 16), 0).bytes, 16);
  t.is(agreedSize(told(32, 16), 16).bytes, 16);
  t.is(agreedSize(told(32, 32), 16).bytes, 32);
  t.is(agreedSize(told(32, 16), 32).bytes, 32);
  t.is(agreedSize(told(16, 16), 32).bytes, 16);
  t.regex(agreedSize(told(32, 16), 16).dispute ?? "", /0:0:0:0 says 32 bytes, 1:0:0:0 says 16 bytes; it has 16 bytes/);
});

/** A rescan that finds `mib` MiB on the first path and 16 on the others. */
async function rescanWith(daemon: TestDaemon, mib: readonly number[]): Promise<void> {
  const { daemon: inside } = daemon;
  const devices = await findDevices(inside.reactor, inside.effective.configuration, () => undefined);
  const found = await devices.ask(new Set(inside.inventory.paths().map(({ number }) => number)));
  const paths = found.paths.map((path, index): FoundPath => {
    const { capacity } = path.probe;
    if (capacity === null) throw new Error(`${path.number} tells no capacity`);
    const blocks = BigInt((mib[index] ?? 16) * MIB) / BigInt(capacity.blockBytes);
    return { ...path, probe: { ...path.probe, capacity: { ...capacity, blocks } } };
  });
  await inside.change(() => reconcile(inside, { ...found, paths }, inside.effective));
}

const size = async (t: ExecutionContext, daemon: TestDaemon): Promise<number> =>
  (await daemon.get<"unit">(t, "/v1/units/0")).bytes / MIB;

const attention = async (daemon: TestDaemon): Promise<string> =>
  (await statusOf(daemon.daemon, "0.0.0")).attention.join("\n");

test("a unit grows when its last usable path shows it; until then everything says which path does not", async (t) => {
  const daemon = await TestDaemon.start(t, CONFIGURATION);
  const { inventory, reactor, hub } = daemon.daemon;
  await rescanWith(daemon, [32]);
  t.is(await size(t, daemon), 16);
  t.regex(await attention(daemon), /LogicalUnit #0 differ in size: .* says 33554432 bytes, .* says 16777216 bytes/);
  await rescanWith(daemon, [32]);
  t.is(hub.history(0, 100).filter(({ message }) => message === 662).length, 1);
  // A failed path says what was true when it last answered.
  const late = inventory.paths()[3]?.handle ?? -1;
  await reactor.pathSet(late, PATH_SET_FAILED, 1);
  await rescanWith(daemon, [32, 32, 32, 16]);
  t.is(await size(t, daemon), 32);
  await reactor.pathSet(late, PATH_SET_FAILED, 0);
  await until("the path is back", async () => (await daemon.shown(t)).every((row) => !row.startsWith("X")));
  await rescanWith(daemon, [32, 32, 32, 16]);
  t.is(await size(t, daemon), 32);
  await rescanWith(daemon, [32, 32, 32, 32]);
  t.notRegex(await attention(daemon), /differ in size/);
});

test("a known path whose device contradicts its unit is taken out: it gets no I/O", async (t) => {
  const daemon = await TestDaemon.start(t, CONFIGURATION);
  const { daemon: inside } = daemon;
  const [path] = inside.inventory.paths();
  const number = path?.number ?? "";
  const refusals: Found["refusals"] = [{ device: "emulated:0", number, reason: "has 1, not 2", isOther: true }];
  await inside.change(() => removeContradicting(inside, refusals));
  t.is((await daemon.shown(t)).length, 3);
  const last = inside.hub.history(0, 100).at(-1);
  t.like(last, { message: 274, path: number });
});
