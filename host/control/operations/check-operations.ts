// An operator has a path checked: does it answer, and where does it lead? Nothing is changed by that.

import { inQueue, KERNEL_QUEUES } from "../../discovery/adapter-queues.ts";
import { identitiesOf } from "../../discovery/discover.ts";
import { emulatedPort, emulatedTransport } from "../../discovery/emulated.ts";
import { nativeTransport } from "../../discovery/native-transport.ts";
import { probe, type Probed } from "../../discovery/probe.ts";
import type { Context } from "../devices/operation-context.ts";
import { ControlError } from "../ground/control-errors.ts";
import type { PathCheck } from "../schemas/path-schema.ts";
import { answer } from "./path-operations.ts";

/** Limit for all commands of a check. */
const BUDGET_MS = 5000;

/** Sends the commands in the queue of the path's host adapter, where each blocks a thread. */
async function ask({ reactor }: Context, device: string, number: string): Promise<Probed> {
  if (emulatedPort(device) !== null) return probe(emulatedTransport(reactor), device, BUDGET_MS);
  const asked = await inQueue(KERNEL_QUEUES, number, BUDGET_MS, nativeTransport, (to) => probe(to, device, BUDGET_MS));
  return asked ?? { ok: false, reason: "other devices of its host answer nothing", isForNow: true };
}

export async function checkPath(context: Context, number: string): Promise<PathCheck> {
  const path = context.inventory.path(number);
  const device = path.found?.device;
  if (device === undefined) {
    throw new ControlError("PATH_CHECK_FAILED", `path ${number} cannot be checked: its device is gone`, {
      parameter: number,
      remedy: "connect it again, then `pathctl rescan`",
    });
  }
  const beganMs = performance.now();
  const asked = await ask(context, device, number);
  const us = Math.round((performance.now() - beganMs) * 1000);
  const own = new Set([path.unit.identity.text, path.unit.facts.formerIdentity]);
  const identities = asked.ok ? identitiesOf(asked.value) : [];
  const leadsTo = identities.find((identity) => own.has(identity)) ?? identities[0] ?? null;
  return {
    path: await answer(context, path),
    answered: asked.ok,
    us,
    reason: asked.ok ? null : asked.reason,
    leadsTo,
    isOwnUnit: leadsTo === null ? null : own.has(leadsTo),
  };
}
