// A host: its daemon, including restarts, the network to it, its clients, and its operator.

import type { EmulatedArray } from "../../host/array/array.ts";
import type { SharedNews } from "../../host/reactor/shared-news.ts";
import { type Answer, Client, type ClientHost, type ClientPlan, type ClientUnit } from "./client.ts";
import type { VirtualClock } from "./clock.ts";
import type { CoreEvent } from "./core.ts";
import { Daemon } from "./daemon.ts";
import { Gate } from "./gate.ts";
import { NbdLine, type Line } from "./lines.ts";
import { News } from "./news.ts";
import { Operator } from "./operator.ts";
import { hostOf, type WorldPlan } from "./plan.ts";
import { Random } from "./random.ts";
import { Sockets } from "./sockets.ts";
import { flagsOf } from "./units.ts";
import { NBD } from "./wire.ts";

const NS_PER_MS = 1_000_000;
/** How often a new daemon checks whether its predecessor's commands have ended, ms. */
const POLL_MS = 100;
/** How often control checks whether a unit being removed is free, ms. */
const GONE_MS = 20;
/** Longest time from the report of another size until control has asked for it and tells the core, ms. */
const RESCAN_MS = 150;
/** How long a unit that is to be moved may take to become quiet; it stays otherwise, ms. */
const QUIET_MS_MAX = 5000;
/** A client that has not connected yet. */
const NO_LINE: Line = { join: () => {}, arrive: () => {}, hangUp: () => {}, close: () => {}, die: () => {} };
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
  /** A reactor has found something out about a component that others may share. */
  news(from: Machine, heard: readonly SharedNews[]): void;
  /** Control does not wait until a unit is quiet before it moves it: something that the checkers have to notice. */
  readonly isHasty: boolean;
}

interface Session {
  readonly client: Client;
  readonly unit: number;
  readonly plan: ClientPlan;
  /** Opens a connection. */
  readonly open: () => Line;
  /** Its current connection. */
  line: Line;
  /** The machine, or reactor, that has its unit. */
  at: Machine;
}

/** Each host has initiator ports of its own. */
function portsOf(array: EmulatedArray, plan: WorldPlan, host: number): EmulatedArray["ports"] {
  if (plan.reactors !== undefined) return array.ports;
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
  /** Units that are being moved or replaced. */
  readonly #moving = new Set<number>();
  /** What other reactors tell it. */
  readonly news: News;

  /** Which of the hosts that share the array. */
  readonly #host: number;

  /**
   * Starts a daemon, or one of several reactors; its memory becomes known to the array.
   * @param own numbers of its units; left out: as in the beginning
   */
  constructor(around: Surroundings, random: Random, host: number, own?: readonly number[]) {
    const { module, plan, array, clock } = around;
    this.#host = host;
    this.#around = around;
    this.#random = random;
    const violation = (text: string): void => around.violation(text);
    const sized = (unit: number, blocks: number): void =>
      around.units[host]?.[unit]?.sizes.core.set(clock.nowNs, blocks * plan.blockBytes);
    const ports = portsOf(array, plan, host);
    const { reactors = 1 } = plan;
    const begins = (unit: number): boolean =>
      own?.includes(unit) ?? (plan.reactors === undefined || unit % reactors === host);
    this.daemon = new Daemon(module, plan, array, random.uint32(), clock.nowNs, violation, sized, ports, begins);
    const { core, inventory } = this.daemon;
    array.attach(core.memory, core.control, "under-way", host);
    this.news = new News(this.daemon, plan.reactors ?? 1, (heard) => around.news(this, heard), violation);
    this.daemon.onEvent = (event) => {
      around.told?.(event);
      this.news.event(event);
    };
    this.daemon.onDrained = () => this.news.drained();
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

  /** In a world of slow zeroings the time of one is that since the last of their commands was done. */
  #sinceProgress(answer: Answer): Answer {
    const { plan, clock } = this.#around;
    const isZeroing = answer.command === NBD.writeZeroes || answer.command === NBD.trim;
    if (plan.zeroingMs === 0 || !isZeroing) return answer;
    return { ...answer, heldNs: Math.min(answer.heldNs, clock.nowNs - this.daemon.zeroedNs) };
  }

  /** Adds a client of a unit. */
  connect(unit: number, plan: ClientPlan): Client {
    const { clock, units } = this.#around;
    const id = this.#around.nextClient();
    const clientUnit = units[this.#hostOfClients]?.[unit];
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
      takenNs: (bytes) => Math.max(session.at.sockets.takenNs(bytes), session.at.gate.takenNs(bytes)),
      flushes: () => this.#around.flushes(unit),
      answered: (answer) => {
        const { at } = session;
        if (answer.error === 0) at.#heard.good++;
        else at.#heard.bad++;
        this.#around.answered(at, id, unit, at.#sinceProgress(answer));
      },
    };
    const client = new Client(id, clientUnit, plan, this.#random.fork(), host);
    const open = (): Line => {
      const { sockets, gate, daemon } = session.at;
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
    // Its line is opened when it is known where.
    const session: Session = { client, unit, plan, open, line: NO_LINE, at: this };
    session.line = open();
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
    if (late && this.daemon.inventory.handleOf(session.unit) >= 0 && !this.#moving.has(session.unit)) {
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
    this.#rejoin(session);
  }

  #rejoin(session: Session): void {
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
    if (this.#sessions.length === 0) return;
    const session = this.#random.pick(this.#sessions);
    if (session.client.done || this.#moving.has(session.unit) || this.daemon.inventory.handleOf(session.unit) < 0)
      return;
    this.#around.trace("control closes a connection");
    this.sockets.tell();
    this.#close(session);
    this.#again(session);
  }

  /** A unit and its paths are removed under load, and added again as soon as the last of them is gone. */
  replaceUnit(): void {
    const { inventory } = this.daemon;
    const unit = this.#random.between(0, this.#around.plan.units - 1);
    if (inventory.handleOf(unit) < 0 || this.#moving.has(unit)) return;
    this.#around.trace(`unit ${unit} is removed and comes again`);
    this.sockets.tell();
    const sessions = this.#sessions.filter((session) => session.unit === unit && !session.client.done);
    for (const session of this.#sessions) if (session.unit === unit) this.#close(session);
    for (const session of sessions) session.line = session.open();
    this.#moving.add(unit);
    inventory.dismantle(unit);
    const go = (): void => {
      if (!inventory.removeUnit(unit)) return this.#after(GONE_MS, go);
      this.#moving.delete(unit);
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

  get #hostOfClients(): number {
    return this.#around.plan.reactors === undefined ? this.#host : 0;
  }

  /** What its clients are, for those that continue after a kill. */
  get clients(): readonly { readonly unit: number; readonly plan: ClientPlan }[] {
    return this.#sessions;
  }

  /**
   * Control moves a unit to another reactor: its clients are disconnected, and connect again when it has arrived; it leaves when nothing
   * is under way to it, or stays.
   */
  move(unit: number, to: Machine): void {
    const { inventory } = this.daemon;
    if (to === this || inventory.handleOf(unit) < 0 || this.#moving.has(unit) || this.#holdsLeftovers(unit)) return;
    this.#around.trace(`unit ${unit} moves from reactor ${this.#host} to ${to.#host}`);
    this.sockets.tell();
    this.#moving.add(unit);
    const sessions = this.#sessions.filter((session) => session.unit === unit && !session.client.done);
    for (const session of this.#sessions) if (session.unit === unit) this.#close(session);
    for (const session of sessions) {
      // What was answered last may not have arrived yet, and never does.
      if (session.client.open > 0) this.#heard.missed = true;
      session.line = session.open();
    }
    const arrive = (at: Machine): void => {
      this.#moving.delete(unit);
      for (const session of sessions) {
        if (session.client.done) continue;
        session.at = at;
        if (at !== this) at.#sessions.push(session);
        at.#rejoin(session);
      }
    };
    const limitNs = this.#around.clock.nowNs + QUIET_MS_MAX * NS_PER_MS;
    const go = (): void => {
      this.sockets.tell();
      if (inventory.handleOf(unit) < 0) return this.#after(GONE_MS, go);
      const isQuiet = this.#around.isHasty || inventory.isQuiet(unit);
      if (!isQuiet && this.#around.clock.nowNs < limitNs) return this.#after(GONE_MS, go);
      if (!isQuiet || to.#killed) return arrive(this);
      inventory.leave(unit);
      this.#sessions = this.#sessions.filter((session) => session.unit !== unit);
      to.sockets.tell();
      to.daemon.inventory.arrive(unit);
      this.#clearLeft();
      arrive(to);
    };
    if (this.#around.isHasty) go();
    else this.#after(GONE_MS, go);
  }

  #clearLeft(): void {
    if (this.daemon.inventory.clearLeft()) this.#after(GONE_MS, () => this.#clearLeft());
  }

  #holdsLeftovers(unit: number): boolean {
    const { array, plan } = this.#around;
    const real = array.units[unit];
    return Array.from({ length: plan.reactors ?? 1 }).some(
      (_, host) => real !== undefined && array.hasLeftovers(real, host),
    );
  }

  /** Another reactor has found something out about a component. */
  hear(news: SharedNews): void {
    if (this.#killed) return;
    this.sockets.tell();
    this.news.hear(news);
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
