// Policies: their names, their parameters, and their values in the core.

import { ControlError } from "../ground/control-errors.ts";
import { POLICY_NAMES } from "../../settings/names.ts";
import type { Balancing, Policy, PolicyName, PolicyParameters } from "../schemas/unit-schema.ts";

type Parameter = keyof PolicyParameters;

const TAKES: Readonly<Partial<Record<PolicyName, readonly Parameter[]>>> = {
  "round-robin": ["ios", "bytes"],
  "round-robin-subset": ["paths", "ios"],
  "service-time": ["weights"],
  weighted: ["weights"],
  "historical-service-time": ["historyPercent"],
};

/** POLICY_* of a name. */
export function policyCode(name: PolicyName): number {
  return POLICY_NAMES.indexOf(name);
}

/** The policies that `-lbmode 0..3` stand for. */
export const LBMODES: readonly PolicyName[] = ["static", "round-robin", "least-sectors", "adaptive"];

/** The first parameter the policy does not take, and what it takes instead; or null. */
export function parametersMistake(
  name: PolicyName,
  parameters: PolicyParameters,
): { readonly parameter: string; readonly remedy: string } | null {
  const taken = TAKES[name] ?? [];
  for (const [parameter, value] of Object.entries(parameters)) {
    if (value === undefined || taken.some((key) => key === parameter)) continue;
    const remedy = taken.length === 0 ? `${name} takes no parameters` : `${name} takes ${taken.join(", ")}`;
    return { parameter, remedy };
  }
  return null;
}

/** Refuses parameters the policy does not take, and a policy without a parameter it needs. */
export function checkParameters(name: PolicyName, parameters: PolicyParameters): void {
  const mistake = parametersMistake(name, parameters);
  if (mistake !== null) {
    throw new ControlError("POLICY_PARAMETER", `the policy ${name} has no parameter ${mistake.parameter}`, mistake);
  }
  if (name === "round-robin-subset" && parameters.paths === undefined) {
    throw new ControlError("POLICY_PARAMETER", "the policy round-robin-subset needs the parameter paths", {
      parameter: "paths",
      remedy: "name the paths it shall use",
    });
  }
}

/**
 * The two numbers the core takes for a policy.
 * @param slotOf the slot of a path within its unit, undefined when it is not present
 */
export function policyNumbers(
  { name, parameters }: Policy,
  slotOf: (path: string) => number | undefined,
): readonly [number, number] {
  switch (name) {
    case "round-robin":
      return [parameters.ios ?? 0, parameters.bytes ?? 0];
    case "round-robin-subset": {
      const slots = (parameters.paths ?? []).map(slotOf).filter((slot) => slot !== undefined);
      return [slots.reduce((mask, slot) => (mask | (1 << slot)) >>> 0, 0), parameters.ios ?? 0];
    }
    case "historical-service-time":
      return [parameters.historyPercent ?? 0, 0];
    default:
      return [0, 0];
  }
}

/** The policy in terms of the paths' present numbers. @param numbers by the old numbers; numbers not in it stay */
export function renumberPolicy(policy: Policy | null, numbers: ReadonlyMap<string, string>): Policy | null {
  const { paths, weights } = policy?.parameters ?? {};
  if (policy === null || (paths === undefined && weights === undefined)) return policy;
  const now = (number: string): string => numbers.get(number) ?? number;
  const entries = Object.entries(weights ?? {});
  // If two end up with the same number, the renumbered one means the present path.
  entries.sort(([a], [b]) => Number(numbers.has(a)) - Number(numbers.has(b)));
  const parameters = {
    ...policy.parameters,
    ...(paths === undefined ? {} : { paths: [...new Set(paths.map(now))] }),
    ...(weights === undefined
      ? {}
      : { weights: Object.fromEntries(entries.map(([path, weight]) => [now(path), weight])) }),
  };
  return { ...policy, parameters };
}

/** Balancing as `spscmd` displays it: the original's modes in words, any other policy by its name. */
export function balancingOf(name: PolicyName): Balancing {
  const mode = LBMODES.indexOf(name);
  return {
    dynamic: name !== "static",
    mode: mode === -1 ? null : mode,
    label: mode === -1 ? name : name.replaceAll("-", " "),
  };
}
