// What the next control must know about the reactors: every handle is recorded as soon as its reactor has answered, so that nothing
// exists unrecorded. Also keeps the events that control has not acknowledged yet. Handles are those that control knows.

import { EVENT_ARG0, EVENT_BYTES, EVENT_CONNECTION_CLOSED, EVENT_KIND } from "../abi.ts";
import { handleIn, reactorOf } from "../reactor/handles.ts";
import type { AddedUnit, Request, UnitLabels, UnitToAdd } from "../reactor/reactor-messages.ts";
import type { Adoption, Labelled } from "./protocol.ts";

/** Limit of events kept until control acknowledges them; beyond it only events about connections are kept. */
export const EVENT_BYTES_KEPT = 4 * 1_048_576;

type Call = Extract<Request, { kind: "call" }>;

interface Batch {
  readonly number: number;
  readonly reactor: number;
  readonly entries: Uint8Array;
  /** Labels of the connections that have closed. */
  readonly closed: readonly unknown[];
}

/** Which events go to control. */
export interface Delivery {
  readonly number: number;
  readonly reactor: number;
  readonly entries: Uint8Array;
}

/** The entries of connections that have closed. */
function closings(entries: Uint8Array): number[] {
  const view = new DataView(entries.buffer, entries.byteOffset, entries.byteLength);
  const found: number[] = [];
  for (let at = 0; at < entries.length; at += EVENT_BYTES) {
    if (view.getUint16(at + EVENT_KIND, true) === EVENT_CONNECTION_CLOSED) found.push(at);
  }
  return found;
}

function only(entries: Uint8Array, places: readonly number[]): Uint8Array {
  const some = new Uint8Array(places.length * EVENT_BYTES);
  for (const [index, at] of places.entries()) some.set(entries.subarray(at, at + EVENT_BYTES), index * EVENT_BYTES);
  return some;
}

/** A copy of the label without the much larger message that it came in. */
const own = (label: unknown): unknown => (label instanceof Uint8Array ? Buffer.from(label) : label);

const listed = (labels: ReadonlyMap<number, unknown>): Labelled => [...labels];

export class Book {
  readonly #kept = new Map<string, unknown>();
  readonly #units = new Map<number, unknown>();
  readonly #paths = new Map<number, unknown>();
  readonly #removedPaths = new Map<number, unknown>();
  readonly #ports = new Set<number>();
  readonly #connections = new Map<number, unknown>();
  /** Calls under way, by their ids at the reactors. */
  readonly #calls = new Map<number, { readonly reactor: number; readonly call: Call }>();
  #batches: Batch[] = [];
  #bytes = 0;
  #lost = 0;
  #lastBatch = 0;

  /** Calls that the reactor has not answered. */
  get underWay(): number {
    return this.#calls.size;
  }

  keep(name: string, value: unknown): void {
    this.#kept.set(name, value);
  }

  relabel(connection: number, label: unknown): void {
    if (this.#connections.has(connection)) this.#connections.set(connection, label);
  }

  asked(call: Call, reactor = 0): void {
    this.#calls.set(call.id, { reactor, call });
  }

  /** The reactor has answered, or refused. */
  answered(id: number, answer: unknown, isRefused: boolean): void {
    const asked = this.#calls.get(id);
    this.#calls.delete(id);
    if (asked !== undefined && !isRefused) this.#write(asked.reactor, asked.call, answer);
  }

  /** A reactor has ended, and with it everything it had. Its connections count as closed. */
  fell(reactor: number): void {
    for (const [id, asked] of this.#calls) if (asked.reactor === reactor) this.#calls.delete(id);
    for (const map of [this.#units, this.#paths, this.#removedPaths, this.#connections]) {
      for (const handle of map.keys()) if (reactorOf(handle) === reactor) map.delete(handle);
    }
    for (const port of this.#ports) if (reactorOf(port) === reactor) this.#ports.delete(port);
  }

  #write(reactor: number, { name, args, label }: Call, answer: unknown): void {
    const [argument] = args;
    const first = handleIn(reactor, Number(argument));
    const made = handleIn(reactor, Number(answer));
    switch (name) {
      case "addUnits":
        // The types of `ReactorCalls`, and of the label that control sends with the call.
        return this.#added(
          reactor,
          argument as readonly UnitToAdd[],
          answer as readonly AddedUnit[],
          label as readonly UnitLabels[],
        );
      case "unitRemove":
        this.#units.delete(first);
        return;
      case "pathRemove": {
        this.#removedPaths.set(first, this.#paths.get(first));
        this.#paths.delete(first);
        return;
      }
      case "openPort":
        this.#ports.add(made);
        return;
      case "closePort":
        this.#ports.delete(first);
        return;
      case "addConnection":
        this.#connections.set(made, label);
        return;
      default:
    }
  }

  #added(
    reactor: number,
    asked: readonly UnitToAdd[],
    added: readonly AddedUnit[],
    labels: readonly UnitLabels[],
  ): void {
    for (const [index, { unit, paths }] of added.entries()) {
      if (typeof unit !== "number") continue;
      if (asked[index]?.handle === null) this.#units.set(handleIn(reactor, unit), own(labels[index]?.unit));
      for (const [at, path] of paths.entries()) {
        if (typeof path !== "number") continue;
        const handle = handleIn(reactor, path);
        this.#removedPaths.delete(handle);
        this.#paths.set(handle, own(labels[index]?.paths[at]));
      }
    }
  }

  /** Takes events of a core. Returns those that are sent to control. */
  happened(entries: Uint8Array, reactor = 0): Delivery {
    const places = closings(entries);
    const closed: unknown[] = [];
    const view = new DataView(entries.buffer, entries.byteOffset, entries.byteLength);
    for (const at of places) {
      const handle = handleIn(reactor, view.getUint32(at + EVENT_ARG0, true));
      closed.push(this.#connections.get(handle));
      this.#connections.delete(handle);
    }
    const isFull = this.#bytes + entries.length > EVENT_BYTES_KEPT;
    const some = isFull ? only(entries, places) : entries;
    this.#lost += (entries.length - some.length) / EVENT_BYTES;
    this.#bytes += some.length;
    const number = ++this.#lastBatch;
    this.#batches.push({ number, reactor, entries: some, closed });
    return { number, reactor, entries: some };
  }

  /** How many events found no room and have not been reported yet. */
  takeLost(): number {
    const lost = this.#lost;
    this.#lost = 0;
    return lost;
  }

  /** Control has acknowledged everything up to a number. */
  noted(number: number): void {
    this.#batches = this.#batches.filter((batch) => batch.number > number);
    this.#bytes = this.#batches.reduce((sum, { entries }) => sum + entries.length, 0);
  }

  /** Everything, for a control that starts; it acknowledges the events from now on. */
  adoption(): Omit<Adoption, "death" | "claims" | "reactors" | "fallen"> {
    return {
      kept: this.#kept,
      units: listed(this.#units),
      paths: listed(this.#paths),
      removedPaths: listed(this.#removedPaths),
      ports: [...this.#ports],
      connections: listed(this.#connections),
      closed: this.#batches.flatMap(({ closed }) => closed),
      events: this.#batches.map(({ reactor, entries }) => ({ reactor, entries })),
      eventsLost: this.takeLost(),
      number: this.#lastBatch,
    };
  }
}
