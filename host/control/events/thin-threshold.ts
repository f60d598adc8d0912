// A thin unit whose array runs out of room. Each path is told of it once (06/38/07), so the first that tells makes a message,
// and the others, which may come to it hours later, tell of the same.

import type { EventHub } from "./event-hub.ts";
import { isShown, type Path, type Unit } from "../inventory/inventory.ts";

/**
 * What a path tells again within this time is no other occurrence: the kernel tells by a uevent what it has seen in our own
 * command, and there are devices that repeat themselves.
 */
const SAME_MS = 60_000;

export class ThinThreshold {
  readonly #hub: Pick<EventHub, "say">;
  readonly #nowMs: () => number;
  /** By unit: when each path, by its id, has told it since it was said. */
  readonly #told = new WeakMap<Unit, ReadonlyMap<number, number>>();

  constructor(hub: Pick<EventHub, "say">, nowMs = () => performance.now()) {
    this.#hub = hub;
    this.#nowMs = nowMs;
  }

  /** A path has told that its unit has reached the soft threshold; what is none of ours is nothing to us. */
  toldBy(path: Path | undefined): void {
    if (path === undefined || !isShown(path)) return;
    const { id, number, unit } = path;
    const told = this.#told.get(unit) ?? new Map<number, number>();
    const nowMs = this.#nowMs();
    const beforeMs = told.get(id);
    if (beforeMs !== undefined && nowMs - beforeMs < SAME_MS) return;
    const isNew = told.size === 0 || beforeMs !== undefined;
    this.#told.set(unit, new Map([...(isNew ? [] : told), [id, nowMs]]));
    if (isNew) this.#hub.say("thin-threshold", { unit: unit.number, path: number });
  }
}
