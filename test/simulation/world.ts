// One world: the shipped core, the emulated array, clients, faults, and a virtual clock, all from one seed.
//
// First the safety phase: load and faults, and whatever clients see must be what a single disk could have answered.
// Then the faults stop, and everything must converge: every request answered, every path taken back, nothing held.
// At the end everything is read once more.

import { EmulatedArray } from "../../host/array/array.ts";
import { AnswerRules } from "./answers.ts";
import { type Atlas, makeAtlas } from "./atlas.ts";
import { type Answer, Client, type ClientHost, type ClientPlan, type ClientUnit } from "./client.ts";
import { VirtualClock } from "./clock.ts";
import type { CoreEvent } from "./core.ts";
import { Daemon } from "./daemon.ts";
import { AGREED } from "./expected.ts";
import { makePlan, type WorldPlan } from "./plan.ts";
import { Random } from "./random.ts";
import { SimulatedSocket, Sockets } from "./sockets.ts";
import { sweep } from "./sweep.ts";
import { clientUnits, flagsOf } from "./units.ts";

const NS_PER_MS = 1_000_000;
/** Virtual time the world has for settling after the last fault, ms. */
const SETTLE_MS = 120_000;
/** Turns without time passing before the world counts as spinning. */
const SPIN_MAX = 20_000;
/** How often a new daemon looks whether the commands of the one before have ended, ms. */
const LOOK_MS = 100;
/** Times an impatient client connects anew. */
const RECONNECTS_MAX = 50;
/** Violations kept; the first one usually explains the others. */
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

/** What a scenario says instead of the seed. */
export interface WorldOptions {
  readonly plan?: WorldPlan;
  readonly atlas?: Atlas;
  /** Told what happens, line by line. */
  readonly trace?: ((text: string) => void) | undefined;
  /** Told every answer: when, how long it took, its error (0: none), the NBD command. */
  readonly answered?: (nowNs: number, latencyNs: number, error: number, command: number) => void;
  /** Told every event of the core. */
  readonly told?: (event: CoreEvent) => void;
}

interface Session {
  readonly client: Client;
  readonly unit: number;
  readonly plan: ClientPlan;
  /** Makes a connection. */
  readonly open: () => SimulatedSocket;
  /** Its connection now. */
  socket: SimulatedSocket;
}

export class World {
  readonly #seed: number;
  readonly #module: WebAssembly.Module;
  readonly #random: Random;
  readonly #plan: WorldPlan;
  readonly #clock = new VirtualClock();
  readonly #array: EmulatedArray;
  readonly #units: ClientUnit[];
  readonly #violations: string[] = [];
  readonly #rules: AnswerRules;
  readonly #faultsEndMs: number;
  #daemon: Daemon;
  #sockets: Sockets;
  #sessions: Session[] = [];
  #stamp = 0;
  #nextClient = 1;
  #ios = 0;
  #errors = 0;
  #stallNs = 0;
  readonly #options: WorldOptions;

  constructor(seed: number, module: WebAssembly.Module, options: WorldOptions = {}) {
    this.#seed = seed;
    this.#module = module;
    this.#options = options;
    this.#random = new Random(seed);
    this.#plan = options.plan ?? makePlan(this.#random.fork());
    this.#clock.nowNs = 1_000_000_000;
    this.#array = new EmulatedArray(this.#plan.topology, { seed });
    const daemon = this.#boot();
    this.#daemon = daemon;
    this.#sockets = this.#network(daemon);
    const atlas = options.atlas ?? this.#drawAtlas();
    this.#rules = new AnswerRules(this.#plan, atlas.faults, atlas.errorsAllowed);
    this.#faultsEndMs = atlas.endMs;
    const nextStamp = (): number => ++this.#stamp;
    const violation = (text: string): void => this.#violation(text);
    this.#units = clientUnits(this.#plan, this.#array, atlas, this.#clock.nowNs, { nextStamp, violation });
    for (const fault of atlas.faults) {
      this.#trace(`fault ${JSON.stringify(fault)}`);
      this.#array.addFault(fault);
    }
  }

  run(): WorldResult {
    try {
      this.#safety();
      // After a violation the rest proves nothing more.
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
      kind: this.#plan.kind,
      powerLoss: this.#plan.powerLosses.length > 0,
      spanMs: this.#plan.spanMs,
      patrolMs: this.#plan.patrolMs,
      recoveryMs: 4 * this.#plan.patrolMs + 8000,
    };
    return makeAtlas(ground, this.#random.fork());
  }

  #trace(text: string): void {
    this.#options.trace?.(text);
  }

  #violation(text: string): void {
    const at = ((this.#clock.nowNs - 1_000_000_000) / NS_PER_MS).toFixed(3);
    this.#trace(`VIOLATION at ${at} ms: ${text}`);
    if (this.#violations.length < VIOLATIONS_MAX) this.#violations.push(`at ${at} ms: ${text}`);
  }

  #boot(): Daemon {
    const daemon = new Daemon(this.#module, this.#plan, this.#array, this.#random.uint32(), this.#clock.nowNs, (text) =>
      this.#violation(text),
    );
    this.#array.attach(daemon.core.memory, daemon.core.control, "under-way");
    if (this.#options.told !== undefined) daemon.onEvent = this.#options.told;
    return daemon;
  }

  /** As control does: looks which units a killed daemon has left commands for, until there are none. */
  #lookForLeftovers(): void {
    const daemon = this.#daemon;
    const look = (): void => {
      if (daemon !== this.#daemon) return;
      const left = this.#array.units.map((unit) => this.#array.inherits(unit));
      for (const [unit, some] of left.entries()) daemon.inherit(unit, some);
      if (left.includes(true)) this.#clock.after(LOOK_MS * NS_PER_MS, look);
    };
    look();
    // What waits for a command that a black hole keeps waits as long, whatever paths there are.
    if (this.#array.units.some((unit) => this.#array.inherits(unit))) this.#rules.leftovers();
  }

  #network(daemon: Daemon): Sockets {
    const { memory, control } = daemon.core;
    return new Sockets(memory, control, this.#clock, this.#random.fork(), (text) => this.#violation(text));
  }

  #connect(unit: number, plan: ClientPlan): Session {
    const id = this.#nextClient++;
    const sockets = this.#sockets;
    const clientUnit = this.#units[unit];
    if (clientUnit === undefined) throw new Error("no such unit");
    const network = this.#random.fork();
    const host: ClientHost = {
      nowNs: () => this.#clock.nowNs,
      after: (delayNs, action) => this.#clock.after(delayNs, action),
      send: (bytes) => {
        const { socket } = session;
        this.#clock.after(network.between(2_000, 80_000), () => sockets.arrive(socket, bytes));
      },
      violation: (text) => this.#violation(text),
      takenNs: (bytes) => sockets.takenNs(bytes),
      flushes: () => this.#rules.losses.flushSent(unit),
      answered: (answer) => this.#answered(answer, id, unit),
    };
    const client = new Client(id, clientUnit, plan, this.#random.fork(), host);
    const open = (): SimulatedSocket => {
      const socket: SimulatedSocket = new SimulatedSocket(
        (bytes) =>
          this.#clock.after(network.between(2_000, 80_000), () => {
            if (session.socket === socket) client.receive(bytes);
          }),
        () => {
          if (session.socket === socket && !client.done)
            this.#violation(`the core closed the connection of client ${id}`);
        },
      );
      return socket;
    };
    const session: Session = { client, unit, plan, open, socket: open() };
    this.#join(session);
    this.#sessions.push(session);
    client.start();
    return session;
  }

  /** Gives the socket of a session to the core. */
  #join({ unit, plan, socket }: Session): void {
    const daemon = this.#daemon;
    const handle = this.#sockets.add(socket);
    this.#sockets.tell();
    const connection = daemon.core.exports.connectionAdd(handle, daemon.handleOf(unit), flagsOf(plan.agreed), 0);
    if (connection < 0) throw new Error(`connectionAdd refused: ${connection}`);
  }

  #answered(answer: Answer, id: number, unit: number): void {
    this.#ios++;
    this.#stallNs = Math.max(this.#stallNs, answer.latencyNs);
    if (answer.error !== 0) this.#errors++;
    const wrong = this.#rules.check(answer, unit, this.#clock.nowNs);
    if (wrong !== undefined) this.#violation(`client ${id}: ${wrong}`);
    this.#options.answered?.(this.#clock.nowNs, answer.latencyNs, answer.error, answer.command);
  }

  #safety(): void {
    for (const { unit, plan } of this.#plan.clients) this.#connect(unit, plan);
    const at = (ms: number, action: () => void): void => this.#clock.after(ms * NS_PER_MS, action);
    for (const { client, atMs } of this.#plan.vanishing) at(atMs, () => this.#vanish(client));
    for (const { client, patienceMs } of this.#plan.impatient) this.#watch(client, patienceMs * NS_PER_MS);
    for (const crashMs of this.#plan.crashesMs) at(crashMs, () => this.#crash());
    for (const { atMs, forMs } of this.#plan.pauses) at(atMs, () => this.#pause(forMs));
    for (const { atMs, keep } of this.#plan.powerLosses) at(atMs, () => this.#losePower(keep));
    for (const ms of this.#plan.changesMs) at(ms, () => this.#change());
    for (const ms of this.#plan.renumbersMs) at(ms, () => this.#renumber());
    const end = this.#clock.nowNs + this.#faultsEndMs * NS_PER_MS;
    this.#advanceUntil(end, () => false);
    this.#array.liftAllFaults();
  }

  #liveness(): void {
    const limit = this.#clock.nowNs + SETTLE_MS * NS_PER_MS;
    const quiet = (): boolean =>
      this.#sessions.every(({ client }) => client.done) && this.#daemon.unsettled().length === 0;
    this.#advanceUntil(limit, quiet);
    for (const { client } of this.#sessions) {
      if (!client.done) this.#violation(`${client.open} requests are not answered at the end`);
    }
    for (const text of this.#daemon.unsettled()) this.#violation(`not converged: ${text}`);
    this.#readBack();
    for (const { witness } of this.#units) witness.everything(this.#clock.nowNs);
  }

  /** Reads every unit once more by new clients. */
  #readBack(): void {
    const before = this.#violations.length;
    const sessions = this.#units.map(({ number, history }) => {
      const parts = sweep(history, this.#random);
      return this.#connect(number, {
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
    this.#advanceUntil(limit, () => sessions.every(({ client }) => client.done));
    if (before === 0 && sessions.some(({ client }) => !client.done)) this.#violation("reading back did not end");
  }

  #vanish(index: number): void {
    const session = this.#sessions[index];
    if (session === undefined || session.client.done) return;
    this.#trace("a client vanishes");
    session.client.vanish();
    this.#rules.losses.forget();
    this.#sockets.hangUp(session.socket);
  }

  /** A client gives its connection up whenever that leaves something unanswered for too long; not for ever. */
  #watch(index: number, patienceNs: number, left = RECONNECTS_MAX): void {
    const session = this.#sessions[index];
    if (session === undefined || session.client.done || left === 0) return;
    const late = this.#clock.nowNs - session.client.oldestNs > patienceNs;
    if (late) this.#replace(session);
    this.#clock.after(patienceNs / 2, () => this.#watch(index, patienceNs, late ? left - 1 : left));
  }

  #replace(session: Session): void {
    this.#trace("a client gives its connection up and sends again by another one");
    this.#rules.losses.forget();
    this.#sockets.hangUp(session.socket);
    session.socket = session.open();
    this.#join(session);
    session.client.sendAgain();
  }

  /** kill -9: the core's memory is gone; what was in flight goes on, and answers nobody; clients come back and go on. */
  #crash(): void {
    this.#trace("the daemon is killed and started again");
    this.#rules.losses.forget();
    const clients = this.#plan.clients;
    for (const { client, socket } of this.#sessions) {
      client.vanish();
      socket.hungUp = true;
      socket.closed = true;
    }
    this.#sessions = [];
    this.#daemon = this.#boot();
    this.#lookForLeftovers();
    this.#sockets = this.#network(this.#daemon);
    for (const { unit, plan } of clients) this.#connect(unit, plan);
  }

  /** What only the array's volatile cache held may be gone; what was flushed or written with FUA may not. */
  #losePower(keep: number): void {
    this.#trace("the array loses power");
    this.#array.addFault({ fault: { kind: "power-loss", keep } });
    if (this.#plan.topology.writeCache === true)
      for (const unit of this.#units) unit.history.powerLost(this.#clock.nowNs);
  }

  /** The machine stands still: nothing runs, time passes. */
  #pause(forMs: number): void {
    this.#trace(`the machine stands still for ${forMs} ms`);
    this.#rules.paused(forMs * NS_PER_MS);
    this.#clock.nowNs += forMs * NS_PER_MS;
  }

  #renumber(): void {
    this.#sockets.tell();
    const path = this.#daemon.renumber(this.#random);
    if (path !== null) this.#trace(`path ${path} has another number`);
  }

  #change(): void {
    this.#sockets.tell();
    this.#daemon.change(this.#random);
  }

  /** Lets time pass until `limitNs` or until `done`. */
  #advanceUntil(limitNs: number, done: () => boolean): void {
    let spins = 0;
    for (;;) {
      const { core } = this.#daemon;
      core.nowNs = this.#clock.nowNs;
      const before = this.#clock.nowNs;
      this.#clock.runDue();
      // An action may have replaced the daemon or moved the clock.
      const daemon = this.#daemon;
      daemon.core.nowNs = this.#clock.nowNs;
      // Only from waiting does the host come back to this: it has told then what it knows.
      if (this.#array.turn() > 0 || daemon.core.deadlineNs <= this.#clock.nowNs) this.#sockets.tell();
      daemon.core.exports.run();
      daemon.drain();
      const submitted = this.#sockets.turn();
      const completed = this.#array.turn() > 0;
      if (completed) this.#sockets.tell();
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

  /** Moves the clock to the next thing that happens; answers whether it moved. */
  #step(limitNs: number): boolean {
    const next = Math.min(this.#clock.nextNs, this.#daemon.core.deadlineNs, Math.ceil(this.#array.deadlineNs), limitNs);
    if (next <= this.#clock.nowNs) return false;
    this.#clock.nowNs = next;
    return true;
  }
}
