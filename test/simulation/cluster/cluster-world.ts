// One world of two hosts that share a unit by persistent reservations: each has the shipped core, a client and a control plane; one preempts
// the other at any moment. A write of a preempted host that was not carried out before never is, whatever queue it is in.

import { EmulatedArray } from "../../../host/array/array.ts";
import { type Medium, SparseMedium } from "../../../host/array/medium.ts";
import { isForHolderAlone } from "../../../host/discovery/persistent-reservations.ts";
import { VirtualClock } from "../clock.ts";
import { Random } from "../random.ts";
import type { WorldResult } from "../world.ts";
import { type ClusterAround, ClusterHost } from "./cluster-host.ts";
import { type ClusterPlan, makeClusterPlan } from "./cluster-plan.ts";

const NS_PER_MS = 1_000_000;
const START_NS = 1_000_000_000;
const SETTLE_MS = 60_000;
/** Time for the last writes to be answered, ms. */
const LAST_MS = 5000;
const SPIN_MAX = 20_000;
const VIOLATIONS_MAX = 8;

export class ClusterWorld {
  readonly #seed: number;
  readonly #plan: ClusterPlan;
  readonly #clock = new VirtualClock();
  readonly #array: EmulatedArray;
  readonly #hosts: ClusterHost[];
  readonly #violations: string[] = [];
  readonly #trace: (text: string) => void;
  /** Host and rank of each write, by its stamp; the rank of each host's last preemption. */
  readonly #writes: { readonly host: number; readonly rank: number }[] = [];
  readonly #preempted = [0, 0];
  readonly #landed = new Set<number>();
  /** Hosts as they were until their daemons were killed. */
  readonly #former: ClusterHost[] = [];
  readonly #around: ClusterAround;
  readonly #random: Random;
  #endNs = 0;
  #rank = 0;
  /** Whose reservation it is, where it is its holder's alone; -1: nobody's yet, or any more since a loss of power. */
  #owner = -1;

  constructor(seed: number, module: WebAssembly.Module, trace: (text: string) => void = () => {}, plan?: ClusterPlan) {
    this.#seed = seed;
    this.#trace = trace;
    const random = new Random(seed);
    this.#random = random;
    const drawn = random.fork();
    this.#plan = plan ?? makeClusterPlan(drawn);
    trace(JSON.stringify(this.#plan));
    this.#clock.nowNs = START_NS;
    this.#array = new EmulatedArray(this.#plan.topology, { seed, medium: () => this.#medium() });
    this.#around = {
      plan: this.#plan,
      array: this.#array,
      clock: this.#clock,
      module,
      violation: (text: string) => this.#violation(text),
      nextStamp: (host: number) => this.#writes.push({ host, rank: ++this.#rank }),
      hasLanded: (stamp: number) => this.#landed.has(stamp),
    };
    this.#hosts = [0, 1].map((host) => new ClusterHost(host, this.#around, random.fork()));
  }

  /** Every write carries its stamp in its first bytes. */
  #medium(): Medium {
    const medium = new SparseMedium();
    const write = medium.write.bind(medium);
    medium.write = (memory, address, ...rest) => {
      const view = new DataView(memory.buffer, memory.byteOffset);
      this.#lands(view.getUint32(address, true));
      return write(memory, address, ...rest);
    };
    return medium;
  }

  #lands(stamp: number): void {
    this.#landed.add(stamp);
    const write = this.#writes[stamp - 1];
    if (write === undefined) return this.#violation(`a write with the stamp ${stamp}, which nobody sent`);
    if (write.rank < (this.#preempted[write.host] ?? 0)) {
      this.#violation(`write ${stamp} of host ${write.host} lands although that host was preempted since`);
    }
  }

  #violation(text: string): void {
    const at = ((this.#clock.nowNs - START_NS) / NS_PER_MS).toFixed(3);
    this.#trace(`VIOLATION at ${at} ms: ${text}`);
    if (this.#violations.length < VIOLATIONS_MAX) this.#violations.push(`at ${at} ms: ${text}`);
  }

  run(): WorldResult {
    try {
      this.#play();
      if (this.#violations.length === 0) this.#settle();
    } catch (error) {
      this.#violation(error instanceof Error ? `stopped: ${error.message}` : String(error));
    }
    return {
      seed: this.#seed,
      kind: "reachable",
      violations: this.#violations,
      ios: [...this.#former, ...this.#hosts].reduce((all, { ios }) => all + ios, 0),
      errors: [...this.#former, ...this.#hosts].reduce((all, { errors }) => all + errors, 0),
      virtualSeconds: (this.#clock.nowNs - START_NS) / 1e9,
      longestStallMs: 0,
    };
  }

  #play(): void {
    const plan = this.#plan;
    const at = (ms: number, action: () => void): void => this.#clock.after(ms * NS_PER_MS, action);
    this.#endNs = START_NS + plan.spanMs * NS_PER_MS;
    for (const host of this.#hosts) host.load(this.#endNs);
    for (const fault of plan.faults) this.#array.addFault(fault);
    for (const { host, atMs } of plan.renewsMs) at(atMs, () => this.#hosts[host]?.renew());
    for (const { by, atMs, forMs } of plan.preemptsMs) {
      at(atMs, () => this.#preempt(by));
      at(atMs + forMs, () => this.#rejoin(1 - by));
    }
    for (const { host, atMs } of plan.killsMs) at(atMs, () => this.#kill(host));
    this.#advance(this.#endNs, () => false);
  }

  /** Another daemon starts at once: it finds out for itself whether its host is preempted. */
  #kill(number: number): void {
    const before = this.#hosts[number];
    if (before === undefined) return;
    this.#trace(`${this.#clock.nowNs}: the daemon of host ${number} is killed and started again`);
    before.die();
    this.#former.push(before);
    const again = new ClusterHost(number, this.#around, this.#random.fork());
    again.control.isFenced = before.control.isFenced;
    this.#hosts[number] = again;
    again.load(this.#endNs);
  }

  #preempt(by: number): void {
    const [host, victim] = [this.#hosts[by], this.#hosts[1 - by]];
    if (host === undefined || victim === undefined || victim.control.isFenced) return;
    if (!host.control.preempt(victim.control.key)) return;
    this.#preempted[1 - by] = ++this.#rank;
    this.#owner = -1;
    victim.control.isFenced = true;
    this.#trace(`${this.#clock.nowNs}: host ${by} has preempted the other`);
  }

  #rejoin(number: number): void {
    const host = this.#hosts[number];
    if (host?.control.isFenced !== true) return;
    this.#trace(`${this.#clock.nowNs}: host ${number} is let in again`);
    host.control.rejoin();
  }

  /** The faults end, both hosts are let in again: everything is answered, every path used, and both can write. */
  #settle(): void {
    this.#array.liftAllFaults();
    for (const { number } of this.#hosts) this.#rejoin(number);
    const unsettled = (): string[] => this.#hosts.flatMap((host) => host.unsettled());
    this.#advance(this.#clock.nowNs + SETTLE_MS * NS_PER_MS, () => unsettled().length === 0);
    for (const text of unsettled()) this.#violation(`not converged: ${text}`);
    const before = this.#hosts.map(({ errors }) => errors);
    for (const host of this.#hosts) for (let i = 0; i < 8; i++) host.send(i % 2 === 0);
    this.#advance(this.#clock.nowNs + LAST_MS * NS_PER_MS, () => this.#hosts.every(({ open }) => open === 0));
    for (const host of this.#hosts) {
      if (host.open > 0) this.#violation(`host ${host.number}: ${host.open} of the last requests are not answered`);
      if (host.control.isOwner && host.errors !== before[host.number])
        this.#violation(`host ${host.number}: the last requests failed`);
      host.account();
    }
  }

  #advance(limitNs: number, done: () => boolean): void {
    let spins = 0;
    while (this.#violations.length < VIOLATIONS_MAX) {
      for (const { core } of this.#hosts) core.nowNs = this.#clock.nowNs;
      const ran = this.#clock.runDue();
      const moved = this.#turn();
      if (ran || moved) {
        if (++spins > SPIN_MAX) throw new Error("the cores spin without time passing");
        continue;
      }
      if (done() || this.#clock.nowNs >= limitNs) return;
      let next = Math.min(this.#clock.nextNs, Math.ceil(this.#array.deadlineNs), limitNs);
      for (const { core } of this.#hosts) next = Math.min(next, core.deadlineNs);
      spins = next > this.#clock.nowNs ? 0 : spins + 1;
      if (spins > SPIN_MAX) throw new Error("a core asks for time that has passed");
      this.#clock.nowNs = Math.max(next, this.#clock.nowNs);
    }
  }

  /** One turn of the cores and of the array; whether the array had anything to answer. */
  #turn(): boolean {
    for (const host of this.#hosts) host.turn();
    for (const host of this.#hosts) host.submitted();
    const answered = this.#array.turn() > 0;
    for (const host of this.#hosts) host.completed();
    this.#checkOwner();
    return answered;
  }

  /** A reservation that is its holder's alone goes from path to path, but from host to host by a preemption or a loss of power only. */
  #checkOwner(): void {
    const { type, persists, faults } = this.#plan;
    if (!isForHolderAlone(type)) return;
    const isNow = ({ fault, afterMs = 0 }: ClusterPlan["faults"][number]): boolean =>
      fault.kind === "power-loss" && Math.abs(START_NS + afterMs * NS_PER_MS - this.#clock.nowNs) < NS_PER_MS;
    const isOver = !persists && faults.some(isNow);
    const owner = this.#hosts.findIndex(({ control }) => control.holder !== undefined);
    if (owner === this.#owner) return;
    if (this.#owner >= 0 && !isOver) {
      this.#violation(`the reservation of host ${this.#owner} is ${owner < 0 ? "nobody's" : `host ${owner}'s`} now`);
    }
    this.#owner = owner;
  }
}
