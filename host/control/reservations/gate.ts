// What the core is told of reservations: which units need registered paths, which paths are registered, and that a unit has to stop.
//
// The core asks for each path that waits, with a number; only an answer with the last number counts, since whatever was asked before
// may have been overtaken by another host.

import { PATH_SET_REGISTERED, UNIT_SET_PREEMPTED, UNIT_SET_REGISTRATION, UNIT_SET_SHARED } from "../../abi.ts";
import type { ReactorClient } from "../../reactor/reactor-client.ts";
import { demand, unitSet, type CoreCall } from "../core/reactor-port.ts";
import type { Path, Unit } from "../inventory/inventory.ts";
import type { Registration } from "./reservation-keys.ts";

export interface Gate {
  /** From now on paths that come carry the unit's I/O only once they are registered; or any path does again. */
  require(unit: Unit, isRequired: boolean): Promise<void>;
  /** The path may carry I/O, or has to wait. */
  admit(path: Path, isAdmitted: boolean): Promise<void>;
  /** Another host removed our key: the unit carries nothing. */
  stop(unit: Unit, isPreempted: boolean): Promise<void>;
  /** Other hosts are registered, too. */
  share(unit: Unit, isShared: boolean): Promise<void>;
}

/** A question of the core that has no answer yet. */
interface Asked {
  readonly handle: number;
  readonly number: number;
}

export class CoreGate implements Gate {
  readonly #reactor: Pick<ReactorClient, "settings" | "pathSet">;
  readonly #asked = new Map<Path, Asked>();

  constructor(reactor: Pick<ReactorClient, "settings" | "pathSet">) {
    this.#reactor = reactor;
  }

  /** The core holds the path back until it is answered. */
  asked(path: Path, number: number): void {
    if (path.handle !== null) this.#asked.set(path, { handle: path.handle, number });
  }

  /** Whether the core waits for an answer about this path. */
  isAsked(path: Path): boolean {
    return this.#open(path) !== undefined;
  }

  #open(path: Path): Asked | undefined {
    const asked = this.#asked.get(path);
    if (asked === undefined || asked.handle === path.handle) return asked;
    this.#asked.delete(path);
    return undefined;
  }

  require(unit: Unit, isRequired: boolean): Promise<void> {
    if (!isRequired) for (const path of unit.paths.values()) this.#asked.delete(path);
    return this.#set(unit, UNIT_SET_REGISTRATION, isRequired);
  }

  stop(unit: Unit, isPreempted: boolean): Promise<void> {
    return this.#set(unit, UNIT_SET_PREEMPTED, isPreempted);
  }

  share(unit: Unit, isShared: boolean): Promise<void> {
    return this.#set(unit, UNIT_SET_SHARED, isShared);
  }

  async #set(unit: Unit, property: number, value: boolean): Promise<void> {
    if (unit.handle === null) return;
    await demand(this.#reactor, [unitSet(unit.handle, property, value ? 1 : 0)], `LogicalUnit #${unit.number}`);
  }

  async admit(path: Path, isAdmitted: boolean): Promise<void> {
    const asked = this.#open(path);
    // It waits already; another question would lead to another, without end.
    if (path.handle === null || isAdmitted === (asked === undefined)) return;
    this.#asked.delete(path);
    // Refused when the core has asked anew meanwhile, or the path has gone: then there is another question, or nothing to say.
    await this.#reactor.pathSet(path.handle, PATH_SET_REGISTERED, asked?.number ?? 0).catch(() => undefined);
  }
}

/** For a unit that is added to the core: its paths have to wait from the first moment. */
export function registrationCalls(registration: Registration | null, handle: number, isReserved: boolean): CoreCall[] {
  if (registration === null && !isReserved) return [];
  const isPreempted = registration?.state === "preempted" ? 1 : 0;
  return [unitSet(handle, UNIT_SET_REGISTRATION, 1), unitSet(handle, UNIT_SET_PREEMPTED, isPreempted)];
}
