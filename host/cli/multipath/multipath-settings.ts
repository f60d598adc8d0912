// Settings of multipath.conf that PathManager also has, and how each value is converted.

import type { ConfigurationInput } from "../../control/schemas/configuration-schema.ts";
import type { PolicyName } from "../../control/schemas/unit-schema.ts";
import { MARGINAL_COUNT_MAX } from "../../settings/names.ts";
import { counted } from "../../wording.ts";

/** The settings taken over, collected while a section is read. */
export interface Settings {
  selector?: PolicyName;
  grouping?: "failover";
  ios?: number;
  noPathMs?: number;
  /** Used instead of noPathMs: a number of checks. */
  noPathChecks?: number;
  /** Requests wait, unless no_path_retry says how long. */
  queues?: boolean;
  intervalS?: number;
  timeoutS?: number;
  failback?: "active" | "standby";
  logLevel?: "error" | "warning" | "info" | "debug";
  marginalCount?: number;
  marginalWindowS?: number;
  marginalCleanS?: number;
}

export type Outcome =
  | { readonly kind: "taken"; readonly text: string }
  | { readonly kind: "ignored"; readonly text: string }
  | { readonly kind: "error"; readonly text: string }
  /** A keyword that multipath-tools does not know either. */
  | { readonly kind: "unknown"; readonly text: string };

const taken = (text: string): Outcome => ({ kind: "taken", text });
const ignored = (text: string): Outcome => ({ kind: "ignored", text });
const error = (text: string): Outcome => ({ kind: "error", text });

/** Longest time that requests wait for a path: nothing in PathManager waits forever. */
const QUEUE_MS = 86_400_000;
/** multipathd checks every 5 s by default; no_path_retry counts these checks. */
export const POLLING_S_DEFAULT = 5;

const SELECTORS: Readonly<Record<string, PolicyName>> = {
  "round-robin": "round-robin",
  "queue-length": "least-in-flight",
  "service-time": "service-time",
  "historical-service-time": "historical-service-time",
  "io-affinity": "affinity",
};

const LEVELS = ["error", "error", "warning", "info", "debug", "debug", "debug"] as const;

/** A whole number of at least `min`; values above `max` become `max`, as multipath-tools does with values out of range. */
function whole(text: string, min: number, max: number, use: (value: number, most: string) => Outcome): Outcome {
  const value = /^\d{1,20}$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= min)) return error(`must be a whole number of ${min} or more, not ${text}`);
  return use(Math.min(value, max), value > max ? `, the most there is in place of ${text}` : "");
}

function pathSelector(value: string, settings: Settings): Outcome {
  const policy = SELECTORS[value.trim().split(/\s+/)[0] ?? ""];
  if (policy === undefined) return error(`unknown selector ${value}; there are ${Object.keys(SELECTORS).join(", ")}`);
  settings.selector = policy;
  return taken(`policy = "${policy}"`);
}

function grouping(value: string, settings: Settings): Outcome {
  switch (value) {
    case "failover":
      settings.grouping = "failover";
      return taken('policy = "static": one path at a time');
    case "multibus":
      delete settings.grouping;
      return taken("every path of a unit is balanced over");
    case "group_by_prio":
    case "group_by_tpg":
      delete settings.grouping;
      return taken("optimized paths are preferred, by ALUA");
    case "group_by_serial":
    case "group_by_node_name":
      return ignored("paths are grouped by their ALUA state");
    default:
      return error(
        `unknown policy ${value}; there are failover, multibus, group_by_serial, group_by_prio, group_by_node_name, group_by_tpg`,
      );
  }
}

function noPathRetry(value: string, settings: Settings): Outcome {
  delete settings.noPathChecks;
  delete settings.noPathMs;
  if (value === "fail") {
    settings.noPathMs = 0;
    return taken("timeouts.no_path_ms = 0");
  }
  if (value === "queue") {
    settings.noPathMs = QUEUE_MS;
    return taken("timeouts.no_path_ms: a day; nothing waits forever");
  }
  // multipath-tools turns a negative value into 1.
  const text = /^-\d+$/.test(value) ? "1" : value;
  return whole(text, 0, 2_147_483_647, (retries) => {
    settings.noPathChecks = retries;
    return taken(`timeouts.no_path_ms: ${counted(retries, "check")}`);
  });
}

function features(value: string, settings: Settings): Outcome {
  if (/\bqueue_if_no_path\b/.test(value)) {
    settings.queues = true;
    return taken("timeouts.no_path_ms: a day, unless no_path_retry says another time");
  }
  return ignored("features of device-mapper");
}

function failback(value: string, settings: Settings): Outcome {
  if (value === "immediate") {
    settings.failback = "active";
    return taken('failback = "active"');
  }
  if (value === "manual") {
    settings.failback = "standby";
    return taken('failback = "standby": a recovered path waits for an operator');
  }
  if (value === "followover") return ignored("with ALUA, the states of the array are followed");
  if (/^(-\d+|0)$/.test(value)) return ignored("there it means that nothing is set");
  return whole(value, 1, 86_400, () => ignored("failback is not delayed; [marginal] keeps flapping paths out"));
}

function checker(value: string): Outcome {
  if (value === "tur") return taken("path patrol checks with TEST UNIT READY");
  if (["directio", "readsector0"].includes(value)) return ignored("patrol_read = true in [[units]] checks with a read");
  if (["rdac", "emc_clariion", "hp_sw", "hp_tur", "none", "cciss_tur"].includes(value)) {
    return ignored("path patrol checks with TEST UNIT READY");
  }
  return error(`unknown checker ${value}`);
}

type Setter = (value: string, settings: Settings) => Outcome;

const OFF = "off there; [marginal] stays on";
const isOff = (value: string): boolean => ["no", "-1", "0"].includes(value);

/** multipathd accepts larger counts than PathManager: they become PathManager's maximum. */
const marginalCount: Setter = (value, settings) =>
  isOff(value)
    ? ignored(OFF)
    : whole(value, 1, 2_147_483_647, (found) => {
        settings.marginalCount = Math.min(found, MARGINAL_COUNT_MAX);
        const most = found > MARGINAL_COUNT_MAX ? ", the most that is counted" : "";
        return taken(`marginal.count = ${settings.marginalCount}${most}`);
      });

const number =
  (key: "marginalWindowS" | "marginalCleanS" | "timeoutS" | "intervalS", text: string, max: number): Setter =>
  (value, settings) => {
    if (isOff(value) && key.startsWith("marginal")) return ignored(OFF);
    return whole(value, 1, max, (found, most) => {
      settings[key] = found;
      return taken(`${text} = ${found}${most}`);
    });
  };

const rrMinIo: Setter = (value, settings) =>
  whole(value, 1, 1_000_000, (ios) => {
    settings.ios = ios;
    return taken(`policy.ios = ${ios}, with round-robin`);
  });

const verbosity: Setter = (value, settings) =>
  whole(value, 0, 6, (level) => {
    settings.logLevel = LEVELS[level] ?? "info";
    return taken(`log.level = "${settings.logLevel}"`);
  });

/** Settings that a single unit may have. */
const OF_UNITS: Readonly<Record<string, Setter>> = {
  path_selector: pathSelector,
  path_grouping_policy: grouping,
  no_path_retry: noPathRetry,
  features,
  failback,
  rr_min_io: rrMinIo,
  rr_min_io_rq: rrMinIo,
  path_checker: (value) => checker(value),
};

const OF_SYSTEM: Readonly<Record<string, Setter>> = {
  ...OF_UNITS,
  verbosity,
  polling_interval: number("intervalS", "patrol.interval_s", 3600),
  checker_timeout: number("timeoutS", "patrol.timeout_s", 3600),
  san_path_err_threshold: marginalCount,
  san_path_err_recovery_time: number("marginalCleanS", "marginal.clean_s", 86_400),
  marginal_path_err_sample_time: number("marginalWindowS", "marginal.window_s", 86_400),
  marginal_path_err_recheck_gap_time: number("marginalCleanS", "marginal.clean_s", 86_400),
};

/** Converts `name value`; what is taken over goes into `settings`. */
export function settingOf(
  name: string,
  value: string,
  settings: Settings,
  scope: "system" | "unit" = "system",
): Outcome {
  const setter = OF_SYSTEM[name];
  if (setter === undefined) {
    return { kind: "unknown", text: "no keyword of multipath.conf(5), so multipath-tools ignores it, too" };
  }
  if (scope === "unit") {
    if (!(name in OF_UNITS)) return { kind: "unknown", text: "does not belong in a multipath section" };
    const outcome = setter(value, settings);
    if (name === "failback" && outcome.kind === "taken") return ignored("failback is one mode for the whole system");
    return outcome;
  }
  return setter(value, settings);
}

/** The policy that results from the settings; `failover` grouping means one path at a time, whatever the selector. */
export function policyOf({ grouping: groups, selector, ios }: Settings): ConfigurationInput["policy"] {
  if (groups === "failover") return "static";
  if (ios !== undefined && (selector === undefined || selector === "round-robin")) return { name: "round-robin", ios };
  return selector;
}

/** How long requests wait without a path: given in checks, one every `intervalS` seconds. */
export function timeoutsOf(settings: Settings, intervalS: number): { no_path_ms: number } | undefined {
  const { noPathMs = settings.queues === true ? QUEUE_MS : undefined, noPathChecks } = settings;
  const waitMs = noPathChecks === undefined ? noPathMs : Math.min(QUEUE_MS, noPathChecks * intervalS * 1000);
  return waitMs === undefined ? undefined : { no_path_ms: waitMs };
}
