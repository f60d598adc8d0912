// `pathctl show`: the units with their paths, the paths alone, the arrays - for people.

import type { PathView } from "../../control/schemas/path-schema.ts";
import type { ArrayView, Status } from "../../control/schemas/status-schema.ts";
import type { UnitView } from "../../control/schemas/unit-schema.ts";
import { comparePathNumbers } from "../path-number.ts";
import { sortedPaths } from "../spscmd/spscmd-layout.ts";
import {
  columnsThatFit,
  table,
  tableHead,
  tableRows,
  tableWidths,
  unpainted,
  type Cell,
  type Paint,
  type Style,
} from "../style.ts";
import { countText, latencyText, pluralText, sizeText } from "../text.ts";

function pathPaint(path: PathView, style: Style): Paint {
  if (path.state === "failed") return style.bad;
  if (path.conditions.length > 0 || path.state === "standby") return style.warn;
  return path.state === "in use" ? style.good : unpainted;
}

/** State and conditions: `failed, wrong unit`. */
const stateText = (path: Pick<PathView, "state" | "conditions">): string => [path.state, ...path.conditions].join(", ");

const PATH_TITLES = [
  "",
  "PATH",
  ">PRIO",
  "STATE",
  "ACCESS",
  "DEVICE",
  "INITIATOR",
  "TARGET",
  ">IN FLIGHT",
  ">I/OS",
  ">ERRORS",
  ">P50",
  ">P99",
];

/** Columns dropped first on a narrow terminal. */
const DROPPABLE = [">P50", "TARGET", "DEVICE", "ACCESS", "INITIATOR", ">IN FLIGHT", ">ERRORS", ">I/OS"];

/** Titles, rows and widths of a table that fits into `columns` characters. */
function fitted(titles: readonly string[], rows: readonly (readonly Cell[])[], columns: number) {
  const widths = tableWidths(titles, rows);
  const kept = columnsThatFit(titles, widths, columns, DROPPABLE);
  const only = <Item>(items: readonly Item[]): Item[] => items.filter((_, index) => kept.includes(index));
  return { titles: only(titles), widths: only(widths), only };
}

/** A port name without the prefix of world-wide names. */
const portText = (name: string | null): string => name?.replace(/^(naa|wwpn|sas)\./, "") ?? "-";

function pathCells(path: PathView, style: Style): Cell[] {
  const paint = pathPaint(path, style);
  const { statistics } = path;
  return [
    { text: path.symbol, paint },
    path.number,
    String(path.priority),
    { text: stateText(path), paint },
    path.alua === null ? "-" : path.alua.state,
    path.device ?? "-",
    portText(path.initiatorPort),
    portText(path.targetPort),
    String(statistics.inFlight),
    countText(statistics.ios),
    { text: countText(statistics.errors), paint: statistics.errors > 0 ? style.warn : unpainted },
    latencyText(statistics.latency?.p50Us ?? null),
    latencyText(statistics.latency?.p99Us ?? null),
  ];
}

function statePaint(unit: UnitView, style: Style): Paint {
  if (unit.state === "ok") return style.good;
  const isBad =
    unit.state === "no path" ||
    unit.state === "gone" ||
    unit.state === "preempted" ||
    unit.state === "in use elsewhere";
  return isBad ? style.bad : style.warn;
}

/** The policy in force; where another one is set, that and why. */
export function policyText({ policy, policySetAside: aside }: Pick<UnitView, "policy" | "policySetAside">): string {
  return aside === null ? policy.name : `${policy.name} (${aside.policy.name} is set: ${aside.why})`;
}

/** The line above a unit's paths. */
function unitLine(unit: UnitView, style: Style, reactors: number): string {
  const usable = unit.paths.filter((path) => path.state === "in use" || path.state === "active").length;
  const { waiting, failed } = unit.statistics;
  return [
    style.strong(`#${unit.number} ${unit.name}`),
    statePaint(unit, style)(unit.state),
    `${usable} of ${pluralText(unit.paths.length, "path")} usable`,
    sizeText(unit.bytes) + (unit.readOnly ? " read-only" : ""),
    policyText(unit),
    ...(reactors > 1 && unit.reactor !== null ? [`reactor ${unit.reactor}`] : []),
    ...unit.attachments.map((attachment) => attachment.device),
    ...(waiting > 0 ? [style.warn(`${waiting} waiting for a path`)] : []),
    ...(failed > 0 ? [style.warn(`${pluralText(failed, "request")} failed`)] : []),
  ].join("  ");
}

const unitSubline = (unit: UnitView): string =>
  [`${unit.vendor} ${unit.product}`.trim(), unit.serial, unit.identity.text].filter((text) => text !== "").join("  ");

/** Paths that are gone or not taken, with the settings kept for them. */
function rememberedLine({ remembered, state }: UnitView): string {
  const paths = remembered.map(
    ({ number, priority, enabled }) => `${number} (priority ${priority}, ${enabled ? "enabled" : "disabled"})`,
  );
  return `  ${state === "in use elsewhere" ? "not taken" : "gone"}, settings kept: ${paths.join(", ")}`;
}

/**
 * The units, each with a table of its paths; columns have the same width in all tables and fit into `columns`.
 * @param isWanted whether a path has a line
 */
export function unitsText(
  units: readonly UnitView[],
  style: Style,
  columns = Number.POSITIVE_INFINITY,
  isWanted: (path: PathView) => boolean = () => true,
  reactors = 1,
): string {
  const ordered = units.toSorted((a, b) => a.number - b.number);
  const rows = ordered.map((unit) =>
    sortedPaths(unit, "by-balancing")
      .filter(isWanted)
      .map((path) => pathCells(path, style)),
  );
  const { titles, widths, only } = fitted(PATH_TITLES, rows.flat(), columns - 2);
  const blocks = ordered.map((unit, index) => {
    const lines = [unitLine(unit, style, reactors), `  ${style.faint(unitSubline(unit))}`];
    const unitRows = rows[index] ?? [];
    if (unitRows.length > 0) {
      lines.push(`  ${tableHead(titles, widths, style)}`);
      lines.push(...tableRows(titles, unitRows.map(only), widths).map((text) => `  ${text}`));
    }
    if (unit.remembered.length > 0) lines.push(rememberedLine(unit));
    return lines.map((text) => `${text.trimEnd()}\n`).join("");
  });
  return blocks.join("\n");
}

/** What needs an operator's attention, from the status; empty when there is nothing. */
export function attentionText(status: Status, style: Style): string {
  const refused = status.refused.map((device) => `${device.device} is not used: ${device.reason}`);
  return [...status.attention, ...refused].map((text) => `${style.warn("!")} ${text}\n`).join("");
}

/** Whether a path is lost or a last resort; an operator's disabling is no fault. */
export const isFaulty = ({ state, conditions }: PathView): boolean =>
  state === "failed" || conditions.includes("marginal") || conditions.includes("gone");

/** The units that have lost paths. */
export const faultyUnits = (units: readonly UnitView[]): UnitView[] =>
  units.filter((unit) => unit.remembered.length > 0 || unit.paths.some(isFaulty));

/** When no path is lost. */
export const nothingFailedText = (units: readonly UnitView[]): string =>
  `No path of ${pluralText(units.length, "unit")} is failed, marginal or gone.\n`;

/** When there are no units: why, and what to do. */
export function nothingText(status: Status): string {
  const file = status.configuration.file ?? "/etc/pathmanager/pathmanager.toml";
  return (
    `No logical units. Devices are used when the configuration names them: see devices in pathmanager.toml(5), file ${file}.\n` +
    "pathctl doctor lists the SCSI devices of this machine.\n"
  );
}

/** Every path in one table, by path number. */
export function pathsText(paths: readonly PathView[], style: Style, columns = Number.POSITIVE_INFINITY): string {
  const all = ["", "PATH", ">LU", ...PATH_TITLES.slice(2)];
  const rows = paths
    .toSorted((a, b) => comparePathNumbers(a.number, b.number) || a.unit - b.unit)
    .map((path) => {
      const [symbol = "", number = "", ...rest] = pathCells(path, style);
      return ([symbol, number, `#${path.unit}`] as Cell[]).concat(rest);
    });
  const { titles, only } = fitted(all, rows, columns);
  return table(titles, rows.map(only), style);
}

const UNITS_LISTED_MAX = 8;

/** `#0 #1 and 4 more`. */
export function unitList(units: readonly number[]): string {
  const shown = units.slice(0, UNITS_LISTED_MAX).map((unit) => `#${unit}`);
  if (units.length > shown.length) shown.push(`and ${units.length - shown.length} more`);
  return shown.join(" ");
}

type Port = ArrayView["targetPorts"][number] | ArrayView["initiatorPorts"][number];

const ARRAY_TITLES = ["PORT", "NAME", "WORLD-WIDE NAME", "AT", "STATE", ">GROUP", "ACCESS", ">PATHS", ">FAILED"];
/** Indexes of columns that only some transports fill. */
const OPTIONAL = new Set([2, 3, 4]);

const textOf = (cell: Cell | undefined): string => (typeof cell === "string" ? cell : (cell?.text ?? ""));

/** States in which a port works; others are worth a look. Several are told where its initiators disagree. */
const WORKING = /^(online|logged_in|link up|running|live|marginal)(, (online|logged_in|running|live|marginal))*$/i;

const statePaintOf = ({ state }: Port, style: Style): Paint =>
  state === null || WORKING.test(state) ? unpainted : style.bad;

/** The arrays, with the ports on both sides. */
export function arraysText(arrays: readonly ArrayView[], style: Style): string {
  const failures = (count: number): Cell => ({ text: String(count), paint: count > 0 ? style.bad : unpainted });
  const blocks = arrays.map((array) => {
    const row = (kind: string, port: Port, group: string, access: string): Cell[] => [
      kind,
      portText(port.name),
      port.portName === port.name ? "-" : portText(port.portName),
      "portal" in port ? (port.portal ?? "-") : (port.adapter ?? "-"),
      {
        text: [port.state, port.speed].filter((text) => text !== null).join(", ") || "-",
        paint: statePaintOf(port, style),
      },
      group,
      access,
      String(port.paths),
      failures(port.pathsFailed),
    ];
    const rows = [
      ...array.targetPorts.map((port) =>
        row("target", port, port.group === null ? "-" : String(port.group), port.alua.join(", ") || "-"),
      ),
      ...array.initiatorPorts.map((port) => row("initiator", port, "-", "-")),
    ];
    const name = style.strong(`${array.vendor} ${array.product}`.trim());
    // What no port has is not worth a column.
    const isUsed = (index: number): boolean =>
      rows.some((cells) => cells[index] !== "-" && textOf(cells[index]) !== "-");
    const kept = ARRAY_TITLES.map((_, index) => index).filter((index) => !OPTIONAL.has(index) || isUsed(index));
    const only = <Item>(items: readonly Item[]): Item[] => kept.flatMap((index) => items.slice(index, index + 1));
    const body = table(only(ARRAY_TITLES), rows.map(only), style);
    return `${name}  ${pluralText(array.units.length, "unit")}: ${unitList(array.units)}\n${body.replaceAll(/^(?=.)/gm, "  ")}`;
  });
  return blocks.join("\n");
}
