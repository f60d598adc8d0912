// A two-controller array inside the guest: the kernel's own SCSI target (LIO) behind loopback initiators.
//
// A logical unit is a memory-backed store; a path is a loopback target of its own, with its own SCSI host, which links the
// stores as its LUNs. The first half of the paths belongs to controller A, the second to controller B: two ALUA target port
// groups in every store. Everything the array is lies in configfs, so any process may open it.

import { existsSync, mkdirSync, readlinkSync, rmdirSync, symlinkSync, unlinkSync } from "node:fs";
import { basename, join } from "node:path";
import { run } from "./command.ts";
import { numbered, readText, until, writeText } from "./files.ts";
import { scsiDevices, type ScsiDevice } from "./scsi.ts";

const TARGET = "/sys/kernel/config/target";
const STORES = join(TARGET, "core", "rd_mcp_0");
const FABRIC = join(TARGET, "loopback");
const WWN_PREFIX = "naa.6001405";
const PAGES_PER_MIB = 256;

/** Controllers and the ids of their target port groups; id 0 is the kernel's unused default group. */
export const CONTROLLERS = { A: { group: "controller_a", id: 1 }, B: { group: "controller_b", id: 2 } } as const;
export type Controller = keyof typeof CONTROLLERS;

/** Asymmetric access states (SPC-4 table 307) by the names the array commands use. */
export const ALUA_STATES = {
  optimized: 0,
  "non-optimized": 1,
  standby: 2,
  unavailable: 3,
  offline: 14,
  transitioning: 15,
} as const;
export type AluaState = keyof typeof ALUA_STATES;

export interface ArrayPath {
  /** Number of the path, from 0. */
  readonly number: number;
  readonly controller: Controller;
  /** Number of its SCSI host. */
  readonly host: number;
  readonly online: boolean;
  /** Which unit each LUN leads to. */
  readonly luns: ReadonlyMap<number, number>;
}

const storeOf = (unit: number): string => join(STORES, `lu${unit}`);
const portOf = (path: number): string => join(FABRIC, `${WWN_PREFIX}${String(path).padStart(9, "0")}`, "tpgt_1");
const lunOf = (path: number, lun: number): string => join(portOf(path), "lun", `lun_${lun}`);

function addUnit(unit: number, mib: number): void {
  const store = storeOf(unit);
  if (existsSync(store)) throw new Error(`unit ${unit} exists already`);
  mkdirSync(store, { recursive: true });
  writeText(join(store, "control"), `rd_pages=${mib * PAGES_PER_MIB}`);
  writeText(join(store, "enable"), 1);
  // The NAA designator of VPD page 0x83 is made of the serial number's hexadecimal digits.
  writeText(join(store, "wwn", "vpd_unit_serial"), (0x5000 + unit).toString(16).padStart(25, "0"));
  for (const [name, { group, id }] of Object.entries(CONTROLLERS)) {
    const folder = join(store, "alua", group);
    mkdirSync(folder);
    writeText(join(folder, "tg_pt_gp_id"), id);
    // The kernel would delay every command of a non-optimized group by 100 ms.
    writeText(join(folder, "nonop_delay_msecs"), 0);
    writeText(join(folder, "alua_access_state"), name === "A" ? ALUA_STATES.optimized : ALUA_STATES["non-optimized"]);
  }
}

function link(path: number, lun: number, unit: number, controller: Controller): void {
  const folder = lunOf(path, lun);
  mkdirSync(folder, { recursive: true });
  symlinkSync(storeOf(unit), join(folder, `lu${unit}`));
  writeText(join(folder, "alua_tg_pt_gp"), CONTROLLERS[controller].group);
}

function unlink(path: number, lun: number): void {
  const folder = lunOf(path, lun);
  for (const { name } of numbered(folder, "lu")) unlinkSync(join(folder, name));
  rmdirSync(folder);
}

export class LioArray {
  /** Builds the array: `paths` paths to each of `units` units. A failure of it is reported by the kernel's own message. */
  static create(options: { readonly units: number; readonly paths: number; readonly unitMib: number }): LioArray {
    run("modprobe", "-a", "sd_mod", "sg", "target_core_mod", "tcm_loop");
    mkdirSync(FABRIC, { recursive: true });
    for (let unit = 0; unit < options.units; unit++) addUnit(unit, options.unitMib);
    for (let path = 0; path < options.paths; path++) {
      const port = portOf(path);
      mkdirSync(port, { recursive: true });
      writeText(join(port, "nexus"), `${WWN_PREFIX}${String(0x100 + path).padStart(9, "0")}`);
      const controller = path < options.paths / 2 ? "A" : "B";
      for (let unit = 0; unit < options.units; unit++) link(path, unit, unit, controller);
    }
    return new LioArray();
  }

  paths(): readonly ArrayPath[] {
    const ports = numbered(FABRIC, WWN_PREFIX);
    return ports.map(({ number }) => {
      const port = portOf(number);
      const luns = numbered(join(port, "lun"), "lun_").flatMap(({ name, number: lun }) => {
        const store = numbered(join(port, "lun", name), "lu")[0];
        return store === undefined
          ? []
          : [[lun, Number(basename(readlinkSync(join(port, "lun", name, store.name))).slice(2))] as const];
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
    return numbered(STORES, "lu").map(({ number }) => number);
  }

  path(number: number): ArrayPath {
    const found = this.paths().find((path) => path.number === number);
    if (found === undefined) throw new Error(`no path ${number}: there are ${this.paths().length}, counted from 0`);
    return found;
  }

  /** The SCSI device of a path to a unit, when the guest has it. */
  device(path: number, unit: number): ScsiDevice | undefined {
    const { host, luns } = this.path(path);
    const lun = [...luns].find(([, leadsTo]) => leadsTo === unit)?.[0];
    return scsiDevices().find((device) => device.host === host && device.lun === lun);
  }

  /** The SCSI devices of all paths to a unit, by the path's number. */
  devices(unit: number): readonly ScsiDevice[] {
    return this.paths().flatMap((path) => this.device(path.number, unit) ?? []);
  }

  /** Offline: every command of the path ends with host status 0x0e. Online again: the next one meets a unit attention. */
  setPath(number: number, online: boolean): void {
    this.path(number);
    writeText(join(portOf(number), "transport_status"), online ? "online" : "offline");
  }

  setController(controller: Controller, online: boolean): void {
    for (const path of this.paths()) if (path.controller === controller) this.setPath(path.number, online);
  }

  /** Changes a group's state for all units, as an array does that moves units to its other controller. */
  setAlua(controller: Controller, state: AluaState): void {
    for (const unit of this.units()) {
      writeText(join(storeOf(unit), "alua", CONTROLLERS[controller].group, "alua_access_state"), ALUA_STATES[state]);
    }
  }

  alua(controller: Controller, unit: number): AluaState | undefined {
    const value = Number(readText(join(storeOf(unit), "alua", CONTROLLERS[controller].group, "alua_access_state")));
    return (Object.keys(ALUA_STATES) as AluaState[]).find((name) => ALUA_STATES[name] === value);
  }

  /** Adds a unit and shows it on every path; it is there when the guest has all its devices. */
  async addUnit(unit: number, mib: number): Promise<void> {
    addUnit(unit, mib);
    const paths = this.paths();
    for (const path of paths) link(path.number, unit, unit, path.controller);
    await until(`unit ${unit} has ${paths.length} devices`, () =>
      this.devices(unit).length === paths.length ? true : undefined,
    );
  }

  /** Takes a unit from every path and destroys it. */
  removeUnit(unit: number): void {
    if (!this.units().includes(unit)) throw new Error(`no unit ${unit}: there are ${this.units().join(" ")}`);
    for (const path of this.paths()) {
      for (const [lun, leadsTo] of path.luns) if (leadsTo === unit) unlink(path.number, lun);
    }
    const store = storeOf(unit);
    for (const { group } of Object.values(CONTROLLERS)) rmdirSync(join(store, "alua", group));
    rmdirSync(store);
  }

  /** Lets a LUN of one path lead to another unit: same path number, other identity. The device goes and comes. */
  remap(number: number, lun: number, unit: number): void {
    const path = this.path(number);
    if (!this.units().includes(unit)) throw new Error(`no unit ${unit}: there are ${this.units().join(" ")}`);
    if (path.luns.has(lun)) unlink(number, lun);
    link(number, lun, unit, path.controller);
  }
}
