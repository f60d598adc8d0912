// The layouts of `spscmd`, exact to the character (reference, section 3). Scripts parse them, so nothing here may change.

import type { Mode, Patrol } from "../../control/schemas/mode-schema.ts";
import type { PathView } from "../../control/schemas/path-schema.ts";
import type { UnitView } from "../../control/schemas/unit-schema.ts";
import { comparePathNumbers } from "../path-number.ts";
import { sizeText } from "../text.ts";

/** `-s0`, `-s1`, `-s2`. */
export type Sorting = "by-balancing" | "by-path" | "by-priority";

/** Columns 1 and 2: the sign of a path in use is in the first, other signs are in the second. */
const signColumns = (symbol: PathView["symbol"]): string => (symbol === ">" ? "> " : ` ${symbol}`);

/** The paths of `unit` in display order. */
export function sortedPaths(unit: Pick<UnitView, "paths" | "balancing">, sorting: Sorting): readonly PathView[] {
  const byPriority = sorting === "by-priority" || (sorting === "by-balancing" && unit.balancing.dynamic);
  return unit.paths.toSorted((a, b) => {
    const byNumber = comparePathNumbers(a.number, b.number);
    return byPriority ? b.priority - a.priority || byNumber : byNumber;
  });
}

function unitHeader(unit: UnitView): string {
  if (!unit.balancing.dynamic) return `*** LogicalUnit #${unit.number} ***`;
  return `+++ LogicalUnit #${unit.number} +++ [${unit.balancing.label}]`;
}

/** `-v`: the unit's identity and its block devices. The reference leaves the layout open; values contain no commas. */
function unitDetails(unit: UnitView): string[] {
  const devices = unit.attachments.map((attachment) => attachment.device).join(" ");
  return [
    `Name=${unit.name}, State=${unit.state}, Identity=${unit.identity.text}`,
    `Vendor=${unit.vendor}, Product=${unit.product}, SerialNumber=${unit.serial}, Size=${sizeText(unit.bytes)}`,
    ...(devices === "" ? [] : [`Device=${devices}`]),
  ];
}

function pathDetails(path: PathView): string[] {
  const state = [path.state, ...path.conditions].join("/");
  const access = path.alua === null ? "" : `, Access=${path.alua.state}`;
  return [
    `State=${state}, Device=${path.device ?? "none"}${access}`,
    `InitiatorPort=${path.initiatorPort ?? "unknown"}, TargetPort=${path.targetPort ?? "unknown"}`,
  ];
}

const indented = (line: string): string => `       ${line}`;

function unitLines(unit: UnitView, sorting: Sorting, verbose: boolean): string[] {
  const lines = [unitHeader(unit)];
  if (verbose) lines.push(...unitDetails(unit).map(indented));
  for (const [index, path] of sortedPaths(unit, sorting).entries()) {
    const running = String(index).padStart(3);
    lines.push(`${signColumns(path.symbol)}${running}: Priority=${path.priority}, PathNumber=${path.number}`);
    if (verbose) lines.push(...pathDetails(path).map(indented));
  }
  return lines;
}

/** `-getlun`: every unit that has a path, by number; empty when there is none. */
export function getlunText(units: readonly UnitView[], sorting: Sorting = "by-balancing", verbose = false): string {
  return units
    .filter((unit) => unit.paths.length > 0)
    .toSorted((a, b) => a.number - b.number)
    .flatMap((unit) => unitLines(unit, sorting, verbose))
    .map((line) => `${line}\n`)
    .join("");
}

const enabledText = (on: boolean): string => (on ? "Enable" : "Disable");

/** `-getfbmode`. */
export const failbackLine = (mode: Mode): string => `Failback : ${mode.failback === "active" ? "Active" : "Standby"}\n`;

/** `-getmscsmode`. */
export const clusterLine = (mode: Mode): string => `MSCS : ${enabledText(mode.cluster)}\n`;

/** `-getmode`: names right-aligned, so that the colons line up. */
export const modeText = (mode: Mode): string =>
  `   Class : ${mode.class}\n${failbackLine(mode)}    ${clusterLine(mode)}`;

/** `-getwatcher`. */
export function watcherText(patrol: Patrol): string {
  const rows = [
    ["Health check", enabledText((patrol.mode & 1) !== 0)],
    ["Recovery check", enabledText((patrol.mode & 2) !== 0)],
    ["Request interval", `${patrol.intervalS} sec`],
    ["Threshold", `${patrol.thresholdS} sec`],
    ["Timeout duration", `${patrol.timeoutS} sec`],
  ];
  return rows.map(([name, value]) => `${name} : ${value}\n`).join("");
}
