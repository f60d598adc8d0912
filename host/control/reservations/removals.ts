// Paths whose device has told that another host removed this host's registration. It tells that once, and may have lost all keys with the
// power since: then nothing but this says any more that the unit is another host's.

import { NO_KEY, type ReserveOut } from "../../discovery/persistent-reservations.ts";
import type { Path, Unit } from "../inventory/inventory.ts";
import type { Outcome, PathCommands } from "./path-commands.ts";

export class Removals {
  readonly #told = new Set<Path>();

  /** The device has told it on this path. */
  told(path: Path): void {
    this.#told.add(path);
  }

  /** Whether it has told it on any path of the unit since that was registered last. */
  isTold(unit: Unit): boolean {
    return [...this.#told].some((path) => path.unit === unit);
  }

  /** The same commands; a path that is registered by them, or still was, is not removed. */
  heeding(commands: Pick<PathCommands, "ask" | "order">): Pick<PathCommands, "ask" | "order"> {
    return {
      ask: (path, action, bytes) => commands.ask(path, action, bytes),
      order: async (path, out) => {
        const outcome = await commands.order(path, out);
        if (registers(out, outcome)) this.#told.delete(path);
        return outcome;
      },
    };
  }
}

function registers({ action, serviceActionKey }: ReserveOut, { kind }: Outcome): boolean {
  const isRegister = action === "register" || action === "register-ignore";
  return isRegister && kind === "good" && serviceActionKey !== undefined && serviceActionKey !== NO_KEY;
}
