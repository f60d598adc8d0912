// A unit that somebody uses over one path is not offered over the others: two masters on the same blocks destroy them.

import test from "ava";
import { Claims } from "../../../host/discovery/claims.ts";
import type { DeviceInUse, Found, FoundPath } from "../../../host/discovery/discover.ts";
import { BringUp } from "../../../host/control/devices/bring-up.ts";
import { Effective } from "../../../host/control/settings/effective.ts";
import { Inventory, type Path } from "../../../host/control/inventory/inventory.ts";
import { exportOf, whyNotOffered } from "../../../host/control/operations/offering.ts";
import { Configuration } from "../../../host/control/schemas/configuration-schema.ts";
import { heedUses } from "../../../host/control/devices/units-in-use.ts";
import type { ReactorClient } from "../../../host/reactor/reactor-client.ts";
import { candidate } from "../discovery/pages.ts";
import { unitRow } from "./fixtures/unit-row.ts";

const IDENTITY = unitRow(0).identity;
const OTHER = unitRow(1).identity;

/** A path as far as taking it needs one. */
const foundPath = (number: string, identity: string, block: string | null = null): FoundPath =>
  ({
    ...candidate(`/dev/sg-${number}`, number),
    blockDevice: block,
    probe: { identity: { type: "naa", text: identity, bytes: new Uint8Array(0) }, alua: null, targetPort: null },
  }) as unknown as FoundPath;

const used = (number: string, identity: string, isNamed = true): DeviceInUse => {
  const reason = "/dev/sda is mounted on /srv; unmount it";
  return { device: `/dev/sg-${number}`, number, reason, identities: [identity], isNamed };
};

const found = (paths: FoundPath[], inUse: DeviceInUse[]): Found => ({
  paths,
  inUse,
  refusals: inUse.filter(({ isNamed }) => isNamed).map(({ device, number, reason }) => ({ device, number, reason })),
});

const numbers = (paths: readonly { readonly number: string }[]): string[] => paths.map(({ number }) => number);

for (const isNamed of [true, false]) {
  test(`a new unit: none of its paths is taken, others are; the device in use is ${isNamed ? "" : "not "}named`, (t) => {
    const inventory = new Inventory([], []);
    const paths = [foundPath("2:0:0:0", IDENTITY), foundPath("3:0:0:0", IDENTITY), foundPath("3:0:0:1", OTHER)];
    const free = heedUses(inventory, found(paths, [used("1:0:0:0", IDENTITY, isNamed)]));
    t.deepEqual(numbers(free.paths), ["3:0:0:1"]);
    t.deepEqual(numbers(free.refusals), ["1:0:0:0", "2:0:0:0", "3:0:0:0"]);
    t.like(free.refusals[0], { says: "unit-in-use", isInUse: true, reason: "/dev/sda is mounted on /srv; unmount it" });
    t.regex(free.refusals[1]?.reason ?? "", /another path of its unit, .*1:0:0:0.*is in use: \/dev\/sda is mounted/);
  });
}

test("a known unit is not offered, and says why, until the use ends", (t) => {
  const inventory = new Inventory([unitRow(0)], []);
  const unit = inventory.unit("0");
  inventory.setUnitHandle(unit, 7);
  t.truthy(exportOf(unit));
  heedUses(inventory, found([], [used("1:0:0:0", IDENTITY)]));
  t.is(exportOf(unit), null);
  t.regex(whyNotOffered(unit) ?? "", /in use elsewhere: .*1:0:0:0.*mounted on \/srv; unmount it/);
  const free = heedUses(inventory, found([foundPath("1:0:0:0", IDENTITY)], []));
  t.deepEqual(numbers(free.paths), ["1:0:0:0"]);
  t.truthy(exportOf(unit));
});

test("a unit that is ours goes on over its own paths; what is in use is refused alone, as an error", (t) => {
  const inventory = new Inventory([unitRow(0)], []);
  const unit = inventory.unit("0");
  inventory.setUnitHandle(unit, 7);
  inventory.setPathHandle(inventory.addPath(unit, { number: "2:0:0:0", priority: 1, enabled: true, nexus: null }), 9);
  const paths = [foundPath("2:0:0:0", IDENTITY), foundPath("3:0:0:0", IDENTITY)];
  const free = heedUses(inventory, found(paths, [used("1:0:0:0", IDENTITY)]));
  t.deepEqual(numbers(free.paths), ["2:0:0:0", "3:0:0:0"]);
  t.is(free.refusals.length, 1);
  t.like(free.refusals[0], { number: "1:0:0:0", says: "path-in-use", unit: 0, isInUse: true });
  t.truthy(exportOf(unit));
});

test("a unit whose own paths are gone is nobody's: a device of it in use keeps the others from it", (t) => {
  const inventory = new Inventory([unitRow(0)], []);
  const unit = inventory.unit("0");
  inventory.setUnitHandle(unit, 7);
  inventory.addPath(unit, { number: "2:0:0:0", priority: 1, enabled: true, nexus: null });
  const free = heedUses(inventory, found([foundPath("2:0:0:0", IDENTITY)], [used("1:0:0:0", IDENTITY)]));
  t.deepEqual(numbers(free.paths), []);
  t.is(exportOf(unit), null);
});

test("somebody's own disk, of which we have nothing, is refused as any device, and is no error", (t) => {
  const free = heedUses(new Inventory([], []), found([], [used("1:0:0:0", IDENTITY)]));
  t.deepEqual(numbers(free.refusals), ["1:0:0:0"]);
  t.is(free.refusals[0]?.says, undefined);
  t.is(free.refusals[0]?.isInUse, undefined);
});

/** A reactor that gives handles to whatever it is asked to add. */
const reactor = {
  openPort: () => Promise.resolve(1),
  addUnits: (units: { paths: unknown[] }[]) =>
    Promise.resolve(units.map(({ paths }, index) => ({ unit: index, paths: paths.map((_, path) => path) }))),
} as unknown as ReactorClient;

function taking(busy: ReadonlySet<string>) {
  const held = new Set<string>();
  const claims = new Claims<Path>((device) => {
    if (busy.has(device)) return Promise.resolve("EBUSY");
    held.add(device);
    const close = () => {
      held.delete(device);
      return Promise.resolve();
    };
    return Promise.resolve({ close });
  });
  const inventory = new Inventory([unitRow(0)], []);
  const unit = inventory.unit("0");
  const arrivals = ["a", "b"].map((letter, index) => ({
    path: inventory.addPath(unit, { number: `${index + 1}:0:0:0`, priority: index + 1, enabled: true, nexus: null }),
    found: foundPath(`${index + 1}:0:0:0`, IDENTITY, `sd${letter}`),
  }));
  const bringUp = new BringUp(reactor, inventory, claims);
  const effective = new Effective(Configuration.parse({}), () => ({}));
  return { held, inventory, unit, add: () => bringUp.add(arrivals, effective) };
}

test("somebody was quicker than the claim: no path of a new unit is taken, and nothing of it stays held", async (t) => {
  const scene = taking(new Set(["/dev/sdb"]));
  const failures = await scene.add();
  t.deepEqual(
    failures.map(({ path }) => path.number),
    ["1:0:0:0", "2:0:0:0"],
  );
  t.regex(failures[0]?.reason ?? "", /another path of its unit, .*2:0:0:0/);
  t.like(failures[1]?.more, { says: "unit-in-use", unit: 0, isInUse: true });
  t.is(scene.held.size, 0);
});

test("the same where the unit is ours already: the other paths are taken", async (t) => {
  const scene = taking(new Set(["/dev/sdb"]));
  scene.inventory.setUnitHandle(scene.unit, 0);
  scene.inventory.setPathHandle(
    scene.inventory.addPath(scene.unit, { number: "9:0:0:0", priority: 9, enabled: true, nexus: null }),
    9,
  );
  const failures = await scene.add();
  t.deepEqual(
    failures.map(({ path }) => path.number),
    ["2:0:0:0"],
  );
  t.like(failures[0]?.more, { says: "path-in-use", unit: 0, isInUse: true });
  t.deepEqual([...scene.held], ["/dev/sda"]);
});
