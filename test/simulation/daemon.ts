// The part of the control plane that a world needs: it configures a new core's units and paths, follows its events, and
// changes settings under load like an operator.

import type { EmulatedArray } from "../../host/array/array.ts";
import {
  EVENT_BLOCK_CLOSED,
  EVENT_CAPACITY_CHANGED,
  EVENT_CONNECTION_CLOSED,
  EVENT_FAILBACK_DONE,
  EVENT_PATH_STATE,
  MODE_TELLS_SHARERS,
  NBD_PAYLOAD_BYTES_MAX,
} from "../../host/abi.ts";
import { Books } from "./books.ts";
import { type CoreEvent, SimulatedCore } from "./core.ts";
import { Longs } from "./longs.ts";
import { Inventory } from "./inventory.ts";
import { Strays } from "./strays.ts";
import { Stalls } from "./stalls.ts";
import { Tap } from "./tap.ts";
import { Told } from "./told.ts";
import type { WorldPlan } from "./plan.ts";
import { Random } from "./random.ts";

const LIMITS = {
  connections: 64,
  requests: 48,
  commands: 64,
  poolBytes: 34 << 20,
  payloadBytes: NBD_PAYLOAD_BYTES_MAX,
  units: 4,
  paths: 24,
  events: 4096,
};
/** The same for a host with several reactors, any of which may have all units. */
const WIDE = { ...LIMITS, units: 12, paths: 72 };
/** Turns between two checks of the core's accounts. */
const CHECK_EVERY = 64;

export class Daemon {
  readonly core: SimulatedCore;
  readonly tap: Tap;
  readonly books: Books;
  readonly #strays: Strays;
  readonly #told: Told;
  readonly #stalls: Stalls;
  readonly #paths: number;
  readonly #longs: Longs;
  #turns = 0;
  readonly #violation: (text: string) => void;
  readonly inventory: Inventory;
  /** A failed path is back; depending on the failback mode it may stay disabled. */
  onFailback: (index: number) => void = () => {};
  /** All events that there were have been taken. */
  onDrained: () => void = () => {};
  onEvent: (event: CoreEvent) => void = () => {};
  /** A path reports that its unit has another size. */
  onCapacity: (unit: number) => void;

  constructor(
    module: WebAssembly.Module,
    plan: WorldPlan,
    array: EmulatedArray,
    seed: number,
    nowNs: number,
    violation: (text: string) => void,
    sized: (unit: number, blocks: number) => void,
    ports: EmulatedArray["ports"] = array.ports,
    begins: (unit: number) => boolean = () => true,
  ) {
    this.#violation = violation;
    const limits = plan.reactors === undefined ? LIMITS : WIDE;
    this.#paths = limits.paths;
    this.core = new SimulatedCore(module, limits, seed);
    this.tap = new Tap(this.core.memory, this.core.control, limits.commands, violation);
    this.books = new Books(this.core, this.tap, limits, violation);
    this.#strays = new Strays(this.core, this.tap, new Random(seed), plan.strays);
    this.#told = new Told(violation);
    this.#stalls = new Stalls(this.tap, this.books, violation);
    this.#longs = new Longs(this.core, this.books, violation);
    this.tap.listener = this.#longs;
    this.core.nowNs = nowNs;
    const { core, books } = this;
    const drain = (): void => this.drain();
    const { paths } = limits;
    this.inventory = new Inventory({ core, plan, array, ports, books, paths, begins, drain, sized, violation });
    if ((plan.reactors ?? 1) > 1) this.inventory.expect(core.exports.modeSet(MODE_TELLS_SHARERS, 1n), "telling");
    this.onCapacity = (unit) => this.inventory.resize(unit);
    this.inventory.fill();
  }

  /** One turn of the core, and its events. */
  turn(): void {
    this.tap.submitted();
    this.tap.completed();
    this.books.strays += this.#strays.tell();
    this.core.exports.run();
    this.drain();
    this.tap.submitted();
    if (++this.#turns % CHECK_EVERY === 0) this.look();
  }

  /** Compares the core's own figures with what its host has observed. */
  look(): void {
    this.books.look();
    this.#told.look(this.core, this.#paths);
  }

  /** Follows events as control would. */
  drain(): void {
    this.core.events((event: CoreEvent) => {
      this.onEvent(event);
      this.#told.event(event);
      this.#stalls.event(event);
      this.#longs.event(event, this.tap.nowNs);
      if (event.kind === EVENT_PATH_STATE && event.arg1 === 0) {
        this.#longs.pathChanges(this.books.portOf(event.path), this.tap.nowNs);
        this.books.pathGone(event.path);
        this.#stalls.pathGone(event.path);
      }
      if (event.kind === EVENT_CONNECTION_CLOSED || event.kind === EVENT_BLOCK_CLOSED)
        this.books.connectionClosed(event.arg0);
      if (event.kind === EVENT_FAILBACK_DONE) this.onFailback(this.inventory.paths.indexOf(event.path));
      if (event.kind === EVENT_CAPACITY_CHANGED) {
        const unit = this.inventory.units.indexOf(event.unit);
        if (unit >= 0) this.onCapacity(unit);
      }
    });
    this.onDrained();
  }

  /** When a zeroing has last made progress, ns. */
  get zeroedNs(): number {
    return this.#longs.zeroedNs;
  }

  /** Passes a client's connection to the core; returns its handle. */
  connect(socket: number, unit: number, flags: number): number {
    const handle = this.inventory.handleOf(unit);
    const connection = this.inventory.expect(
      this.core.exports.connectionAdd(socket, handle, flags, 0),
      "connectionAdd",
    );
    this.books.connectionAdded(connection, handle);
    return connection;
  }

  /** Adds a client of the block door; returns its handle. */
  connectBlock(unit: number, flags: number): number {
    const handle = this.inventory.handleOf(unit);
    const client = this.inventory.expect(this.core.exports.blockOpen(handle, flags), "blockOpen");
    this.books.connectionAdded(client, handle);
    return client;
  }

  /** What is not as expected after the faults are over and every client was answered; empty when all is well. */
  unsettled(): string[] {
    return [...this.inventory.unsettled(), ...this.books.unreturned()];
  }

  complain(text: string): void {
    this.#violation(text);
  }
}
