// Persistent reservations of units: what applications ask for, one command after the other for each unit, and what keeps the
// registrations whole between the commands.

import { setTimeout as sleep } from "node:timers/promises";
import {
  isForHolderAlone,
  parseKeys,
  parseReservation,
  type InAction,
  type ReserveOut,
} from "../../discovery/persistent-reservations.ts";
import type { EventHub } from "../events/event-hub.ts";
import type { CoreCall } from "../core/reactor-port.ts";
import { reasonOf } from "../ground/control-errors.ts";
import { pathsOf, type Inventory, type Path, type Unit } from "../inventory/inventory.ts";
import type { Logger } from "../ground/logger.ts";
import type { Context } from "../devices/operation-context.ts";
import type { Leftovers } from "../devices/leftovers-watch.ts";
import type { Rescans } from "../devices/rescans.ts";
import type { Snapshots } from "../core/snapshots.ts";
import type { Snapshot } from "../core/snapshot.ts";
import type { ReservationView } from "../schemas/reservation-schema.ts";
import { CoreGate, registrationCalls } from "./gate.ts";
import { clear, preempt, release, reserve, takeOver } from "./holder.ts";
import { PathCommands } from "./path-commands.ts";
import { register } from "./register.ts";
import { REGISTRATION_PREEMPTED, REGISTRATION_RESET } from "../../abi.ts";
import {
  conflict,
  inForce,
  INVALID_FIELD_IN_CDB,
  invalid,
  noPath,
  over,
  refusalOf,
  registrationOf,
  type Parts,
} from "./reservation-parts.ts";
import { LegacyHolders } from "./legacy-holders.ts";
import { LegacyReserve, type LegacyCommand } from "./legacy-reserve.ts";
import { ReservationKeys, type Registration } from "./reservation-keys.ts";
import { Registrants } from "./registrants.ts";
import { Removals } from "./removals.ts";
import { restore } from "./upkeep.ts";
import { UnderWay } from "./under-way.ts";

/** A path that cannot be registered just now is tried again. */
const RETRY_MS = 1000;
/** How long a unit without a sound path may take to check one. */
const CHECKED_MS = 2000;
const CHECKED_EVERY_MS = 20;

export interface ReservationSources {
  readonly keys: ReservationKeys;
  readonly inventory: Inventory;
  readonly hub: EventHub;
  readonly snapshots: Pick<Snapshots, "current">;
  readonly commands: Pick<PathCommands, "ask" | "order">;
  readonly gate: CoreGate;
  readonly legacy: LegacyReserve;
  readonly registrants: Registrants;
  readonly underWay: UnderWay;
  readonly logger: Pick<Logger, "warning">;
}

const OPERATIONS: Readonly<Record<ReserveOut["action"], (parts: Parts, unit: Unit, out: ReserveOut) => Promise<void>>> =
  {
    register,
    "register-ignore": register,
    reserve,
    release,
    clear,
    preempt,
    "preempt-abort": preempt,
    "register-move": () => {
      throw invalid(
        "action: REGISTER AND MOVE would give one path's registration to another host and leave it with the others",
        "register the other host there, then preempt this one",
        INVALID_FIELD_IN_CDB,
        "action",
      );
    },
  };

export class Reservations {
  readonly #parts: Parts;
  readonly #sources: ReservationSources;
  /** The last work of each unit. */
  readonly #queues = new Map<Unit, Promise<unknown>>();
  /** Paths that are about to be registered. */
  readonly #wanted = new Set<Path>();
  /** Units whose refused I/O is about to be looked at. */
  readonly #conflicted = new Set<Unit>();
  readonly #timers = new Set<NodeJS.Timeout>();
  #isStopped = false;
  /** Paths that are registered, as far as known. */
  readonly #registered = new Set<Path>();
  readonly #moving = new Set<Unit>();
  readonly #removals: Removals;

  constructor(sources: ReservationSources) {
    this.#sources = sources;
    const { keys, commands, hub, gate, legacy, underWay, logger } = sources;
    this.#removals = new Removals(keys, logger.warning);
    this.#parts = {
      keys,
      commands: this.#removals.heeding(commands),
      removals: this.#removals,
      hub,
      gate: {
        require: (unit, isRequired) => gate.require(unit, isRequired || legacy.isHeld(unit)),
        stop: (unit, isPreempted) => gate.stop(unit, isPreempted),
        share: (unit, isShared) => gate.share(unit, isShared),
        admit: (path, isRegistered) => {
          if (isRegistered) this.#registered.add(path);
          else this.#registered.delete(path);
          return gate.admit(path, isRegistered);
        },
      },
      live: (unit) => this.#live(unit),
      underWay,
    };
  }

  /** Tells what was found instead of this host's keys. Once, at the start. */
  tell(): void {
    const { unused } = this.#sources.keys;
    if (unused === null) return;
    const { kind, movedTo } = unused;
    const detail = kind === "foreign" ? { units: unused.units } : { reason: unused.reason };
    this.#sources.hub.say("reservation-keys-unused", { detail: { why: kind, ...detail, "moved to": movedTo } });
  }

  /** Carries out what an application asks for. @throws ControlError */
  order(unit: Unit, out: ReserveOut): Promise<void> {
    return this.#next(unit, async () => {
      try {
        await OPERATIONS[out.action](this.#parts, unit, out);
      } finally {
        await this.#look(unit);
      }
    });
  }

  /** Whether the unit's reservation lets all of its registered paths in, as far as known. */
  isForRegistrants(unit: Unit): boolean {
    return this.#sources.registrants.isFor(unit);
  }

  #look(unit: Unit): Promise<void> {
    const { registrants, legacy } = this.#sources;
    return registrants.look(this.#parts, unit, legacy.isHeld(unit));
  }

  /** RESERVE or RELEASE of SPC-2. @throws ControlError */
  orderLegacy(unit: Unit, command: LegacyCommand): Promise<void> {
    const { legacy, registrants } = this.#sources;
    if (command.action === "reserve") registrants.doubt(unit);
    return this.#next(unit, () => legacy.order(unit, command));
  }

  /** What the device answers to PERSISTENT RESERVE IN. @throws ControlError */
  ask(unit: Unit, action: InAction, bytes?: number): Promise<Uint8Array> {
    return this.#next(unit, async () => {
      const paths = await this.#live(unit);
      if (paths.length === 0) throw noPath(unit);
      const { path, outcome } = await over(unit, paths, (on) => this.#parts.commands.ask(on, action, bytes));
      if (outcome.kind === "good") return outcome.data;
      throw refusalOf(path, outcome, `reading ${action}`);
    });
  }

  /** How the unit is registered, without asking the device. */
  registrationOf(unit: Unit): ReturnType<typeof registrationOf> {
    return registrationOf(this.#parts, unit);
  }

  async view(unit: Unit): Promise<ReservationView> {
    const own = registrationOf(this.#parts, unit);
    const device = await this.#device(unit);
    return {
      unit: unit.number,
      state: own === null ? "none" : own.state === "preempted" ? "preempted" : "registered",
      key: own?.key ?? null,
      persistsThroughPowerLoss: own?.aptpl ?? false,
      allTargetPorts: own?.allTargetPorts ?? false,
      type: own?.type ?? null,
      holder: own?.holder ?? null,
      paths: pathsOf(unit).map((path) => ({ number: path.number, registered: this.#registered.has(path) })),
      ...device,
    };
  }

  async #device(unit: Unit): Promise<Pick<ReservationView, "device" | "problem">> {
    try {
      const keys = parseKeys(await this.ask(unit, "keys"));
      const held = parseReservation(await this.ask(unit, "reservation"));
      if (!keys.ok) return { device: null, problem: keys.reason };
      if (!held.ok) return { device: null, problem: held.reason };
      return { device: { ...keys.value, keys: [...keys.value.keys], held: held.value.held }, problem: null };
    } catch (thrown) {
      return { device: null, problem: reasonOf(thrown) };
    }
  }

  /** The core holds a path back until it is registered. @param number for the answer. @param why REGISTRATION_* */
  asked(path: Path, number: number, why: number): void {
    const { gate, legacy, registrants } = this.#sources;
    gate.asked(path, number);
    if (why === REGISTRATION_PREEMPTED) this.#removals.told(path);
    if (why === REGISTRATION_RESET || why === REGISTRATION_PREEMPTED) registrants.doubt(path.unit);
    if (legacy.asked(path, why)) this.#upkeep(path.unit, () => gate.admit(path, true));
    else this.#restoreSoon(path);
  }

  /** A command of control was told that the path may have lost its registration: the core has to hold it back, and ask. */
  doubted(number: string, isPreempted: boolean): void {
    const path = this.#sources.inventory.findPath(number);
    if (path === undefined) return;
    if (isPreempted) this.#removals.told(path);
    this.#sources.legacy.doubted(path);
    this.#sources.registrants.doubt(path.unit);
    if (registrationOf(this.#parts, path.unit) === null) return;
    this.#upkeep(path.unit, () => this.#parts.gate.admit(path, false));
  }

  /** The device refused I/O for a reservation: tells whose it is, and finds out whether this host is still registered. */
  conflicted(path: Path, refused: number): void {
    const { unit } = path;
    this.#sources.legacy.doubted(path);
    this.#sources.registrants.doubt(unit);
    if (this.#conflicted.has(unit)) return;
    this.#conflicted.add(unit);
    this.#upkeep(unit, async () => {
      this.#conflicted.delete(unit);
      await conflict(this.#parts, unit, [path], { action: "I/O" }, `${refused} refused on path ${path.number}`);
      await restore(this.#parts, path);
      await this.#look(unit);
    });
  }

  /** What the core has to know of a unit before its paths come. */
  coreCalls(unit: Unit, handle: number): CoreCall[] {
    this.#sources.registrants.forget(unit);
    return registrationCalls(registrationOf(this.#parts, unit), handle, this.#sources.legacy.isHeld(unit));
  }

  #restoreSoon(path: Path): void {
    if (this.#wanted.has(path)) return;
    this.#wanted.add(path);
    this.#upkeep(path.unit, async () => {
      this.#wanted.delete(path);
      await restore(this.#parts, path);
      await this.#look(path.unit);
      // The core does not ask again while it waits, so whoever could not answer has to try again.
      if (this.#sources.gate.isAsked(path) && !this.#waits(path)) this.#retry(path);
    });
  }

  #retry(path: Path): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      if (this.#sources.gate.isAsked(path)) this.#restoreSoon(path);
    }, RETRY_MS);
    timer.unref();
    this.#timers.add(timer);
  }

  /** Whether the path waits because another one holds the reservation alone, or because the unit was preempted. */
  #waits(path: Path): boolean {
    const own = inForce(this.#parts, path.unit);
    return own === null || (own.type !== null && isForHolderAlone(own.type) && own.holder !== path.number);
  }

  stop(): void {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
    this.#isStopped = true;
  }

  /** Called with each copy of the tables. */
  check(snapshot: Snapshot): void {
    this.#sources.legacy.check(snapshot);
    for (const identity of this.#sources.keys.identities) {
      const unit = this.#sources.inventory.unitOfIdentity(identity);
      const own = unit === undefined ? null : inForce(this.#parts, unit);
      if (unit === undefined || own === null) continue;
      this.#askAgain(unit, snapshot);
      if (this.#sources.registrants.isDue(unit, performance.now()) && !this.#queues.has(unit))
        this.#upkeep(unit, () => this.#look(unit));
      this.#replaceHolder(unit, own, snapshot);
    }
  }

  /** What an earlier control was asked, and did not answer, has to be asked again. */
  #askAgain(unit: Unit, snapshot: Snapshot): void {
    for (const path of unit.paths.values()) {
      const { handle } = path;
      if (handle === null || !snapshot.isUnregistered(handle)) continue;
      if (this.#sources.gate.isAsked(path) || this.#wanted.has(path) || this.#queues.has(unit)) continue;
      this.#upkeep(unit, () => this.#parts.gate.admit(path, false));
    }
  }

  /** A holder that died is replaced where it alone may use the unit. */
  #replaceHolder(unit: Unit, own: Registration, snapshot: Snapshot): void {
    if (own.type === null || !isForHolderAlone(own.type) || this.#moving.has(unit)) return;
    const holder = pathsOf(unit).find(({ number }) => number === own.holder);
    const isLost = holder === undefined || holder.handle === null || snapshot.isFailed(holder.handle);
    const others = pathsOf(unit).filter((path) => isUsable(path, snapshot) && path !== holder);
    if (!isLost || others.length === 0) return;
    this.#moving.add(unit);
    this.#upkeep(unit, async () => {
      try {
        await takeOver(this.#parts, unit);
      } finally {
        this.#moving.delete(unit);
      }
    });
  }

  #upkeep(unit: Unit, work: () => Promise<unknown>): void {
    if (this.#isStopped) return;
    this.#next(unit, work).catch((thrown) => this.#sources.logger.warning(`reservations: ${reasonOf(thrown)}`));
  }

  #next<T>(unit: Unit, work: () => Promise<T>): Promise<T> {
    const before = this.#queues.get(unit) ?? Promise.resolve();
    const next = before.then(work, work);
    const end = next.catch(() => undefined);
    this.#queues.set(unit, end);
    void end.then(() => {
      if (this.#queues.get(unit) === end) this.#queues.delete(unit);
    });
    return next;
  }

  async #live(unit: Unit): Promise<readonly Path[]> {
    // Paths whose identity is being checked just now are there in a moment.
    for (let left = CHECKED_MS / CHECKED_EVERY_MS; ; left--) {
      const snapshot = await this.#sources.snapshots.current();
      const live = pathsOf(unit).filter((path) => isUsable(path, snapshot));
      const isChecked = ({ handle }: Path): boolean => handle !== null && !snapshot.isFailed(handle);
      if (live.length > 0 || left <= 0 || !pathsOf(unit).some(isChecked)) return live;
      await sleep(CHECKED_EVERY_MS);
    }
  }
}

function isUsable({ handle, foreignIdentity }: Path, snapshot: Snapshot): boolean {
  return handle !== null && foreignIdentity === null && snapshot.isSound(handle);
}

/** The reservations of a daemon's units. */
export function reservationsOf(
  context: Pick<Context, "inventory" | "hub" | "snapshots" | "reactor" | "effective" | "bringUp" | "change"> & {
    readonly rescans: Pick<Rescans, "attended">;
  },
  {
    stateDirectory,
    leftovers,
    logger,
  }: {
    readonly stateDirectory: string;
    /** Null: there can be none. */
    readonly leftovers: Leftovers | null;
    readonly logger: ReservationSources["logger"];
  },
): Reservations {
  const { inventory, hub, snapshots, reactor, rescans } = context;
  const keys = new ReservationKeys(stateDirectory);
  const commands = new PathCommands(reactor, ({ number }, attention) => rescans.attended(number, attention));
  const isClusterMode = (): boolean => context.effective.mode.cluster;
  const gate = new CoreGate(reactor);
  const isRegistered = (unit: Unit): boolean => registrationOf({ keys }, unit) !== null;
  const attend = (unit: Unit, code: number): void => {
    if (unit.handle === null) return;
    reactor
      .scsiAttention({ name: unit.number, unit: unit.handle }, code)
      .catch((thrown) => logger.warning(reasonOf(thrown)));
  };
  const kept = new LegacyHolders(stateDirectory, logger.warning);
  const legacy = new LegacyReserve({ kept, commands, gate, hub, snapshots, isClusterMode, isRegistered, attend });
  const registrants = new Registrants(context, logger.warning);
  const underWay = new UnderWay(snapshots, leftovers);
  return new Reservations({ keys, inventory, hub, snapshots, commands, gate, legacy, registrants, underWay, logger });
}
