// The units as dm-multipath's tools show maps, so that scripts can move over: a tree in the manner of `multipath -ll`, and
// the shape of `multipathd show maps json`. What has no counterpart says `[undef]`, as those tools do.

import type { PathView } from "../../control/schemas/path.ts";
import type { UnitView } from "../../control/schemas/unit.ts";
import { parsePathNumber } from "../path-number.ts";
import { sortedPaths } from "../spscmd/layout.ts";

const UNDEFINED = "[undef]";

/** Priorities as the alua prioritizer of multipath-tools gives them. */
const ALUA_PRIORITY: Readonly<Record<string, number>> = { optimized: 50, "non-optimized": 10, standby: 1, unknown: 1 };

interface Group {
  readonly priority: number;
  readonly status: "active" | "enabled" | "disabled";
  readonly paths: readonly PathView[];
}

/** A size as those tools write it: `64M`, `1.5T`. */
function shortSize(bytes: number): string {
  const units = ["B", "K", "M", "G", "T", "P", "E"];
  let value = bytes;
  let index = 0;
  while (value >= 1024 && index < units.length - 1) {
    value /= 1024;
    index += 1;
  }
  return `${value < 10 && !Number.isInteger(value) ? value.toFixed(1) : Math.floor(value)}${units[index]}`;
}

function groupStatus(paths: readonly PathView[]): Group["status"] {
  if (paths.some((path) => path.state === "in use")) return "active";
  return paths.some((path) => path.state === "active") ? "enabled" : "disabled";
}

/** Path groups: without dynamic balancing each path is one, by priority; with it, the paths of one access state are. */
function groupsOf(unit: UnitView): Group[] {
  const paths = sortedPaths(unit, "by-priority");
  if (!unit.balancing.dynamic) {
    return paths.map((path) => ({ priority: path.priority, status: groupStatus([path]), paths: [path] }));
  }
  return [...Map.groupBy(paths, (path) => path.alua?.state ?? "unknown")]
    .map(([access, members]) => ({
      priority: ALUA_PRIORITY[access] ?? 0,
      status: groupStatus(members),
      paths: members,
    }))
    .toSorted((a, b) => b.priority - a.priority);
}

function checkerWord(path: PathView): string {
  if (path.state === "failed") return "faulty";
  if (!path.enabled) return "ghost";
  return path.conditions.includes("shaky") ? "shaky" : "ready";
}

/** What device-mapper, the checker and the SCSI layer would say of a path. */
const pathWords = (path: PathView) => ({
  dm: path.state === "failed" || !path.enabled ? "failed" : "active",
  checker: checkerWord(path),
  device: "running",
});

const bareName = (device: string | undefined | null): string | undefined => device?.replace(/^\/dev\//, "");

const deviceName = (path: PathView): string => path.blockDevice ?? bareName(path.device) ?? "-";

/** scsi_id's form: the designator type as a digit, then the designator. */
const uuidOf = (unit: UnitView): string => unit.identity.text.replace(/^naa\./, "3").replace(/^eui\./, "2");

const handlerOf = (unit: UnitView): string => (unit.paths.some((path) => path.alua !== null) ? "1 alua" : "0");

function treeLines(unit: UnitView): string[] {
  const device = bareName(unit.attachments[0]?.device) ?? `#${unit.number}`;
  const protection = unit.readOnly ? "ro" : "rw";
  const lines = [
    `${unit.name} (${uuidOf(unit)}) ${device} ${unit.vendor},${unit.product}`,
    `size=${shortSize(unit.bytes)} features='1 queue_if_no_path' hwhandler='${handlerOf(unit)}' wp=${protection}`,
  ];
  const groups = groupsOf(unit);
  for (const [index, group] of groups.entries()) {
    const last = index === groups.length - 1;
    lines.push(`${last ? "`" : "|"}-+- policy='${unit.policy.name} 0' prio=${group.priority} status=${group.status}`);
    for (const [position, path] of group.paths.entries()) {
      const words = pathWords(path);
      const branch = position === group.paths.length - 1 ? "`" : "|";
      const state = `${words.dm} ${words.checker} ${words.device}`;
      lines.push(`${last ? " " : "|"} ${branch}- ${path.number} ${deviceName(path)} ${state}`);
    }
  }
  return lines;
}

/** The tree of every unit. */
export function multipathText(units: readonly UnitView[]): string {
  return units
    .toSorted((a, b) => a.number - b.number)
    .flatMap(treeLines)
    .map((line) => `${line}\n`)
    .join("");
}

function pathMap(path: PathView, priority: number): Record<string, string | number> {
  const words = pathWords(path);
  const lun = parsePathNumber(path.number)?.[3] ?? 0;
  return {
    dev: deviceName(path),
    dev_t: UNDEFINED,
    dm_st: words.dm,
    dev_st: words.device,
    chk_st: words.checker,
    checker: "tur",
    pri: priority,
    host_wwnn: UNDEFINED,
    target_wwnn: UNDEFINED,
    host_wwpn: path.initiatorPort ?? UNDEFINED,
    target_wwpn: path.targetPort ?? UNDEFINED,
    host_adapter: UNDEFINED,
    lun_hex: `0x${lun.toString(16).padStart(4, "0").padEnd(16, "0")}`,
    marginal_st: path.conditions.includes("shaky") ? "marginal" : "normal",
  };
}

function unitMap(unit: UnitView): Record<string, unknown> {
  return {
    name: unit.name,
    uuid: uuidOf(unit),
    sysfs: bareName(unit.attachments[0]?.device) ?? UNDEFINED,
    failback: "immediate",
    queueing: `${Math.round(unit.timeouts.noPathMs / 1000)} sec`,
    paths: unit.paths.length,
    write_prot: unit.readOnly ? "ro" : "rw",
    dm_st: "active",
    features: "1 queue_if_no_path",
    hwhandler: handlerOf(unit),
    action: "",
    path_faults: unit.paths.filter((path) => path.state === "failed").length,
    vend: unit.vendor,
    prod: unit.product,
    rev: unit.revision,
    switch_grp: 0,
    map_loads: 1,
    total_q_time: 0,
    q_timeouts: 0,
    path_groups: groupsOf(unit).map((group, index) => ({
      selector: `${unit.policy.name} 0`,
      pri: group.priority,
      dm_st: group.status,
      marginal_st: "normal",
      group: index + 1,
      paths: group.paths.map((path) => pathMap(path, group.priority)),
    })),
  };
}

/** The shape of `multipathd show maps json`. */
export function mapsJson(units: readonly UnitView[]): Record<string, unknown> {
  return {
    major_version: 0,
    minor_version: 1,
    maps: units.toSorted((a, b) => a.number - b.number).map(unitMap),
  };
}
