// The storage behind the LUNs of the LIO array, of two kinds for different faults:
//
// - "shared": one memory-backed store per unit, exported by every path. The plain array.
// - "mapped": every path has its own store, over its own device-mapper device, over one memory disk per unit. The data and
//   the identity are the same, but a single path can be slow or silent: commands that reach a suspended device wait there,
//   and are executed, late, when it is resumed. The stores would not share persistent reservations.

import { existsSync, mkdirSync, readdirSync, rmdirSync } from "node:fs";
import { basename, join } from "node:path";
import { attempt, run } from "./command.ts";
import { numbered, writeText } from "./files.ts";

const CORE = "/sys/kernel/config/target/core";
const PAGES_PER_MIB = 256;
const SECTORS_PER_MIB = 2048;
/** Memory disks are created once, with the maximum size of a unit; memory is allocated as they are written. */
const UNITS_MAX = 65;
const DISK_KIB = 4096 * 1024;

/** Controllers and the ids of their target port groups; id 0 is the kernel's unused default group. */
export const CONTROLLERS = { A: { group: "controller_a", id: 1 }, B: { group: "controller_b", id: 2 } } as const;
export type Controller = keyof typeof CONTROLLERS;

/** Asymmetric access states (SPC-4 table 307) by the names that the array commands use. LIO does not support `offline`. */
export const ALUA_STATES = { optimized: 0, "non-optimized": 1, standby: 2, unavailable: 3, transitioning: 15 } as const;
export type AluaState = keyof typeof ALUA_STATES;

export interface Stores {
  /** Kernel modules needed besides the target's. */
  readonly modules: readonly (readonly string[])[];
  units(): readonly number[];
  /** Creates what unit `unit` needs on the given paths. */
  add(unit: number, mib: number, paths: readonly number[]): void;
  remove(unit: number): void;
  /** configfs folder of the store that path `path` exports for unit `unit`. */
  folder(path: number, unit: number): string;
  /** All stores of a unit. */
  folders(unit: number): readonly string[];
}

function giveIdentity(store: string, unit: number): void {
  // The kernel builds the NAA designator of VPD page 0x83 from the hexadecimal digits of the serial number.
  writeText(join(store, "wwn", "vpd_unit_serial"), (0x5000 + unit).toString(16).padStart(25, "0"));
  for (const [name, { group, id }] of Object.entries(CONTROLLERS)) {
    const folder = join(store, "alua", group);
    mkdirSync(folder);
    writeText(join(folder, "tg_pt_gp_id"), id);
    // By default the kernel delays every command of a non-optimized group by 100 ms.
    writeText(join(folder, "nonop_delay_msecs"), 0);
    writeText(join(folder, "alua_access_state"), name === "A" ? ALUA_STATES.optimized : ALUA_STATES["non-optimized"]);
  }
}

function removeStore(store: string): void {
  for (const { group } of Object.values(CONTROLLERS)) rmdirSync(join(store, "alua", group));
  rmdirSync(store);
}

const SHARED = join(CORE, "rd_mcp_0");

export const sharedStores: Stores = {
  modules: [],
  units: () => numbered(SHARED, "lu").map(({ number }) => number),
  add(unit, mib) {
    const store = join(SHARED, `lu${unit}`);
    if (existsSync(store)) throw new Error(`unit ${unit} exists already`);
    mkdirSync(store, { recursive: true });
    writeText(join(store, "control"), `rd_pages=${mib * PAGES_PER_MIB}`);
    writeText(join(store, "enable"), 1);
    giveIdentity(store, unit);
  },
  remove: (unit) => removeStore(join(SHARED, `lu${unit}`)),
  folder: (_path, unit) => join(SHARED, `lu${unit}`),
  folders: (unit) => [join(SHARED, `lu${unit}`)],
};

const MAPPED = join(CORE, "iblock_0");
const mappedName = (path: number, unit: number): string => `path${path}_${unit}`;

/** Runs dmsetup as needed in a guest without udev: it creates the device nodes itself. */
function dmsetup(...args: readonly string[]): void {
  run("env", "DM_DISABLE_UDEV=1", "dmsetup", ...args);
}

/** The existing devices of path `path`: their names, with the unit's number. */
const mappedOf = (path: number): readonly { readonly name: string; readonly number: number }[] =>
  numbered(MAPPED, `path${path}_`);

/** Replaces the table of every device of a path. */
function retable(path: number, tableOf: (sectors: number, disk: string) => string): void {
  for (const { name, number } of mappedOf(path)) {
    const sectors = Number(run("blockdev", "--getsz", `/dev/mapper/${name}`));
    dmsetup("reload", name, "--table", tableOf(sectors, `/dev/ram${number}`));
    dmsetup("resume", name);
  }
}

/** Delays every I/O of a path by `ms` (0: no delay). Only for mapped stores. */
export function delayPath(path: number, ms: number): void {
  if (mappedOf(path).length === 0) throw new Error("only a mapped array has slow paths (--array lio-mapped)");
  retable(path, (sectors, disk) => (ms === 0 ? `0 ${sectors} linear ${disk} 0` : `0 ${sectors} delay ${disk} 0 ${ms}`));
}

/** Silences a path: commands in flight and new ones wait, unanswered, until `on` is true again. Only for mapped stores. */
export function answerPath(path: number, on: boolean): void {
  if (mappedOf(path).length === 0) throw new Error("only a mapped array has silent paths (--array lio-mapped)");
  for (const { name } of mappedOf(path)) {
    if (on) dmsetup("resume", name);
    else dmsetup("suspend", "--noflush", "--nolockfs", name);
  }
}

/** Grows the disk behind a unit, on all paths or on the given ones, without notification. Only for mapped stores. */
export function growUnit(unit: number, mib: number, paths?: readonly number[]): void {
  const isMeant = (name: string): boolean =>
    paths === undefined
      ? name.startsWith("path") && name.endsWith(`_${unit}`)
      : paths.some((path) => name === mappedName(path, unit));
  for (const name of readdirSync(MAPPED).filter(isMeant)) {
    dmsetup("reload", name, "--table", `0 ${mib * SECTORS_PER_MIB} linear /dev/ram${unit} 0`);
    dmsetup("resume", name);
  }
}

export const mappedStores: Stores = {
  modules: [["brd", `rd_nr=${UNITS_MAX}`, `rd_size=${DISK_KIB}`], ["dm-mod"], ["dm-delay"], ["target_core_iblock"]],
  units: () => [...new Set(numbered(MAPPED, "path0_").map(({ number }) => number))],
  add(unit, mib, paths) {
    if (unit >= UNITS_MAX) throw new Error(`unit ${unit}: a mapped array has units 0 to ${UNITS_MAX - 1}`);
    for (const path of paths) {
      const name = mappedName(path, unit);
      const store = join(MAPPED, name);
      if (existsSync(store)) throw new Error(`unit ${unit} exists already`);
      dmsetup("create", name, "--table", `0 ${mib * SECTORS_PER_MIB} linear /dev/ram${unit} 0`);
      mkdirSync(store, { recursive: true });
      writeText(join(store, "control"), `udev_path=/dev/mapper/${name}`);
      writeText(join(store, "enable"), 1);
      giveIdentity(store, unit);
    }
  },
  remove(unit) {
    for (const store of mappedStores.folders(unit)) {
      removeStore(store);
      dmsetup("remove", basename(store));
    }
  },
  folder: (path, unit) => join(MAPPED, mappedName(path, unit)),
  folders(unit) {
    const all: string[] = [];
    for (let path = 0; existsSync(join(MAPPED, mappedName(path, unit))); path++)
      all.push(join(MAPPED, mappedName(path, unit)));
    return all;
  },
};

/** Loads modules with their parameters; a module that is already loaded stays as it is. */
export function loadModules(stores: Stores): void {
  run("modprobe", "-a", "sd_mod", "sg", "target_core_mod", "tcm_loop");
  for (const [module = "", ...parameters] of stores.modules) run("modprobe", module, ...parameters);
  if (stores === mappedStores && attempt("dmsetup", ["version"]).status !== 0) throw new Error("dmsetup does not work");
}
