// A model of the control plane of one host of a cluster: it registers paths that the core asks for, unless its own host was preempted, and
// takes its time between any two steps.

import * as abi from "../../../host/abi.ts";
import type { EmulatedArray } from "../../../host/array/array.ts";
import { isForHolderAlone } from "../../../host/discovery/persistent-reservations.ts";
import type { VirtualClock } from "../clock.ts";
import type { CoreEvent, SimulatedCore } from "../core.ts";
import type { Random } from "../random.ts";
import type { ClusterPlan } from "./cluster-plan.ts";

const NS_PER_MS = 1_000_000;
const RESERVE_OUT = 0x5f;
const REGISTER_AND_IGNORE = 6;
const RESERVE = 1;
const PREEMPT = 4;
const PREEMPT_AND_ABORT = 5;
const UNIT_ATTENTION = 6;
const ATTENTIONS_MAX = 8;
/** Pause after a command that nobody answered, ms. */
const AGAIN_MS = 200;
/** Chance that control first gives an answer that was overtaken. */
const STALE_CHANCE = 0.2;

export interface ControlSurroundings {
  readonly plan: ClusterPlan;
  readonly array: EmulatedArray;
  readonly core: SimulatedCore;
  readonly clock: VirtualClock;
  readonly random: Random;
  readonly violation: (text: string) => void;
  /** The port of a path; undefined: it is gone. */
  readonly portOf: (path: number) => number | undefined;
  /** The path of a port; negative: it is gone. */
  readonly pathOf: (port: number) => number;
  /** Ports of this host. */
  readonly ports: readonly number[];
  readonly unit: number;
  /** Its core was told that it is preempted. */
  readonly onPreempted: () => void;
  /** One of control's own commands took a unit attention that the core will not hear of. */
  readonly onAttention: (port: number) => void;
}

export class ClusterControl {
  readonly key: number;
  readonly #with: ControlSurroundings;
  /** The registration that each path waits for. */
  readonly #asked = new Map<number, number>();
  /** Paths that may carry I/O, as far as control and the array have told. */
  readonly granted = new Set<number>();
  /** The other host has preempted this one, and no operator has let it in again. */
  isFenced = false;
  /** Its core knows. */
  isPreempted = false;
  /** In cluster mode: the core was told that the reservation is for registrants, and nothing has called that into question since. */
  mayBalance = false;
  #lastNumber = 0;
  readonly #isForOne: boolean;
  /** Paths that are registered, and wait as another one holds the reservation. */
  readonly #standing = new Set<number>();
  readonly #failed = new Set<number>();
  /** Its daemon was killed. */
  #isDead = false;

  constructor(key: number, surroundings: ControlSurroundings) {
    this.key = key;
    this.#with = surroundings;
    this.#isForOne = isForHolderAlone(surroundings.plan.type);
  }

  get waiting(): number {
    return this.#asked.size;
  }

  #soon(action: () => void, ms = this.#with.plan.controlMs): void {
    this.#with.clock.after(this.#with.random.real() * ms * NS_PER_MS, () => {
      if (!this.#isDead) action();
    });
  }

  die(): void {
    this.#isDead = true;
  }

  /** The core waits for the registration of a path. */
  asked(event: CoreEvent): void {
    const { path, arg1: number } = event;
    if (number <= this.#lastNumber)
      this.#with.violation(`a registration was asked for with the number ${number} again`);
    if (this.isPreempted) this.#with.violation(`path ${path} asks for its registration although the unit is preempted`);
    this.#lastNumber = number;
    this.#asked.set(path, number);
    this.granted.delete(path);
    this.#standing.delete(path);
    this.#failed.delete(path);
    this.#soon(() => this.#answer(path, number));
  }

  /** A path was removed. */
  gone(path: number): void {
    this.#asked.delete(path);
    this.#standing.delete(path);
    this.failed(path);
    this.#failed.delete(path);
  }

  /** A path has failed. Where it alone may use the unit, another one has to take over. */
  failed(path: number): void {
    this.granted.delete(path);
    this.#failed.add(path);
    if (this.#isForOne) this.#soon(() => this.#takeOver());
  }

  #answer(path: number, number: number): void {
    const port = this.#with.portOf(path);
    if (port === undefined || this.isPreempted || this.#asked.get(path) !== number) return;
    if (this.isFenced) return this.tellPreempted();
    const place = this.#with.array.ports[port];
    if (place?.unit !== place?.home || !this.#register(port))
      return this.#soon(() => this.#answer(path, number), AGAIN_MS);
    if (this.#isForOne) this.#stand(path, port, number);
    else this.#soon(() => this.#grant(path, number));
  }

  // ---- Reservations for their holder alone ----

  /** The port of this host that holds the reservation, as the device's full status tells. */
  get holder(): number | undefined {
    const { array, ports } = this.#with;
    const { type, holder } = array.units[0]?.reservations ?? { type: 0, holder: -1 };
    return type === 0 ? undefined : ports.find((port) => array.ports[port]?.nexus === holder);
  }

  /** Only the holder's path carries I/O; those of a host that does not hold the reservation are told so by the device. */
  #stand(path: number, port: number, number: number): void {
    const { holder } = this;
    if (holder !== undefined) this.#onlyBy(holder);
    if (holder === undefined || holder === port) return this.#soon(() => this.#grantHolder(path, number));
    this.#standing.add(path);
    this.#soon(() => this.#takeOver());
  }

  #grantHolder(path: number, number: number): void {
    const { holder } = this;
    const port = this.#with.portOf(path);
    if (holder === undefined || holder === port) return this.#grant(path, number);
    if (this.#asked.get(path) === number) this.#standing.add(path);
  }

  #onlyBy(holder: number): void {
    for (const path of this.granted) {
      if (this.#with.portOf(path) === holder) continue;
      this.granted.delete(path);
      this.#with.core.exports.pathSet(path, abi.PATH_SET_REGISTERED, 0n);
    }
  }

  /** Another path preempts this host's own key, which leaves no moment for anybody in between. */
  #takeOver(): void {
    const { holder } = this;
    if (holder === undefined || this.isFenced || this.isPreempted) return;
    const former = this.#with.pathOf(holder);
    if (former >= 0 && !this.#failed.has(former)) return;
    for (const path of this.#standing) {
      const port = this.#with.portOf(path);
      const number = this.#asked.get(path);
      if (port === undefined || number === undefined) continue;
      // The former holder is there again.
      if (port === holder) return this.#soon(() => this.#grantHolder(path, number));
      if (this.order(port, PREEMPT, this.key, this.key, 0) !== 0) continue;
      this.#standing.delete(path);
      // The others have lost their registrations by that.
      for (const other of this.#with.ports) if (other !== port) this.#registerOn(other);
      return this.#soon(() => this.#grantHolder(path, number));
    }
    this.#soon(() => this.#takeOver(), AGAIN_MS);
  }

  /** One of control's own commands was told on a path that waits that its registration may be gone. */
  attended(path: number): void {
    const number = this.#asked.get(path);
    if (number !== undefined && this.#standing.delete(path)) this.#soon(() => this.#answer(path, number));
  }

  /** Whether the path is registered and waits, as it should, for the one that holds the reservation. */
  isStanding(path: number): boolean {
    return this.#standing.has(path) && this.holder !== undefined && this.granted.size > 0;
  }

  /** Whether this host may write. */
  get isOwner(): boolean {
    return !this.#isForOne || this.holder !== undefined;
  }

  #register(port: number): boolean {
    if (!this.#registerOn(port)) return false;
    // Somebody else may hold it already.
    this.order(port, RESERVE, this.key, 0, 0);
    return true;
  }

  #registerOn(port: number): boolean {
    const { plan } = this.#with;
    const flags = (plan.persists ? 1 : 0) | (plan.allTargetPorts ? 4 : 0);
    return this.order(port, REGISTER_AND_IGNORE, 0, this.key, flags) === 0;
  }

  #grant(path: number, number: number): void {
    const { core, random, violation, portOf } = this.#with;
    if (portOf(path) === undefined) return;
    const set = (value: number): number => core.exports.pathSet(path, abi.PATH_SET_REGISTERED, BigInt(value));
    if (random.chance(STALE_CHANCE) && number > 1 && set(number - 1) !== -abi.ERROR_NOT_ASKED) {
      violation(`path ${path} took a registration that was not asked for, or not any more`);
    }
    const isLast = this.#asked.get(path) === number && !this.isPreempted;
    const answer = set(number);
    // The core may know of a newer doubt, and ask when it has checked the path.
    if (answer !== -abi.ERROR_NOT_ASKED && (answer !== 0 || !isLast)) {
      violation(
        `path ${path}: the answer to registration ${number}, which is${isLast ? "" : " not"} the last, is ${answer}`,
      );
    }
    if (answer !== 0) return;
    this.#asked.delete(path);
    this.granted.add(path);
    this.#balance();
  }

  /** The unit is registered and reserved for registrants: its policy may be the one that is set. */
  #balance(): void {
    if (!this.#with.plan.isClusterMode || this.mayBalance || this.#isForOne) return;
    this.mayBalance = true;
    this.#set(abi.UNIT_SET_REGISTRANTS, 1);
    this.#set(abi.UNIT_SET_POLICY, this.#with.plan.policy);
  }

  /** Whatever was asked for before is void. */
  tellPreempted(): void {
    if (this.isPreempted) return;
    this.isPreempted = true;
    this.#asked.clear();
    this.#standing.clear();
    this.granted.clear();
    this.mayBalance = false;
    this.#set(abi.UNIT_SET_PREEMPTED, 1);
    this.#with.onPreempted();
  }

  /** An operator lets this host in again. */
  rejoin(): void {
    this.tellPreempted();
    this.isFenced = false;
    this.isPreempted = false;
    this.#set(abi.UNIT_SET_PREEMPTED, 0);
  }

  #set(property: number, value: number): void {
    const { core, unit, violation } = this.#with;
    const answer = core.exports.unitSet(unit, property, BigInt(value));
    if (answer !== 0) violation(`unitSet ${property} was answered with ${answer}`);
  }

  /** Whether the device has a registration with this key, as its READ KEYS tells. */
  #isKnown(key: number): boolean {
    const { keys } = this.#with.array.units[0]?.reservations ?? { keys: new Map<number, string>() };
    return [...keys.values()].includes(key.toString(16).padStart(16, "0"));
  }

  /** Preempts the other host by one of its ports; whether that worked. */
  preempt(victimKey: number): boolean {
    if (this.isFenced) return false;
    const hadKey = this.#isKnown(victimKey);
    const isAnswered = this.#with.ports.some(
      (port) => this.order(port, PREEMPT_AND_ABORT, this.key, victimKey, 0) === 0,
    );
    // A port that did not answer may have carried it out: then the others are told that there is no such key.
    const isDone = isAnswered || (hadKey && !this.#isKnown(victimKey));
    if (isDone && this.#isForOne && this.holder !== undefined) {
      this.#onlyBy(this.holder);
      this.#soon(() => this.#takeOver());
    }
    return isDone;
  }

  /** PERSISTENT RESERVE OUT by a port; returns the status, -1 without one. */
  order(port: number, action: number, key: number, actionKey: number, flags: number): number {
    const list = new Uint8Array(24);
    const view = new DataView(list.buffer);
    view.setUint32(4, key);
    view.setUint32(12, actionKey);
    list[20] = flags;
    const cdb = Uint8Array.of(RESERVE_OUT, action, this.#with.plan.type, 0, 0, 0, 0, 0, list.length, 0);
    for (let tries = 0; tries < ATTENTIONS_MAX; tries++) {
      const { status, hostStatus, sense } = this.#with.array.command(port, cdb, list);
      if (hostStatus !== 0) return -1;
      if (status !== 2 || ((sense[2] ?? 0) & 15) !== UNIT_ATTENTION) return status;
      this.#with.onAttention(port);
    }
    return -1;
  }
}
