// A thin unit whose array runs out of room. Each path reports it once (06/38/07): the first report makes a message, and the
// others, possibly hours later, are of the same event.

import type { EventHub } from "./event-hub.ts";
import { isShown, type Path, type Unit } from "../inventory/inventory.ts";

/**
 * A path that reports again within this time repeats itself: the kernel reports by uevent what it saw in our own command, and
 * some devices repeat.
 */
const SAME_MS = 60_000;

export class ThinThreshold {
  readonly #hub: Pick<EventHub, "say">;
  readonly #nowMs: () => number;
  /** By unit: when each path, by its id, reported it since the last message. */
  readonly #told = new WeakMap<Unit, ReadonlyMap<number, number>>();

  constructor(hub: Pick<EventHub, "say">, nowMs = () => performance.now()) {
    this.#hub = hub;
    this.#nowMs = nowMs;
  }

  /** A path reports that its unit has reached the soft threshold; devices that are not ours are ignored. */
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
