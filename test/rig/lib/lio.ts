// A two-controller array inside the guest: the kernel's own SCSI target (LIO) behind loopback initiators.
//
// A logical unit is a memory-backed store; each path is a separate loopback target, with its own SCSI host, that exports the
// stores as its LUNs. The first half of the paths belongs to controller A, the second to controller B: two ALUA target port
// groups in every store. The whole state of the array is in configfs, so any process may open it.

import { existsSync, mkdirSync, rmdirSync, symlinkSync, unlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { until } from "../../until.ts";
import { numbered, readText, writeText } from "./files.ts";
import { scsiDevices, type ScsiDevice } from "./scsi.ts";
import {
  ALUA_STATES,
  answerPath,
  CONTROLLERS,
  delayPath,
  growUnit,
  loadModules,
  mappedStores,
  sharedStores,
  type AluaState,
  type Controller,
  type Stores,
} from "./stores.ts";

const FABRIC = "/sys/kernel/config/target/loopback";
const MAPPED_CORE = "/sys/kernel/config/target/core/iblock_0";
const WWN_PREFIX = "naa.6001405";

export interface ArrayPath {
  /** Number of the path, starting at 0. */
  readonly number: number;
  readonly controller: Controller;
  /** Number of its SCSI host. */
  readonly host: number;
  readonly online: boolean;
  /** The unit behind each LUN. */
  readonly luns: ReadonlyMap<number, number>;
}

const portOf = (path: number): string => join(FABRIC, `${WWN_PREFIX}${String(path).padStart(9, "0")}`, "tpgt_1");
const lunOf = (path: number, lun: number): string => join(portOf(path), "lun", `lun_${lun}`);

function link(stores: Stores, path: number, lun: number, unit: number, controller: Controller): void {
  const folder = lunOf(path, lun);
  mkdirSync(folder, { recursive: true });
  symlinkSync(stores.folder(path, unit), join(folder, `lu${unit}`));
  writeText(join(folder, "alua_tg_pt_gp"), CONTROLLERS[controller].group);
}

function makePort(path: number): void {
  const port = portOf(path);
  mkdirSync(port, { recursive: true });
  writeText(join(port, "nexus"), `${WWN_PREFIX}${String(0x100 + path).padStart(9, "0")}`);
}

function unlink(path: number, lun: number): void {
  const folder = lunOf(path, lun);
  for (const { name } of numbered(folder, "lu")) unlinkSync(join(folder, name));
  rmdirSync(folder);
}

export class LioArray {
  readonly #stores: Stores;

  /** Opens the array that exists in the guest. */
  constructor() {
    this.#stores = existsSync(MAPPED_CORE) ? mappedStores : sharedStores;
  }

  /**
   * Creates the array: `paths` paths to each of `units` units. If the kernel refuses something, the error gives its reason.
   */
  static create(options: {
    readonly units: number;
    readonly paths: number;
    readonly unitMib: number;
    readonly mapped: boolean;
  }): LioArray {
    const stores = options.mapped ? mappedStores : sharedStores;
    loadModules(stores);
    mkdirSync(FABRIC, { recursive: true });
    const paths = Array.from({ length: options.paths }, (_, path) => path);
    for (let unit = 0; unit < options.units; unit++) stores.add(unit, options.unitMib, paths);
    for (const path of paths) {
      makePort(path);
      const controller = path < options.paths / 2 ? "A" : "B";
      for (let unit = 0; unit < options.units; unit++) link(stores, path, unit, unit, controller);
    }
    return new LioArray();
  }

  paths(): readonly ArrayPath[] {
    const ports = numbered(FABRIC, WWN_PREFIX);
    return ports.map(({ number }) => {
      const port = portOf(number);
      const luns = numbered(join(port, "lun"), "lun_").flatMap(({ name, number: lun }) => {
        const unit = numbered(join(port, "lun", name), "lu")[0]?.number;
        return unit === undefined ? [] : [[lun, unit] as const];
      });
      return {
        number,
        controller: number < ports.length / 2 ? "A" : "B",
        host: Number(readText(join(port, "address")).split(":")[0]),
        online: readText(join(port, "transport_status")) === "online",
        luns: new Map(luns),
      };
    });
  }

  units(): readonly number[] {
    return this.#stores.units();
  }

  path(number: number): ArrayPath {
    const found = this.paths().find((path) => path.number === number);
    if (found === undefined) throw new Error(`no path ${number}: there are ${this.paths().length}, counted from 0`);
    return found;
  }

  /** The SCSI device of a path to a unit, if the guest has it. */
  device(path: number, unit: number): ScsiDevice | undefined {
    const { host, luns } = this.path(path);
    const lun = [...luns].find(([, leadsTo]) => leadsTo === unit)?.[0];
    return scsiDevices().find((device) => device.host === host && device.lun === lun);
  }

  /** The same for a device that has a disk; throws when it has none. */
  disk(path: number, unit: number): ScsiDevice & { readonly sd: string } {
    const device = this.device(path, unit);
    if (device?.sd === undefined) throw new Error(`path ${path} to unit ${unit} has no disk device`);
    return { ...device, sd: device.sd };
  }

  /** The SCSI devices of all paths to a unit, by path number. */
  devices(unit: number): readonly ScsiDevice[] {
    return this.paths().flatMap((path) => this.device(path.number, unit) ?? []);
  }

  /** Offline: every command on the path ends with host status 0x0e. Online again: the next one gets a unit attention. */
  setPath(number: number, online: boolean): void {
    this.path(number);
    writeText(join(portOf(number), "transport_status"), online ? "online" : "offline");
  }

  setController(controller: Controller, online: boolean): void {
    for (const path of this.paths()) if (path.controller === controller) this.setPath(path.number, online);
  }

  /** Changes a group's state for all units, as an array does when it moves units to its other controller. */
  setAlua(controller: Controller, state: AluaState): void {
    for (const store of this.units().flatMap((unit) => this.#stores.folders(unit))) {
      writeText(join(store, "alua", CONTROLLERS[controller].group, "alua_access_state"), ALUA_STATES[state]);
    }
  }

  alua(controller: Controller, unit: number): AluaState | undefined {
    const store = this.#stores.folders(unit)[0];
    if (store === undefined) return undefined;
    const value = Number(readText(join(store, "alua", CONTROLLERS[controller].group, "alua_access_state")));
    return (Object.keys(ALUA_STATES) as AluaState[]).find((name) => ALUA_STATES[name] === value);
  }

  /** Delays each I/O of a path by `ms`; 0: no delay. Mapped arrays only. */
  delayPath(number: number, ms: number): void {
    this.path(number);
    delayPath(number, ms);
  }

  /** A black hole: the path stops answering, until `on` is true again (then all answers come, late). Mapped arrays only. */
  answerPath(number: number, on: boolean): void {
    this.path(number);
    answerPath(number, on);
  }

  /** Grows a unit, as seen by all paths or by the given ones, without notification. Mapped arrays only. */
  growUnit(unit: number, mib: number, paths?: readonly number[]): void {
    growUnit(unit, mib, paths);
  }

  /** Adds a unit and exports it on every path; returns when the guest has all its devices. */
  async addUnit(unit: number, mib: number): Promise<void> {
    const paths = this.paths();
    const numbers = paths.map(({ number }) => number);
    this.#stores.add(unit, mib, numbers);
    for (const path of paths) link(this.#stores, path.number, unit, unit, path.controller);
    await until(`unit ${unit} has ${paths.length} devices`, () => this.devices(unit).length === paths.length);
  }

  /** Removes a unit from every path and destroys it. */
  removeUnit(unit: number): void {
    if (!this.units().includes(unit)) throw new Error(`no unit ${unit}: there are ${this.units().join(" ")}`);
    for (const path of this.paths()) {
      for (const [lun, leadsTo] of path.luns) if (leadsTo === unit) unlink(path.number, lun);
    }
    this.#stores.remove(unit);
  }

  /** Removes the host adapters of all paths and creates them again in this order, which changes their numbers. */
  async remakeHosts(order: readonly number[]): Promise<void> {
    const before = this.paths();
    for (const { number, luns } of before) {
      for (const lun of luns.keys()) unlink(number, lun);
      rmdirSync(portOf(number));
      rmdirSync(dirname(portOf(number)));
    }
    await until("all devices are gone", () => scsiDevices().length === 0);
    for (const number of order) {
      const path = before.find((one) => one.number === number);
      if (path === undefined) throw new Error(`no path ${number}`);
      makePort(number);
      for (const [lun, unit] of path.luns) link(this.#stores, number, lun, unit, path.controller);
    }
    const devices = before.reduce((count, { luns }) => count + luns.size, 0);
    await until("all devices are back", () => scsiDevices().length === devices);
  }

  /** Maps a LUN of one path to another unit: same path number, other identity. The device is removed and added. */
  remap(number: number, lun: number, unit: number): void {
    const path = this.path(number);
    if (!this.units().includes(unit)) throw new Error(`no unit ${unit}: there are ${this.units().join(" ")}`);
    if (path.luns.has(lun)) unlink(number, lun);
    link(this.#stores, number, lun, unit, path.controller);
  }
}
