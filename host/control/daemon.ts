// The daemon: builds the parts, starts them in order, stops them in reverse order, and is the context that operations run in.

import { setTimeout as sleep } from "node:timers/promises";
import { sendDatagram, type UeventMonitor } from "../native/index.ts";
import type { ConnectionRoom } from "../export/connection-limit.ts";
import { EventLog } from "../liaison/event-log.ts";
import { SystemLog } from "../liaison/system-log.ts";
import { ReactorClient } from "../reactor/reactor-client.ts";
import type { Adoption } from "../supervisor/protocol.ts";
import { adopt } from "./operations/adoption.ts";
import { applyAll } from "./operations/applying.ts";
import { RememberedAttachments } from "./operations/attachments.ts";
import { ConfiguredAttachments } from "./operations/configured-attachments.ts";
import { BringUp } from "./devices/bring-up.ts";
import type { Context } from "./devices/operation-context.ts";
import { EventRouting } from "./operations/event-routing.ts";
import { modeCalls } from "./core/core-settings.ts";
import { CablingWatch } from "./events/cabling-watch.ts";
import { Descriptors } from "./events/descriptors.ts";
import { watchUevents } from "./devices/device-watch.ts";
import { Effective } from "./settings/effective.ts";
import { reasonOf } from "./ground/control-errors.ts";
import { EventHub } from "./events/event-hub.ts";
import { tellOfDeath, tellOfFalls, tellOfStart, tellOfSuccession, tellOfState } from "./events/first-words.ts";
import { Inventory } from "./inventory/inventory.ts";
import type { Keeper } from "./core/keeper.ts";
import { logMessagesOf } from "./events/logging.ts";
import { Keeping } from "./events/keeping.ts";
import { Kept } from "./devices/kept.ts";
import { LastWords } from "./state/last-words.ts";
import type { Logger } from "./ground/logger.ts";
import { ScsiTargets } from "./operations/scsi-targets.ts";
import { Rescans } from "./devices/rescans.ts";
import { Snapshots } from "./core/snapshots.ts";
import { FrontDoors } from "./operations/front-doors.ts";
import { roomOf } from "./operations/offering.ts";
import { daemonPid } from "./ground/own-process.ts";
import { PathWatch } from "./devices/path-watch.ts";
import type { Places } from "./settings/places.ts";
import { demand } from "./core/reactor-port.ts";
import { ReactorLoads } from "./core/reactor-loads.ts";
import { reactorOptions } from "./core/reactor-options.ts";
import { Leftovers } from "./devices/leftovers-watch.ts";
import { LostUnits } from "./events/lost-units.ts";
import { UnitConnections } from "./operations/unit-connections.ts";
import { RedundancyWatch } from "./events/redundancy-watch.ts";
import { Receiving } from "./operations/receiving.ts";
import { reservationsOf, type Reservations } from "./reservations/unit-reservations.ts";
import { reload } from "./operations/reloading.ts";
import { isEmulated, type Configuration, type ReloadReport } from "./schemas/configuration-schema.ts";
import { State } from "./state/state.ts";
import { Snapshot } from "./core/snapshot.ts";
import { ThinThreshold } from "./events/thin-threshold.ts";
import { TlsSources } from "./tls/sources.ts";
import { UntrustedClients } from "./tls/untrusted.ts";
import { TABLE_PLACES, UnitTable } from "./devices/unit-table.ts";
import type { ViewSources } from "./views/views.ts";
import { WritersWatch } from "./events/writers-watch.ts";

/** The tables are copied this often even when nobody displays them, because other parts depend on them. */
const HOUSEKEEPING_MS = 1000;
/** How long a control that is replaced waits for the change under way. */
const LEAVE_MS_MAX = 1000;

/** The kernel ends a command after its time limit, and may take as long again to abort it. */
const KEPT_FACTOR = 2;

export interface DaemonOptions {
  readonly configuration: Configuration;
  /** The file that was read; null when there was none. */
  readonly configurationFile: string | null;
  /** Where a reload looks for a file when there was none. */
  readonly configurationPlace?: string;
  readonly places: Places;
  readonly group: number | null;
  readonly logger: Logger;
  /** Log lines that nobody read; left out when none can get lost. */
  readonly linesLost?: (() => number) | undefined;
  /** Keeps the reactor, so that control can end alone; left out when the reactor ends with this process. */
  readonly keeper?: Keeper;
}

export class Daemon implements Context {
  readonly options: DaemonOptions;
  readonly state: State;
  readonly hub: EventHub;
  readonly inventory: Inventory;
  readonly reactor: ReactorClient;
  readonly loads: ReactorLoads;
  readonly bringUp: BringUp;
  readonly snapshots: Snapshots;
  readonly attachments: RememberedAttachments;
  readonly connections: UnitConnections;
  readonly rescans: Rescans;
  readonly reservations: Reservations;
  readonly emulated: boolean;
  effective: Effective;
  restartNeeded: readonly string[] = [];
  /** The configuration file that was read last. */
  configurationFile: string | null;
  readonly doors: FrontDoors;
  /** Certificates and keys that a reload reads again. */
  readonly tlsSources: TlsSources;
  /** Who else is told of events. */
  readonly receiving: Receiving;
  readonly #room: ConnectionRoom;
  readonly #events: EventRouting;
  readonly leftovers: Leftovers;
  readonly #targets: ScsiTargets;
  readonly #lastWords: LastWords;
  readonly #stopLogging: () => void;
  readonly #kept: Kept;
  readonly #thin: ThinThreshold;
  readonly #configured = new ConfiguredAttachments();
  /** Null where no device is the machine's, or this process may not write for udev. */
  readonly #table: UnitTable | null;
  readonly keeping: Keeping;
  readonly descriptors: Descriptors;
  readonly writers: WritersWatch;
  readonly cabling: CablingWatch;
  #changes: Promise<unknown> = Promise.resolve();
  #housekeeping: NodeJS.Timeout | undefined;
  #uevents: UeventMonitor | null = null;
  #stopping = false;
  /** The devices have been started: from now on attachments are served. */
  #serving = false;

  private constructor(options: DaemonOptions, state: State, reactor: ReactorClient) {
    const { configuration, logger, places, keeper } = options;
    const kept = (this.#kept = new Kept(keeper));
    this.options = options;
    this.state = state;
    this.reactor = reactor;
    this.loads = new ReactorLoads(reactor);
    this.#lastWords = new LastWords(places.stateDirectory);
    this.configurationFile = kept.inForce === null ? options.configurationFile : kept.inForce.file;
    this.restartNeeded = kept.inForce?.restartNeeded ?? [];
    this.emulated = isEmulated(configuration);
    const systemLog = configuration.log.system ? new SystemLog(sendDatagram) : null;
    const log = new EventLog(places.eventLog, logger.warning);
    this.hub = new EventHub(state, logger.warning, (number) => this.inventory.namesOf(number)?.name ?? null);
    this.#stopLogging = logMessagesOf(this.hub, { events: log, system: systemLog, debug: logger.debug });
    this.descriptors = new Descriptors(this.hub, logger);
    this.keeping = new Keeping({
      state,
      hub: this.hub,
      logger,
      linesLost: options.linesLost,
      stateMadeAgain: () => this.#lastWords.write(),
    });
    this.tlsSources = new TlsSources(this.hub);
    this.receiving = new Receiving(this.hub, (number) => this.inventory.namesOf(number));
    this.effective = new Effective(kept.inForce?.configuration ?? configuration, () => state.settings());
    this.inventory = new Inventory(state.units(), state.paths());
    this.bringUp = new BringUp(reactor, this.inventory, kept.claims(), kept.names, {
      keepNames: (names) => kept.keepNames(names),
      firstCalls: (unit, handle) => this.reservations.coreCalls(unit, handle),
    });
    this.snapshots = new Snapshots(reactor, (snapshot) => this.#events.onSnapshot(snapshot));
    this.#room = roomOf(configuration.limits);
    this.connections = new UnitConnections(reactor, this.inventory);
    this.attachments = new RememberedAttachments(reactor, this.connections, this.#room, state, this.inventory, {
      report: logger.warning,
      relabel: (connection, label) => keeper?.relabel(connection, label),
      changed: () => this.#table?.update(this.effective.configuration),
      offer: (unit) => this.#targets.offerOf(unit),
    });
    this.#targets = new ScsiTargets(this, logger.warning);
    this.leftovers = new Leftovers({
      inventory: this.inventory,
      hub: this.hub,
      logger,
      unitSet: (handle, property, value) => reactor.unitSet(handle, property, value),
      kept,
      fell: this.#lastWords.mayHaveLeft || (keeper?.adoption?.fallen.length ?? 0) > 0,
      keptMsMax: (unit) => this.effective.timeouts(unit).commandMs * KEPT_FACTOR,
    });
    this.bringUp.onArrival = (unit) => this.leftovers.arrives(unit);
    this.#thin = new ThinThreshold(this.hub);
    const { inventory, attachments, hub } = this;
    const writesTable = !this.emulated && process.getuid?.() === 0;
    this.#table = writesTable ? new UnitTable({ inventory, attachments, hub, places: TABLE_PLACES }) : null;
    this.writers = new WritersWatch(this.hub);
    this.cabling = new CablingWatch(this.hub);
    this.rescans = new Rescans(this, {
      thin: this.#thin,
      cabling: this.cabling,
      writers: this.emulated ? null : this.writers,
      logger,
      leftovers: this.emulated ? null : this.leftovers,
      serve: () => this.#serveAttachments(),
      doubted: (number) => this.reservations.doubted(number),
    });
    this.reservations = reservationsOf(this, places.stateDirectory, logger);
    this.doors = this.#frontDoors();
    this.#events = this.#routing();
  }

  #frontDoors(): FrontDoors {
    const { reactor, connections, hub, inventory, attachments, reservations, descriptors } = this;
    const parts = { reactor, connections, hub, inventory, attachments, reservations, descriptors };
    const { logger } = this.options;
    return new FrontDoors({ ...parts, room: this.#room, logger, onNbd: (event) => this.#events.onNbd(event) });
  }

  #routing(): EventRouting {
    const { hub, inventory, snapshots, bringUp, attachments, connections, rescans, reservations } = this;
    const { logger, keeper } = this.options;
    this.reactor.onEvent((events) => this.#events.onCoreEvents(events));
    return new EventRouting({
      hub,
      inventory,
      snapshots,
      bringUp,
      attachments,
      connections,
      rescans,
      reservations,
      room: this.#room,
      redundancy: new RedundancyWatch(hub, new LostUnits(this)),
      pathWatch: new PathWatch(this, logger.warning),
      thin: this.#thin,
      untrusted: new UntrustedClients(hub),
      logger,
      keeper,
    });
  }

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
    } else tellOfStart(this.hub, this.emulated ? "emulated" : "devices", this.#lastWords);
    this.keeping.start();
    this.receiving.read(this.effective.configuration)();
    this.tlsSources.add(this.receiving);
    this.doors.prepare(configuration, this.tlsSources);
    this.reservations.tell();
    this.bringUp.placement.loads.keepIn(places.stateDirectory);
    tellOfState(this.hub, logger, this.state, this.inventory);
    if (keeper?.adoption) await this.#adopt(keeper, keeper.adoption);
    else {
      this.#kept.started = configuration;
      this.#kept.inForce = { configuration, file: this.configurationFile, restartNeeded: [] };
      await demand(this.reactor, modeCalls(this.effective), "setting the modes");
    }
    keeper?.follow((events) => this.#events.lost(events, "control"));
    await this.rescan();
    const { nbdSocket } = places;
    await this.doors.open({ nbdSocket, prHelper: configuration.sockets.pr_helper, group, keeping: this.keeping });
    this.#serving = true;
    await this.#targets.begin();
    await this.change(() => this.#serveAttachments());
    this.#housekeeping = setInterval(() => void this.snapshots.current().catch(() => undefined), HOUSEKEEPING_MS);
    if (!this.emulated)
      this.#uevents = watchUevents({ thin: this.#thin, inventory: this.inventory, rescans: this.rescans, logger });
    if (keeper?.adoption) tellOfSuccession(this.hub, logger, keeper.adoption.death, keeper.runningMs);
  }

  /** Takes over from the previous control; I/O goes on meanwhile. */
  async #adopt(keeper: Keeper, adoption: Adoption): Promise<void> {
    const { inventory, state, bringUp, attachments, connections, reactor } = this;
    this.leftovers.adopt(this.#kept.heldUnits);
    const snapshot = new Snapshot(await reactor.snapshotCopy());
    this.#events.startFrom(snapshot);
    const { logger } = this.options;
    const parts = { keeper, inventory, state, bringUp, attachments, connections, reactor, room: this.#room, logger };
    const events = await adopt(parts, adoption, snapshot);
    if (adoption.eventsLost > 0) this.#events.lost(adoption.eventsLost, "control");
    this.#events.onCoreEvents(events);
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
    this.#table?.update(this.effective.configuration);
  }

  rescan(): Promise<void> {
    return this.rescans.now();
  }

  /** Serves what was attached to units that were missing until now, and what the configuration wants attached. Only within a change. */
  async #serveAttachments(): Promise<void> {
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
    return this.change(() => reload(this, this.#kept));
  }

  // ---- Stopping ----

  /** Stops everything within 5 s, whatever hangs. Kernel devices stay attached for the next daemon. */
  async stop(): Promise<void> {
    if (this.#stopping) return;
    this.#stopping = true;
    this.#events.stop();
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
    this.#stopLogging();
    await this.receiving.stop();
    this.#lastWords.remove();
    this.state.close();
  }

  /** Another control takes over everything: only the change under way is awaited, and not for long. */
  async leave(): Promise<void> {
    this.#stopping = true;
    this.#events.stop();
    this.reservations.stop();
    this.rescans.stop();
    void this.keeping.stop();
    clearInterval(this.#housekeeping);
    this.loads.stop();
    void this.doors.closeHelper();
    await Promise.race([this.#changes, sleep(LEAVE_MS_MAX)]);
    this.hub.end();
    this.#stopLogging();
    await this.receiving.stop();
    this.state.close();
  }

  /**
   * Reports what can still be reported by a daemon that ends at once: to the logs now, and to whoever reads after the restart.
   */
  die(reason: string): void {
    this.#lastWords.write(reason);
    try {
      this.hub.say("daemon-dying", { detail: { pid: daemonPid(), reason } });
      this.hub.end();
    } catch (thrown) {
      this.options.logger.error(`the logs do not take it: ${reasonOf(thrown)}`);
    }
  }
}
