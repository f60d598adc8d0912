// Decides which settings are in force: those set by a command (state file), else the configuration's for the unit, else for its
// array, else the general ones. What is known of an array counts only where the file says nothing.

import type { Setting } from "../../settings/setting.ts";
import {
  coreNumber,
  defaultOf,
  ENTRIES,
  nameOf,
  sectionOf,
  SETTINGS,
  type Key,
} from "../../settings/settings-table.ts";
import { KNOWN_ARRAYS } from "../../settings/known-arrays.ts";
import { fits } from "../../discovery/select.ts";
import { wwidOf } from "../../discovery/wwid.ts";
import type { Unit } from "../inventory/inventory.ts";
import type { Configuration } from "../schemas/configuration-schema.ts";
import { camel } from "../schemas/from-table.ts";
import type { Mode, Patrol } from "../schemas/mode-schema.ts";
import type { Policy, Timeouts } from "../schemas/unit-schema.ts";
import type { Settings } from "../state/state-schemas.ts";

type ConfiguredPolicy = Configuration["policy"];

export function policyOfConfiguration(policy: ConfiguredPolicy): Policy {
  if (typeof policy === "string") return { name: policy, parameters: {} };
  const { name, ios, bytes, history_percent: historyPercent } = policy;
  const parameters = {
    ...(ios === undefined ? {} : { ios }),
    ...(bytes === undefined ? {} : { bytes }),
    ...(historyPercent === undefined ? {} : { historyPercent }),
  };
  return { name, parameters };
}

/** The value at a dotted key, if any. */
export function valueAt(values: unknown, key: string): unknown {
  let found = values;
  for (const name of key.split(".")) {
    if (typeof found !== "object" || found === null) return undefined;
    found = Object.entries(found).find(([own]) => own === name)?.[1];
  }
  return found;
}

type ArrayEntry = Configuration["arrays"][number];

const isOfArray = ({ vendor, product, revision }: ArrayEntry, facts: Unit["facts"]): boolean =>
  fits(vendor, facts.vendor) && fits(product, facts.product) && fits(revision, facts.revision);

const KNOWN = KNOWN_ARRAYS.map(({ vendor, product, noPathMs }) => ({
  vendor: { regex: vendor },
  product: { regex: product },
  noPathMs,
}));

/** What is known of the unit's array. */
function knownValue(key: Key, { facts }: Unit): number | undefined {
  if (key !== "timeouts.no_path_ms") return undefined;
  return KNOWN.find(({ vendor, product }) => fits(vendor, facts.vendor) && fits(product, facts.product))?.noPathMs;
}

const TIMEOUTS = ENTRIES.filter(([key]) => sectionOf(key) === "timeouts");

/** The settings in force. Replaced as a whole when the configuration is read again. */
export class Effective {
  readonly configuration: Configuration;
  readonly #settings: () => Settings;
  readonly #units: ReadonlyMap<string, Configuration["units"][number]>;

  readonly #isForRegistrants: (unit: Unit) => boolean;

  /** @param isForRegistrants whether the unit's persistent reservation lets all of its paths in, as far as known */
  constructor(
    configuration: Configuration,
    settings: () => Settings,
    isForRegistrants: (unit: Unit) => boolean = () => false,
  ) {
    this.configuration = configuration;
    this.#settings = settings;
    this.#isForRegistrants = isForRegistrants;
    this.#units = new Map(configuration.units.map((entry) => [entry.identity, entry]));
  }

  /** The same with another file. */
  over(configuration: Configuration): Effective {
    return new Effective(configuration, this.#settings, this.#isForRegistrants);
  }

  #unit(unit: Unit): Configuration["units"][number] | undefined {
    const { formerIdentity } = unit.facts;
    return this.#entry(unit.identity.text) ?? (formerIdentity === undefined ? undefined : this.#entry(formerIdentity));
  }

  #entry(identity: string): Configuration["units"][number] | undefined {
    return this.#units.get(identity) ?? this.#units.get(wwidOf(identity) ?? identity);
  }

  /** What the file says of the unit's array. @param at the key in its entry */
  #ofArray(unit: Unit, at: string): unknown {
    for (const entry of this.configuration.arrays) {
      const value = isOfArray(entry, unit.facts) ? valueAt(entry, at) : undefined;
      if (value !== undefined) return value;
    }
    return undefined;
  }

  /**
   * The value in force: set by a command, else from the file for the unit, for its array, for all, else what is known of its array,
   * else from the profile, else the default.
   */
  #value(key: Key, unit?: Unit): unknown {
    const setting: Setting = SETTINGS[key];
    const { configuration } = this;
    const isOfUnits = sectionOf(key) === "units";
    const commanded = isOfUnits ? valueAt(unit, camel(nameOf(key))) : valueAt(this.#settings(), camel(key));
    if (setting.byCommand === true && (commanded ?? undefined) !== undefined) return commanded;
    const perUnit = isOfUnits ? nameOf(key) : setting.perUnit;
    const own =
      unit === undefined || perUnit === undefined
        ? undefined
        : (valueAt(this.#unit(unit), perUnit) ?? this.#ofArray(unit, perUnit));
    const profile = setting.type === "whole" ? setting.profiles?.[configuration.profile] : undefined;
    const general = valueAt(configuration, key) ?? profile ?? defaultOf(setting);
    if (own !== undefined || unit === undefined || general !== defaultOf(setting)) return own ?? general;
    return knownValue(key, unit) ?? general;
  }

  #number(key: Key, unit?: Unit): number {
    const value = this.#value(key, unit);
    if (typeof value !== "number") throw new TypeError(`${key} is no number, but ${String(value)}`);
    return value;
  }

  /** The same as the core has it. */
  inCore(key: Key, unit?: Unit): number {
    if (key === "timeouts.no_path_ms" && unit !== undefined) return this.noPathMs(unit);
    const number = coreNumber(SETTINGS[key], this.#value(key, unit));
    if (number === null) throw new TypeError(`${key} is nothing that the core has`);
    return number;
  }

  onNoPath(unit: Unit): Configuration["on_no_path"] {
    const value = this.#value("on_no_path", unit);
    return value === "fail" || value === "fence" ? value : "wait";
  }

  /** How long I/O waits while no path is usable. */
  noPathMs(unit: Unit): number {
    return this.onNoPath(unit) === "fail" ? 0 : this.#number("timeouts.no_path_ms", unit);
  }

  get patrol(): Patrol {
    return {
      mode: this.inCore("patrol.mode"),
      intervalS: this.#number("patrol.interval_s"),
      thresholdS: this.#number("patrol.threshold_s"),
      timeoutS: this.#number("patrol.timeout_s"),
    };
  }

  get #cluster(): boolean {
    return this.#settings().cluster ?? this.configuration.cluster;
  }

  get mode(): Mode {
    const set = this.#settings();
    return {
      class: "Enterprise",
      failback: set.failback ?? this.configuration.failback,
      cluster: this.#cluster,
      patrol: this.patrol,
    };
  }

  #configuredPolicy(unit: Unit): ConfiguredPolicy {
    const ofArray = this.configuration.arrays.find(
      (entry) => entry.policy !== undefined && isOfArray(entry, unit.facts),
    );
    return this.#unit(unit)?.policy ?? ofArray?.policy ?? this.configuration.policy;
  }

  /** The policy chosen for a unit; `policy` is the one in force, which may differ in cluster mode. */
  chosenPolicy(unit: Unit): Policy {
    return unit.policy ?? policyOfConfiguration(this.#configuredPolicy(unit));
  }

  /** Whether cluster software may have reserved the unit for one path, which excludes dynamic balancing (reference section 5). */
  keepsToOnePath(unit: Unit): boolean {
    return this.#cluster && !this.#isForRegistrants(unit);
  }

  /** Whether the core may balance the unit in cluster mode. */
  isForRegistrants(unit: Unit): boolean {
    return this.#isForRegistrants(unit);
  }

  policy(unit: Unit): Policy {
    return this.keepsToOnePath(unit) ? { name: "static", parameters: {} } : this.chosenPolicy(unit);
  }

  /** The chosen policy where another one is in force, and why. */
  policySetAside(unit: Unit): { readonly policy: Policy; readonly why: string } | null {
    const policy = this.chosenPolicy(unit);
    if (policy.name === "static" || !this.keepsToOnePath(unit)) return null;
    return { policy, why: "cluster mode, and no reservation for registrants" };
  }

  /** Whether the unit becomes a block device by itself; a name: through this driver of the kernel. */
  attaches(unit: Unit): boolean | "nbd" | "ublk" | "scsi" {
    const value = this.#value("attach", unit);
    return value === "nbd" || value === "ublk" || value === "scsi" ? value : value !== false;
  }

  timeouts(unit: Unit): Timeouts {
    // The view's schema is made from the same entries.
    return Object.fromEntries(TIMEOUTS.map(([key]) => [camel(nameOf(key)), this.#number(key, unit)])) as Timeouts;
  }

  hedgeBudgetPercent(unit: Unit): number {
    return this.#number("units.hedge_budget_percent", unit);
  }

  /** The configured name of a unit, if any. */
  nameOf(identity: string): string | undefined {
    return this.#entry(identity)?.name;
  }
}
