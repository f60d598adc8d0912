// A host: its daemon, including restarts, the network to it, its clients, and its operator.

import type { EmulatedArray } from "../../host/array/array.ts";
import { type Answer, Client, type ClientHost, type ClientPlan, type ClientUnit } from "./client.ts";
import type { VirtualClock } from "./clock.ts";
import type { CoreEvent } from "./core.ts";
import { Daemon } from "./daemon.ts";
import { Gate } from "./gate.ts";
import { NbdLine, type Line } from "./lines.ts";
import { Operator } from "./operator.ts";
import { hostOf, type WorldPlan } from "./plan.ts";
import { Random } from "./random.ts";
import { Sockets } from "./sockets.ts";
import { flagsOf } from "./units.ts";

const NS_PER_MS = 1_000_000;
/** How often a new daemon checks whether its predecessor's commands have ended, ms. */
const POLL_MS = 100;
/** How often control checks whether a unit being removed is free, ms. */
const GONE_MS = 20;
/** Longest time from the report of another size until control has asked for it and tells the core, ms. */
const RESCAN_MS = 150;
/** How many times an impatient client reconnects. */
const RECONNECTS_MAX = 50;

/** What hosts share. */
export interface Surroundings {
  readonly module: WebAssembly.Module;
  readonly plan: WorldPlan;
  readonly array: EmulatedArray;
  readonly clock: VirtualClock;
  /** The units as used by each host's clients. */
  readonly units: readonly (readonly ClientUnit[])[];
  /** The array's LUNs lead where they should, all the time. */
  readonly steadyLuns: boolean;
  /** No path reports a unit smaller than it is. */
  readonly steadyEnds: boolean;
  /** No path answers each read with too little, or errors are allowed. */
  readonly steadyReads: boolean;
  /** Cluster mode is harmless. */
  readonly cluster: boolean;
  trace(text: string): void;
  violation(text: string): void;
  /** A client of a unit got an answer. */
  answered(machine: Machine, client: number, unit: number, answer: Answer): void;
  /** A flush of a unit is about to be sent. */
  flushes(unit: number): void;
  /** Forgets what a flush reported whose answer nobody received. */
  forget(): void;
  /** Assigns a client its number. */
  nextClient(): number;
  readonly told: ((event: CoreEvent) => void) | undefined;
}

interface Session {
  readonly client: Client;
  readonly unit: number;
  readonly plan: ClientPlan;
  /** Opens a connection. */
  readonly open: () => Line;
  /** Its current connection. */
  line: Line;
}

/** Each host has initiator ports of its own. */
function portsOf(array: EmulatedArray, plan: WorldPlan, host: number): EmulatedArray["ports"] {
  return array.ports.filter((port) => hostOf(plan, port.initiatorPort) === host);
}

export class Machine {
  readonly daemon: Daemon;
  readonly sockets: Sockets;
  readonly gate: Gate;
  readonly operator: Operator;
  readonly #around: Surroundings;
  readonly #random: Random;
  #sessions: Session[] = [];
  /** Answers that clients got, and whether one may have been missed. */
  readonly #heard = { good: 0, bad: 0, missed: false };
  #killed = false;

  /** Which of the hosts that share the array. */
  readonly #host: number;

  /** Starts a daemon; its memory becomes known to the array. */
  constructor(around: Surroundings, random: Random, host: number) {
    const { module, plan, array, clock } = around;
    this.#host = host;
    this.#around = around;
    this.#random = random;
    const violation = (text: string): void => around.violation(text);
    const sized = (unit: number, blocks: number): void =>
      around.units[host]?.[unit]?.sizes.core.set(clock.nowNs, blocks * plan.blockBytes);
    const ports = portsOf(array, plan, host);
    this.daemon = new Daemon(module, plan, array, random.uint32(), clock.nowNs, violation, sized, ports);
    const { core, inventory } = this.daemon;
    array.attach(core.memory, core.control, "under-way", host);
    if (around.told !== undefined) this.daemon.onEvent = around.told;
    const { steadyLuns, steadyEnds, steadyReads, cluster } = around;
    const office = {
      plan,
      random: random.fork(),
      after: (ms: number, action: () => void) => this.#after(ms, action),
      steadyLuns,
      steadyEnds,
      steadyReads,
      cluster,
    };
    this.operator = new Operator(this.daemon, office, inventory.capabilities);
    this.daemon.onFailback = (index) => this.operator.back(index);
    if (plan.resizes.length > 0) this.daemon.onCapacity = (unit) => this.#rescan(unit);
    this.sockets = new Sockets(core.memory, core.control, clock, random.fork(), violation);
    // Worlds without clients at the block door draw as if there were none.
    const hasGate = plan.clients.some(({ plan: { agreed } }) => agreed.block === true);
    this.gate = new Gate(this.daemon, clock, hasGate ? random.fork() : new Random(0), plan.strays, violation);
  }

  /** Schedules an action, unless the daemon is dead by then. */
  #after(ms: number, action: () => void): void {
    this.#around.clock.after(ms * NS_PER_MS, () => {
      if (!this.#killed) action();
    });
  }

  /** Control asks for the size of a unit, and tells the core what it has found. */
  #rescan(unit: number): void {
    this.#after(this.#random.between(0, RESCAN_MS), () => this.resize(unit));
  }

  resize(unit: number): void {
    this.sockets.tell();
    this.daemon.inventory.resize(unit);
  }

  /** Whether every client got all its answers. */
  get done(): boolean {
    return this.#sessions.every(({ client }) => client.done);
  }

  /** Number of unanswered requests. */
  get open(): number {
    return this.#sessions.reduce((sum, { client }) => sum + (client.done ? 0 : client.open), 0);
  }

  /** Adds a client of a unit. */
  connect(unit: number, plan: ClientPlan): Client {
    const { clock, units } = this.#around;
    const id = this.#around.nextClient();
    const { sockets, gate, daemon } = this;
    const clientUnit = units[this.#host]?.[unit];
    if (clientUnit === undefined) throw new Error("no such unit");
    const network = this.#random.fork();
    const host: ClientHost = {
      nowNs: () => clock.nowNs,
      after: (delayNs, action) => clock.after(delayNs, action),
      send: (bytes) => {
        const { line } = session;
        clock.after(network.between(2_000, 80_000), () => line.arrive(bytes));
      },
      violation: (text) => this.#around.violation(text),
      takenNs: (bytes) => Math.max(sockets.takenNs(bytes), gate.takenNs(bytes)),
      flushes: () => this.#around.flushes(unit),
      answered: (answer) => {
        if (answer.error === 0) this.#heard.good++;
        else this.#heard.bad++;
        this.#around.answered(this, id, unit, answer);
      },
    };
    const client = new Client(id, clientUnit, plan, this.#random.fork(), host);
    const open = (): Line => {
      const deliver = (bytes: Uint8Array): void =>
        clock.after(network.between(2_000, 80_000), () => {
          if (session.line === line) client.receive(bytes);
        });
      const closed = (): void => {
        if (session.line === line && !client.done)
          this.#around.violation(`the core closed the connection of client ${id}`);
      };
      const line: Line =
        plan.agreed.block === true
          ? gate.line(plan.agreed.readOnly, deliver)
          : new NbdLine(daemon, sockets, flagsOf(plan.agreed), deliver, closed);
      return line;
    };
    const session: Session = { client, unit, plan, open, line: open() };
    session.line.join(unit);
    this.#sessions.push(session);
    client.start();
    return client;
  }

  vanish(index: number): void {
    const session = this.#sessions[index];
    if (session === undefined || session.client.done) return;
    this.#around.trace("a client vanishes");
    this.#heard.missed = true;
    session.client.vanish();
    this.#around.forget();
    session.line.hangUp();
  }

  /** A client drops its connection whenever a request stays unanswered for too long, a limited number of times. */
  watch(index: number, patienceMs: number, left = RECONNECTS_MAX): void {
    const session = this.#sessions[index];
    if (session === undefined || session.client.done || left === 0) return;
    const late = this.#around.clock.nowNs - session.client.oldestNs > patienceMs * NS_PER_MS;
    if (late && this.daemon.inventory.handleOf(session.unit) >= 0) {
      this.#around.trace("a client gives its connection up and sends again by another one");
      this.#around.forget();
      session.line.hangUp();
      this.#again(session);
    }
    this.#after(patienceMs / 2, () => this.watch(index, patienceMs, late ? left - 1 : left));
  }

  /** A client reconnects and sends unanswered requests again. */
  #again(session: Session): void {
    this.#heard.missed = true;
    session.line = session.open();
    session.line.join(session.unit);
    session.client.sendAgain();
  }

  /** Control closes a connection. */
  #close(session: Session): void {
    this.#around.forget();
    session.line.close();
  }

  /** Control closes a connection, whose client then reconnects. */
  closeOne(): void {
    const session = this.#random.pick(this.#sessions);
    if (session.client.done || this.daemon.inventory.handleOf(session.unit) < 0) return;
    this.#around.trace("control closes a connection");
    this.sockets.tell();
    this.#close(session);
    this.#again(session);
  }

  /** A unit and its paths are removed under load, and added again as soon as the last of them is gone. */
  replaceUnit(): void {
    const { inventory } = this.daemon;
    const unit = this.#random.between(0, this.#around.plan.units - 1);
    if (inventory.handleOf(unit) < 0) return;
    this.#around.trace(`unit ${unit} is removed and comes again`);
    this.sockets.tell();
    const sessions = this.#sessions.filter((session) => session.unit === unit && !session.client.done);
    for (const session of this.#sessions) if (session.unit === unit) this.#close(session);
    for (const session of sessions) session.line = session.open();
    inventory.dismantle(unit);
    const go = (): void => {
      if (!inventory.removeUnit(unit)) return this.#after(GONE_MS, go);
      inventory.restore(unit);
      inventory.leftovers(unit, this.#hasLeftovers(unit));
      for (const session of sessions) if (!session.client.done) this.#again(session);
    };
    this.#after(GONE_MS, go);
  }

  /** A path disappears and comes back under another number. */
  renumber(): void {
    this.sockets.tell();
    const path = this.daemon.inventory.renumber(this.#random);
    if (path !== null) this.#around.trace(`path ${path} has another number`);
  }

  /** A control call. */
  change(): void {
    this.sockets.tell();
    this.operator.act();
  }

  /** kill -9: the core's memory is gone; commands in flight continue, and nobody gets their answers. */
  kill(): void {
    this.#killed = true;
    this.#around.forget();
    for (const { client, line } of this.#sessions) {
      client.vanish();
      line.die();
    }
    this.gate.die();
    this.#sessions = [];
  }

  #hasLeftovers(unit: number): boolean {
    const real = this.#around.array.units[unit];
    return real !== undefined && this.#around.array.hasLeftovers(real, this.#host);
  }

  /**
   * Like control: checks for which units a killed daemon has left commands, until there are none. Returns whether there were
   * any.
   */
  checkLeftovers(): boolean {
    const left = this.#around.array.units.map((_, unit) => this.#hasLeftovers(unit));
    for (const [unit, some] of left.entries()) this.daemon.inventory.leftovers(unit, some);
    if (left.includes(true)) this.#after(POLL_MS, () => this.checkLeftovers());
    return left.includes(true);
  }

  /** Compares the core's counters with the answers that its clients got. */
  account(): void {
    const { good, bad, missed } = this.#heard;
    const { answers } = this.daemon.inventory;
    const counted = { good: answers.good, bad: answers.bad - this.gate.counted };
    const fits = missed ? counted.good >= good && counted.bad >= bad : counted.good === good && counted.bad === bad;
    if (!fits) {
      const text = `${counted.good} good and ${counted.bad} bad answers are counted, ${good} and ${bad} were heard`;
      this.#around.violation(text);
    }
    this.daemon.books.statistics();
  }

  /** Every client disconnects. */
  leave(): void {
    for (const session of this.#sessions) this.#close(session);
    this.#sessions = [];
  }

  /** Removes everything that was configured; returns what is left, nothing when all is gone. */
  empty(): string[] {
    const { books, inventory } = this.daemon;
    if (books.connections !== 0) return [`the end of ${books.connections} connections was not told`];
    return [...inventory.remove(), ...books.unreturned(), ...this.gate.unreturned()];
  }
}
