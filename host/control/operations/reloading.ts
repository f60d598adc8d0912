// Reads the configuration file again and applies it, as a whole or not at all.

import { applyAll } from "./applying.ts";
import type { RememberedAttachments } from "./attachments.ts";
import { checkFilter } from "../devices/device-filter.ts";
import { loadConfiguration } from "../settings/configuration.ts";
import type { Context } from "../devices/operation-context.ts";
import { Effective } from "../settings/effective.ts";
import { reasonOf } from "../ground/control-errors.ts";
import type { Kept } from "../devices/kept.ts";
import type { Rescans } from "../devices/rescans.ts";
import { reloadReport, socketsInForce } from "./reload.ts";
import { isEmulated, type Configuration, type ReloadReport } from "../schemas/configuration-schema.ts";
import type { TlsSources } from "../tls/sources.ts";

/** What a reload reads and changes; the daemon implements it. */
export interface Reloadable extends Context {
  readonly options: {
    readonly configuration: Configuration;
    readonly configurationPlace?: string;
    readonly logger: { warning(text: string): void };
  };
  readonly attachments: RememberedAttachments;
  readonly emulated: boolean;
  readonly rescans: Rescans;
  readonly tlsSources: TlsSources;
  effective: Effective;
  restartNeeded: readonly string[];
  configurationFile: string | null;
}

/** Only within a change. A mistake in the file changes nothing. @throws ControlError */
export async function reload(daemon: Reloadable, kept: Kept): Promise<ReloadReport> {
  const before = daemon.effective.configuration;
  const place = daemon.configurationFile ?? daemon.options.configurationPlace;
  const {
    configuration: after,
    file,
    notes,
  } = place === undefined
    ? { configuration: before, file: null, notes: [] }
    : loadConfiguration(place, daemon.configurationFile !== null);
  const { emulated } = daemon;
  const report = reloadReport(before, after, daemon.state.settings(), isEmulated(after) !== emulated);
  // Settings that need a restart keep their old values, so that what is displayed is what is in force.
  const { state, log, limits, ring, process, array } = daemon.options.configuration;
  const sockets = socketsInForce(daemon.options.configuration, after);
  const devices = isEmulated(after) === emulated ? after.devices : before.devices;
  const next = { ...after, devices, emulated, sockets, state, log, limits, ring, process, array };
  checkFilter(daemon.inventory, daemon.attachments, next);
  const putFiles = daemon.tlsSources.read(after);
  await put(daemon, daemon.effective.over(next));
  putFiles();
  for (const text of notes) daemon.options.logger.warning(text);
  daemon.configurationFile = file;
  daemon.restartNeeded = report.restartNeeded;
  kept.inForce = { configuration: next, file, restartNeeded: report.restartNeeded };
  daemon.hub.say("configuration-reloaded", {
    detail: {
      applied: report.applied.join(" ") || "nothing",
      "needs restart": report.restartNeeded.join(" ") || null,
    },
  });
  daemon.attachments.decideAnew();
  daemon.rescans.soon(0);
  await daemon.snapshots.current();
  return report;
}

/** Puts a configuration in force. If the core refuses any of it, all of it is undone. */
async function put(daemon: Reloadable, effective: Effective): Promise<void> {
  const before = daemon.effective;
  daemon.effective = effective;
  try {
    await applyAll(daemon, effective);
  } catch (thrown) {
    daemon.effective = before;
    await applyAll(daemon, before).catch((again) => daemon.options.logger.warning(reasonOf(again)));
    throw thrown;
  }
}
