// What this control leaves to its successor besides the labels of the handles: values by name, stored with the keeper.

import { Claims } from "../../discovery/claims.ts";
import { openExclusive } from "../../discovery/exclusive-open.ts";
import type { Path } from "../inventory/inventory.ts";
import type { Keeper } from "../core/keeper.ts";
import type { Configuration } from "../schemas/configuration-schema.ts";
import { Interned } from "../inventory/unit-facts.ts";

/** The configuration in force, and where it was read from. */
export interface InForce {
  readonly configuration: Configuration;
  readonly file: string | null;
  readonly restartNeeded: readonly string[];
}

export class Kept {
  readonly #keeper: Keeper | undefined;

  constructor(keeper: Keeper | undefined) {
    this.#keeper = keeper;
  }

  /** What the previous control stored under this name; it was of the same version. */
  #get<T>(name: string, none: T): T {
    const kept = this.#keeper?.adoption?.kept;
    return kept?.has(name) === true ? (kept.get(name) as T) : none;
  }

  /** How long the daemon has been running, ms; 0 where it ends with control. */
  get runningMs(): number {
    return this.#keeper?.runningMs ?? 0;
  }

  /** The configuration the daemon was started with; settings that need a restart still have these values. */
  get started(): Configuration | null {
    return this.#get<Configuration | null>("started", null);
  }

  set started(configuration: Configuration) {
    this.#keeper?.keep("started", configuration);
  }

  get inForce(): InForce | null {
    return this.#get<InForce | null>("in force", null);
  }

  set inForce(inForce: InForce) {
    this.#keeper?.keep("in force", inForce);
  }

  /** Numbers of the units waiting for commands of an earlier daemon; null when none is any more. */
  get heldUnits(): readonly number[] | null {
    return this.#get<readonly number[] | null>("held units", []);
  }

  set heldUnits(numbers: readonly number[] | null) {
    this.#keeper?.keep("held units", numbers);
  }

  /** The numbers that stand for port names in the core. */
  get names(): Interned {
    return new Interned(this.#get("names", new Map<string, number>()));
  }

  keepNames(names: ReadonlyMap<string, number>): void {
    this.#keeper?.keep("names", names);
  }

  /** Claims that last as long as the reactor does. */
  claims(): Claims<Path> {
    const keeper = this.#keeper;
    if (keeper === undefined) return new Claims();
    const open = (device: string): Promise<number> => keeper.claim(device);
    return new Claims((device) => openExclusive(device, { open, close: () => keeper.release(device) }));
  }
}
