// In cluster mode a unit keeps to one path, because cluster software may reserve with RESERVE of SPC-2, which is one path's. A persistent
// reservation for registrants (types 5 to 8) keeps none of this host's registered paths out, so while one is known to be held the policy that
// is set is in force.
//
// Another host may change the reservation at any time. So what was read counts until anything speaks against it, and is read again now and
// then; the core does not wait for that, but is static by itself from the conflict, the reset or the preemption on.

import { UNIT_SET_REGISTRANTS } from "../../abi.ts";
import { isForHolderAlone, RESERVATION_TYPES } from "../../discovery/persistent-reservations.ts";
import type { ReactorClient } from "../../reactor/reactor-client.ts";
import { plainPolicyCalls } from "../core/core-settings.ts";
import { demand } from "../core/reactor-port.ts";
import type { Context } from "../devices/operation-context.ts";
import { reasonOf } from "../ground/control-errors.ts";
import type { Logger } from "../ground/logger.ts";
import type { Unit } from "../inventory/inventory.ts";
import { inForce, readHeld, type Parts } from "./reservation-parts.ts";

/** What could not be read is read again after that. */
const AGAIN_MS = 2000;

export interface RegistrantsSources extends Pick<Context, "hub" | "effective" | "bringUp" | "change"> {
  readonly reactor: Pick<ReactorClient, "settings" | "unitSet">;
}

/** What is known of a unit's reservation. */
interface Known {
  isFor: boolean;
  /** Grows with everything that calls it into question. */
  doubts: number;
  dueMs: number;
  /** What operators were told last. */
  told: boolean;
}

export class Registrants {
  readonly #sources: RegistrantsSources;
  readonly #warn: Logger["warning"];
  readonly #known = new Map<Unit, Known>();

  constructor(sources: RegistrantsSources, warn: Logger["warning"]) {
    this.#sources = sources;
    this.#warn = warn;
  }

  /** Whether the unit's reservation lets every registered path in, as far as known. */
  isFor(unit: Unit): boolean {
    return this.#known.get(unit)?.isFor === true;
  }

  /** Something may have changed the reservation: from now on it is unknown. */
  doubt(unit: Unit): void {
    const known = this.#known.get(unit);
    if (known === undefined) return;
    known.doubts++;
    known.dueMs = 0;
    this.#end(unit, known);
  }

  #end(unit: Unit, known: Known): void {
    if (!known.isFor) return;
    known.isFor = false;
    if (unit.handle === null) return;
    // Where the core does not answer, nothing is sent.
    this.#sources.reactor.unitSet(unit.handle, UNIT_SET_REGISTRANTS, 0).catch(() => undefined);
  }

  /** The unit comes anew, and its core knows nothing. */
  forget(unit: Unit): void {
    this.#known.delete(unit);
  }

  /** Whether it is time to read the reservation. */
  isDue(unit: Unit, nowMs: number): boolean {
    const { cluster } = this.#sources.effective.mode;
    return cluster && (this.#known.get(unit)?.dueMs ?? 0) <= nowMs;
  }

  /** Reads what is held, and lets the unit balance or not. In the unit's turn. @param isExcluded whether it is reserved otherwise */
  async look(parts: Parts, unit: Unit, isExcluded: boolean): Promise<void> {
    const { mode, patrol } = this.#sources.effective;
    if (!mode.cluster) return;
    const known = this.#of(unit);
    const { doubts } = known;
    const isFor = isExcluded || inForce(parts, unit) === null ? false : await this.#read(parts, unit);
    // Another host may have come in between: then what was read is old.
    if (known.doubts !== doubts) return;
    known.dueMs = performance.now() + (isFor === null ? AGAIN_MS : patrol.intervalS * 1000);
    if (isFor === true) this.#begin(unit, known);
    else this.#end(unit, known);
    if (isFor !== null) this.#tell(unit, known);
  }

  #of(unit: Unit): Known {
    const known = this.#known.get(unit) ?? { isFor: false, doubts: 0, dueMs: 0, told: false };
    this.#known.set(unit, known);
    return known;
  }

  /** Null when nobody answers. */
  async #read(parts: Parts, unit: Unit): Promise<boolean | null> {
    try {
      const held = await readHeld(parts, unit, await parts.live(unit));
      return held !== null && RESERVATION_TYPES.has(held.type) && !isForHolderAlone(held.type);
    } catch {
      return null;
    }
  }

  #begin(unit: Unit, known: Known): void {
    if (known.isFor) return;
    known.isFor = true;
    const what = `balancing of LogicalUnit #${unit.number}`;
    // Not awaited: a change may wait for the unit's turn.
    const changed = this.#sources.change(async () => {
      const { reactor, effective, bringUp } = this.#sources;
      const { handle } = unit;
      if (handle === null || !known.isFor) return;
      await demand(reactor, plainPolicyCalls(unit, handle, effective), what, "policy");
      await bringUp.applyPathPolicies([unit], effective);
    });
    changed.catch((thrown) => this.#warn(`${what}: ${reasonOf(thrown)}`));
  }

  #tell(unit: Unit, known: Known): void {
    const { hub, effective } = this.#sources;
    if (known.isFor === known.told) return;
    known.told = known.isFor;
    const why = known.isFor ? "the reservation is for registrants" : "no reservation for registrants";
    if (effective.chosenPolicy(unit).name === "static") return;
    hub.say("cluster-balancing", { unit: unit.number, detail: { policy: effective.policy(unit).name, why } });
  }
}
