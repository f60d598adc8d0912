// What `pathctl setup` proposes: the units to which several free paths lead, and the lines of the configuration that select them and
// nothing else.

import type { Selector } from "../../discovery/select.ts";

/** A disk of the machine. */
export interface Disk {
  readonly device: string;
  /** host:channel:target:lun. */
  readonly number: string;
  readonly vendor: string;
  readonly product: string;
  /** Null when it has told the kernel none. */
  readonly identity: string | null;
  /** Who uses it; null when nobody does. */
  readonly use: string | null;
}

interface ProposedUnit {
  readonly identity: string;
  readonly vendor: string;
  readonly product: string;
  /** Path numbers. */
  readonly paths: readonly string[];
}

export interface Proposal {
  readonly units: readonly ProposedUnit[];
  /** What is left alone, and why. */
  readonly left: readonly { readonly device: string; readonly number: string; readonly reason: string }[];
  readonly selectors: readonly Selector[];
}

const kindOf = ({ vendor, product }: Pick<Disk, "vendor" | "product">): string => `${vendor}\n${product}`;

/** Why a unit is not proposed; null when it is. */
function whyLeft(paths: readonly Disk[]): string | null {
  const used = paths.find(({ use }) => use !== null);
  if (used !== undefined) return used.use;
  return paths.length > 1 ? null : "no other path leads to its unit";
}

/**
 * Selects by vendor and product where that takes proposed units alone, so that further units of the array come by themselves;
 * otherwise by identity.
 */
function select(units: readonly ProposedUnit[], left: readonly Disk[]): Selector[] {
  const others = new Set(left.map(kindOf));
  const selectors = units.map(({ identity, vendor, product }): Selector => {
    // An asterisk would match other texts, too.
    const isPlain = [vendor, product].every((text) => text !== "" && !text.includes("*"));
    return isPlain && !others.has(kindOf({ vendor, product })) ? { vendor, product } : { identity };
  });
  return [...new Map(selectors.map((selector) => [selectorText(selector), selector])).values()];
}

/** What to take of these disks. */
export function propose(disks: readonly Disk[]): Proposal {
  const units: ProposedUnit[] = [];
  const left: { readonly disk: Disk; readonly reason: string }[] = [];
  for (const [identity, paths] of Map.groupBy(disks, (disk) => disk.identity)) {
    const reason = identity === null ? "the kernel knows no identity of it" : whyLeft(paths);
    if (identity === null || reason !== null) {
      left.push(...paths.map((disk) => ({ disk, reason: reason ?? "" })));
      continue;
    }
    const { vendor = "", product = "" } = paths[0] ?? {};
    units.push({ identity, vendor, product, paths: paths.map(({ number }) => number) });
  }
  return {
    units,
    left: left.map(({ disk: { device, number }, reason }) => ({ device, number, reason })),
    selectors: select(
      units,
      left.map(({ disk }) => disk),
    ),
  };
}

// A basic string of TOML knows JSON's escapes.
const selectorText = (selector: Selector): string =>
  `{ ${Object.entries(selector)
    .map(([key, value]) => `${key} = ${JSON.stringify(value)}`)
    .join(", ")} }`;

/** The lines that select the units, and make block devices of them. */
export function linesOf(selectors: readonly Selector[]): readonly string[] {
  const texts = selectors.map(selectorText);
  const devices = texts.length < 3 ? `[${texts.join(", ")}]` : `[\n${texts.map((text) => `  ${text},\n`).join("")}]`;
  return [`devices = ${devices}`, "attach = true"];
}

const DEVICES = /^[ \t]*devices[ \t]*=.*$/m;
const ATTACH = /^[ \t]*attach[ \t]*=/m;

/** The file's text with these lines: in place of the line that selects nothing, or before everything else. */
export function edited(text: string, [devices = "", attach = ""]: readonly string[]): string {
  const lines = ATTACH.test(text) ? devices : `${devices}\n${attach}`;
  return DEVICES.test(text) ? text.replace(DEVICES, () => lines) : `${lines}\n${text}`;
}
