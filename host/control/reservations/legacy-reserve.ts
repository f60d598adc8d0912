// RESERVE and RELEASE of SPC-2 (5.5), for cluster software that knows nothing newer. Such a reservation is one I_T nexus's, so they pass
// to the unit's one path in use, in cluster mode only, where such a unit is static. It ends with that path, or with a reset of the unit, and whoever
// made it is told and has to make it again. Only who holds it is kept, so that its loss is told by the next daemon as well.
//
// That a path was reset, or lost its nexus, the core tells as it does for registrations: while a unit is reserved its paths ask.

import { REGISTRATION_PREEMPTED, REGISTRATION_RESET } from "../../abi.ts";
import type { EventHub } from "../events/event-hub.ts";
import type { Snapshot } from "../core/snapshot.ts";
import type { Snapshots } from "../core/snapshots.ts";
import { pathNumbered, pathsOf, type Path, type Unit } from "../inventory/inventory.ts";
import type { Gate } from "./gate.ts";
import type { LegacyHolders } from "./legacy-holders.ts";
import type { PathCommands } from "./path-commands.ts";
import {
  INVALID_OPERATION,
  noPath,
  refusalOf,
  ReservationRefused,
  STATUS_CHECK_CONDITION,
} from "./reservation-parts.ts";

/** A command, and the length of its CDB, in which nothing but the operation code means anything (SPC-2 7.17 to 7.22). */
export interface LegacyCommand {
  readonly action: "reserve" | "release";
  readonly bytes: 6 | 10;
}

const OPERATION = { reserve: { 6: 0x16, 10: 0x56 }, release: { 6: 0x17, 10: 0x57 } } as const;

/** The command of an operation code; undefined where it is another one's. */
export function legacyCommandOf(code: number | undefined): LegacyCommand | undefined {
  for (const action of ["reserve", "release"] as const) {
    for (const bytes of [6, 10] as const) if (OPERATION[action][bytes] === code) return { action, bytes };
  }
  return undefined;
}

function cdbOf({ action, bytes }: LegacyCommand): Uint8Array {
  const cdb = new Uint8Array(bytes);
  cdb[0] = OPERATION[action][bytes];
  return cdb;
}

/** Unit attentions for initiators: bus device reset function occurred, I_T nexus loss occurred. */
const WAS_RESET = 0x2903;
const NEXUS_LOST = 0x2907;

/** After a start, how long the paths of a unit may take to come and to be chosen from. */
const COMING_MS = 10_000;

export interface LegacyParts {
  readonly kept: Pick<LegacyHolders, "of" | "put">;
  readonly commands: Pick<PathCommands, "bare">;
  readonly gate: Pick<Gate, "require">;
  readonly hub: Pick<EventHub, "say">;
  readonly snapshots: Pick<Snapshots, "current">;
  readonly isClusterMode: () => boolean;
  /** Whether the unit has to be registered for persistent reservations. */
  readonly isRegistered: (unit: Unit) => boolean;
  /** Tells the initiators of the unit's SCSI device. @param code ASC * 256 + ASCQ */
  readonly attend: (unit: Unit, code: number) => void;
}

export class LegacyReserve {
  readonly #parts: LegacyParts;
  readonly #holders = new Map<Unit, Path>();
  /** Units whose holder was looked up in what an earlier daemon has kept, and when it was. */
  readonly #recalledMs = new Map<Unit, number>();

  constructor(parts: LegacyParts) {
    this.#parts = parts;
  }

  isHeld(unit: Unit): boolean {
    return this.#holder(unit) !== undefined;
  }

  #holder(unit: Unit): Path | undefined {
    if (!this.#recalledMs.has(unit)) {
      this.#recalledMs.set(unit, performance.now());
      const number = this.#parts.kept.of(unit.identity.text);
      const path = number === undefined ? undefined : pathNumbered(unit, number);
      if (path !== undefined) this.#holders.set(unit, path);
    }
    return this.#holders.get(unit);
  }

  #hold(unit: Unit, path: Path | null): void {
    if (path === null) this.#holders.delete(unit);
    else this.#holders.set(unit, path);
    this.#parts.kept.put(unit.identity.text, path === null ? null : path.number);
  }

  /** @throws ReservationRefused with the device's own answer */
  async order(unit: Unit, command: LegacyCommand): Promise<void> {
    const { commands, gate, snapshots, isClusterMode } = this.#parts;
    const { action } = command;
    const held = this.#holder(unit);
    if (!isClusterMode() && (action === "reserve" || held === undefined)) {
      throw new ReservationRefused("RESERVATION_UNSUPPORTED", `${action}: a reservation of SPC-2 belongs to one path`, {
        remedy: "turn cluster mode on (`pathctl mode --cluster on`), or use persistent reservations",
        status: STATUS_CHECK_CONDITION,
        sense: INVALID_OPERATION,
      });
    }
    const snapshot = await snapshots.current();
    const path = (action === "release" ? held : undefined) ?? pathsOf(unit).find((one) => isUsed(one, snapshot));
    if (path === undefined) throw noPath(unit);
    // A reset right behind the command must not be missed.
    if (action === "reserve") await gate.require(unit, true);
    const outcome = await commands.bare(path, cdbOf(command));
    if (outcome.kind === "good" && action === "reserve") this.#hold(unit, path);
    if (outcome.kind === "good" && action === "release") this.#hold(unit, null);
    await this.#freePaths(unit);
    if (outcome.kind !== "good") throw refusalOf(path, outcome, action);
  }

  /** The core holds a path of a reserved unit back. @returns whether that is none of the registrations' business. */
  asked(path: Path, why: number): boolean {
    const { unit } = path;
    if (!this.isHeld(unit) || this.#parts.isRegistered(unit)) return false;
    if (why === REGISTRATION_RESET || why === REGISTRATION_PREEMPTED) this.doubted(path);
    return true;
  }

  /** The path was reset, or what it had reserved is somebody else's. */
  doubted(path: Path): void {
    if (this.#holder(path.unit) === path) this.#lose(path, WAS_RESET);
  }

  /** A reservation whose path is not in use any more keeps nobody out. Called with each copy of the tables. */
  check(snapshot: Snapshot): void {
    for (const [unit, path] of this.#holders) {
      const isComing = performance.now() - (this.#recalledMs.get(unit) ?? 0) < COMING_MS;
      if (!isComing && isLeft(path, snapshot)) this.#lose(path, NEXUS_LOST);
    }
  }

  #lose(path: Path, code: number): void {
    const { hub, attend } = this.#parts;
    const { unit } = path;
    this.#hold(unit, null);
    const why = code === WAS_RESET ? "reset, or another host's reservation" : "the path is not in use any more";
    hub.say("legacy-reservation-lost", { unit: unit.number, path: path.number, detail: { why } });
    attend(unit, code);
    // Where the core does not answer there is nothing to be held back.
    void this.#freePaths(unit).catch(() => undefined);
  }

  /** Its paths have nothing more to ask for, unless they are to be registered. */
  async #freePaths(unit: Unit): Promise<void> {
    const { gate, isRegistered } = this.#parts;
    if (!this.isHeld(unit) && !isRegistered(unit)) await gate.require(unit, false);
  }
}

const isUsed = ({ handle }: Path, snapshot: Snapshot): boolean => handle !== null && snapshot.isInUse(handle);

/** Whether another path has taken the holder's place. One that is only being checked keeps it. */
function isLeft(path: Path, snapshot: Snapshot): boolean {
  if (path.handle === null || snapshot.isFailed(path.handle)) return true;
  return !isUsed(path, snapshot) && pathsOf(path.unit).some((other) => other !== path && isUsed(other, snapshot));
}
