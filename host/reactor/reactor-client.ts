// Control's side of the reactors: one machine, however many reactors it has. A call goes to the reactor that has the unit, the path,
// the port or the connection; what concerns all goes to all.

import type { ArrayPortInfo, CommandResult } from "../array/array.ts";
import type { FaultReport, FaultRequest } from "../array/faults/faults.ts";
import type { LeftCommands } from "../native/index.ts";
import { unpackResults } from "./command-results.ts";
import { Correspondence, type StopOutcome } from "./correspondence.ts";
import { handleIn, ownHandle, reactorOf } from "./handles.ts";
import type { ReactorLink } from "./link.ts";
import { ReactorError } from "./reactor-errors.ts";
import { ReactorThreads } from "./reactor-threads.ts";
import {
  addUnitsTo,
  inParts,
  mergedHistograms,
  mergedLoad,
  mergedSnapshot,
  mergedStatistics,
  once,
  queueIn,
  settingParts,
  type Newest,
} from "./several.ts";
import type {
  AddedUnit,
  ArrayCommand,
  CallName,
  CoarseRequest,
  PathToAdd,
  ReactorCalls,
  ReactorLoad,
  ReactorOptions,
  Refusal,
  Setting,
  StatisticsCopy,
  StatisticsRequest,
  UnitLabels,
  UnitToAdd,
} from "./reactor-messages.ts";
import type { AskedReservation, ReservationReply, ScsiQueue, ScsiServing } from "./scsi-queues.ts";
import type { UblkDriven, UblkQueue } from "./ublk-queues.ts";
import { decodeSnapshot, type CoreEvent, type Snapshot, type SnapshotCopy } from "./decode-records.ts";

export type {
  AddedUnit,
  CoarseRequest,
  PathToAdd,
  ReactorLoad,
  ReactorOptions,
  StatisticsCopy,
  StatisticsRequest,
  UnitLabels,
  UnitToAdd,
} from "./reactor-messages.ts";
export { decodeEvents, type CoreEvent, type Snapshot } from "./decode-records.ts";
export type { StopOutcome } from "./correspondence.ts";

export class ReactorClient {
  readonly #at: Correspondence;
  /** The newest copy of each reactor's tables, for the time when one does not answer. */
  readonly #newest: Newest = new Map();

  private constructor(at: Correspondence) {
    this.#at = at;
  }

  /**
   * Starts the reactors and waits until they run.
   * Throws what made one fail: CORE_RANGE (limits), ERR_NATIVE_* (the ring), ARRAY_TOPOLOGY, REACTOR_CORE.
   */
  static start(options: ReactorOptions = {}): Promise<ReactorClient> {
    return ReactorClient.over(new ReactorThreads(options));
  }

  /** The same for reactors that are started by someone else. */
  static async over(link: ReactorLink): Promise<ReactorClient> {
    return new ReactorClient(await Correspondence.begin(link));
  }

  /** How many there are. */
  get reactors(): number {
    return this.#at.reactors;
  }

  /** Those that take calls. */
  get present(): readonly number[] {
    return this.#at.present;
  }

  /** Why one takes no calls, in a sentence; null when it does. */
  whyAway(reactor: number): string | null {
    return this.#at.whyAway(reactor);
  }

  /** How the rings talk to the kernel. */
  get backend(): "io_uring" | "epoll" {
    return this.#at.backend;
  }

  /** Size of the cores' memories; they never grow. */
  get memoryBytes(): number {
    return this.#at.memoryBytes;
  }

  // ---- Listeners ----

  /** Calls `listener` with the core's events, in order, in batches. Returns a function that stops that. */
  onEvent(listener: (events: readonly CoreEvent[]) => void): () => void {
    return this.#at.onEvent(listener);
  }

  /**
   * Calls `listener` once when the reactors crash or have crashed; not when they are stopped. Returns a function that stops that.
   */
  onFailure(listener: (error: ReactorError) => void): () => void {
    return this.#at.onFailure(listener);
  }

  // ---- Units, paths, modes: the exports of the core ----

  async unitAdd(reactor = 0): Promise<number> {
    return handleIn(reactor, await this.#to(reactor, "unitAdd"));
  }

  /** @param property UNIT_SET_* */
  unitSet(unit: number, property: number, value: number | bigint): Promise<void> {
    return this.#to(reactorOf(unit), "unitSet", ownHandle(unit), property, value);
  }

  unitRemove(unit: number): Promise<void> {
    return this.#to(reactorOf(unit), "unitRemove", ownHandle(unit));
  }

  /** @param identity designator type, code set, designator (VPD page 0x83) */
  unitIdentity(unit: number, identity: Uint8Array): Promise<void> {
    return this.#to(reactorOf(unit), "unitIdentity", ownHandle(unit), identity);
  }

  /** Returns the path's handle. */
  async pathAdd(path: PathToAdd): Promise<number> {
    const reactor = reactorOf(path.unit);
    const own = { ...path, unit: ownHandle(path.unit), port: ownHandle(path.port) };
    return handleIn(reactor, await this.#to(reactor, "pathAdd", own));
  }

  /** @param property PATH_SET_* */
  pathSet(path: number, property: number, value: number | bigint): Promise<void> {
    return this.#to(reactorOf(path), "pathSet", ownHandle(path), property, value);
  }

  pathRemove(path: number): Promise<void> {
    return this.#to(reactorOf(path), "pathRemove", ownHandle(path));
  }

  pathSwap(a: number, b: number): Promise<void> {
    return this.#to(reactorOf(a), "pathSwap", ownHandle(a), ownHandle(b));
  }

  /** @param mode MODE_* */
  async modeSet(mode: number, value: number | bigint): Promise<void> {
    await this.#toAll("modeSet", mode, value);
  }

  /** Many settings in one message. Returns for each null, or why it was refused. */
  settings(settings: readonly Setting[]): Promise<(Refusal | null)[]> {
    return inParts(settings, settingParts(settings, this.present), (reactor, part) =>
      this.#to(reactor, "settings", part),
    );
  }

  /**
   * Adds units with their paths and settings in one message. I/O of other units pauses meanwhile: with a hundred paths or so per
   * message nobody notices.
   * @param labels created only if someone keeps them beside the handles
   */
  addUnits(units: readonly UnitToAdd[], labels?: () => readonly UnitLabels[]): Promise<AddedUnit[]> {
    const all = labels === undefined ? undefined : once(labels);
    return addUnitsTo(units, (reactor, part, places) => {
      const label = all === undefined ? undefined : () => places.map((at) => all()[at]);
      return this.#at.call(reactor, label, "addUnits", part);
    });
  }

  // ---- Connections and ports ----

  /**
   * Hands over a negotiated NBD connection. The reactor owns the descriptor from now on, even when this fails.
   * @param flags CONNECTION_* bits
   * @param preloaded bytes of the transmission phase that were received already
   * @param label kept beside the handle, if someone keeps labels
   * @returns the connection's handle
   */
  async addConnection(
    fd: number,
    unit: number,
    flags: number,
    preloaded: Uint8Array = new Uint8Array(),
    label?: unknown,
  ): Promise<number> {
    const reactor = reactorOf(unit);
    const own = await this.#at.call(reactor, () => label, "addConnection", fd, ownHandle(unit), flags, preloaded);
    return handleIn(reactor, own);
  }

  closeConnection(connection: number): Promise<void> {
    return this.#to(reactorOf(connection), "closeConnection", ownHandle(connection));
  }

  /** Serves the queue of /dev/ublkcN for a unit, before the device is started. @param flags BLOCK_* of `blockOpen` */
  async ublkOpen(unit: number, flags: number, device: UblkDriven): Promise<UblkQueue> {
    const reactor = reactorOf(unit);
    return queueIn(reactor, await this.#to(reactor, "ublkOpen", ownHandle(unit), flags, device));
  }

  /** Requests of the device fail from now on, those under way too. */
  ublkClose(client: number): Promise<void> {
    return this.#to(reactorOf(client), "ublkClose", ownHandle(client));
  }

  /** What is served. */
  async ublkQueues(): Promise<readonly UblkQueue[]> {
    const { present } = this;
    const queues = await this.#toAll("ublkQueues");
    return queues.flatMap((list, at) => list.map((queue) => queueIn(present[at] ?? 0, queue)));
  }

  /** Serves a TCMU device for a unit. */
  scsiOpen(serving: ScsiServing): Promise<void> {
    return this.#to(reactorOf(serving.unit), "scsiOpen", { ...serving, unit: ownHandle(serving.unit) });
  }

  /** Commands of the device fail from now on, those under way too. */
  scsiFail({ name, unit }: ScsiQueue): Promise<void> {
    return this.#to(reactorOf(unit), "scsiFail", name);
  }

  scsiClose({ name, unit }: ScsiQueue): Promise<void> {
    return this.#to(reactorOf(unit), "scsiClose", name);
  }

  scsiResize({ name, unit }: ScsiQueue, blocks: number): Promise<void> {
    return this.#to(reactorOf(unit), "scsiResize", name, blocks);
  }

  /** What is served. */
  async scsiQueues(): Promise<readonly ScsiQueue[]> {
    const { present } = this;
    const queues = await this.#toAll("scsiQueues");
    return queues.flatMap((list, at) =>
      list.map(({ name, unit }) => ({ name, unit: handleIn(present[at] ?? 0, unit) })),
    );
  }

  /** Commands about reservations, each once. @param isNew this control has not asked before */
  scsiAsked(reactor: number, isNew: boolean): Promise<readonly AskedReservation[]> {
    return this.#to(reactor, "scsiAsked", isNew);
  }

  /** The device's next command ends with a unit attention; nothing happens where the unit has no device. @param code ASC * 256 + ASCQ */
  scsiAttention({ name, unit }: ScsiQueue, code: number): Promise<void> {
    return this.#to(reactorOf(unit), "scsiAttention", name, code);
  }

  scsiReply(reactor: number, reply: ReservationReply): Promise<void> {
    return this.#to(reactor, "scsiReply", reply);
  }

  /** @param listener hears of a reactor that `scsiAsked` has something for, or (with its name) that a device was removed by somebody else */
  onTarget(listener: (reactor: number, ended: number | null) => void): void {
    this.#at.onTarget = listener;
  }

  /** Opens a SCSI generic device for the commands of one reactor. Returns the port handle. */
  async openPort(device: string, depth: number, reactor = 0): Promise<number> {
    return handleIn(reactor, await this.#to(reactor, "openPort", device, depth));
  }

  /** Lets an open port have up to `depth` commands in flight from now on, at most what it was opened for. */
  portDepth(port: number, depth: number): Promise<void> {
    return this.#to(reactorOf(port), "portDepth", ownHandle(port), depth);
  }

  closePort(port: number): Promise<void> {
    return this.#to(reactorOf(port), "closePort", ownHandle(port));
  }

  /** Commands of reactors that have ended, which the sg driver still carries out. */
  leftCommands(): Promise<readonly LeftCommands[]> {
    return this.#toAny("leftCommands");
  }

  // ---- What displays need ----

  /** Copies of the path and unit tables. Never waits for a path. */
  async snapshot(): Promise<Snapshot> {
    return decodeSnapshot(await this.snapshotCopy());
  }

  /** The same, not decoded: for displays that need a few records out of thousands. */
  snapshotCopy(): Promise<SnapshotCopy> {
    return mergedSnapshot(this.present, this.#newest, (reactor) => this.#to(reactor, "snapshot"));
  }

  /** Raw copies of statistics regions, for `decodeStatistics`. */
  statistics(request: StatisticsRequest): Promise<StatisticsCopy> {
    return mergedStatistics(request, this.present, (reactor, part) => this.#to(reactor, "statistics", part));
  }

  /** Histograms of many units or paths with few buckets, one after the other (coarse-histograms.ts). */
  coarseHistograms(request: CoarseRequest): Promise<Float64Array> {
    return mergedHistograms(request, this.present, (reactor, part) => this.#to(reactor, "coarseHistograms", part));
  }

  /** How busy they are, all together. */
  async load(): Promise<ReactorLoad> {
    return mergedLoad(await this.#toAll("load"));
  }

  /** How busy one of them is. */
  loadOf(reactor: number): Promise<ReactorLoad> {
    return this.#to(reactor, "load");
  }

  // ---- The emulated arrays ----

  arrayPorts(): Promise<ArrayPortInfo[]> {
    return this.#toAny("arrayPorts");
  }

  /** Sends a SCSI command to an emulated port, bypassing the rings. @param data bytes to send, or bytes to receive, or null */
  arrayCommand(port: number, cdb: Uint8Array, data: Uint8Array | number | null = null): Promise<CommandResult> {
    return this.#toAny("arrayCommand", port, cdb, data);
  }

  /** Many commands in one message, for a discovery of thousands of paths. The answers are in the order of the commands. */
  async arrayCommands(commands: readonly ArrayCommand[]): Promise<CommandResult[]> {
    return unpackResults(await this.#toAny("arrayCommands", commands));
  }

  /** Returns the fault's id. */
  async addFault(fault: FaultRequest): Promise<number> {
    // Each has a copy of the arrays, and gives the fault the same number.
    const [id] = await this.#toAll("addFault", fault);
    return id ?? 0;
  }

  async liftFault(id: number): Promise<boolean> {
    return (await this.#toAll("liftFault", id)).includes(true);
  }

  async liftAllFaults(): Promise<void> {
    await this.#toAll("liftAllFaults");
  }

  faults(): Promise<FaultReport[]> {
    return this.#toAny("faults");
  }

  // ---- Stopping ----

  /**
   * Stops the reactors, within 5 s whatever hangs.
   * @param graceMs how long commands in flight may take to finish, 0 to 2000
   */
  stop(graceMs = 1000): Promise<StopOutcome> {
    return this.#at.stop(graceMs);
  }

  // ---- Messages ----

  #to<Name extends CallName>(
    reactor: number,
    name: Name,
    ...args: ReactorCalls[Name]["args"]
  ): Promise<ReactorCalls[Name]["answer"]> {
    return this.#at.call(reactor, undefined, name, ...args);
  }

  /** To all that take calls, in the same order for each. */
  #toAll<Name extends CallName>(
    name: Name,
    ...args: ReactorCalls[Name]["args"]
  ): Promise<ReactorCalls[Name]["answer"][]> {
    const { present } = this;
    if (present.length === 0) return this.#to(0, name, ...args).then((answer) => [answer]);
    return Promise.all(present.map((reactor) => this.#to(reactor, name, ...args)));
  }

  /** For what any of them can answer. */
  #toAny<Name extends CallName>(
    name: Name,
    ...args: ReactorCalls[Name]["args"]
  ): Promise<ReactorCalls[Name]["answer"]> {
    return this.#to(this.present[0] ?? 0, name, ...args);
  }
}
