// The daemon: starts its parts in order, stops them in reverse order, and is the context that operations run in.

import { setTimeout as sleep } from "node:timers/promises";
import type { UeventMonitor } from "../native/index.ts";
import { ReactorClient } from "../reactor/reactor-client.ts";
import type { Adoption } from "../supervisor/protocol.ts";
import { adopt } from "./operations/adoption.ts";
import { applyAll } from "./operations/applying.ts";
import { ConfiguredAttachments } from "./operations/configured-attachments.ts";
import { modeCalls } from "./core/core-settings.ts";
import { watchUevents } from "./devices/device-watch.ts";
import { reasonOf } from "./ground/control-errors.ts";
import { tellOfDeath, tellOfFalls, tellOfStart, tellOfSuccession, tellOfState } from "./events/first-words.ts";
import type { Keeper } from "./core/keeper.ts";
import { daemonPid } from "./ground/own-process.ts";
import { demand } from "./core/reactor-port.ts";
import { reactorOptions } from "./core/reactor-options.ts";
import { DaemonParts, type DaemonOptions } from "./parts.ts";
import { reload } from "./operations/reloading.ts";
import { isEmulated, type ReloadReport } from "./schemas/configuration-schema.ts";
import { State } from "./state/state.ts";
import { Snapshot } from "./core/snapshot.ts";
import type { ViewSources } from "./views/views.ts";

/** The tables are copied this often even when nobody displays them, because other parts depend on them. */
const HOUSEKEEPING_MS = 1000;
/** How long a control that is replaced waits for the change under way. */
const LEAVE_MS_MAX = 1000;

export class Daemon extends DaemonParts {
  #changes: Promise<unknown> = Promise.resolve();
  #housekeeping: NodeJS.Timeout | undefined;
  #uevents: UeventMonitor | null = null;
  #stopping = false;
  /** The devices have been started: from now on attachments are served. */
  #serving = false;
  readonly #configured = new ConfiguredAttachments();

  /**
   * Starts everything but the API.
   * @throws ControlError (state, configuration), or the reactor's error; then nothing is left running
   */
  static async start(options: DaemonOptions): Promise<Daemon> {
    const { configuration, places } = options;
    const state = new State(places.stateDirectory, configuration.state.events_max);
    let reactor: ReactorClient;
    try {
      const emulated = isEmulated(configuration);
      const wanted = reactorOptions(configuration, emulated);
      const { nice = null, slice_us: sliceUs = null } = configuration.process;
      const privileges = { nice, sliceUs, emulated };
      reactor = await (options.keeper?.reactor(wanted, privileges) ?? ReactorClient.start(wanted));
    } catch (thrown) {
      state.close();
      throw thrown;
    }
    const daemon = new Daemon(options, state, reactor);
    try {
      await daemon.#begin();
    } catch (thrown) {
      await daemon.stop();
      throw thrown;
    }
    return daemon;
  }

  async #begin(): Promise<void> {
    const { logger, configuration, places, group, keeper } = this.options;
    if (keeper?.adoption) {
      tellOfDeath(this.hub, keeper.adoption.death);
      tellOfFalls(this.hub, keeper.adoption.fallen);
    } else tellOfStart(this.hub, this.emulated ? "emulated" : "devices", this.lastWords);
    this.keeping.start();
    this.receiving.read(this.effective.configuration)();
    this.tlsSources.add(this.receiving);
    this.doors.prepare(configuration, this.tlsSources);
    this.reservations.tell();
    this.bringUp.placement.loads.keepIn(places.stateDirectory);
    tellOfState(this.hub, logger, this.state, this.inventory);
    if (keeper?.adoption) await this.#adopt(keeper, keeper.adoption);
    else {
      this.kept.started = configuration;
      this.kept.inForce = { configuration, file: this.configurationFile, restartNeeded: [] };
      await demand(this.reactor, modeCalls(this.effective), "setting the modes");
    }
    keeper?.follow((events) => this.events.lost(events, "control"));
    await this.rescan();
    const { nbdSocket } = places;
    await this.doors.open({ nbdSocket, prHelper: configuration.sockets.pr_helper, group, keeping: this.keeping });
    this.#serving = true;
    await this.targets.begin();
    await this.change(() => this.serveAttachments());
    this.#housekeeping = setInterval(() => void this.snapshots.current().catch(() => undefined), HOUSEKEEPING_MS);
    if (!this.emulated)
      this.#uevents = watchUevents({ thin: this.thin, inventory: this.inventory, rescans: this.rescans, logger });
    if (keeper?.adoption) tellOfSuccession(this.hub, logger, keeper.adoption.death, keeper.runningMs);
  }

  /** Takes over from the previous control; I/O goes on meanwhile. */
  async #adopt(keeper: Keeper, adoption: Adoption): Promise<void> {
    const { inventory, state, bringUp, attachments, connections, reactor } = this;
    this.leftovers.adopt(this.kept.heldUnits);
    const snapshot = new Snapshot(await reactor.snapshotCopy());
    this.events.startFrom(snapshot);
    const { logger } = this.options;
    const parts = { keeper, inventory, state, bringUp, attachments, connections, reactor, room: this.room, logger };
    const events = await adopt(parts, adoption, snapshot);
    if (adoption.eventsLost > 0) this.events.lost(adoption.eventsLost, "control");
    this.events.onCoreEvents(events);
    await applyAll(this, this.effective);
  }

  // ---- Context ----

  change<T>(work: () => Promise<T>): Promise<T> {
    const next = this.#changes.then(work, work);
    this.#changes = next.catch(() => undefined);
    return next;
  }

  get views(): ViewSources {
    const { effective, attachments } = this;
    return {
      snapshot: this.snapshots.newest,
      policyOf: (unit) => effective.policy(unit),
      policySetAsideOf: (unit) => effective.policySetAside(unit),
      timeoutsOf: (unit) => effective.timeouts(unit),
      hedgeBudgetPercentOf: (unit) => effective.hedgeBudgetPercent(unit),
      attachmentsOf: (unit) => attachments.of(unit),
      nbdUnix: this.options.places.nbdSocket,
      nbdTcp: this.doors.nbdTcp,
      pathLatency: () => null,
      unitLatency: () => null,
    };
  }

  /** API connections that were closed or refused, by reason, for each server. */
  readonly apiClosed: (() => Readonly<Record<string, number>>)[] = [];

  offer(): void {
    this.doors.offer();
    this.table?.update(this.effective.configuration);
  }

  rescan(): Promise<void> {
    return this.rescans.now();
  }

  /** Serves what was attached to units that were missing until now, and what the configuration wants attached. Only within a change. */
  protected async serveAttachments(): Promise<void> {
    if (!this.#serving) return;
    if (!this.attachments.isComplete) {
      await this.rescans.waitVerified();
      for (const problem of await this.attachments.restore()) this.options.logger.warning(problem);
    }
    const isDone = await this.#configured.serve(this, this.options.logger.warning);
    if (!isDone || !this.attachments.isComplete) this.rescans.again();
  }

  #warn(thrown: unknown): void {
    this.options.logger.warning(reasonOf(thrown));
  }

  // ---- Configuration ----

  /** Reads the configuration file again. A mistake in it changes nothing. */
  reload(): Promise<ReloadReport> {
    return this.change(() => reload(this, this.kept));
  }

  // ---- Stopping ----

  /** Stops everything within 5 s, whatever hangs. Kernel devices stay attached for the next daemon. */
  async stop(): Promise<void> {
    if (this.#stopping) return;
    this.#stopping = true;
    this.events.stop();
    this.reservations.stop();
    this.leftovers.stop();
    this.rescans.stop();
    clearInterval(this.#housekeeping);
    this.loads.stop();
    await this.keeping.stop();
    this.#uevents?.close();
    this.hub.say("daemon-stopping");
    this.hub.flush();
    this.attachments.stop();
    this.bringUp.placement.loads.remember(this.snapshots.newest);
    await this.doors.close().catch((thrown) => this.#warn(thrown));
    await this.reactor.stop().catch((thrown) => this.#warn(thrown));
    await this.doors.end();
    this.tlsSources.stop();
    await this.bringUp.releaseDevices();
    this.hub.end();
    this.stopLogging();
    await this.receiving.stop();
    this.lastWords.remove();
    this.state.close();
  }

  /** Another control takes over everything: only the change under way is awaited, and not for long. */
  async leave(): Promise<void> {
    this.#stopping = true;
    this.events.stop();
    this.reservations.stop();
    this.rescans.stop();
    void this.keeping.stop();
    clearInterval(this.#housekeeping);
    this.loads.stop();
    void this.doors.closeHelper();
    await Promise.race([this.#changes, sleep(LEAVE_MS_MAX)]);
    this.hub.end();
    this.stopLogging();
    await this.receiving.stop();
    this.state.close();
  }

  /**
   * Reports what can still be reported by a daemon that ends at once: to the logs now, and to whoever reads after the restart.
   */
  die(reason: string): void {
    this.lastWords.write(reason);
    try {
      this.hub.say("daemon-dying", { detail: { pid: daemonPid(), reason } });
      this.hub.end();
    } catch (thrown) {
      this.options.logger.error(`the logs do not take it: ${reasonOf(thrown)}`);
    }
  }
}
