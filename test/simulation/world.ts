// One world: the shipped core, the emulated array, clients, faults, and a virtual clock, all derived from one seed.
//
// First comes the safety phase: load and faults, in which everything that clients see must be what a single disk could have
// answered. Then the faults end, and everything must converge: every request is answered, every path is used again, nothing
// is held. At the end everything is read once more.

import { EmulatedArray } from "../../host/array/array.ts";
import type { FaultRequest } from "../../host/array/faults/faults.ts";
import type { SharedNews } from "../../host/reactor/shared-news.ts";
import { AnswerRules } from "./answers.ts";
import { type Atlas, makeAtlas } from "./atlas.ts";
import type { Answer, ClientUnit } from "./client.ts";
import { VirtualClock } from "./clock.ts";
import type { CoreEvent } from "./core.ts";
import { AGREED } from "./expected.ts";
import { Machine, type Surroundings } from "./machine.ts";
import { hostOf, makePlan, makeReactorsPlan, type WorldPlan } from "./plan.ts";
import { Random } from "./random.ts";
import { sweep } from "./sweep.ts";
import { clientUnits, shared } from "./units.ts";

/** Longest time that news take from one reactor to another, ns. */
const NEWS_NS_MAX = 2_000_000;
const NS_PER_MS = 1_000_000;
/** Virtual time for settling after the last fault, ms. */
const SETTLE_MS = 120_000;
/** Turns without progress of time after which the world counts as spinning. */
const SPIN_MAX = 20_000;
/** With this command timeout, cluster mode finds another path within the deadline, ms. */
const CLUSTER_TIMEOUT_MS = 3000;
/** LOGICAL BLOCK ADDRESS OUT OF RANGE. */
const ASC_PAST_END = 0x21;
/** How long zeroings are slow in a world of slow ones, at least, ms; and their operation codes: UNMAP and WRITE SAME. */
const SLOW_MS = 90_000;
const ZEROING_CODES = [0x42, 0x41, 0x93];
/** Number of violations kept; the first one usually explains the others. */
const VIOLATIONS_MAX = 8;

export interface WorldResult {
  readonly seed: number;
  readonly kind: WorldPlan["kind"];
  readonly violations: readonly string[];
  readonly ios: number;
  readonly errors: number;
  readonly virtualSeconds: number;
  readonly longestStallMs: number;
}

/** What a scenario specifies instead of the seed. */
export interface WorldOptions {
  readonly plan?: WorldPlan;
  readonly atlas?: Atlas;
  /** Called with what happens, line by line. */
  readonly trace?: ((text: string) => void) | undefined;
  /** Called for every answer: time, latency, error (0: none), NBD command. */
  readonly answered?: (nowNs: number, latencyNs: number, error: number, command: number) => void;
  /** Called for every event of the core. */
  readonly told?: (event: CoreEvent) => void;
  /** A host with several reactors. */
  readonly reactors?: boolean;
  /** Control moves units in haste: see `Surroundings`. */
  readonly isHasty?: boolean;
}

export class World {
  readonly #seed: number;
  readonly #random: Random;
  readonly #plan: WorldPlan;
  readonly #clock = new VirtualClock();
  readonly #array: EmulatedArray;
  readonly #units: ClientUnit[];
  readonly #violations: string[] = [];
  readonly #rules: AnswerRules;
  readonly #faultsEndMs: number;
  /** The hosts. The first may be killed and restarted. */
  readonly #machines: Machine[];
  readonly #around: Surroundings;
  #stamp = 0;
  #nextClient = 1;
  #ios = 0;
  #errors = 0;
  #stallNs = 0;
  readonly #options: WorldOptions;

  constructor(seed: number, module: WebAssembly.Module, options: WorldOptions = {}) {
    this.#seed = seed;
    this.#options = options;
    this.#random = new Random(seed);
    this.#plan = options.plan ?? (options.reactors === true ? makeReactorsPlan : makePlan)(this.#random.fork());
    this.#clock.nowNs = 1_000_000_000;
    this.#array = new EmulatedArray(this.#plan.topology, { seed });
    const atlas = this.#fitted(options.atlas ?? this.#drawAtlas());
    this.#rules = new AnswerRules(this.#plan, atlas.faults, atlas.errorsAllowed);
    this.#faultsEndMs = atlas.endMs;
    const nextStamp = (): number => ++this.#stamp;
    const violation = (text: string): void => this.#violation(text);
    this.#units = clientUnits(this.#plan, this.#array, atlas, this.#clock.nowNs, { nextStamp, violation });
    const hosts = this.#plan.neighbours.length === 0 ? 1 : 2;
    const { reactors = hosts } = this.#plan;
    const kinds = atlas.faults.map(({ fault }) => fault);
    const endless = kinds.some((fault) => fault.kind === "queued" || ("giveUp" in fault && fault.giveUp === false));
    this.#around = {
      module,
      plan: this.#plan,
      array: this.#array,
      clock: this.#clock,
      units: shared(this.#units, hosts),
      steadyLuns: kinds.every((fault) => fault.kind !== "remap"),
      steadyEnds: kinds.every((fault) => fault.kind !== "error" || fault.asc !== ASC_PAST_END),
      steadyReads:
        atlas.errorsAllowed ||
        atlas.faults.every(({ fault, when }) => fault.kind !== "short-data" || when?.probability !== undefined),
      cluster: atlas.errorsAllowed || (!endless && this.#plan.commandTimeoutMs === CLUSTER_TIMEOUT_MS),
      trace: (text) => this.#trace(text),
      violation,
      answered: (...answer) => this.#answered(...answer),
      flushes: (unit) => this.#rules.losses.flushSent(unit),
      forget: () => this.#rules.losses.forget(),
      nextClient: () => this.#nextClient++,
      told: options.told,
      news: (from, heard) => this.#pass(from, heard),
      isHasty: options.isHasty === true,
    };
    this.#machines = Array.from(
      { length: reactors },
      (_, host) => new Machine(this.#around, this.#random.fork(), host),
    );
    for (const fault of atlas.faults) {
      this.#trace(`fault ${JSON.stringify(fault)}`);
      this.#array.addFault(fault);
    }
  }

  run(): WorldResult {
    try {
      this.#safety();
      // After a violation the rest proves nothing.
      if (this.#violations.length === 0) this.#liveness();
    } catch (error) {
      this.#violation(error instanceof Error ? `stopped: ${error.message}` : String(error));
    }
    return {
      seed: this.#seed,
      kind: this.#plan.kind,
      violations: this.#violations,
      ios: this.#ios,
      errors: this.#errors,
      virtualSeconds: (this.#clock.nowNs - 1_000_000_000) / 1e9,
      longestStallMs: this.#stallNs / NS_PER_MS,
    };
  }

  #drawAtlas(): Atlas {
    const ground = {
      ports: this.#array.describe(),
      units: this.#plan.units,
      windows: this.#plan.windows,
      blocks: this.#plan.blocks,
      kind: this.#plan.kind,
      powerLoss: this.#plan.powerLosses.length > 0,
      spanMs: this.#plan.spanMs,
      hostOf: (initiatorPort: number) => hostOf(this.#plan, initiatorPort),
      patrolMs: this.#plan.patrolMs,
      recoveryMs: 4 * this.#plan.patrolMs + 8000,
    };
    return makeAtlas(ground, this.#random.fork());
  }

  /** The faults that fit the plan: where it gives units other sizes, no fault does; and its zeroings are slow all the time. */
  #fitted(atlas: Atlas): Atlas {
    const { resizes, zeroingMs } = this.#plan;
    if (resizes.length > 0) return { ...atlas, faults: atlas.faults.filter(({ fault }) => fault.kind !== "capacity") };
    if (zeroingMs === 0) return atlas;
    const endMs = Math.max(atlas.endMs, SLOW_MS);
    const slow = ZEROING_CODES.map((opcode): FaultRequest => {
      return { fault: { kind: "late", delayMs: zeroingMs }, when: { opcode } };
    });
    return { ...atlas, endMs, faults: [...atlas.faults, ...slow] };
  }

  get #first(): Machine {
    const [machine] = this.#machines;
    if (machine === undefined) throw new Error("no host");
    return machine;
  }

  #trace(text: string): void {
    this.#options.trace?.(text);
  }

  #violation(text: string): void {
    const at = ((this.#clock.nowNs - 1_000_000_000) / NS_PER_MS).toFixed(3);
    this.#trace(`VIOLATION at ${at} ms: ${text}`);
    if (this.#violations.length < VIOLATIONS_MAX) this.#violations.push(`at ${at} ms: ${text}`);
  }

  #answered(machine: Machine, id: number, unit: number, answer: Answer): void {
    this.#ios++;
    this.#stallNs = Math.max(this.#stallNs, answer.latencyNs);
    if (answer.error !== 0) this.#errors++;
    const wrong = this.#rules.check(answer, unit, this.#clock.nowNs, machine.operator.ioTimeoutMs);
    if (wrong !== undefined) this.#violation(`client ${id}: ${wrong}`);
    this.#options.answered?.(this.#clock.nowNs, answer.latencyNs, answer.error, answer.command);
  }

  #safety(): void {
    const plan = this.#plan;
    for (const { unit, plan: client } of plan.clients) this.#owner(unit).connect(unit, client);
    for (const { unit, plan: client } of plan.neighbours) this.#machines[1]?.connect(unit, client);
    const at = (ms: number, action: () => void): void => this.#clock.after(ms * NS_PER_MS, action);
    for (const ms of plan.movesMs ?? []) at(ms, () => this.#move());
    for (const { client, atMs } of plan.vanishing) at(atMs, () => this.#first.vanish(client));
    for (const { client, patienceMs } of plan.impatient) this.#first.watch(client, patienceMs);
    for (const crashMs of plan.crashesMs) at(crashMs, () => this.#crash());
    for (const { atMs, forMs } of plan.pauses) at(atMs, () => this.#pause(forMs));
    for (const { atMs, keep } of plan.powerLosses) at(atMs, () => this.#losePower(keep));
    for (const ms of plan.changesMs) at(ms, () => this.#any.change());
    for (const ms of plan.closesMs) at(ms, () => this.#any.closeOne());
    for (const ms of plan.replacementsMs) at(ms, () => this.#any.replaceUnit());
    for (const ms of plan.renumbersMs) at(ms, () => this.#any.renumber());
    for (const { unit, atMs, blocks } of plan.resizes) at(atMs, () => this.#resize(unit, blocks));
    const end = this.#clock.nowNs + this.#faultsEndMs * NS_PER_MS;
    this.#advanceUntil(end, () => false);
    this.#array.liftAllFaults();
    if (this.#plan.resizes.length > 0) {
      for (const machine of this.#machines) for (const { number } of this.#units) machine.resize(number);
    }
    for (const { daemon, operator } of this.#machines) {
      daemon.look();
      operator.settle();
    }
  }

  /** A random host. */
  get #any(): Machine {
    return this.#machines.length === 1 ? this.#first : this.#random.pick(this.#machines);
  }

  /** The host, or reactor, that has the unit. */
  #owner(unit: number): Machine {
    if (this.#plan.reactors === undefined) return this.#first;
    const having = this.#machines.filter(({ daemon }) => daemon.inventory.handleOf(unit) >= 0);
    if (having.length > 1) this.#violation(`unit ${unit} is on ${having.length} reactors`);
    return having[0] ?? this.#first;
  }

  /** What is under way to a unit is so on one reactor. */
  #onOneReactor(): void {
    for (let unit = 0; unit < this.#plan.units; unit++) {
      const busy = this.#machines.filter(({ daemon }) => daemon.inventory.isUnderWay(unit));
      if (busy.length > 1) this.#violation(`unit ${unit} is served by ${busy.length} reactors at once`);
    }
  }

  #move(): void {
    const unit = this.#random.between(0, this.#plan.units - 1);
    this.#owner(unit).move(unit, this.#random.pick(this.#machines));
  }

  /** The process that keeps the reactors passes news on to the others. */
  #pass(from: Machine, heard: readonly SharedNews[]): void {
    for (const machine of this.#machines) {
      if (machine === from) continue;
      for (const news of heard) {
        this.#clock.after(this.#random.between(1000, NEWS_NS_MAX), () => machine.hear(news));
      }
    }
  }

  #liveness(): void {
    const limit = this.#clock.nowNs + SETTLE_MS * NS_PER_MS;
    const unsettled = (): string[] => this.#machines.flatMap(({ daemon }) => daemon.unsettled());
    const done = (): boolean => this.#machines.every((machine) => machine.done);
    this.#advanceUntil(limit, () => done() && unsettled().length === 0);
    for (const machine of this.#machines) {
      if (!machine.done) this.#violation(`${machine.open} requests are not answered at the end`);
    }
    for (const text of unsettled()) this.#violation(`not converged: ${text}`);
    this.#readBack();
    for (const { witness } of this.#units) witness.everything(this.#clock.nowNs);
    if (this.#violations.length === 0) for (const machine of this.#machines) machine.account();
    if (this.#violations.length === 0) this.#empty();
  }

  /** All clients disconnect and everything is removed: nothing may be left over. */
  #empty(): void {
    for (const machine of this.#machines) machine.leave();
    const limit = this.#clock.nowNs + 60_000 * NS_PER_MS;
    const left = (): string[] => this.#machines.flatMap((machine) => machine.empty());
    this.#advanceUntil(limit, () => left().length === 0);
    for (const text of left()) this.#violation(`at the end: ${text}`);
    for (const { daemon } of this.#machines) daemon.look();
  }

  /** Reads every unit once more, with new clients. */
  #readBack(): void {
    const before = this.#violations.length;
    const clients = this.#units.map(({ number, history, layout }) => {
      const blocks = this.#array.units[number]?.blocks ?? 0;
      const parts = sweep(history, this.#random, blocks * layout.cellsPerBlock);
      return (this.#plan.reactors === undefined ? this.#any : this.#owner(number)).connect(number, {
        requests: parts.length,
        depth: 4,
        agreed: { ...AGREED, unaligned: this.#plan.cuts.length > 1 },
        blocksMax: 64,
        logarithmic: false,
        pauseNs: 1000,
        mix: { read: 1, write: 0, flush: 0, zero: 0 },
        sweep: parts,
      });
    });
    const limit = this.#clock.nowNs + 60_000 * NS_PER_MS;
    this.#advanceUntil(limit, () => clients.every((client) => client.done));
    if (before === 0 && clients.some((client) => !client.done)) this.#violation("reading back did not end");
  }

  /**
   * kill -9: the core's memory is gone; commands in flight continue, and nobody gets their answers; clients reconnect and
   * continue.
   */
  #crash(): void {
    if (this.#plan.reactors !== undefined) return this.#trap();
    this.#trace("the daemon is killed and started again");
    this.#first.kill();
    this.#machines[0] = new Machine(this.#around, this.#random.fork(), 0);
    // Requests that wait for a command lost in a black hole wait as long, whatever paths there are.
    if (this.#first.checkLeftovers()) this.#rules.leftovers();
    for (const { unit, plan } of this.#plan.clients) this.#first.connect(unit, plan);
  }

  /** A core traps: its reactor alone is started again, with the units that it had; their clients connect again. */
  #trap(): void {
    const host = this.#random.between(0, this.#machines.length - 1);
    const before = this.#machines[host];
    if (before === undefined) return;
    this.#trace(`the core of reactor ${host} traps, it is started again`);
    const clients = before.clients.map(({ unit, plan }) => ({ unit, plan }));
    const own = before.daemon.inventory.own;
    before.kill();
    const again = new Machine(this.#around, this.#random.fork(), host, own);
    this.#machines[host] = again;
    if (again.checkLeftovers()) this.#rules.leftovers();
    for (const { unit, plan } of clients) if (own.includes(unit)) again.connect(unit, plan);
  }

  /** Data that was only in the array's volatile cache may be lost; flushed data and FUA writes may not. */
  #losePower(keep: number): void {
    this.#trace("the array loses power");
    this.#array.addFault({ fault: { kind: "power-loss", keep } });
    if (this.#plan.topology.writeCache === true)
      for (const unit of this.#units) unit.history.powerLost(this.#clock.nowNs);
  }

  /** The array gives a unit another size. What it has cached goes to the medium first, as with any rearrangement. */
  #resize(unit: number, blocks: number): void {
    const real = this.#array.units[unit];
    if (real === undefined) throw new Error("no such unit");
    this.#trace(`unit ${unit} has ${blocks} blocks instead of ${real.blocks}`);
    real.flush(0, real.blocks);
    this.#array.addFault({ fault: { kind: "capacity", blocks }, where: { unit } });
    this.#units[unit]?.sizes.array.set(this.#clock.nowNs, blocks * this.#plan.blockBytes);
  }

  /** The machine is paused: nothing runs, time passes. */
  #pause(forMs: number): void {
    this.#trace(`the machine stands still for ${forMs} ms`);
    this.#rules.paused(forMs * NS_PER_MS);
    this.#clock.nowNs += forMs * NS_PER_MS;
  }

  /** Lets time pass until `limitNs` or until `done`. */
  #advanceUntil(limitNs: number, done: () => boolean): void {
    let spins = 0;
    for (;;) {
      this.#tellTime();
      const before = this.#clock.nowNs;
      this.#clock.runDue();
      // An action may have replaced a daemon or moved the clock.
      this.#tellTime();
      const { submitted, completed } = this.#turn();
      if (this.#violations.length >= VIOLATIONS_MAX) return;
      if (submitted || completed || this.#clock.nowNs !== before) {
        if (++spins > SPIN_MAX) throw new Error("the core spins without time passing");
        continue;
      }
      if (done()) return;
      spins = this.#step(limitNs) ? 0 : spins + 1;
      if (spins > SPIN_MAX) throw new Error("the core asks for time that has passed");
      if (this.#clock.nowNs >= limitNs) return;
    }
  }

  #tellTime(): void {
    for (const { daemon } of this.#machines) daemon.core.nowNs = this.#clock.nowNs;
  }

  /** One turn of every host and of the array. */
  #turn(): { submitted: boolean; completed: boolean } {
    const machines = this.#machines;
    for (const { daemon } of machines) daemon.tap.submitted();
    const told = this.#array.turn() > 0;
    let submitted = false;
    for (const { daemon, sockets, gate } of machines) {
      // The host comes here only from waiting: it has then reported everything.
      if (told || daemon.core.deadlineNs <= this.#clock.nowNs) sockets.tell();
      daemon.turn();
      submitted = sockets.turn() || submitted;
      submitted = gate.turn() || submitted;
    }
    const completed = this.#array.turn() > 0;
    if (completed) for (const { sockets } of machines) sockets.tell();
    this.#rules.losses.look(this.#array.units, this.#clock.nowNs);
    if (machines.length > 1 && this.#plan.reactors !== undefined) this.#onOneReactor();
    return { submitted, completed };
  }

  /** Advances the clock to the next action; returns whether it moved. */
  #step(limitNs: number): boolean {
    let next = Math.min(this.#clock.nextNs, Math.ceil(this.#array.deadlineNs), limitNs);
    for (const { daemon } of this.#machines) next = Math.min(next, daemon.core.deadlineNs);
    if (next <= this.#clock.nowNs) return false;
    this.#clock.nowNs = next;
    return true;
  }
}
