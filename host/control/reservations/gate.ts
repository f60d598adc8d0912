// What the core is told of reservations: which units need registered paths, which paths are registered, and that a unit has to stop.

import type { ReactorClient } from "../../reactor/reactor-client.ts";
import type { Path, Unit } from "../inventory/inventory.ts";

export interface Gate {
  /** From now on only registered paths carry the unit's I/O, or any path again. */
  require(unit: Unit, isRequired: boolean): Promise<void>;
  /** The path may carry I/O, or has to wait until it is registered. */
  admit(path: Path, isRegistered: boolean): Promise<void>;
  /** Another host removed our key: the unit carries nothing. */
  stop(unit: Unit, isPreempted: boolean): Promise<void>;
}

const nothing = (): Promise<void> => Promise.resolve();

export function coreGate(_reactor: ReactorClient): Gate {
  return { require: nothing, admit: nothing, stop: nothing };
}
