// Control's side of the reactor: every call is a promise, events come to listeners, stopping always works.

import type { ArrayPortInfo, CommandResult } from "../array/array.ts";
import type { FaultReport, FaultRequest } from "../array/faults/faults.ts";
import { unpackResults } from "./command-results.ts";
import { ReactorError } from "./reactor-errors.ts";
import { ThreadLink, type ReactorLink } from "./link.ts";
import type {
  AddedUnit,
  ArrayCommand,
  CallName,
  CoarseRequest,
  Message,
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
import type { UblkQueue } from "./ublk-queues.ts";
import { decodeEvents, decodeSnapshot, type CoreEvent, type Snapshot, type SnapshotCopy } from "./decode-records.ts";

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

/** How a reactor ended: by itself, by force, or not at all (its thread hangs in the kernel and was left behind). */
export type StopOutcome = "stopped" | "terminated" | "abandoned";

/** Time for a reactor to end by itself, and then by force. Together below 5 s. */
const STOP_MS = 2500;
const TERMINATE_MS = 1500;

interface Waiting {
  readonly resolve: (answer: unknown) => void;
  readonly reject: (error: ReactorError) => void;
}

export class ReactorClient {
  readonly #link: ReactorLink;
  readonly #waiting = new Map<number, Waiting>();
  readonly #eventListeners = new Set<(events: readonly CoreEvent[]) => void>();
  readonly #failureListeners = new Set<(error: ReactorError) => void>();
  readonly #exited: Promise<void>;
  #ready: { resolve: () => void; reject: (error: ReactorError) => void } | null = null;
  #nextId = 1;
  #stopping = false;
  #ended: ReactorError | null = null;
  /** How the ring talks to the kernel. */
  backend: "io_uring" | "epoll" = "epoll";
  /** Size of the core's memory; it never grows. */
  memoryBytes = 0;

  private constructor(link: ReactorLink, ready: { resolve: () => void; reject: (error: ReactorError) => void }) {
    this.#link = link;
    this.#ready = ready;
    this.#exited = new Promise((resolve) => {
      link.listen({
        message: (message) => this.#receive(message),
        crashed: (reason) => this.#fail("REACTOR_CRASHED", `the reactor crashed: ${reason}`),
        exited: (status) => {
          this.#fail("REACTOR_STOPPED", `the reactor has ended (exit ${status})`);
          resolve();
        },
      });
    });
  }

  /**
   * Starts a reactor and waits until it runs.
   * Throws what made it fail: CORE_RANGE (limits), ERR_NATIVE_* (the ring), ARRAY_TOPOLOGY, REACTOR_CORE.
   */
  static start(options: ReactorOptions = {}): Promise<ReactorClient> {
    return ReactorClient.over(new ThreadLink(options));
  }

  /** The same for a reactor that is started by someone else. */
  static async over(link: ReactorLink): Promise<ReactorClient> {
    const ready = Promise.withResolvers<void>();
    const client = new ReactorClient(link, ready);
    await ready.promise;
    return client;
  }

  // ---- Listeners ----

  /** Calls `listener` with the core's events, in order, in batches. Returns a function that stops that. */
  onEvent(listener: (events: readonly CoreEvent[]) => void): () => void {
    this.#eventListeners.add(listener);
    return () => this.#eventListeners.delete(listener);
  }

  /**
   * Calls `listener` once when the reactor crashes or has crashed; not when it is stopped. Returns a function that stops that.
   */
  onFailure(listener: (error: ReactorError) => void): () => void {
    const ended = this.#ended;
    if (ended !== null && !this.#stopping) queueMicrotask(() => listener(ended));
    this.#failureListeners.add(listener);
    return () => this.#failureListeners.delete(listener);
  }

  // ---- Units, paths, modes: the exports of the core ----

  unitAdd(): Promise<number> {
    return this.#call("unitAdd");
  }

  /** @param property UNIT_SET_* */
  unitSet(unit: number, property: number, value: number | bigint): Promise<void> {
    return this.#call("unitSet", unit, property, value);
  }

  unitRemove(unit: number): Promise<void> {
    return this.#call("unitRemove", unit);
  }

  /** @param identity designator type, code set, designator (VPD page 0x83) */
  unitIdentity(unit: number, identity: Uint8Array): Promise<void> {
    return this.#call("unitIdentity", unit, identity);
  }

  /** Returns the path's handle. */
  pathAdd(path: PathToAdd): Promise<number> {
    return this.#call("pathAdd", path);
  }

  /** @param property PATH_SET_* */
  pathSet(path: number, property: number, value: number | bigint): Promise<void> {
    return this.#call("pathSet", path, property, value);
  }

  pathRemove(path: number): Promise<void> {
    return this.#call("pathRemove", path);
  }

  pathSwap(a: number, b: number): Promise<void> {
    return this.#call("pathSwap", a, b);
  }

  /** @param mode MODE_* */
  modeSet(mode: number, value: number | bigint): Promise<void> {
    return this.#call("modeSet", mode, value);
  }

  /** Many settings in one message. Returns for each null, or why it was refused. */
  settings(settings: readonly Setting[]): Promise<(Refusal | null)[]> {
    return this.#call("settings", settings);
  }

  /**
   * Adds units with their paths and settings in one message. I/O of other units pauses meanwhile: with a hundred paths or so per
   * message nobody notices.
   * @param labels created only if someone keeps them beside the handles
   */
  addUnits(units: readonly UnitToAdd[], labels?: () => readonly UnitLabels[]): Promise<AddedUnit[]> {
    return this.#labelled(labels, "addUnits", units);
  }

  // ---- Connections and ports ----

  /**
   * Hands over a negotiated NBD connection. The reactor owns the descriptor from now on, even when this fails.
   * @param flags CONNECTION_* bits
   * @param preloaded bytes of the transmission phase that were received already
   * @param label kept beside the handle, if someone keeps labels
   * @returns the connection's handle
   */
  addConnection(
    fd: number,
    unit: number,
    flags: number,
    preloaded: Uint8Array = new Uint8Array(),
    label?: unknown,
  ): Promise<number> {
    return this.#labelled(() => label, "addConnection", fd, unit, flags, preloaded);
  }

  closeConnection(connection: number): Promise<void> {
    return this.#call("closeConnection", connection);
  }

  /** Serves the queue of /dev/ublkcN for a unit, before the device is started. @param flags BLOCK_* of `blockOpen` */
  ublkOpen(unit: number, flags: number, index: number, depth: number): Promise<UblkQueue> {
    return this.#call("ublkOpen", unit, flags, index, depth);
  }

  /** Requests of the device fail from now on, those under way too. */
  ublkClose(client: number): Promise<void> {
    return this.#call("ublkClose", client);
  }

  /** What is served. */
  ublkQueues(): Promise<readonly UblkQueue[]> {
    return this.#call("ublkQueues");
  }

  /** Opens a SCSI generic device for commands. Returns the port handle. */
  openPort(device: string, depth: number): Promise<number> {
    return this.#call("openPort", device, depth);
  }

  /** Lets an open port have up to `depth` commands in flight from now on, at most what it was opened for. */
  portDepth(port: number, depth: number): Promise<void> {
    return this.#call("portDepth", port, depth);
  }

  closePort(port: number): Promise<void> {
    return this.#call("closePort", port);
  }

  // ---- What displays need ----

  /** Copies of the path and unit tables. Never waits for a path. */
  async snapshot(): Promise<Snapshot> {
    return decodeSnapshot(await this.#call("snapshot"));
  }

  /** The same, not decoded: for displays that need a few records out of thousands. */
  snapshotCopy(): Promise<SnapshotCopy> {
    return this.#call("snapshot");
  }

  /** Raw copies of statistics regions, for `decodeStatistics`. */
  statistics(request: StatisticsRequest): Promise<StatisticsCopy> {
    return this.#call("statistics", request);
  }

  /** Histograms of many units or paths with few buckets, one after the other (coarse-histograms.ts). */
  coarseHistograms(request: CoarseRequest): Promise<Float64Array> {
    return this.#call("coarseHistograms", request);
  }

  /** How busy it is. */
  load(): Promise<ReactorLoad> {
    return this.#call("load");
  }

  // ---- The emulated arrays ----

  arrayPorts(): Promise<ArrayPortInfo[]> {
    return this.#call("arrayPorts");
  }

  /** Sends a SCSI command to an emulated port, bypassing the rings. @param data bytes to send, or bytes to receive, or null */
  arrayCommand(port: number, cdb: Uint8Array, data: Uint8Array | number | null = null): Promise<CommandResult> {
    return this.#call("arrayCommand", port, cdb, data);
  }

  /** Many commands in one message, for a discovery of thousands of paths. The answers are in the order of the commands. */
  async arrayCommands(commands: readonly ArrayCommand[]): Promise<CommandResult[]> {
    return unpackResults(await this.#call("arrayCommands", commands));
  }

  /** Returns the fault's id. */
  addFault(fault: FaultRequest): Promise<number> {
    return this.#call("addFault", fault);
  }

  liftFault(id: number): Promise<boolean> {
    return this.#call("liftFault", id);
  }

  liftAllFaults(): Promise<void> {
    return this.#call("liftAllFaults");
  }

  faults(): Promise<FaultReport[]> {
    return this.#call("faults");
  }

  // ---- Stopping ----

  /**
   * Stops the reactor, within 5 s whatever hangs.
   * @param graceMs how long commands in flight may take to finish, 0 to 2000
   */
  async stop(graceMs = 1000): Promise<StopOutcome> {
    if (this.#ended === null || !this.#stopping) {
      this.#stopping = true;
      this.#link.send({ kind: "stop", graceMs: Math.min(2000, Math.max(0, graceMs)) });
    }
    if (await this.#exitsWithin(STOP_MS)) return "stopped";
    this.#link.terminate();
    if (await this.#exitsWithin(TERMINATE_MS)) return "terminated";
    this.#link.abandon();
    this.#fail("REACTOR_STOPPED", "the reactor does not answer and was left behind");
    return "abandoned";
  }

  async #exitsWithin(ms: number): Promise<boolean> {
    const timer = Promise.withResolvers<boolean>();
    const timeout = setTimeout(() => timer.resolve(false), ms);
    const exited = await Promise.race([this.#exited.then(() => true), timer.promise]);
    clearTimeout(timeout);
    return exited;
  }

  // ---- Messages ----

  #call<Name extends CallName>(name: Name, ...args: ReactorCalls[Name]["args"]): Promise<ReactorCalls[Name]["answer"]> {
    return this.#labelled(undefined, name, ...args);
  }

  #labelled<Name extends CallName>(
    label: (() => unknown) | undefined,
    name: Name,
    ...args: ReactorCalls[Name]["args"]
  ): Promise<ReactorCalls[Name]["answer"]> {
    if (this.#ended !== null) return Promise.reject(this.#ended);
    if (this.#stopping) return Promise.reject(new ReactorError("REACTOR_STOPPED", `${name}: the reactor is stopping`));
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      // The reactor's answer to each call has the type that `ReactorCalls` gives it.
      this.#waiting.set(id, { resolve: resolve as (answer: unknown) => void, reject });
      const request = { kind: "call", id, name, args } as const;
      this.#link.send(this.#link.keepsLabels && label !== undefined ? { ...request, label: label() } : request);
    });
  }

  #receive(message: Message): void {
    switch (message.kind) {
      case "ready":
        this.backend = message.backend;
        this.memoryBytes = message.memoryBytes;
        this.#ready?.resolve();
        this.#ready = null;
        return;
      case "answer":
        this.#waiting.get(message.id)?.resolve(message.answer);
        this.#waiting.delete(message.id);
        return;
      case "refused":
        this.#waiting.get(message.id)?.reject(new ReactorError(message.code, message.message));
        this.#waiting.delete(message.id);
        return;
      case "events": {
        const events = decodeEvents(message.entries);
        for (const listener of this.#eventListeners) listener(events);
        return;
      }
      case "failed":
        return this.#fail(message.code, message.message);
    }
  }

  /** The reactor is gone: everyone waiting for it learns why, once. */
  #fail(code: string, message: string): void {
    if (this.#ended !== null) return;
    this.#ended = new ReactorError(code, message);
    this.#ready?.reject(this.#ended);
    const crashed = this.#ready === null && !this.#stopping;
    this.#ready = null;
    for (const waiting of this.#waiting.values()) waiting.reject(this.#ended);
    this.#waiting.clear();
    if (crashed) for (const listener of this.#failureListeners) listener(this.#ended);
  }
}
