// The table of units for udev: who is in it, and which devices udev looks at again.

import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import type { FoundPath } from "../../../host/discovery/discover.ts";
import { UnitTable } from "../../../host/control/devices/unit-table.ts";
import { Inventory, type Path, type Unit } from "../../../host/control/inventory/inventory.ts";
import { checkConfiguration } from "../../../host/control/settings/configuration.ts";
import type { Configuration } from "../../../host/control/schemas/configuration-schema.ts";

function configured(text: string): Configuration {
  const checked = checkConfiguration(text, "test");
  if (!checked.ok) throw new Error("the test's configuration is wrong");
  return checked.configuration;
}
const ALL = configured('devices = "all"');
const NONE = configured('devices = [{ vendor = "OTHER" }]');

const DISKS = ["sda", "sdb"];

interface Scene {
  readonly folder: string;
  readonly inventory: Inventory;
  readonly said: string[];
  readonly table: () => UnitTable;
  readonly lines: (name: "run" | "etc") => string[];
  /** Devices that udev was asked to look at since the last call. */
  readonly asked: () => string[];
  /** The unit's block devices. */
  readonly devices: string[];
}

function scene(t: ExecutionContext): Scene {
  const folder = mkdtempSync(join(tmpdir(), "pathmanager-table-"));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  for (const name of [...DISKS, "nbd3"]) {
    for (const kind of ["class/block", "block"]) mkdirSync(join(folder, "sys", kind, name), { recursive: true });
    writeFileSync(join(folder, "sys/class/block", name, "uevent"), "");
  }
  mkdirSync(join(folder, "udev/data"), { recursive: true });
  writeFileSync(join(folder, "udev/control"), "");
  const inventory = new Inventory([], []);
  const said: string[] = [];
  const devices = ["/dev/nbd3"];
  const files = ["run", "etc"].map((name) => join(folder, name, "units"));
  const table = (): UnitTable =>
    new UnitTable({
      inventory,
      attachments: { of: () => devices.map((device) => ({ device, index: 3, sinceMs: 0 })) },
      hub: { say: (kind, about) => void said.push(`${kind} ${String(about?.detail?.["reason"])}`) },
      places: {
        files,
        sysfs: join(folder, "sys"),
        udev: join(folder, "udev"),
        neighbours: { folder: join(folder, "multipath"), signs: [join(folder, "lvm")] },
      },
    });
  const lines = (name: "run" | "etc"): string[] =>
    readFileSync(join(folder, name, "units"), "utf8")
      .split("\n")
      .filter((line) => line !== "" && !line.startsWith("#"));
  const asked = (): string[] =>
    [...DISKS, "nbd3"].filter((name) => {
      const file = join(folder, "sys/class/block", name, "uevent");
      const isAsked = readFileSync(file, "utf8") === "change";
      writeFileSync(file, "");
      return isAsked;
    });
  return { folder, inventory, said, table, lines, asked, devices };
}

function addUnit(inventory: Inventory): { unit: Unit; path: Path } {
  const facts = { vendor: "NEC", product: "DISK\tARRAY", revision: "1", serial: "", bytes: 512, blockBytes: 512 };
  const unit = inventory.addUnit({
    number: 0,
    identity: { type: "naa", text: "naa.6001" },
    name: "lu0",
    facts: { ...facts, identityType: "naa" },
    policy: null,
    hedgeBudgetPercent: null,
  });
  const path = inventory.addPath(unit, { number: "4:0:0:0", nexus: null, priority: 1, enabled: true });
  return { unit, path };
}

/** The path's device is there and taken. */
function appears(inventory: Inventory, path: Path): void {
  inventory.setPathHandle(path, 7);
  path.found = { device: "/dev/sg0", number: path.number, blockDevice: "sda" } as FoundPath;
}

const LINE = "naa.6001\tlu0\tNEC\tDISK ARRAY\t";

test("a unit we take is in both tables, and udev looks at its devices again, once", (t) => {
  const { inventory, table, lines, asked } = scene(t);
  const { path } = addUnit(inventory);
  const one = table();
  one.update(ALL);
  t.throws(() => lines("run"), { code: "ENOENT" }, "nothing to say yet");
  appears(inventory, path);
  one.update(ALL);
  t.deepEqual(lines("run"), [LINE]);
  t.deepEqual(lines("etc"), [LINE]);
  t.deepEqual(asked(), ["sda", "nbd3"]);
  one.update(ALL);
  t.deepEqual(asked(), []);
});

test("udev looks once more at a device whose owner the nbd driver tells only after announcing it", (t) => {
  const { inventory, table, lines, asked } = scene(t);
  const { path } = addUnit(inventory);
  appears(inventory, path);
  const one = table();
  one.update(ALL);
  asked();
  one.deviceChanged("nbd3", ALL);
  t.deepEqual(asked(), ["nbd3"], "although nothing in the table has changed");
  t.deepEqual(lines("run"), [LINE]);
});

test("a new name is written, and the block device gets it", (t) => {
  const { inventory, table, lines, asked } = scene(t);
  const { unit, path } = addUnit(inventory);
  appears(inventory, path);
  const one = table();
  one.update(ALL);
  asked();
  unit.name = "database";
  one.update(ALL);
  t.deepEqual(lines("etc"), [LINE.replace("lu0", "database")]);
  t.deepEqual(asked(), ["sda", "nbd3"]);
});

test("a unit stays while its devices are away, over a start of the daemon as well", (t) => {
  const { inventory, table, lines } = scene(t);
  const { path } = addUnit(inventory);
  appears(inventory, path);
  table().update(ALL);
  inventory.setPathHandle(path, null);
  path.found = null;
  const next = table();
  next.update(ALL);
  t.deepEqual(lines("etc"), [LINE]);
  next.update(configured('devices = [{ block_device = "sda" }]'));
  t.deepEqual(lines("etc"), [LINE], "nobody can tell yet whether the configuration takes it");
});

test("what the configuration does not take any more is given back, and what somebody else uses", (t) => {
  const { folder, inventory, table, lines, asked } = scene(t);
  const { unit, path } = addUnit(inventory);
  appears(inventory, path);
  table().update(ALL);
  asked();
  inventory.setPathHandle(path, null);
  path.found = null;
  writeFileSync(join(folder, "sys/block/sdb/dev"), "8:16\n");
  writeFileSync(join(folder, "udev/data/b8:16"), "E:ID_FS_TYPE=pathmanager_member\nE:PATHMANAGER_PATH=naa.6001\n");
  table().update(NONE);
  t.deepEqual(lines("etc"), []);
  t.deepEqual(asked(), ["sdb"], "the disk that udev has hidden");
  appears(inventory, path);
  const one = table();
  one.update(ALL);
  unit.inUse = "mounted";
  one.update(ALL);
  t.deepEqual(lines("etc"), []);
});

test("a folder that cannot be written is told once; the other copy is written", (t) => {
  const { folder, inventory, table, lines, said } = scene(t);
  const { unit, path } = addUnit(inventory);
  appears(inventory, path);
  writeFileSync(join(folder, "etc"), "no folder");
  const one = table();
  one.update(ALL);
  unit.name = "other";
  one.update(ALL);
  t.is(lines("run").length, 1);
  t.is(said.length, 1);
  t.regex(said[0] ?? "", /^unit-table-unwritten .*etc\/units: /);
});

test("where no udev runs, a table that cannot be written is no problem", (t) => {
  const { folder, inventory, said, table, lines } = scene(t);
  const { path } = addUnit(inventory);
  appears(inventory, path);
  rmSync(join(folder, "udev/control"));
  writeFileSync(join(folder, "etc"), "");
  table().update(ALL);
  t.deepEqual(lines("run"), [LINE]);
  t.deepEqual(said, []);
});

test("a device of ublk's is in the table, since the kernel does not tell whose it is", (t) => {
  const { inventory, table, lines, devices } = scene(t);
  const { path } = addUnit(inventory);
  appears(inventory, path);
  devices.push("/dev/ublkb4");
  table().update(ALL);
  t.deepEqual(lines("run"), [`${LINE}\tublkb4`]);
});

test("LVM and multipathd are told, where they are; lines of others stay", (t) => {
  const { folder, inventory, table } = scene(t);
  const { path } = addUnit(inventory);
  appears(inventory, path);
  const one = table();
  one.update(ALL);
  const read = (file: string): string => readFileSync(join(folder, "multipath", file), "utf8");
  t.throws(() => read("wwids"), { code: "ENOENT" }, "there is no LVM");
  mkdirSync(join(folder, "lvm"));
  mkdirSync(join(folder, "multipath"));
  writeFileSync(join(folder, "multipath/wwids"), "# Multipath wwids\n/3aaaa/\n");
  one.update(ALL);
  t.is(read("wwids"), "# Multipath wwids\n/3aaaa/\n# of pathmanager:\n/36001/\n");
  t.regex(read("conf.d/pathmanager.conf"), /^blacklist \{\n\twwid "\^36001\$"\n\}$/m);
  one.update(ALL);
  t.is(read("wwids").match(/36001/g)?.length, 1, "once");
  inventory.setPathHandle(path, null);
  path.found = null;
  one.update(NONE);
  t.is(read("wwids"), "# Multipath wwids\n/3aaaa/\n");
  t.throws(() => read("conf.d/pathmanager.conf"), { code: "ENOENT" });
});

const expected = (text: string): FoundPath =>
  ({ probe: { identity: { text }, vendor: "NEC", product: "DISK", formerIdentity: null } }) as unknown as FoundPath;

test("a unit that is about to be taken is in the table before it is, and leaves it if it is not", (t) => {
  const { inventory, table, lines, asked } = scene(t);
  const one = table();
  t.true(one.expect([expected("naa.6001"), expected("naa.6001")]), "udev did not know it");
  t.deepEqual(lines("run"), ["naa.6001\t\tNEC\tDISK\t"]);
  t.deepEqual(lines("etc"), lines("run"));
  t.deepEqual(asked(), [], "nothing has happened to its disks yet");
  const { unit, path } = addUnit(inventory);
  appears(inventory, path);
  one.update(ALL);
  t.deepEqual(lines("etc"), [LINE]);
  t.deepEqual(asked(), ["sda", "nbd3"]);
  t.false(one.expect([expected("naa.6001")]), "it is known by now");
  t.true(one.expect([expected("naa.6002")]));
  one.update(ALL);
  t.is(lines("etc").length, 2, "it waits, and stays announced");
  t.false(one.expect([]));
  one.update(ALL);
  t.deepEqual(lines("etc"), [LINE]);
  t.is(unit.inUse, null);
});

test("a unit that was announced and could not be claimed is not kept as one of ours", (t) => {
  const { inventory, table, lines } = scene(t);
  const one = table();
  one.expect([expected("naa.6001")]);
  addUnit(inventory);
  one.expect([]);
  one.update(ALL);
  t.deepEqual(lines("etc"), []);
});
