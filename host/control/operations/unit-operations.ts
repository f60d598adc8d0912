// An operator's operations on logical units.

import * as abi from "../../abi.ts";
import type { Context } from "../devices/operation-context.ts";
import { plainPolicyCalls } from "../core/core-settings.ts";
import { ControlError, reasonOf } from "../ground/control-errors.ts";
import { pathNumbered, pathsOf, unitRow, type Unit } from "../inventory/inventory.ts";
import { whyNotOffered } from "./offering.ts";
import { checkParameters, LBMODES } from "../settings/policies.ts";
import { demand, unitSet, type CoreCall } from "../core/reactor-port.ts";
import type { Attachment, AttachRequest, Policy, PolicyName, UnitPatch, UnitView } from "../schemas/unit-schema.ts";
import { unitView } from "../views/views.ts";
import { NUMBERED_NAME } from "../schemas/constants.ts";

async function answer(context: Context, unit: Unit): Promise<UnitView> {
  await context.snapshots.current();
  return unitView(unit, context.views);
}

function notOffered(unit: Unit, why: string): ControlError {
  const [what = why, remedy = "`pathctl show` says more"] = why.split("; ");
  return new ControlError("UNAVAILABLE", `LogicalUnit #${unit.number} is not offered: ${what}`, {
    parameter: `#${unit.number}`,
    remedy,
  });
}

/** PATCH /v1/units/:n: everything the patch asks for, or nothing. */
export function patchUnit(context: Context, key: string, patch: UnitPatch): Promise<UnitView> {
  return context.change(async () => {
    const unit = context.inventory.unit(key);
    const wanted = policyOf(context, unit, patch);
    const changesBalancing = wanted !== null;
    if (changesBalancing) context.hub.say("balancing-changing", { unit: unit.number });
    try {
      if (patch.name !== undefined) checkName(context, unit, patch.name);
      if (wanted !== null) await checkPolicy(context, unit, wanted);
      await applyPatch(context, unit, patch, wanted);
    } catch (thrown) {
      if (changesBalancing) {
        context.hub.say("balancing-failed", { unit: unit.number, detail: { reason: reasonOf(thrown) } });
      }
      throw thrown;
    }
    if (wanted !== null) context.hub.say("balancing-changed", { unit: unit.number, detail: { policy: wanted.name } });
    if (patch.name !== undefined) {
      context.hub.say("unit-renamed", { unit: unit.number, detail: { name: patch.name } });
    }
    return answer(context, unit);
  });
}

/** The policy a patch asks for, or null when it asks for none. */
function policyOf(context: Context, unit: Unit, patch: UnitPatch): Policy | null {
  if (patch.policy !== undefined && patch.balancing !== undefined) {
    throw new ControlError("INVALID_REQUEST", "policy and balancing name the same thing; give one of them", {
      parameter: "balancing",
    });
  }
  const byMode: PolicyName | undefined = patch.balancing === undefined ? undefined : LBMODES[patch.balancing];
  const name = patch.policy ?? byMode;
  if (name === undefined && patch.parameters === undefined) return null;
  return { name: name ?? context.effective.chosenPolicy(unit).name, parameters: patch.parameters ?? {} };
}

function checkName(context: Context, unit: Unit, name: string): void {
  const other = context.inventory.units().find((candidate) => candidate !== unit && candidate.name === name);
  const numbered = NUMBERED_NAME.exec(name)?.[1];
  const owner = other?.number ?? (numbered === undefined ? unit.number : Number(numbered));
  if (owner === unit.number) return;
  throw new ControlError("NAME_IN_USE", `the name ${name} belongs to LogicalUnit #${owner}`, {
    parameter: "name",
    remedy: "choose another name",
  });
}

async function checkPolicy(context: Context, unit: Unit, { name, parameters }: Policy): Promise<void> {
  if (name !== "static" && context.effective.keepsToOnePath(unit)) {
    const why = "cluster mode is on and no reservation for registrants is held";
    throw new ControlError("CLUSTER_MODE", `dynamic balancing (${name}) is refused while ${why}`, {
      parameter: "policy",
      remedy: "switch cluster mode off, or register this host and reserve the unit with type 5, 6, 7 or 8",
    });
  }
  checkParameters(name, parameters);
  for (const number of [...(parameters.paths ?? []), ...Object.keys(parameters.weights ?? {})]) {
    if (pathNumbered(unit, number) !== undefined) continue;
    throw new ControlError("POLICY_PARAMETER", `path ${number} is not a path of LogicalUnit #${unit.number}`, {
      parameter: number,
      remedy: `its paths are ${pathsOf(unit)
        .map((path) => path.number)
        .join(", ")}`,
    });
  }
  if (parameters.paths !== undefined) await checkSubset(context, unit, parameters.paths);
}

/** A subset with no usable path is a mistake, unless no path is usable at all. A subset that fails later stays. */
async function checkSubset(context: Context, unit: Unit, paths: readonly string[]): Promise<void> {
  const snapshot = await context.snapshots.current();
  const usable = unit.handle === null ? 0 : (snapshot.unit(unit.handle)?.usable ?? 0);
  const isUsable = (number: string): boolean => {
    const handle = pathNumbered(unit, number)?.handle ?? null;
    const slot = handle === null ? undefined : snapshot.path(handle)?.slot;
    return slot !== undefined && (usable & (1 << slot)) !== 0;
  };
  if (usable === 0 || paths.some(isUsable)) return;
  const which = `${paths.length === 1 ? "path" : "none of the paths"} ${paths.join(", ")} of LogicalUnit #${unit.number}`;
  throw new ControlError("POLICY_PARAMETER", `${which} takes ${paths.length === 1 ? "no I/O" : "I/O"} now`, {
    parameter: paths[0] ?? "paths",
    remedy: "enable or repair it first, or name paths that are in use or active",
  });
}

/** Tells the core what a patch changed. The policy comes first, as only it can be refused. */
async function tellCore(context: Context, unit: Unit, patch: UnitPatch, setsPolicy: boolean): Promise<void> {
  const { effective, reactor, bringUp } = context;
  const { handle } = unit;
  if (handle === null) return;
  const what = `LogicalUnit #${unit.number}`;
  if (setsPolicy) {
    await demand(reactor, plainPolicyCalls(unit, handle, effective), what, "policy");
    await bringUp.applyPathPolicies([unit], effective);
  }
  const rest: CoreCall[] = [];
  if (patch.hedgeBudgetPercent !== undefined) {
    rest.push(unitSet(handle, abi.UNIT_SET_HEDGE_BUDGET, effective.hedgeBudgetPercent(unit) * 100));
  }
  if (patch.resetStatistics === true) rest.push(unitSet(handle, abi.UNIT_SET_STATISTICS_RESET, 1));
  await demand(reactor, rest, what);
}

async function applyPatch(context: Context, unit: Unit, patch: UnitPatch, policy: Policy | null): Promise<void> {
  const { name, hedgeBudgetPercent } = unit;
  const before = { name, hedgeBudgetPercent, policy: unit.policy };
  if (patch.name !== undefined) unit.name = patch.name;
  if (patch.hedgeBudgetPercent !== undefined) unit.hedgeBudgetPercent = patch.hedgeBudgetPercent;
  if (policy !== null) unit.policy = policy;
  let saved = false;
  try {
    context.state.saveUnits([unitRow(unit)]);
    saved = true;
    await tellCore(context, unit, patch, policy !== null);
  } catch (thrown) {
    Object.assign(unit, before);
    if (saved) {
      context.state.saveUnits([unitRow(unit)]);
      const undo = patch.hedgeBudgetPercent === undefined ? {} : { hedgeBudgetPercent: patch.hedgeBudgetPercent };
      await tellCore(context, unit, undo, policy !== null).catch(() => undefined);
    }
    throw thrown;
  }
  if (patch.name !== undefined) context.offer();
}

/** Fails requests that wait for a path, and new ones until a path is usable. */
export function releaseUnit(context: Context, key: string): Promise<UnitView> {
  return context.change(async () => {
    const unit = context.inventory.unit(key);
    const { handle } = unit;
    if (handle === null) throw notOffered(unit, whyNotOffered(unit) ?? "it is gone");
    await demand(context.reactor, [unitSet(handle, abi.UNIT_SET_RELEASED, 1)], "releasing", `#${unit.number}`);
    context.hub.say("unit-released", { unit: unit.number });
    return answer(context, unit);
  });
}

export function attachUnit(context: Context, key: string, request: AttachRequest): Promise<Attachment> {
  return context.change(async () => {
    const unit = context.inventory.unit(key);
    const why = whyNotOffered(unit);
    if (why !== null) throw notOffered(unit, why);
    const before = context.attachments.of(unit);
    const attachment = await context.attachments.attach(unit, request);
    if (before.some(({ device }) => device === attachment.device)) return attachment;
    context.hub.say("unit-attached", { unit: unit.number, detail: { device: attachment.device } });
    return attachment;
  });
}

export function detachUnit(
  context: Context,
  key: string,
  device: string | undefined,
): Promise<{ attachments: Attachment[] }> {
  return context.change(async () => {
    const unit = context.inventory.unit(key);
    const { left, detached } = await context.attachments.detach(unit, device);
    if (detached.length > 0) {
      context.hub.say("unit-detached", { unit: unit.number, detail: { device: device ?? "all" } });
    }
    return { attachments: left };
  });
}
