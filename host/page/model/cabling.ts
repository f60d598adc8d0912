// Which components paths go through, and what would happen if one were lost. The components are those by which the daemon tells causes
// (host/control/views/components.ts).

import type { PathView } from "../../control/schemas/path-schema.ts";
import type { UnitView } from "../../control/schemas/unit-schema.ts";

/** The columns of the picture, from the host to the unit. */
export const COLUMNS = ["initiator", "target", "controller"] as const;
export type Column = (typeof COLUMNS)[number];

export const COLUMN_NAMES: Readonly<Record<Column, string>> = {
  initiator: "Host adapter",
  target: "Target port",
  controller: "Controller",
};

export interface Component {
  /** Unique: every array has a group 1. */
  readonly key: string;
  readonly column: Column;
  readonly name: string;
  /** What else it is known by: the name of a port that does not depend on Linux's numbers, the array of a controller. */
  readonly alias: string | null;
  readonly paths: PathView[];
}

/** Whether a path is lost or not to be relied on; one that an operator disabled is neither. */
export const isFaulty = ({ healthy, conditions }: PathView): boolean =>
  !healthy || conditions.includes("marginal") || conditions.includes("gone");

const SILENT_GROUPS: ReadonlySet<string> = new Set(["standby", "unavailable", "offline"]);
const NOT_YET: ReadonlySet<string> = new Set(["unverified", "wrong unit", "removing", "gone"]);

/** Whether it can carry I/O, now or as an alternative. */
export const isUsable = ({ enabled, healthy, conditions, alua }: PathView): boolean =>
  enabled &&
  healthy &&
  !conditions.some((condition) => NOT_YET.has(condition)) &&
  (alua === null || !SILENT_GROUPS.has(alua.state));

const arrayOf = ({ vendor, product }: UnitView): string => `${vendor} ${product}`.trim();

const targetOf = ({ targetPort, targetName, number }: PathView): string =>
  targetPort ?? targetName ?? `target ${number.split(":").slice(0, 3).join(":")}`;

function nameOf(column: Column, path: PathView, unit: UnitView): readonly [name: string, alias: string | null] {
  if (column === "controller") return [path.controller ?? "unknown", arrayOf(unit)];
  if (column === "target") {
    return path.portal === null ? [targetOf(path), path.targetName] : [`portal ${path.portal}`, targetOf(path)];
  }
  return [path.initiatorPort ?? `host${path.number.split(":")[0]}`, path.adapter ?? path.initiatorName];
}

export interface Cabling {
  readonly units: readonly UnitView[];
  readonly components: readonly Component[];
  /** The component of a path in a column. */
  readonly of: (column: Column, path: PathView) => Component | undefined;
}

/** Natural order: host 10 after host 9. */
const collator = new Intl.Collator("en", { numeric: true });
export const inOrder = (a: string, b: string): number => collator.compare(a, b);

export function cablingOf(units: readonly UnitView[]): Cabling {
  const found = new Map<string, Component>();
  const places = new Map<PathView, (Component | undefined)[]>();
  for (const unit of units) {
    for (const path of unit.paths) {
      const chain = COLUMNS.map((column) => {
        const [name, alias] = nameOf(column, path, unit);
        const key = column === "controller" ? `${column} ${alias ?? ""} ${name}` : `${column} ${name}`;
        const component = found.get(key) ?? { key, column, name, alias, paths: [] };
        found.set(key, component);
        component.paths.push(path);
        return component;
      });
      places.set(path, chain);
    }
  }
  const components = [...found.values()].toSorted(
    (a, b) => COLUMNS.indexOf(a.column) - COLUMNS.indexOf(b.column) || inOrder(a.key, b.key),
  );
  return { units, components, of: (column, path) => places.get(path)?.[COLUMNS.indexOf(column)] };
}

/** What the loss of a component would do to the units whose paths go through it. */
export interface Consequence {
  readonly component: Component;
  /** Units that have a usable path now and would have none. */
  readonly stops: readonly UnitView[];
  /** Units that have several and would have one. */
  readonly lastPath: readonly UnitView[];
  /** Units that would have fewer, but still several. */
  readonly fewer: readonly UnitView[];
}

export function consequencesOf({ units, components }: Cabling): Consequence[] {
  const unitOf = new Map(units.map((unit) => [unit.number, unit]));
  const usable = new Map(units.map((unit) => [unit.number, unit.paths.filter(isUsable).length]));
  return components.map((component) => {
    const lost = new Map<number, number>();
    for (const path of component.paths) {
      if (isUsable(path)) lost.set(path.unit, (lost.get(path.unit) ?? 0) + 1);
    }
    const left = (number: number): number => (usable.get(number) ?? 0) - (lost.get(number) ?? 0);
    const touched = [...lost.keys()].map((number) => unitOf.get(number)).filter((unit) => unit !== undefined);
    return {
      component,
      stops: touched.filter(({ number }) => left(number) === 0),
      lastPath: touched.filter(({ number }) => left(number) === 1),
      fewer: touched.filter(({ number }) => left(number) > 1),
    };
  });
}

/** `2 units would stop, 3 would have one path left`. */
export function consequenceText({ stops, lastPath, fewer }: Consequence): string {
  const parts = [
    ...(stops.length > 0 ? [`${stops.length} of its units would stop`] : []),
    ...(lastPath.length > 0 ? [`${lastPath.length} would have one path left`] : []),
    ...(fewer.length > 0 ? [`${fewer.length} would have fewer paths`] : []),
  ];
  return parts.length === 0 ? "nothing more would be lost" : parts.join(", ");
}
