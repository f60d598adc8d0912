// That the array runs out of room for a thin unit is said once for each time it happens, whoever of us is told of it.

import test, { type ExecutionContext } from "ava";
import { thinThresholdOf, whyRescan } from "../../../host/discovery/uevents.ts";
import { removeGone } from "../../../host/control/devices/reconcile.ts";
import { ThinThreshold } from "../../../host/control/events/thin-threshold.ts";
import { receivers } from "../../../host/liaison/messages.ts";
import { until } from "../../until.ts";
import { TestDaemon } from "./fixtures/daemon.ts";

const CONFIGURATION = "policy = 'round-robin'\npatrol.interval_s = 1\n[array]\nunits = 2\npaths = 2\nunit_mib = 1\n";
const ATTENTION = { kind: "unit-attention", asc: 0x38, ascq: 0x07 };

async function said(t: ExecutionContext, daemon: TestDaemon): Promise<(number | null)[]> {
  const { events } = await daemon.get<"events">(t, "/v1/events?limit=1000");
  return events.filter(({ message }) => message === 663).map(({ unit }) => unit);
}

test("what the patrol is told is said once, with the unit, for all its paths; each unit has its own", async (t) => {
  const daemon = await TestDaemon.start(t, CONFIGURATION);
  t.deepEqual(await said(t, daemon), []);
  await daemon.change(t, "POST", "/v1/array/faults", { fault: ATTENTION, where: { unit: 1 } });
  await until("it is said", async () => (await said(t, daemon)).length > 0);
  const checks = async () =>
    (await daemon.get<"unit">(t, "/v1/units/1")).paths.map(({ statistics }) => statistics.checks);
  const before = await checks();
  await until("both paths were checked", async () =>
    (await checks()).every((count, index) => count > (before[index] ?? 0) + 1),
  );
  t.deepEqual(await said(t, daemon), [1]);
  await daemon.change(t, "POST", "/v1/array/faults", { fault: ATTENTION, where: { unit: 0 } });
  await until("the other unit's is said", async () => (await said(t, daemon)).length > 1);
  t.deepEqual(await said(t, daemon), [1, 0]);
  t.deepEqual(receivers("thin-threshold"), { alive: true, manager: true });
});

test("what discovery is told is said, of paths that it knows and of those that the rescan finds", async (t) => {
  const daemon = await TestDaemon.start(t, CONFIGURATION.replace("interval_s = 1", "mode = 'none'"));
  await daemon.change(t, "POST", "/v1/array/faults", { fault: ATTENTION, where: { unit: 0 } });
  await daemon.daemon.rescan();
  t.deepEqual(await said(t, daemon), [0]);
  await daemon.daemon.change(() => removeGone(daemon.daemon, new Set()));
  await daemon.change(t, "POST", "/v1/array/faults", { fault: ATTENTION, where: { unit: 1 } });
  await daemon.daemon.rescan();
  t.deepEqual(await said(t, daemon), [0, 1]);
});

test("a path that tells again, later, tells of something new; one that repeats itself, or is late, does not", async (t) => {
  const daemon = await TestDaemon.start(t, CONFIGURATION);
  const [first, second] = daemon.daemon.inventory.unit("0").paths.values();
  const units: (number | undefined)[] = [];
  let nowMs = 1000;
  const thin = new ThinThreshold({ say: (_kind, about) => void units.push(about?.unit) }, () => nowMs);
  const hear = (path: typeof first, afterMs: number): number => {
    nowMs += afterMs;
    thin.toldBy(path);
    return units.length;
  };
  t.is(hear(first, 0), 1);
  t.is(hear(first, 5), 1, "the uevent of the same attention");
  t.is(hear(second, 86_400_000), 1, "a path that has not told of this one yet");
  t.is(hear(second, 5), 1, "the uevent of that");
  t.is(hear(second, 86_400_000), 2, "it happened again");
  t.is(hear(first, 100), 2);
  t.is(hear(first, 86_400_000), 3);
  t.is(hear(undefined, 0), 3);
});

test("the kernel's word of it names the path, and is no reason for another rescan", (t) => {
  const event = {
    action: "change",
    subsystem: "scsi",
    devpath: "/devices/pci0000:00/host4/target4:0:1/4:0:1:2",
    properties: { SDEV_UA: "THIN_PROVISIONING_SOFT_THRESHOLD_REACHED" },
  };
  t.is(thinThresholdOf(event), "4:0:1:2");
  t.is(whyRescan(event), null);
  const other = { ...event, properties: { SDEV_UA: "CAPACITY_DATA_HAS_CHANGED" } };
  t.is(thinThresholdOf(other), null);
  t.truthy(whyRescan(other));
});
