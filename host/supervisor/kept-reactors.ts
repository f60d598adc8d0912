// The reactors, and who asked them what. If the only one ends, the daemon ends. If one of several ends, it alone is started again, and
// a new control brings up the units it had.

import { ReactorThreads } from "../reactor/reactor-threads.ts";
import type { Message, ReactorOptions, Request } from "../reactor/reactor-messages.ts";
import type { Book } from "./book.ts";
import type { Life } from "./life.ts";
import type { Fall } from "./protocol.ts";
import { Pace } from "./restart-pace.ts";
import { ReactorWatch } from "./watch.ts";

/** Ticks after which one of several reactors that does not turn is ended by force. */
const SILENT_TICKS_MAX = 120;

type Call = Extract<Request, { kind: "call" }>;

export interface ReactorsParts {
  readonly book: Book;
  /** The control there is. */
  readonly life: () => Life | null;
  readonly say: (level: "error" | "warning", text: string) => void;
  /** The only reactor has ended with an error. */
  readonly crashed: (reason: string) => void;
  /** All are gone, or one could not begin. */
  readonly exited: () => void;
  /** Everything that was asked is answered. */
  readonly idle: () => void;
  /** A new control has to see what there is. */
  readonly replaceControl: () => void;
}

interface Kept {
  /** Its first message. */
  begun: Message | null;
  readonly watch: ReactorWatch;
  readonly pace: Pace;
  startedMs: number;
  /** Why it has ended, until it has exited. */
  reason: string | null;
}

export class KeptReactors {
  readonly #parts: ReactorsParts;
  readonly #threads: ReactorThreads;
  readonly #kept: Kept[];
  /** Who made the calls that have not been answered, by their ids at the reactors. */
  readonly #asked = new Map<number, { readonly life: Life; readonly id: number; readonly reactor: number }>();
  /** Those that have ended since a control told of it. */
  #fallen: Fall[] = [];
  #nextCall = 1;
  #isStopping = false;

  constructor(options: ReactorOptions, parts: ReactorsParts) {
    this.#parts = parts;
    this.#threads = new ReactorThreads(options);
    this.#kept = Array.from({ length: this.#threads.reactors }, (_, reactor) => ({
      begun: null,
      watch: new ReactorWatch({
        ask: (id) => this.#threads.send(reactor, { kind: "call", id, name: "ping", args: [] }),
        stalled: (isStalled) => this.#stalled(reactor, isStalled),
        silentFor: (ticks) => this.#silentFor(reactor, ticks),
      }),
      pace: new Pace(),
      startedMs: performance.now(),
      reason: null,
    }));
    this.#threads.listen({
      message: (reactor, message) => this.#receive(reactor, message),
      crashed: (reactor, reason) => this.#crashed(reactor, reason),
      exited: (reactor, status) => this.#exited(reactor, status),
      away: () => undefined,
    });
  }

  get reactors(): number {
    return this.#threads.reactors;
  }

  get #isAlone(): boolean {
    return this.reactors === 1;
  }

  /** Any of them turns. */
  get isTurning(): boolean {
    return this.#kept.some(({ watch }) => watch.isTurning);
  }

  get hasBegun(): boolean {
    return this.#kept.some(({ begun }) => begun !== null);
  }

  /** Those that ended, for a control that begins. */
  get fallen(): readonly Fall[] {
    return this.#fallen;
  }

  /** A control serves that was told of so many of them. */
  told(fallen: number): void {
    this.#fallen.splice(0, fallen);
  }

  /** Tells a control that begins which reactors there are. */
  introduce(life: Life): void {
    for (const [reactor, { begun, watch }] of this.#kept.entries()) {
      if (begun !== null) life.send({ kind: "reactor", reactor, message: begun });
      if (this.#isAlone) continue;
      if (begun === null) life.send({ kind: "away", reactor, reason: this.#gone(reactor) });
      else if (!watch.isTurning) life.send({ kind: "away", reactor, reason: silent(reactor) });
    }
  }

  #gone(reactor: number): string {
    return `reactor ${reactor} has ended and is being started again`;
  }

  tick(): void {
    for (const { watch, begun } of this.#kept) if (begun !== null) watch.tick();
  }

  terminate(): void {
    this.#threads.terminate();
  }

  get #isAnyRunning(): boolean {
    return this.#kept.some((_, reactor) => this.#threads.isRunning(reactor));
  }

  stop(graceMs: number): void {
    this.#isStopping = true;
    if (!this.#isAnyRunning) return this.#parts.exited();
    for (let reactor = 0; reactor < this.reactors; reactor++) this.#threads.send(reactor, { kind: "stop", graceMs });
  }

  // ---- Calls ----

  request(life: Life, reactor: number, request: Request, descriptor: number | undefined): void {
    if (request.kind === "stop") {
      this.#isStopping = true;
      if (!this.#threads.isRunning(reactor)) return life.send({ kind: "exited", reactor, status: 0 });
      return this.#threads.send(reactor, request);
    }
    let call: Call = { ...request, id: this.#nextCall++ };
    const refuse = (code: string, message: string): void =>
      life.send({ kind: "reactor", reactor, message: { kind: "refused", id: request.id, code, message } });
    try {
      if (descriptor !== undefined) call = { ...call, args: [life.takeDescriptor(descriptor), ...call.args.slice(1)] };
    } catch (thrown) {
      return refuse("REACTOR_DESCRIPTOR", thrown instanceof Error ? thrown.message : String(thrown));
    }
    if (this.#kept[reactor]?.begun === null) return refuse("REACTOR_CRASHED", this.#gone(reactor));
    this.#asked.set(call.id, { life, id: request.id, reactor });
    this.#parts.book.asked(call, reactor);
    this.#threads.send(reactor, call);
  }

  #receive(reactor: number, message: Message): void {
    const life = this.#parts.life();
    const kept = this.#kept[reactor];
    switch (message.kind) {
      case "ready":
      case "failed":
        return this.#begun(reactor, message);
      case "events": {
        const delivery = this.#parts.book.happened(message.entries, reactor);
        if (life !== null) life.send({ kind: "events", ...delivery, lost: this.#parts.book.takeLost() });
        return;
      }
      case "asked":
      case "ended":
        // A control that begins asks by itself.
        return life?.send({ kind: "reactor", reactor, message });
      case "answer":
      case "refused":
        if (kept?.watch.answered(message.id) !== true) this.#answered(reactor, message);
    }
  }

  #begun(reactor: number, message: Extract<Message, { kind: "ready" | "failed" }>): void {
    const kept = this.#kept[reactor];
    if (kept === undefined) return;
    const isAgain = kept.reason !== null;
    if (isAgain && message.kind === "failed") {
      kept.reason = message.message;
      return;
    }
    if (message.kind === "ready") kept.begun = message;
    kept.reason = null;
    this.#parts.life()?.send({ kind: "reactor", reactor, message });
    if (isAgain) this.#parts.replaceControl();
  }

  #answered(reactor: number, message: Extract<Message, { kind: "answer" | "refused" }>): void {
    const { book, life, idle } = this.#parts;
    book.answered(message.id, message.kind === "answer" ? message.answer : undefined, message.kind === "refused");
    const asked = this.#asked.get(message.id);
    this.#asked.delete(message.id);
    if (asked !== undefined && asked.life === life()) {
      asked.life.send({ kind: "reactor", reactor, message: { ...message, id: asked.id } });
    }
    idle();
  }

  // ---- Ends ----

  #crashed(reactor: number, reason: string): void {
    const kept = this.#kept[reactor];
    if (kept === undefined || this.#isStopping) return;
    // Where it has failed to begin, control says why.
    if (this.#isAlone || (kept.begun === null && kept.reason === null)) return this.#parts.crashed(reason);
    kept.reason = reason;
  }

  #exited(reactor: number, status: number): void {
    const kept = this.#kept[reactor];
    const isFirst = kept?.begun === null && kept.reason === null;
    if (kept === undefined || this.#isAlone || this.#isStopping || isFirst) {
      this.#parts.life()?.send({ kind: "exited", reactor, status });
      if (isFirst || !this.#isAnyRunning) this.#parts.exited();
      return;
    }
    const reason = kept.reason ?? `it ended with status ${status}`;
    kept.reason = reason;
    kept.begun = null;
    kept.watch.begin();
    const nowMs = performance.now();
    const { pauseMs } = kept.pace.died(nowMs, nowMs - kept.startedMs);
    const when = pauseMs === 0 ? "at once" : `in ${pauseMs / 1000} s`;
    this.#parts.say("error", `reactor ${reactor} has ended: ${reason}; the others go on, it is started again ${when}`);
    this.#drop(reactor, reason);
    setTimeout(() => {
      if (this.#isStopping) return;
      kept.startedMs = performance.now();
      this.#threads.restart(reactor);
    }, pauseMs);
  }

  /** Nothing of it is left: what it was asked is answered, and what it had is forgotten. */
  #drop(reactor: number, reason: string): void {
    const { book, life, idle } = this.#parts;
    this.#fallen.push({ reactor, reason });
    for (const [id, asked] of this.#asked) if (asked.reactor === reactor) this.#asked.delete(id);
    book.fell(reactor);
    life()?.send({ kind: "away", reactor, reason: `reactor ${reactor} has ended: ${reason}` });
    idle();
  }

  // ---- Silence ----

  #stalled(reactor: number, isStalled: boolean): void {
    const { say, life, replaceControl } = this.#parts;
    const name = this.#isAlone ? "the reactor" : `reactor ${reactor}`;
    if (isStalled) say("error", `${name} does not turn: no I/O goes on${this.#isAlone ? "" : " for its units"}`);
    else say("warning", `${name} turns again`);
    life()?.send({ kind: "stalled", reactor, isStalled });
    if (this.#isAlone) return;
    life()?.send({ kind: "away", reactor, reason: isStalled ? silent(reactor) : null });
    // What it was asked meanwhile has been given up; a new control sees what became of it.
    if (!isStalled) replaceControl();
  }

  #silentFor(reactor: number, ticks: number): void {
    if (!this.#isAlone && ticks === SILENT_TICKS_MAX) this.#threads.terminateOne(reactor);
  }
}

const silent = (reactor: number): string => `reactor ${reactor} does not answer`;
