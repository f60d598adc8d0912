// RESERVE and RELEASE of SPC-2 (5.5), for cluster software that knows nothing newer. Such a reservation is one I_T nexus's, so they pass
// to the unit's one path in use, in cluster mode only, where every unit is static. It ends with that path, or with a reset, and whoever made it has to
// make it again: nothing of it is kept here.

import type { EventHub } from "../events/event-hub.ts";
import type { Snapshot } from "../core/snapshot.ts";
import type { Snapshots } from "../core/snapshots.ts";
import { pathsOf, type Path, type Unit } from "../inventory/inventory.ts";
import type { PathCommands } from "./path-commands.ts";
import {
  INVALID_OPERATION,
  noPath,
  refusalOf,
  ReservationRefused,
  STATUS_CHECK_CONDITION,
} from "./reservation-parts.ts";

export type LegacyAction = "reserve" | "release";

/** The six-byte forms; nothing but the operation code means anything (SPC-2 7.21, 7.17). */
const OPERATION: Readonly<Record<LegacyAction, number>> = { reserve: 0x16, release: 0x17 };

export interface LegacyParts {
  readonly commands: Pick<PathCommands, "bare">;
  readonly hub: Pick<EventHub, "say">;
  readonly snapshots: Pick<Snapshots, "current">;
  readonly isClusterMode: () => boolean;
}

export class LegacyReserve {
  readonly #parts: LegacyParts;
  readonly #holders = new Map<Unit, Path>();

  constructor(parts: LegacyParts) {
    this.#parts = parts;
  }

  /** @throws ReservationRefused with the device's own answer */
  async order(unit: Unit, action: LegacyAction): Promise<void> {
    const { commands, snapshots, isClusterMode } = this.#parts;
    if (!isClusterMode()) {
      throw new ReservationRefused("RESERVATION_UNSUPPORTED", `${action}: a reservation of SPC-2 belongs to one path`, {
        remedy: "turn cluster mode on (`pathctl mode --cluster on`), or use persistent reservations",
        status: STATUS_CHECK_CONDITION,
        sense: INVALID_OPERATION,
      });
    }
    const snapshot = await snapshots.current();
    const path = pathsOf(unit).find((one) => isUsed(one, snapshot));
    if (path === undefined) throw noPath(unit);
    const outcome = await commands.bare(path, Uint8Array.of(OPERATION[action], 0, 0, 0, 0, 0));
    if (outcome.kind !== "good") throw refusalOf(path, outcome, action);
    if (action === "reserve") this.#holders.set(unit, path);
    else this.#holders.delete(unit);
  }

  /** A reservation whose path is not in use any more keeps nobody out. Called with each copy of the tables. */
  check(snapshot: Snapshot): void {
    for (const [unit, path] of this.#holders) {
      if (isUsed(path, snapshot)) continue;
      this.#holders.delete(unit);
      this.#parts.hub.say("legacy-reservation-lost", { unit: unit.number, path: path.number });
    }
  }
}

const isUsed = ({ handle }: Path, snapshot: Snapshot): boolean => handle !== null && snapshot.isInUse(handle);
