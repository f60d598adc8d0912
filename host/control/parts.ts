// What the daemon is made of: every part once, each told of those it needs. Nothing starts here.

import { sendDatagram } from "../native/index.ts";
import type { ConnectionRoom } from "../export/connection-limit.ts";
import { EventLog } from "../liaison/event-log.ts";
import { SystemLog } from "../liaison/system-log.ts";
import { ReactorClient } from "../reactor/reactor-client.ts";
import { RememberedAttachments } from "./operations/attachments.ts";
import { BringUp } from "./devices/bring-up.ts";
import type { Context } from "./devices/operation-context.ts";
import { EventRouting } from "./operations/event-routing.ts";
import { CablingWatch } from "./events/cabling-watch.ts";
import { Descriptors } from "./events/descriptors.ts";
import { Effective } from "./settings/effective.ts";
import { EventHub } from "./events/event-hub.ts";
import { Inventory, type Unit } from "./inventory/inventory.ts";
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
import { PathWatch } from "./devices/path-watch.ts";
import type { Places } from "./settings/places.ts";
import { ReactorLoads } from "./core/reactor-loads.ts";
import { Leftovers } from "./devices/leftovers-watch.ts";
import { LostUnits } from "./events/lost-units.ts";
import { UnitConnections } from "./operations/unit-connections.ts";
import { RedundancyWatch } from "./events/redundancy-watch.ts";
import { Receiving } from "./operations/receiving.ts";
import { reservationsOf, type Reservations } from "./reservations/unit-reservations.ts";
import { isEmulated, type Configuration } from "./schemas/configuration-schema.ts";
import { State } from "./state/state.ts";
import { ThinThreshold } from "./events/thin-threshold.ts";
import { TlsSources } from "./tls/sources.ts";
import { UntrustedClients } from "./tls/untrusted.ts";
import { TABLE_PLACES, UnitTable } from "./devices/unit-table.ts";
import type { ViewSources } from "./views/views.ts";
import { WritersWatch } from "./events/writers-watch.ts";

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

export abstract class DaemonParts implements Context {
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
  protected readonly room: ConnectionRoom;
  protected readonly events: EventRouting;
  readonly leftovers: Leftovers;
  protected readonly targets: ScsiTargets;
  protected readonly lastWords: LastWords;
  protected readonly stopLogging: () => void;
  protected readonly kept: Kept;
  protected readonly thin: ThinThreshold;
  /** Null where no device is the machine's, or this process may not write for udev. */
  protected readonly table: UnitTable | null;
  readonly keeping: Keeping;
  readonly descriptors: Descriptors;
  readonly writers: WritersWatch;
  readonly cabling: CablingWatch;

  constructor(options: DaemonOptions, state: State, reactor: ReactorClient) {
    const { configuration, logger, places, keeper } = options;
    const kept = (this.kept = new Kept(keeper));
    this.options = options;
    this.state = state;
    this.reactor = reactor;
    this.loads = new ReactorLoads(reactor, (load) => this.descriptors.pathsHave(load));
    this.lastWords = new LastWords(places.stateDirectory);
    this.configurationFile = kept.inForce === null ? options.configurationFile : kept.inForce.file;
    this.restartNeeded = kept.inForce?.restartNeeded ?? [];
    this.emulated = isEmulated(configuration);
    const systemLog = configuration.log.system ? new SystemLog(sendDatagram) : null;
    const log = new EventLog(places.eventLog, logger.warning);
    this.hub = new EventHub(state, logger.warning, (number) => this.inventory.namesOf(number)?.name ?? null);
    this.stopLogging = logMessagesOf(this.hub, { events: log, system: systemLog, debug: logger.debug });
    this.descriptors = new Descriptors(this.hub, logger);
    this.keeping = new Keeping({
      state,
      hub: this.hub,
      logger,
      linesLost: options.linesLost,
      stateMadeAgain: () => this.lastWords.write(),
    });
    this.tlsSources = new TlsSources(this.hub);
    this.receiving = new Receiving(this.hub, (number) => this.inventory.namesOf(number));
    this.effective = this.#effectiveOf(kept.inForce?.configuration ?? configuration);
    this.inventory = new Inventory(state.units(), state.paths());
    this.bringUp = new BringUp(reactor, this.inventory, kept.claims(), kept.names, {
      keepNames: (names) => kept.keepNames(names),
      firstCalls: (unit, handle) => this.reservations.coreCalls(unit, handle),
    });
    this.snapshots = new Snapshots(reactor, (snapshot) => this.events.onSnapshot(snapshot));
    this.room = roomOf(configuration.limits);
    this.connections = new UnitConnections(reactor, this.inventory);
    this.attachments = new RememberedAttachments(reactor, this.connections, this.room, state, this.inventory, {
      report: logger.warning,
      relabel: (connection, label) => keeper?.relabel(connection, label),
      changed: (device) => this.table?.deviceChanged(device, this.effective.configuration),
      offer: (unit) => this.targets.offerOf(unit),
    });
    this.targets = new ScsiTargets(this, logger.warning);
    this.leftovers = new Leftovers({
      inventory: this.inventory,
      hub: this.hub,
      logger,
      unitSet: (handle, property, value) => reactor.unitSet(handle, property, value),
      kept,
      left: () => reactor.leftCommands(),
      fell: this.lastWords.mayHaveLeft,
      keptMsMax: (unit) => this.effective.timeouts(unit).commandMs * KEPT_FACTOR,
    });
    this.bringUp.onArrival = (unit) => this.leftovers.arrives(unit);
    this.thin = new ThinThreshold(this.hub);
    const { inventory, attachments, hub } = this;
    const writesTable = !this.emulated && process.getuid?.() === 0;
    this.table = writesTable ? new UnitTable({ inventory, attachments, hub, places: TABLE_PLACES }) : null;
    this.writers = new WritersWatch(this.hub);
    this.cabling = new CablingWatch(this.hub);
    this.rescans = this.#rescanning(logger);
    const { stateDirectory } = places;
    const left = this.emulated ? null : this.leftovers;
    this.reservations = reservationsOf(this, { stateDirectory, leftovers: left, logger });
    this.doors = this.#frontDoors();
    this.events = this.#routing();
  }

  #rescanning(logger: DaemonOptions["logger"]): Rescans {
    return new Rescans(this, {
      thin: this.thin,
      cabling: this.cabling,
      writers: this.emulated ? null : this.writers,
      logger,
      leftovers: this.emulated ? null : this.leftovers,
      expect: (paths) => this.table?.expect(paths) ?? false,
      serve: () => this.serveAttachments(),
      doubted: (number, isPreempted) => this.reservations.doubted(number, isPreempted),
    });
  }

  #effectiveOf(configuration: Configuration): Effective {
    const isForRegistrants = (unit: Unit): boolean => this.reservations.isForRegistrants(unit);
    return new Effective(configuration, () => this.state.settings(), isForRegistrants);
  }

  #frontDoors(): FrontDoors {
    const { reactor, connections, hub, inventory, attachments, reservations, descriptors } = this;
    const parts = { reactor, connections, hub, inventory, attachments, reservations, descriptors };
    const { logger } = this.options;
    return new FrontDoors({ ...parts, room: this.room, logger, onNbd: (event) => this.events.onNbd(event) });
  }

  #routing(): EventRouting {
    const { hub, inventory, snapshots, bringUp, attachments, connections, rescans, reservations } = this;
    const { logger, keeper } = this.options;
    this.reactor.onEvent((events) => this.events.onCoreEvents(events));
    return new EventRouting({
      hub,
      inventory,
      snapshots,
      bringUp,
      attachments,
      connections,
      rescans,
      reservations,
      room: this.room,
      redundancy: new RedundancyWatch(hub, new LostUnits(this)),
      pathWatch: new PathWatch(this, logger.warning),
      thin: this.thin,
      untrusted: new UntrustedClients(hub),
      logger,
      keeper,
    });
  }

  abstract get views(): ViewSources;
  abstract change<T>(work: () => Promise<T>): Promise<T>;
  abstract offer(): void;
  abstract rescan(): Promise<void>;
  /** Serves what was attached to units that were missing until now, and what the configuration wants attached. */
  protected abstract serveAttachments(): Promise<void>;
}
