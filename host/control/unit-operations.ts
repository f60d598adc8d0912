// What an operator does to logical units.

import * as abi from "../reactor/abi.ts";
import type { Context } from "./context.ts";
import { plainPolicyCalls } from "./core-settings.ts";
import { ControlError, reasonOf } from "./errors.ts";
import { unitRow, type Unit } from "./inventory.ts";
import { checkParameters, LBMODES } from "./policies.ts";
import { demand, unitSet, type CoreCall } from "./reactor-port.ts";
import type { Attachment, AttachRequest, Policy, PolicyName, UnitPatch, UnitView } from "./schemas/unit.ts";
import { unitView } from "./views.ts";
import { NUMBERED_NAME } from "./words.ts";

async function answer(context: Context, unit: Unit): Promise<UnitView> {
  await context.mirror.current();
  return unitView(unit, context.views);
}

function notOffered(unit: Unit): ControlError {
  return new ControlError(
    "UNAVAILABLE",
    `LogicalUnit #${unit.number} is not offered: none of its paths was ever there`,
    {
      parameter: `#${unit.number}`,
      remedy: "connect a path of it",
    },
  );
}

/** PATCH /v1/units/:n: everything it asks for, or nothing. */
export function patchUnit(context: Context, key: string, patch: UnitPatch): Promise<UnitView> {
  return context.change(async () => {
    const unit = context.inventory.unit(key);
    const wanted = policyOf(context, unit, patch);
    const changesBalancing = wanted !== null;
    if (changesBalancing) context.hub.say("balancing-changing", { unit: unit.number });
    try {
      if (patch.name !== undefined) checkName(context, unit, patch.name);
      if (wanted !== null) checkPolicy(context, unit, wanted);
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

function checkPolicy(context: Context, unit: Unit, { name, parameters }: Policy): void {
  if (context.effective.mode.cluster && name !== "static") {
    throw new ControlError("CLUSTER_MODE", `dynamic balancing (${name}) is refused while cluster mode is on`, {
      parameter: "policy",
      remedy: "switch cluster mode off first",
    });
  }
  checkParameters(name, parameters);
  for (const number of [...(parameters.paths ?? []), ...Object.keys(parameters.weights ?? {})]) {
    if (unit.paths.has(number)) continue;
    throw new ControlError("POLICY_PARAMETER", `path ${number} is not a path of LogicalUnit #${unit.number}`, {
      parameter: number,
      remedy: `its paths are ${[...unit.paths.keys()].join(", ")}`,
    });
  }
}

async function applyPatch(context: Context, unit: Unit, patch: UnitPatch, policy: Policy | null): Promise<void> {
  const { name, hedgeBudgetPercent } = unit;
  const before = { name, hedgeBudgetPercent, policy: unit.policy };
  if (patch.name !== undefined) unit.name = patch.name;
  if (patch.hedgeBudgetPercent !== undefined) unit.hedgeBudgetPercent = patch.hedgeBudgetPercent;
  if (policy !== null) unit.policy = policy;
  const { handle } = unit;
  const calls: CoreCall[] = [];
  if (handle !== null) {
    if (policy !== null) calls.push(...plainPolicyCalls(unit, handle, context.effective));
    if (patch.hedgeBudgetPercent !== undefined) {
      calls.push(unitSet(handle, abi.UNIT_SET_HEDGE_BUDGET, patch.hedgeBudgetPercent * 100));
    }
    if (patch.resetStatistics === true) calls.push(unitSet(handle, abi.UNIT_SET_STATISTICS_RESET, 1));
  }
  let saved = false;
  try {
    context.state.saveUnits([unitRow(unit)]);
    saved = true;
    await demand(context.reactor, calls, `LogicalUnit #${unit.number}`, policy === null ? null : "policy");
    if (policy !== null) await context.bringUp.applyPathPolicies([unit], context.effective);
  } catch (thrown) {
    Object.assign(unit, before);
    if (saved) {
      context.state.saveUnits([unitRow(unit)]);
      if (handle !== null && policy !== null) {
        await demand(context.reactor, plainPolicyCalls(unit, handle, context.effective), "the former policy").catch(
          () => undefined,
        );
        await context.bringUp.applyPathPolicies([unit], context.effective).catch(() => undefined);
      }
    }
    throw thrown;
  }
  if (patch.name !== undefined) context.offer();
}

/** Fails what waits for a path, and new requests until a path is usable. */
export function releaseUnit(context: Context, key: string): Promise<UnitView> {
  return context.change(async () => {
    const unit = context.inventory.unit(key);
    const { handle } = unit;
    if (handle === null) throw notOffered(unit);
    await demand(context.reactor, [unitSet(handle, abi.UNIT_SET_RELEASED, 1)], "releasing", `#${unit.number}`);
    context.hub.say("unit-released", { unit: unit.number });
    return answer(context, unit);
  });
}

export function attachUnit(context: Context, key: string, request: AttachRequest): Promise<Attachment> {
  return context.change(async () => {
    const unit = context.inventory.unit(key);
    if (unit.handle === null) throw notOffered(unit);
    const attachment = await context.attachments.attach(unit, request);
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
    const attachments = await context.attachments.detach(unit, device);
    context.hub.say("unit-detached", { unit: unit.number, detail: { device: device ?? "all" } });
    return { attachments };
  });
}
