// The table of units that the daemon takes, for udev's rules (host/udev): their paths are hidden from everybody else, and their
// block devices have their names. One copy survives a reboot, so that the rules know the paths before the daemon runs.

import { existsSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { readNames, readText } from "../../discovery/sysfs.ts";
import type { FoundPath } from "../../discovery/discover.ts";
import type { Selector } from "../../discovery/select.ts";
import type { EventHub } from "../events/event-hub.ts";
import { reasonOf } from "../ground/control-errors.ts";
import { replaceFile } from "../ground/replace-file.ts";
import type { Inventory, Unit } from "../inventory/inventory.ts";
import { isEmulated, type Configuration } from "../schemas/configuration-schema.ts";
import type { Attachments } from "./operation-context.ts";
import { passesFilter } from "./device-filter.ts";
import { NEIGHBOUR_PLACES, tellNeighbours, type NeighbourPlaces } from "./neighbours.ts";
import { isOurs } from "./units-in-use.ts";

/** Where the table and what udev knows are; a test has its own. */
export interface TablePlaces {
  /** The copy of this boot, and the one that is kept. */
  readonly files: readonly string[];
  readonly sysfs: string;
  /** udev's folder; it is empty where no udev runs. */
  readonly udev: string;
  readonly neighbours: NeighbourPlaces;
}

export const TABLE_PLACES: TablePlaces = {
  files: ["/run/pathmanager/units", "/etc/pathmanager/units"],
  sysfs: "/sys",
  udev: "/run/udev",
  neighbours: NEIGHBOUR_PLACES,
};

const HEAD = `# The logical units that pathmanagerd takes, for udev's rules: identity, name, vendor, product, former
# identity, ublk devices.
# pathmanagerd writes this file. Without it, other programs find the units' paths.
`;

/** A unit in the table. */
interface Row {
  readonly identity: string;
  readonly line: string;
}

// oxlint-disable-next-line no-control-regex
const plain = (text: string): string => text.replaceAll(/[\u0000-\u001f\u007f]/g, " ");

/** Devices of which the kernel does not tell whose they are: for nbd's it does. */
const isUntold = (device: string): boolean => device.startsWith("ublkb");

function rowOf({ identity, name, facts }: Unit, devices: readonly string[]): Row {
  const untold = devices.map((device) => basename(device)).filter(isUntold);
  const fields = [identity.text, name, facts.vendor, facts.product, facts.formerIdentity ?? ""];
  if (untold.length > 0) fields.push(untold.join(" "));
  return { identity: identity.text, line: fields.map(plain).join("\t") };
}

/** A unit that is about to be taken has no name yet. */
const expectedRow = ({ probe: { identity, vendor, product, formerIdentity } }: FoundPath): Row => ({
  identity: identity.text,
  line: [identity.text, "", vendor, product, formerIdentity ?? ""].map(plain).join("\t"),
});

/** Whether a selector asks for something that a unit without a device has not. */
function asksForPlace({ block_device, protocol, device, path, except }: Selector): boolean {
  const asked = [block_device, protocol, device, path];
  return asked.some((field) => field !== undefined) || (except ?? []).some(asksForPlace);
}

/** Whether the configuration still takes a unit of which no device is there, as far as that can be told. */
function isStillTaken(unit: Unit, configuration: Configuration): boolean {
  const { devices, exclude } = configuration;
  const selectors = isEmulated(configuration) || devices === "all" ? exclude : [...devices, ...exclude];
  return selectors.some(asksForPlace) || [...unit.paths.values()].some((path) => passesFilter(path, configuration));
}

export interface TableParts {
  readonly inventory: Inventory;
  readonly attachments: Pick<Attachments, "of">;
  readonly hub: Pick<EventHub, "say">;
  readonly places: TablePlaces;
}

export class UnitTable {
  readonly #parts: TableParts;
  /** The lines as they were written last, by identity. */
  #written = new Map<string, string>();
  /** Identities of the units that were taken when the table was last updated. */
  #taken: ReadonlySet<string> = new Set();
  /** Lines of units that are about to be taken, by identity. */
  #expected = new Map<string, string>();
  #hasRead = false;
  /** Why a copy could not be written, as last reported. */
  #problem: string | null = null;

  constructor(parts: TableParts) {
    this.#parts = parts;
  }

  /**
   * Units that are about to be taken are in the table before their paths are claimed; those of an earlier call are not any more, as soon as
   * the table is updated.
   * @param paths of these units
   * @returns whether one of them was not in the table; then it is now
   */
  expect(paths: readonly FoundPath[]): boolean {
    if (!this.#hasRead) this.#read();
    const rows = paths.map(expectedRow).map(({ identity, line }) => [identity, line] as const);
    this.#expected = new Map(rows);
    const isNew = rows.some(([identity]) => !this.#written.has(identity));
    if (!isNew) return false;
    this.#written = new Map([...this.#expected, ...this.#written]);
    this.#write(this.#written);
    return true;
  }

  /** Units or paths have come or gone, or were renamed: writes the table if it has changed, and lets udev look again. */
  update(configuration: Configuration): void {
    const { inventory } = this.#parts;
    if (!this.#hasRead) this.#read();
    const taken = inventory.units().filter((unit) => this.#isTaken(unit, configuration));
    const devicesOf = (unit: Unit): string[] => this.#parts.attachments.of(unit).map(({ device }) => device);
    const known = taken
      .map((unit) => rowOf(unit, devicesOf(unit)))
      .map(({ identity, line }) => [identity, line] as const);
    const rows = new Map([...this.#expected, ...known]);
    const changed = [...rows].filter(([identity, line]) => this.#written.get(identity) !== line);
    const dropped = [...this.#written.keys()].filter((identity) => !rows.has(identity));
    this.#write(rows);
    this.#written = rows;
    this.#taken = new Set(known.map(([identity]) => identity));
    this.#lookAgain(new Set(changed.map(([identity]) => identity)), new Set(dropped));
  }

  /**
   * A unit has got a device, or lost it. Of nbd's devices the kernel itself says whose they are, but announces them before it does: udev may have
   * looked too early, and looks once more.
   * @param name the kernel's: nbd0
   */
  deviceChanged(name: string, configuration: Configuration): void {
    if (!name.startsWith("nbd")) this.update(configuration);
    else if (this.#isUdevThere()) askUdev(this.#parts.places.sysfs, name);
  }

  #isTaken(unit: Unit, configuration: Configuration): boolean {
    if (unit.inUse !== null) return false;
    if (isOurs(unit)) return true;
    return this.#taken.has(unit.identity.text) && isStillTaken(unit, configuration);
  }

  /** What an earlier daemon wrote: the units whose devices are still to come are in it. */
  #read(): void {
    this.#hasRead = true;
    for (const file of this.#parts.places.files.toReversed()) {
      for (const line of (readText(file) ?? "").split("\n")) {
        const [identity = ""] = line.split("\t");
        if (identity !== "" && !identity.startsWith("#")) this.#written.set(identity, line);
      }
    }
    this.#taken = new Set(this.#written.keys());
  }

  #write(rows: ReadonlyMap<string, string>): void {
    const text = HEAD + [...rows.values()].map((line) => `${line}\n`).join("");
    const { files, neighbours } = this.#parts.places;
    const steps: [string, () => void][] = files.map((file) => [
      file,
      () => {
        if (rows.size > 0 || existsSync(file)) replaceFile(file, text);
      },
    ]);
    steps.push([neighbours.folder, () => tellNeighbours([...rows.keys()], neighbours)]);
    const problems = steps.flatMap(([what, write]) => {
      try {
        write();
        return [];
      } catch (thrown) {
        return [`${what}: ${reasonOf(thrown)}`];
      }
    });
    // Where no udev runs, nobody reads the table: a root that is never written is no problem of anyone's.
    const problem = problems.length === 0 || !this.#isUdevThere() ? null : problems.join("; ");
    if (problem !== null && problem !== this.#problem) {
      this.#parts.hub.say("unit-table-unwritten", { detail: { reason: problem } });
    }
    this.#problem = problem;
  }

  #isUdevThere(): boolean {
    return existsSync(join(this.#parts.places.udev, "control"));
  }

  /** udev decides about a device only when something happens to it. */
  #lookAgain(changed: ReadonlySet<string>, dropped: ReadonlySet<string>): void {
    const { inventory, attachments, places } = this.#parts;
    if (changed.size + dropped.size === 0 || !this.#isUdevThere()) return;
    const units = inventory.units().filter((unit) => changed.has(unit.identity.text));
    const paths = units.flatMap((unit) => [...unit.paths.values()].flatMap(({ found }) => found?.blockDevice ?? []));
    const devices = units.flatMap((unit) => attachments.of(unit).map(({ device }) => basename(device)));
    for (const name of [...paths, ...devices, ...this.#markedAs(dropped)]) askUdev(places.sysfs, name);
  }

  /** Disks that udev has hidden as paths of these units. */
  #markedAs(identities: ReadonlySet<string>): string[] {
    const { sysfs, udev } = this.#parts.places;
    if (identities.size === 0) return [];
    return readNames(join(sysfs, "block")).filter((name) => {
      const number = name.startsWith("sd") ? readText(join(sysfs, "block", name, "dev")) : null;
      const known = number === null ? null : readText(join(udev, "data", `b${number}`));
      const identity = /^E:PATHMANAGER_PATH=(.*)$/m.exec(known ?? "")?.[1];
      return identity !== undefined && identities.has(identity);
    });
  }
}

/** Lets udev apply its rules to a block device anew. */
function askUdev(sysfs: string, name: string): void {
  try {
    writeFileSync(join(sysfs, "class/block", name, "uevent"), "change");
  } catch {
    // It is gone, or sysfs is read-only: then udev hears of it when something happens to the device.
  }
}
