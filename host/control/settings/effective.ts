// Which settings hold: what a command set (the state file), else what the configuration says of the unit, else of all.

import { wwidOf } from "../../discovery/wwid.ts";
import type { Unit } from "../inventory/inventory.ts";
import type { Configuration } from "../schemas/configuration.ts";
import type { Mode, Patrol } from "../schemas/mode.ts";
import type { Policy, Timeouts } from "../schemas/unit.ts";
import type { Settings } from "../state/state-schemas.ts";

/** Interval, threshold and timeout of a profile, in seconds: ours, and the original's of 2004. */
const PROFILES = { default: [5, 5, 10], classic: [60, 60, 120] } as const;

const PATROL_MODES = ["none", "health", "recovery", "both"] as const;

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

/** The settings in force. Replaced as a whole when the configuration is read again. */
export class Effective {
  readonly configuration: Configuration;
  readonly #settings: () => Settings;
  readonly #units: ReadonlyMap<string, Configuration["units"][number]>;

  constructor(configuration: Configuration, settings: () => Settings) {
    this.configuration = configuration;
    this.#settings = settings;
    this.#units = new Map(configuration.units.map((entry) => [entry.identity, entry]));
  }

  #unit(unit: Unit): Configuration["units"][number] | undefined {
    const { formerIdentity } = unit.facts;
    return this.#entry(unit.identity.text) ?? (formerIdentity === undefined ? undefined : this.#entry(formerIdentity));
  }

  #entry(identity: string): Configuration["units"][number] | undefined {
    return this.#units.get(identity) ?? this.#units.get(wwidOf(identity) ?? identity);
  }

  get patrol(): Patrol {
    const set = this.#settings().patrol ?? {};
    const { profile, patrol } = this.configuration;
    const [intervalS, thresholdS, timeoutS] = PROFILES[profile];
    return {
      mode: set.mode ?? PATROL_MODES.indexOf(patrol.mode),
      intervalS: set.intervalS ?? patrol.interval_s ?? intervalS,
      thresholdS: set.thresholdS ?? patrol.threshold_s ?? thresholdS,
      timeoutS: set.timeoutS ?? patrol.timeout_s ?? timeoutS,
    };
  }

  get mode(): Mode {
    const set = this.#settings();
    return {
      class: "Enterprise",
      failback: set.failback ?? this.configuration.failback,
      cluster: set.cluster ?? this.configuration.cluster,
      patrol: this.patrol,
    };
  }

  /** The policy chosen for a unit; what holds while cluster mode is on is `policy`. */
  chosenPolicy(unit: Unit): Policy {
    return unit.policy ?? policyOfConfiguration(this.#unit(unit)?.policy ?? this.configuration.policy);
  }

  /** Cluster mode excludes dynamic balancing: its reservations belong to one path (reference section 5). */
  policy(unit: Unit): Policy {
    return this.mode.cluster ? { name: "static", parameters: {} } : this.chosenPolicy(unit);
  }

  timeouts(unit: Unit): Timeouts {
    const own = this.#unit(unit)?.timeouts ?? {};
    const all = this.configuration.timeouts;
    return {
      ioMs: own.io_ms ?? all.io_ms,
      noPathMs: own.no_path_ms ?? all.no_path_ms,
      stallMinMs: own.stall_min_ms ?? all.stall_min_ms,
      stallMaxMs: own.stall_max_ms ?? all.stall_max_ms,
      commandMs: own.command_ms ?? all.command_ms,
      lostResetMs: own.lost_reset_ms ?? all.lost_reset_ms,
      ghostResetMs: own.ghost_reset_ms ?? all.ghost_reset_ms,
    };
  }

  hedgeBudgetPercent(unit: Unit): number {
    return unit.hedgeBudgetPercent ?? this.#unit(unit)?.hedge_budget_percent ?? 0;
  }

  aluaExplicit(unit: Unit): boolean {
    return this.#unit(unit)?.alua_explicit ?? this.configuration.alua.explicit;
  }

  patrolRead(unit: Unit): boolean {
    return this.#unit(unit)?.patrol_read ?? false;
  }

  /** The name the configuration gives a unit, if any. */
  nameOf(identity: string): string | undefined {
    return this.#entry(identity)?.name;
  }
}
