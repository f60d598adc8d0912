// The components that paths share: host, host adapter, target port, port group, array. When one of them fails, all of its paths do, so faults are
// told by component. And where every path of a unit goes through one component, it is a single point of failure.

import { isShown, type Inventory, type Path, type Unit } from "../inventory/inventory.ts";
import type { Snapshot } from "../core/snapshot.ts";
import { outcomeText } from "./outcome-text.ts";
import { isFaulty } from "./views.ts";
import { counted } from "../../wording.ts";

/** In the order in which components with the same paths are named. */
const KINDS = ["host", "adapter", "target port", "port group", "array"] as const;
type Kind = (typeof KINDS)[number];

interface Component {
  readonly kind: Kind;
  /** `host 5`. */
  readonly name: string;
}

/** Where the array reports nothing better, its units name it. */
const arrayOf = ({ facts: { vendor, product } }: Unit): string => `${vendor} ${product}`.trim();

/**
 * The target port's name; where it has none, its number by Linux. An iSCSI target port may have portals in several networks,
 * which are what fails and what is cabled.
 */
function targetPortOf({ found, number }: Path): string {
  if (found !== null && found.ports.via !== null) return `portal ${found.ports.via}`;
  const name = found?.ports.target ?? found?.probe.targetPort ?? `target ${number.split(":").slice(0, 3).join(":")}`;
  return `target port ${name}`;
}

function componentsOf(path: Path): Component[] {
  const components: Component[] = [];
  const add = (kind: Kind, name: string): void => void components.push({ kind, name });
  // The number of a path that is gone may be another's by now.
  if (!path.isNumberTaken) add("host", `host ${path.number.split(":")[0]}`);
  const adapter = path.found?.adapter ?? null;
  if (adapter !== null) add("adapter", `adapter ${adapter}`);
  if (path.found !== null) add("target port", targetPortOf(path));
  const array = arrayOf(path.unit);
  const group = path.found?.probe.alua?.group;
  if (typeof group === "number") add("port group", `port group ${group} of ${array}`);
  add("array", `array ${array}`);
  return components;
}

/** A component of which every path is faulty, or a single faulty path. */
export interface Cause {
  /** Components with exactly these paths, which cannot be told apart; empty for a single path. */
  readonly components: readonly string[];
  readonly paths: readonly Path[];
  readonly units: readonly Unit[];
}

interface Share extends Component {
  readonly faulty: Set<Path>;
  sound: number;
}

/** Faulty paths by the components they share, the largest first, then the others one by one. */
export function causesOf(inventory: Inventory, snapshot: Snapshot): Cause[] {
  const isLost = (path: Path): boolean => path.unit.inUse === null && isFaulty(path, snapshot);
  const left = new Set(inventory.paths().filter(isLost));
  if (left.size === 0) return [];
  const shares = new Map<string, Share>();
  for (const path of inventory.paths()) {
    const faulty = left.has(path);
    for (const component of componentsOf(path)) {
      const share = shares.get(component.name) ?? { ...component, faulty: new Set<Path>(), sound: 0 };
      shares.set(component.name, share);
      if (faulty) share.faulty.add(path);
      else share.sound++;
    }
  }
  const lost = [...shares.values()]
    .filter(({ faulty, sound }) => sound === 0 && faulty.size > 1)
    .toSorted((a, b) => b.faulty.size - a.faulty.size || KINDS.indexOf(a.kind) - KINDS.indexOf(b.kind));
  const causes: Cause[] = [];
  for (const { faulty } of lost) {
    // What a larger component has not explained already.
    const paths = [...faulty].filter((path) => left.has(path));
    if (paths.length < 2) continue;
    const same = lost.filter(
      (other) => other.faulty.size === faulty.size && [...faulty].every((path) => other.faulty.has(path)),
    );
    causes.push(causeOf(paths, same));
    for (const path of paths) left.delete(path);
  }
  return [...causes, ...[...left].map((path) => causeOf([path], []))];
}

const causeOf = (paths: readonly Path[], components: readonly Component[]): Cause => ({
  components: components.map(({ name }) => name),
  paths,
  units: [...new Set(paths.map(({ unit }) => unit))],
});

/** Single paths that are named. */
const NAMED_MAX = 8;

/** What happened to a path, as far as it is known. */
function fateOf({ handle, unit, number }: Path, snapshot: Snapshot): string {
  const what = `path ${number} of LogicalUnit #${unit.number}`;
  if (handle === null) return `${what} is gone`;
  if (snapshot.isMarginal(handle)) return `${what} is marginal`;
  const record = snapshot.path(handle);
  const why = record === null ? "" : outcomeText(record.last);
  return `${what} has failed${why === "" ? "" : `: ${why}`}`;
}

export function causeText(cause: Cause, snapshot: Snapshot): string {
  const [path] = cause.paths;
  if (cause.components.length === 0 && path !== undefined) return fateOf(path, snapshot);
  return `${cause.components.join(" or ")} lost: ${counted(cause.paths.length, "path")} of ${counted(cause.units.length, "unit")}`;
}

/** Whether a cause is told here: paths that are marginal, or gone from a few units, have sentences of their own. */
function isTold({ paths, units }: Cause, snapshot: Snapshot): boolean {
  const isFailed = ({ handle, foreignIdentity }: Path): boolean =>
    handle !== null && foreignIdentity === null && !snapshot.isMarginal(handle);
  return paths.some(isFailed) || units.length > NAMED_MAX;
}

/** What is lost, one sentence for each cause. */
export function causeSentences(causes: readonly Cause[], snapshot: Snapshot): string[] {
  const told = causes.filter((cause) => isTold(cause, snapshot));
  const grouped = told.filter(({ components }) => components.length > 0);
  const single = told.filter(({ components }) => components.length === 0);
  const named = [...grouped, ...single.slice(0, NAMED_MAX)].map((cause) => causeText(cause, snapshot));
  const more = single.length - NAMED_MAX;
  return more > 0 ? [...named, `${counted(more, "more path")} ${more === 1 ? "has" : "have"} failed`] : named;
}

/** A component through which every path of some units goes, which have several. */
export interface SinglePoint {
  readonly component: string;
  readonly units: readonly Unit[];
}

/** By cabling alone: whether paths work at the moment does not matter. */
export function singlePointsOf(inventory: Inventory): SinglePoint[] {
  const found = new Map<string, Unit[]>();
  for (const unit of inventory.units()) {
    const paths = [...unit.paths.values()].filter((path) => isShown(path) && path.foreignIdentity === null);
    const [first, ...others] = paths.map((path) => componentsOf(path).filter(({ kind }) => kind !== "array"));
    if (first === undefined || others.length === 0) continue;
    for (const { name } of first) {
      if (!others.every((components) => components.some((other) => other.name === name))) continue;
      found.set(name, [...(found.get(name) ?? []), unit]);
    }
  }
  return [...found].map(([component, units]) => ({ component, units }));
}
