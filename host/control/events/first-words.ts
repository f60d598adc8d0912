// What a control reports when it starts.

import type { Death, Fall } from "../../supervisor/protocol.ts";
import { survivesShutdown } from "../../liaison/survival.ts";
import type { EventHub } from "./event-hub.ts";
import type { Inventory } from "../inventory/inventory.ts";
import type { LastWords } from "../state/last-words.ts";
import type { Logger } from "../ground/logger.ts";
import { daemonPid } from "../ground/own-process.ts";
import type { State } from "../state/state.ts";

type Hub = Pick<EventHub, "say">;

/** The daemon was started. */
export function tellOfStart(hub: Hub, source: "emulated" | "devices", { found: died }: LastWords): void {
  hub.say("daemon-started", { detail: { pid: daemonPid(), source } });
  if (died !== null) hub.say("daemon-died", { detail: { pid: died.pid, reason: died.reason } });
}

/** How the previous control ended, if it was not asked to. */
export function tellOfDeath(hub: Hub, { pid, reason, deaths, isUnsteady }: Death): void {
  if (reason !== null) hub.say("control-died", { detail: { pid, reason, "died lately": deaths } });
  if (isUnsteady) hub.say("control-unsteady", { detail: { "died lately": deaths } });
}

/** Reactors have ended meanwhile. */
export function tellOfFalls(hub: Hub, fallen: readonly Fall[]): void {
  for (const { reactor, reason } of fallen) hub.say("reactor-died", { detail: { reactor, reason } });
}

/** This control takes over everything. */
export function tellOfSuccession(hub: Hub, logger: Logger, { reason, atMs }: Death, runningMs: number): void {
  const gapMs = Math.round(runningMs - atMs);
  const why = reason === null ? "it was asked for" : null;
  hub.say("control-started", { detail: { pid: process.pid, "ms without": gapMs, why } });
  logger.warning(
    `control was started again after ${gapMs} ms without one (${reason ?? "it was asked for"}); I/O went on`,
  );
}

/**
 * What was found out about the stored state.
 * @param isHandedOver whether the state of the daemon before may be there as its copy alone
 */
export function tellOfState(
  hub: Hub,
  logger: Pick<Logger, "info" | "error">,
  { rebuilt, incomplete }: Pick<State, "rebuilt" | "incomplete">,
  { misnamed }: Pick<Inventory, "misnamed">,
  isHandedOver = survivesShutdown(),
): void {
  // Where the root is on a unit, that is how each boot begins.
  if (rebuilt !== null && rebuilt.wasAbsent && !rebuilt.isIncomplete && isHandedOver) {
    logger.info("the settings are those from before the machine went off");
  } else if (rebuilt !== null) {
    const { what, file, reason, aside, isIncomplete } = rebuilt;
    const kept = isIncomplete ? "what could be read" : "all settings";
    const where = aside === null ? "" : `; the file that was found is kept as ${aside}`;
    logger.error(`${file} was not as it was left: ${reason}; it is rebuilt with ${kept}${where}`);
    if (what === "copy") hub.say("file-made-again", { detail: { what: "copy of the settings", file, reason } });
    else hub.say("state-rebuilt", { detail: { file, reason, kept, "set aside as": aside } });
  }
  if (incomplete !== null) hub.say("settings-incomplete", { detail: { reason: incomplete } });
  for (const { unit, before } of misnamed) {
    const detail = { name: unit.name, "name before": before, why: "it looked like an identity" };
    hub.say("unit-renamed", { unit: unit.number, detail });
  }
}
