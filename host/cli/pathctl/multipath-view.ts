// Shows the units as dm-multipath's tools show maps, so that scripts can be reused: a tree like that of `multipath -ll`, and
// the JSON of `multipathd show maps json`. What has no counterpart shows `[undef]`, as in those tools. The rig compares both
// with multipathd's output for the same paths.

import type { Mode } from "../../control/schemas/mode-schema.ts";
import type { PathView } from "../../control/schemas/path-schema.ts";
import type { UnitView } from "../../control/schemas/unit-schema.ts";
import { wwidOf } from "../../discovery/wwid.ts";
import { parsePathNumber } from "../path-number.ts";
import { sortedPaths } from "../spscmd/spscmd-layout.ts";

const UNDEFINED = "[undef]";
/** Shown instead of the numbers of a missing device. */
const NO_NUMBER = "#:#";

/** Priorities as assigned by the alua prioritizer of multipath-tools. */
const ALUA_PRIORITY: Readonly<Record<string, number>> = { optimized: 50, "non-optimized": 10, standby: 1, unknown: 1 };

interface Group {
  readonly priority: number;
  readonly status: "active" | "enabled";
  readonly paths: readonly PathView[];
}

/** The daemon's settings that those tools show with each map. */
export type Daemon = Pick<Mode, "failback" | "patrol">;

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

const groupStatus = (paths: readonly PathView[]): Group["status"] =>
  paths.some((path) => path.state === "in use") ? "active" : "enabled";

/** Usable in the sense of those tools: up, or on standby in the array. A path disabled by an operator is not usable. */
const isUsable = (path: PathView): boolean => path.state !== "failed" && path.enabled;

/** Path groups: without dynamic balancing one per path, by priority; with it, one per access state. */
function groupsOf(unit: UnitView): Group[] {
  const paths = sortedPaths(unit, "by-priority");
  if (!unit.balancing.dynamic) {
    return paths.map((path) => ({ priority: path.priority, status: groupStatus([path]), paths: [path] }));
  }
  return [...Map.groupBy(paths, (path) => path.alua?.state ?? "unknown")]
    .map(([access, members]) => ({
      priority: members.some(isUsable) ? (ALUA_PRIORITY[access] ?? 0) : 0,
      status: groupStatus(members),
      paths: members,
    }))
    .toSorted((a, b) => b.priority - a.priority);
}

function checkerWord(path: PathView): string {
  if (!isUsable(path)) return "faulty";
  if (path.alua?.state === "standby") return "ghost";
  return path.conditions.includes("marginal") ? "shaky" : "ready";
}

/** The states that device-mapper, the checker and the SCSI layer would report for a path. */
const pathWords = (path: PathView) => ({
  dm: isUsable(path) ? "active" : "failed",
  checker: checkerWord(path),
  device: "running",
});

const bareName = (device: string | undefined | null): string | undefined => device?.replace(/^\/dev\//, "");

/** Names of emulated ports contain colons, which device names do not, and which scripts cannot parse. */
const deviceName = (path: PathView): string => path.blockDevice ?? bareName(path.device)?.replaceAll(":", "-") ?? "-";

const numberOf = (path: PathView): string => path.deviceNumber ?? NO_NUMBER;

/** scsi_id's form: the designator type as a digit, then the designator. */
const uuidOf = (unit: UnitView): string => wwidOf(unit.identity.text) ?? unit.identity.text;

const featuresOf = (unit: UnitView): string => (unit.timeouts.noPathMs === 0 ? "0" : "1 queue_if_no_path");

/** How long requests wait without a path: in checks while there are paths, in seconds when there are none. */
function queueingOf(unit: UnitView, { patrol }: Daemon): string {
  const seconds = unit.timeouts.noPathMs / 1000;
  if (seconds === 0) return "off";
  if (!unit.paths.some(isUsable)) return `${Math.round(seconds)} sec`;
  return `${Math.max(1, Math.round(seconds / patrol.intervalS))} chk`;
}

const handlerOf = (unit: UnitView): string => (unit.paths.some((path) => path.alua !== null) ? "1 alua" : "0");

const columnsOf = (path: PathView): string[] => {
  const { dm, checker, device } = pathWords(path);
  return [path.number, deviceName(path), numberOf(path), dm, checker, device];
};

/** Formats paths with each column as wide as its widest word in the map. */
function aligned(unit: UnitView): (path: PathView) => string {
  const rows = unit.paths.map(columnsOf);
  const widths = [0, 1, 2, 3, 4].map((column) => Math.max(0, ...rows.map((row) => row[column]?.length ?? 0)));
  return (path) =>
    columnsOf(path)
      .map((word, column) => word.padEnd(widths[column] ?? 0))
      .join(" ");
}

function treeLines(unit: UnitView): string[] {
  const device = bareName(unit.attachments[0]?.device) ?? "undef";
  const protection = unit.readOnly ? "ro" : "rw";
  const lines = [
    `${unit.name} (${uuidOf(unit)}) ${device} ${unit.vendor},${unit.product}`,
    `size=${shortSize(unit.bytes)} features='${featuresOf(unit)}' hwhandler='${handlerOf(unit)}' wp=${protection}`,
  ];
  const text = aligned(unit);
  const groups = groupsOf(unit);
  for (const [index, group] of groups.entries()) {
    const last = index === groups.length - 1;
    lines.push(`${last ? "`" : "|"}-+- policy='${unit.policy.name} 0' prio=${group.priority} status=${group.status}`);
    for (const [position, path] of group.paths.entries()) {
      const branch = position === group.paths.length - 1 ? "`" : "|";
      lines.push(`${last ? " " : "|"} ${branch}- ${text(path)}`);
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

/** A Fibre Channel name in those tools' form; ports of other transports have none. */
const worldWideName = (name: string | null): string =>
  name?.startsWith("wwpn.") === true ? `0x${name.slice(5)}` : UNDEFINED;

function pathMap(path: PathView, priority: number): Record<string, string | number> {
  const words = pathWords(path);
  const lun = parsePathNumber(path.number)?.[3] ?? 0;
  return {
    dev: deviceName(path),
    dev_t: numberOf(path),
    dm_st: words.dm,
    dev_st: words.device,
    chk_st: words.checker,
    checker: "tur",
    pri: priority,
    host_wwnn: UNDEFINED,
    target_wwnn: UNDEFINED,
    host_wwpn: worldWideName(path.initiatorName),
    target_wwpn: worldWideName(path.targetName),
    host_adapter: UNDEFINED,
    lun_hex: `0x${lun.toString(16).padStart(4, "0").padEnd(16, "0")}`,
    marginal_st: path.conditions.includes("marginal") ? "marginal" : "normal",
  };
}

function unitMap(unit: UnitView, daemon: Daemon): Record<string, unknown> {
  return {
    name: unit.name,
    uuid: uuidOf(unit),
    sysfs: bareName(unit.attachments[0]?.device) ?? UNDEFINED,
    failback: daemon.failback === "active" ? "immediate" : "manual",
    queueing: queueingOf(unit, daemon),
    // Only usable paths: an alert that counts them has to notice a failed one.
    paths: unit.paths.filter(isUsable).length,
    write_prot: unit.readOnly ? "ro" : "rw",
    dm_st: "active",
    features: featuresOf(unit),
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

/** The JSON of `multipathd show maps json`. */
export function mapsJson(units: readonly UnitView[], daemon: Daemon): Record<string, unknown> {
  return {
    major_version: 0,
    minor_version: 1,
    maps: units.toSorted((a, b) => a.number - b.number).map((unit) => unitMap(unit, daemon)),
  };
}
