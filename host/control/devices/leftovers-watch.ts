// Commands that an earlier daemon left in flight. Until they have ended, nothing that changes the medium is sent to their units:
// a late write of the earlier daemon could otherwise overwrite a newer one that was acknowledged. So it is with a reactor of this daemon that
// has ended.

import { isDriverUnused, isOlder, leftoversIn, readUnderWay, type UnderWay } from "../../discovery/leftovers.ts";
import { UNIT_SET_LEFTOVERS } from "../../abi.ts";
import { reasonOf } from "../ground/control-errors.ts";
import type { EventHub } from "../events/event-hub.ts";
import type { Inventory, Unit } from "../inventory/inventory.ts";
import type { Kept } from "./kept.ts";
import type { LeftCommands } from "../../native/index.ts";
import type { Logger } from "../ground/logger.ts";

const POLL_MS = 100;

type Detail = Readonly<Record<string, string | number>>;

export interface LeftoverSources {
  readonly inventory: Inventory;
  readonly hub: Pick<EventHub, "say">;
  readonly logger: Logger;
  readonly unitSet: (handle: number, property: number, value: number) => Promise<unknown>;
  /** Records which units are held, and since when the daemon runs: younger commands are its own. */
  readonly kept?: Pick<Kept, "heldUnits" | "runningMs">;
  /** The sg driver's list; null when there is none. */
  readonly read?: () => Promise<string | null>;
  /** Whether nobody uses the sg driver, before the first command of our own. */
  readonly isUnused?: () => boolean;
  /** Commands of this process's reactors that have ended, each while it is under way. */
  readonly left: () => Promise<readonly LeftCommands[]>;
  /** Whether a daemon of this boot was not stopped: then it may have left something. */
  readonly fell: boolean;
  /** How long the kernel may keep a command of the unit, ms. */
  readonly keptMsMax: (unit: Unit) => number;
}

export class Leftovers {
  readonly #sources: LeftoverSources;
  readonly #startedMs: number;
  readonly #createdMs = performance.now();
  readonly #held = new Set<Unit>();
  /** When units came into a core, as far as this control has seen it. */
  readonly #arrivedMs = new WeakMap<Unit, number>();
  /** Nothing was left when this control began. */
  readonly #wasUnused: boolean;
  /** The daemon before this one may have left something. */
  #mayHaveLeft: boolean;
  /** Held by the control before, nobody knows any more on whose account. */
  readonly #adopted = new Set<Unit>();
  #isSuccessor = false;
  #over = false;
  #isStopped = false;
  #checking: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined = undefined;

  /** To be created before the first command is sent: everything older belongs to someone else. */
  constructor(sources: LeftoverSources) {
    this.#sources = sources;
    this.#startedMs = performance.now() - (sources.kept?.runningMs ?? 0);
    this.#wasUnused = (sources.isUnused ?? isDriverUnused)();
    this.#mayHaveLeft = sources.fell && !this.#wasUnused;
  }

  /** Restores what was recorded: which units are held, or that all is over. */
  adopt(held: readonly number[] | null): void {
    this.#over = held === null;
    this.#isSuccessor = true;
    // The file of the daemon that runs is there, too: it does not count.
    if (this.#over) this.#mayHaveLeft = false;
    for (const unit of this.#sources.inventory.units()) {
      if (held?.includes(unit.number) !== true) continue;
      this.#held.add(unit);
      this.#adopted.add(unit);
    }
  }

  /** A unit comes into a core: what is under way to it is not that core's, even if it is this daemon's. */
  arrives(unit: Unit): void {
    this.#arrivedMs.set(unit, performance.now());
    this.#over = false;
  }

  /** @param soon is about to be held, too */
  #keep(...soon: Unit[]): void {
    const { kept } = this.#sources;
    if (kept !== undefined) kept.heldUnits = this.#over ? null : [...this.#held, ...soon].map(({ number }) => number);
  }

  /**
   * Holds the units with leftover commands and releases those whose commands have ended. Called when units have come into the
   * core, before they are offered; until all has ended it also calls itself.
   */
  check(): Promise<void> {
    // Runs are serialized: what one has read must not be older than what the previous one has done.
    this.#checking = this.#checking.then(() => this.#check());
    return this.#checking;
  }

  /** Whether something of an earlier daemon, or reactor, may still be under way to the unit. */
  holds(unit: Unit): boolean {
    return this.#held.has(unit);
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
  }

  async #check(): Promise<void> {
    if (this.#over || this.#isStopped) return;
    clearTimeout(this.#timer);
    try {
      this.#over = await this.#isOver();
      this.#keep();
    } catch (thrown) {
      this.#sources.logger.error(`looking for commands of an earlier daemon: ${reasonOf(thrown)}`);
    }
    if (!this.#over && !this.#isStopped) this.#timer = setTimeout(() => void this.check(), POLL_MS).unref();
  }

  /** Checks once; returns whether nothing is left. */
  async #isOver(): Promise<boolean> {
    const { read = readUnderWay } = this.#sources;
    const text = await read();
    if (text === null) return this.#isOverUnlisted();
    const byUnit = this.#byUnit(text);
    for (const [unit, commands] of byUnit) await this.#hold(unit, detailOf(commands));
    for (const unit of this.#held) if (!byUnit.has(unit)) await this.#letGo(unit);
    return byUnit.size === 0;
  }

  /**
   * Where the kernel has no list, what a killed daemon may have left is over when the kernel's time for it is. Of its own reactors this
   * process knows it exactly.
   */
  async #isOverUnlisted(): Promise<boolean> {
    const left = await this.#sources.left().catch(() => null);
    if (!this.#mayHaveLeft && this.#held.size === 0 && left?.length === 0) {
      if (!this.#wasUnused && !this.#isSuccessor) this.#warn();
      this.#isStopped = !this.#isSuccessor;
      return true;
    }
    let isOver = left?.length === 0;
    for (const unit of this.#sources.inventory.units()) {
      const detail = this.#leftTo(unit, left) ?? this.#perhapsLeftTo(unit);
      if (detail === null) {
        if (this.#held.has(unit)) await this.#letGo(unit);
        continue;
      }
      isOver = false;
      await this.#hold(unit, detail);
    }
    return isOver;
  }

  #warn(): void {
    this.#sources.logger.warning(
      "/proc/scsi/sg/debug cannot be read: after a stop while a path did not answer, commands may still be under way; " +
        "wait for timeouts.command_ms before starting again",
    );
  }

  /** What reactors that have ended left of a unit; null if nothing. @param left null when nobody can say */
  #leftTo(unit: Unit, left: readonly LeftCommands[] | null): Detail | null {
    if (left === null) return this.#arrivedMs.has(unit) ? { commands: "unknown, no reactor answers" } : null;
    const { inventory } = this.#sources;
    const units = new Map(inventory.paths().map(({ number, unit: one }) => [number, one]));
    // Of a device that is gone, or no unit's any more, it could be any unit's that has just come.
    const own = left.filter(({ path }) => (units.get(path) ?? (this.#arrivedMs.has(unit) ? unit : null)) === unit);
    if (own.length === 0) return null;
    const commands = own.reduce((sum, one) => sum + one.commands, 0);
    return { commands, paths: [...new Set(own.map(({ path }) => path))].join(" ") };
  }

  /** What the daemon before may have left of a unit, as long as the kernel may keep it. */
  #perhapsLeftTo(unit: Unit): Detail | null {
    if (!this.#adopted.has(unit) && !(this.#mayHaveLeft && this.#arrivedMs.has(unit))) return null;
    const leftMs = this.#createdMs + this.#sources.keptMsMax(unit) - performance.now();
    if (leftMs <= 0) return null;
    return { commands: "unknown, /proc/scsi/sg/debug cannot be read", "ends within ms": Math.ceil(leftMs) };
  }

  /** Matches any path number a unit is known to have had, so that a path that does not answer now counts, too. */
  #byUnit(text: string): Map<Unit, UnderWay[]> {
    const units = new Map(this.#sources.inventory.paths().map(({ number, unit }) => [number, unit]));
    const byUnit = new Map<Unit, UnderWay[]>();
    const nowMs = performance.now();
    for (const command of leftoversIn(text, 0)) {
      const unit = units.get(command.path);
      if (unit === undefined || !isOlder(command, nowMs - (this.#arrivedMs.get(unit) ?? this.#startedMs))) continue;
      byUnit.set(unit, [...(byUnit.get(unit) ?? []), command]);
    }
    return byUnit;
  }

  async #hold(unit: Unit, detail: Detail): Promise<void> {
    // Without a handle it has no path yet, and is not offered.
    if (this.#held.has(unit) || unit.handle === null) return;
    // Recorded first: releasing a unit twice is harmless, never releasing one is not.
    this.#keep(unit);
    await this.#sources.unitSet(unit.handle, UNIT_SET_LEFTOVERS, 1);
    this.#held.add(unit);
    this.#sources.hub.say("leftovers-found", { unit: unit.number, detail });
  }

  async #letGo(unit: Unit): Promise<void> {
    if (unit.handle !== null) await this.#sources.unitSet(unit.handle, UNIT_SET_LEFTOVERS, 0);
    this.#held.delete(unit);
    this.#sources.hub.say("leftovers-settled", { unit: unit.number });
  }
}

function detailOf(commands: readonly UnderWay[]): Detail {
  const endsMs = Math.max(...commands.map(({ timeoutMs, elapsedMs }) => timeoutMs - elapsedMs));
  const paths = [...new Set(commands.map(({ path }) => path))].join(" ");
  return { commands: commands.length, paths, "ends within ms": Math.max(0, endsMs) };
}
