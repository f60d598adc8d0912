// Paths whose device has told that another host removed this host's registration. It tells that once, and may have lost all keys with the
// power since: then nothing but this says any more that the unit is another host's. So it is kept with the keys, for the next daemon.

import { NO_KEY, type ReserveOut } from "../../discovery/persistent-reservations.ts";
import { reasonOf } from "../ground/control-errors.ts";
import type { Logger } from "../ground/logger.ts";
import type { Path, Unit } from "../inventory/inventory.ts";
import type { Outcome, PathCommands } from "./path-commands.ts";
import { keyedAs, type ReservationKeys } from "./reservation-keys.ts";

export class Removals {
  readonly #keys: ReservationKeys;
  readonly #warn: Logger["warning"];
  readonly #told = new Set<Path>();
  /** Identities of units where an earlier daemon was told. By which path does not matter: its number may be another one's now. */
  readonly #inherited: Set<string>;

  constructor(keys: ReservationKeys, warn: Logger["warning"]) {
    this.#keys = keys;
    this.#warn = warn;
    this.#inherited = new Set(keys.removed);
  }

  /** The device has told it on this path. */
  told(path: Path): void {
    this.#told.add(path);
    this.#keep(path.unit);
  }

  /** Whether it has told it on any path of the unit since that was registered last. */
  isTold(unit: Unit): boolean {
    return this.#inherited.has(keyedAs(this.#keys, unit)) || this.of(unit).length > 0;
  }

  /** The paths of the unit on which it was told. */
  of(unit: Unit): readonly Path[] {
    return [...this.#told].filter((path) => path.unit === unit);
  }

  /** The unit has been registered anew: what an earlier daemon heard, or these paths, is over. */
  forget(unit: Unit, paths: readonly Path[]): void {
    this.#inherited.delete(keyedAs(this.#keys, unit));
    for (const path of paths) this.#told.delete(path);
    this.#keep(unit);
  }

  /** The same commands; a path that is registered by them, or still was, is not removed. */
  heeding(commands: Pick<PathCommands, "ask" | "order">): Pick<PathCommands, "ask" | "order"> {
    return {
      ask: (path, action, bytes) => commands.ask(path, action, bytes),
      order: async (path, out) => {
        const outcome = await commands.order(path, out);
        // A path of the unit that has its key now was not removed before this daemon began.
        if (registers(out, outcome)) this.forget(path.unit, [path]);
        return outcome;
      },
    };
  }

  #keep(unit: Unit): void {
    try {
      this.#keys.setRemoved(keyedAs(this.#keys, unit), this.isTold(unit));
    } catch (thrown) {
      // This daemon knows it all the same; only the next one would not.
      this.#warn(`LogicalUnit #${unit.number}: that another host removed the key is not kept: ${reasonOf(thrown)}`);
    }
  }
}

function registers({ action, serviceActionKey }: ReserveOut, { kind }: Outcome): boolean {
  const isRegister = action === "register" || action === "register-ignore";
  return isRegister && kind === "good" && serviceActionKey !== undefined && serviceActionKey !== NO_KEY;
}
