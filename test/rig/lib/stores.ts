// What lies behind the LUNs of the LIO array. Two ways, because they show different bad luck:
//
// - "shared": one memory-backed store per unit, which every path exports. The plain array.
// - "mapped": every path has a store of its own, over a device-mapper device of its own, over one memory disk per unit.
//   The same bytes and the same identity, but a single path can be slow, or silent: what reaches a suspended device waits
//   there, and is carried out, late, when it is resumed. Persistent reservations would not be shared by the stores.

import { existsSync, mkdirSync, readdirSync, rmdirSync } from "node:fs";
import { basename, join } from "node:path";
import { attempt, run } from "./command.ts";
import { numbered, writeText } from "./files.ts";

const CORE = "/sys/kernel/config/target/core";
const PAGES_PER_MIB = 256;
const SECTORS_PER_MIB = 2048;
/** Memory disks are created once, at the size a unit may have at most; memory is taken as they are written. */
const UNITS_MAX = 65;
const DISK_KIB = 4096 * 1024;

/** Controllers and the ids of their target port groups; id 0 is the kernel's unused default group. */
export const CONTROLLERS = { A: { group: "controller_a", id: 1 }, B: { group: "controller_b", id: 2 } } as const;
export type Controller = keyof typeof CONTROLLERS;

/** Asymmetric access states (SPC-4 table 307) by the names the array commands use. LIO does not know `offline`. */
export const ALUA_STATES = { optimized: 0, "non-optimized": 1, standby: 2, unavailable: 3, transitioning: 15 } as const;
export type AluaState = keyof typeof ALUA_STATES;

export interface Stores {
  /** Kernel modules it needs besides the target's. */
  readonly modules: readonly (readonly string[])[];
  units(): readonly number[];
  /** Makes what unit `unit` needs on the given paths. */
  add(unit: number, mib: number, paths: readonly number[]): void;
  remove(unit: number): void;
  /** configfs folder of the store that path `path` exports for unit `unit`. */
  folder(path: number, unit: number): string;
  /** All stores of a unit. */
  folders(unit: number): readonly string[];
}

function giveIdentity(store: string, unit: number): void {
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

/** Runs dmsetup as a guest without udev needs it: it makes the device nodes itself. */
function dmsetup(...args: readonly string[]): void {
  run("env", "DM_DISABLE_UDEV=1", "dmsetup", ...args);
}

/** What devices of path `path` exist: their names, with the unit's number. */
const mappedOf = (path: number): readonly { readonly name: string; readonly number: number }[] =>
  numbered(MAPPED, `path${path}_`);

/** Replaces the table of all devices of a path. */
function retable(path: number, tableOf: (sectors: number, disk: string) => string): void {
  for (const { name, number } of mappedOf(path)) {
    const sectors = Number(run("blockdev", "--getsz", `/dev/mapper/${name}`));
    dmsetup("reload", name, "--table", tableOf(sectors, `/dev/ram${number}`));
    dmsetup("resume", name);
  }
}

/** Lets every I/O of a path take `ms` longer (0: not). Only for mapped stores. */
export function delayPath(path: number, ms: number): void {
  if (mappedOf(path).length === 0) throw new Error("only a mapped array has slow paths (--array lio-mapped)");
  retable(path, (sectors, disk) => (ms === 0 ? `0 ${sectors} linear ${disk} 0` : `0 ${sectors} delay ${disk} 0 ${ms}`));
}

/** Silences a path: what is in flight and what comes waits, unanswered, until `on` is true again. Only for mapped stores. */
export function answerPath(path: number, on: boolean): void {
  if (mappedOf(path).length === 0) throw new Error("only a mapped array has silent paths (--array lio-mapped)");
  for (const { name } of mappedOf(path)) {
    if (on) dmsetup("resume", name);
    else dmsetup("suspend", "--noflush", "--nolockfs", name);
  }
}

/** Lets the disk behind a unit grow, on all paths or on those named; nobody is told of it. Only for mapped stores. */
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

/** Loads modules, each with its parameters; one that is loaded already stays as it is. */
export function loadModules(stores: Stores): void {
  run("modprobe", "-a", "sd_mod", "sg", "target_core_mod", "tcm_loop");
  for (const [module = "", ...parameters] of stores.modules) run("modprobe", module, ...parameters);
  if (stores === mappedStores && attempt("dmsetup", ["version"]).status !== 0) throw new Error("dmsetup does not work");
}
