// Units that no path has led to for as long as their I/O waits (`on_no_path`), and units that another host has taken. Cluster software hears
// of each by a file of its own in the folder `lost` beside the API's socket: to look there costs a monitor nothing, and systemd can start
// a program when one appears.

import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as abi from "../../abi.ts";
import type { ReactorClient } from "../../reactor/reactor-client.ts";
import type { Snapshot } from "../core/snapshot.ts";
import type { Snapshots } from "../core/snapshots.ts";
import { reasonOf } from "../ground/control-errors.ts";
import type { Logger } from "../ground/logger.ts";
import type { Unit } from "../inventory/inventory.ts";
import type { Effective } from "../settings/effective.ts";
import type { Places } from "../settings/places.ts";
import type { UnitState } from "../schemas/unit-schema.ts";
import { unitState } from "../views/views.ts";
import type { EventHub } from "./event-hub.ts";

interface Parts {
  readonly hub: Pick<EventHub, "say">;
  readonly reactor: Pick<ReactorClient, "unitSet">;
  readonly snapshots: Pick<Snapshots, "current">;
  /** The settings in force; replaced by a reload. */
  readonly effective: Effective;
  readonly options: { readonly places: Pick<Places, "lostFolder">; readonly logger: Pick<Logger, "warning"> };
}

interface Loss {
  readonly timer: NodeJS.Timeout | null;
  /** What the file says; null while I/O still waits for a path. */
  readonly told: "no path" | "preempted" | null;
}

const PATHLESS: ReadonlySet<UnitState> = new Set(["no path", "released", "gone"]);

const isPathless = (unit: Unit, snapshot: Snapshot): boolean =>
  unit.handle !== null && PATHLESS.has(unitState(unit, snapshot));

export class LostUnits {
  readonly #parts: Parts;
  readonly #losses = new Map<Unit, Loss>();
  #isStopped = false;

  constructor(parts: Parts) {
    this.#parts = parts;
    // What an earlier daemon has told is told anew, if it still holds.
    this.#clear();
  }

  /** @param without the units that have no path */
  look(without: readonly Unit[], preempted: readonly Unit[], snapshot: Snapshot): void {
    if (this.#isStopped) return;
    const lost = new Set([...without.filter(({ handle }) => handle !== null), ...preempted]);
    for (const [unit, loss] of this.#losses) if (!lost.has(unit)) this.#found(unit, loss);
    for (const unit of preempted) this.#tell(unit, "preempted");
    for (const unit of without) if (unit.handle !== null) this.#missing(unit, unit.handle, snapshot);
  }

  /** The daemon ends, or another control takes over. */
  stop(): void {
    this.#isStopped = true;
    for (const { timer } of this.#losses.values()) if (timer !== null) clearTimeout(timer);
    this.#losses.clear();
    this.#clear();
  }

  #missing(unit: Unit, handle: number, snapshot: Snapshot): void {
    const before = this.#losses.get(unit);
    if (before?.told === "no path") return;
    // It is this host's again, but nothing leads to it.
    if (before?.told === "preempted") this.#found(unit, before);
    const waitMs = snapshot.isReleased(handle) ? 0 : this.#parts.effective.noPathMs(unit);
    if (waitMs === 0) this.#tell(unit, "no path");
    else if (!this.#losses.has(unit)) {
      const loss: Loss = { timer: setTimeout(() => void this.#timeIsOver(unit, loss), waitMs), told: null };
      this.#losses.set(unit, loss);
    }
  }

  async #timeIsOver(unit: Unit, loss: Loss): Promise<void> {
    const { effective, options, reactor } = this.#parts;
    const isLost = async (): Promise<boolean> =>
      isPathless(unit, await this.#parts.snapshots.current()) && this.#losses.get(unit) === loss;
    try {
      if (!(await isLost()) || unit.handle === null) return;
      // The core does nothing if a path has come back meanwhile.
      if (effective.onNoPath(unit) === "fence") await reactor.unitSet(unit.handle, abi.UNIT_SET_RELEASED, 1);
      if (await isLost()) this.#tell(unit, "no path");
    } catch (thrown) {
      options.logger.warning(`LogicalUnit #${unit.number} has no path: ${reasonOf(thrown)}`);
    }
  }

  #tell(unit: Unit, what: "no path" | "preempted"): void {
    const before = this.#losses.get(unit);
    if (before?.told === what) return;
    if (before?.timer) clearTimeout(before.timer);
    this.#losses.set(unit, { timer: null, told: what });
    this.#change(() => {
      mkdirSync(this.#folder, { recursive: true, mode: 0o755 });
      writeFileSync(this.#file(unit), `${what}\n`);
    });
    // Of a preempted unit message 706 tells.
    if (what !== "no path") return;
    const detail = { on_no_path: this.#parts.effective.onNoPath(unit) };
    this.#parts.hub.say("unit-lost", { unit: unit.number, detail });
  }

  #found(unit: Unit, { timer, told }: Loss): void {
    if (timer !== null) clearTimeout(timer);
    this.#losses.delete(unit);
    if (told === null) return;
    this.#change(() => rmSync(this.#file(unit), { force: true }));
    if (told === "no path") this.#parts.hub.say("unit-found", { unit: unit.number });
  }

  get #folder(): string {
    return this.#parts.options.places.lostFolder;
  }

  #file(unit: Unit): string {
    return join(this.#folder, String(unit.number));
  }

  #clear(): void {
    this.#change(() => rmSync(this.#folder, { recursive: true, force: true }));
  }

  #change(change: () => void): void {
    try {
      change();
    } catch (thrown) {
      this.#parts.options.logger.warning(`the files for cluster software in ${this.#folder}: ${reasonOf(thrown)}`);
    }
  }
}
