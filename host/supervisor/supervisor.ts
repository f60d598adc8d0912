// Keeps the reactor running, and control with it. Control decides, displays and remembers, and may end at any time: through a defect,
// out of memory, killed by the watchdog, or because it was asked to. The reactor continues, and the next control takes over what
// is there. Nothing else is done here, so that little can go wrong.

import { endProcess } from "../native/index.ts";
import type { ServiceManager } from "../liaison/notify.ts";
import { ThreadLink } from "../reactor/link.ts";
import type { Message, Request } from "../reactor/reactor-messages.ts";
import { Book } from "./book.ts";
import { KeptClaims } from "./kept-claims.ts";
import { Life } from "./life.ts";
import { DEATHS_WITHIN_MS, Pace, type Verdict } from "./restart-pace.ts";
import type { Death, Upward } from "./protocol.ts";
import { takePrivileges, type PrivilegeCalls } from "./privileges.ts";
import { TICK_MS, Watch } from "./watch.ts";

/** The process ends within this time of a SIGTERM, whatever hangs (not by process.exit, which waits for hung threads). */
const STOP_MS_MAX = 4700;
/** How long a reactor that nobody else stops may take for its commands in flight. */
const STOP_GRACE_MS = 1000;
/** How long control has for its last words when everything stops. */
const LAST_WORDS_MS = 2000;

export interface SupervisorParts {
  /** Control's program and its arguments. */
  readonly entry: URL;
  readonly args: readonly string[];
  readonly manager: ServiceManager;
  readonly privileges: PrivilegeCalls;
  /** One line for the operator. */
  readonly say: (level: "error" | "warning", text: string) => void;
}

type Call = Extract<Request, { kind: "call" }>;

export class Supervisor {
  readonly #parts: SupervisorParts;
  readonly #book = new Book();
  readonly #claims = new KeptClaims();
  readonly #pace = new Pace();
  readonly #watch: Watch;
  #life: Life | null = null;
  #reactor: ThreadLink | null = null;
  /** The reactor's first message. */
  #begun: Message | null = null;
  /** The reactor is gone. */
  #isOver = false;
  /** Who made the calls that the reactor has not answered, by its ids. */
  readonly #asked = new Map<number, { readonly life: Life; readonly id: number }>();
  #nextCall = 1;
  /** Control has been ready once: from then on I/O may depend on this process. */
  #served = false;
  #isStopping = false;
  #isReloading = false;
  /** How the last control ended. */
  #death: Death | null = null;
  /** Control is to be started once the reactor has answered everything the last one asked. */
  #isWaiting = false;

  constructor(parts: SupervisorParts) {
    this.#parts = parts;
    this.#watch = new Watch({
      askReactor: (id) => this.#reactor?.send({ kind: "call", id, name: "ping", args: [] }),
      reactorStalled: (isStalled) => this.#stalled(isStalled),
      // The first start may take its time: the service manager limits it.
      controlStalled: (life, reason) => (this.#served ? life.kill(reason) : undefined),
    });
  }

  /** Starts control, which starts the reactor. */
  begin(): void {
    this.#begin();
    setInterval(() => this.#watch.tick(this.#life, this.#begun !== null && !this.#isOver), TICK_MS);
  }

  // ---- Control ----

  #begin(): void {
    this.#isWaiting = false;
    const life = new Life(this.#parts.entry, this.#parts.args, {
      message: (message) => this.#fromControl(life, message),
      ended: (status, signal) => this.#ended(life, status, signal),
    });
    this.#life = life;
    const death = this.#death;
    const runningMs = performance.now();
    if (death === null || this.#begun === null) {
      life.send({ kind: "begin", runningMs, adoption: null });
      return;
    }
    const adoption = { ...this.#book.adoption(), claims: this.#claims.devices, death };
    life.send({ kind: "begin", runningMs, adoption });
    life.send({ kind: "reactor", message: this.#begun });
  }

  /** Starts it when no calls are under way that must be recorded first. */
  #beginSoon(): void {
    this.#isWaiting = this.#book.underWay > 0;
    if (!this.#isWaiting && this.#life === null && !this.#isStopping && !this.#isOver) this.#begin();
  }

  #ended(life: Life, status: number | null, signal: NodeJS.Signals | null): void {
    this.#life = null;
    if (this.#isReloading) this.#reloaded();
    if (this.#isOver) endProcess(this.#isStopping ? 0 : 1);
    if (this.#isStopping) return this.#stopReactor();
    // It has reported on standard error why it cannot start.
    if (!this.#served) endProcess(status === null || status === 0 ? 1 : status);
    const { pid } = life;
    const atMs = performance.now();
    if (life.isLeaving && status === 0) {
      this.#death = { pid, reason: null, deaths: 0, isUnsteady: false, atMs };
      return this.#beginSoon();
    }
    const reason = life.reason ?? howItEnded(status, signal);
    const verdict = this.#pace.died(atMs, atMs - life.startedMs);
    this.#death = { pid, reason, deaths: verdict.deaths, isUnsteady: verdict.isUnsteady, atMs };
    this.#mourn(pid, reason, verdict);
    setTimeout(() => this.#beginSoon(), verdict.pauseMs);
  }

  #mourn(pid: number, reason: string, { pauseMs, deaths, isUnsteady }: Verdict): void {
    const { say, manager } = this.#parts;
    const when = pauseMs === 0 ? "at once" : `in ${pauseMs / 1000} s`;
    say("error", `control (process ${pid}) has died: ${reason}; I/O goes on, it is started again ${when}`);
    if (!isUnsteady) return;
    const minutes = DEATHS_WITHIN_MS / 60_000;
    const text = `control has died ${deaths} times in ${minutes} minutes; I/O goes on, but nothing can be shown or set while it is away`;
    say("error", `${text}: please report what it says above, and restart the daemon when I/O may pause`);
    manager.status(text);
  }

  #fromControl(life: Life, message: Upward): void {
    switch (message.kind) {
      case "start":
        return this.#start(life, message);
      case "request":
        return this.#request(life, message.request, message.descriptor);
      case "terminate":
        this.#reactor?.terminate();
        return;
      case "relabel":
        return this.#book.relabel(message.connection, message.label);
      case "noted":
        return this.#book.noted(message.number);
      case "keep":
        return this.#book.keep(message.name, message.value);
      case "claim":
        void this.#claims.claim(message.device).then(
          (answer) => life.send({ kind: "claimed", id: message.id, answer }),
          () => undefined,
        );
        return;
      case "release":
        void this.#claims.release(message.device).then(
          () => life.send({ kind: "released", id: message.id }),
          () => undefined,
        );
        return;
      case "ready":
        life.isReady = true;
        if (this.#served) this.#parts.manager.status(message.status);
        else this.#parts.manager.ready(message.status, () => this.#watch.isTurning);
        this.#served = true;
        return;
      case "reloaded":
        return this.#reloaded();
      case "pong":
        life.silentTicks = 0;
        return;
      case "dying":
        life.reason ??= message.reason;
    }
  }

  // ---- The reactor ----

  #start(life: Life, { options, privileges }: Extract<Upward, { kind: "start" }>): void {
    if (this.#reactor !== null) return;
    const told = (level: "debug" | "warning") => (text: string) => life.send({ kind: "told", level, text });
    const log = { debug: told("debug"), warning: told("warning") };
    takePrivileges(privileges, this.#parts.privileges, log);
    this.#reactor = new ThreadLink(options);
    this.#reactor.listen({
      message: (message) => this.#fromReactor(message),
      crashed: (reason) => this.#crashed(reason),
      exited: (status) => this.#exited(status),
    });
  }

  #request(life: Life, request: Request, descriptor: number | undefined): void {
    const reactor = this.#reactor;
    if (reactor === null) return;
    if (request.kind === "stop") return reactor.send(request);
    let call: Call = { ...request, id: this.#nextCall++ };
    try {
      if (descriptor !== undefined) call = { ...call, args: [life.takeDescriptor(descriptor), ...call.args.slice(1)] };
    } catch (thrown) {
      const text = thrown instanceof Error ? thrown.message : String(thrown);
      const message = { kind: "refused", id: request.id, code: "REACTOR_DESCRIPTOR", message: text } as const;
      return life.send({ kind: "reactor", message });
    }
    this.#asked.set(call.id, { life, id: request.id });
    this.#book.asked(call);
    reactor.send(call);
  }

  #fromReactor(message: Message): void {
    switch (message.kind) {
      case "ready":
      case "failed":
        if (message.kind === "ready") this.#begun = message;
        this.#life?.send({ kind: "reactor", message });
        return;
      case "events": {
        const { number, entries } = this.#book.happened(message.entries);
        if (this.#life !== null) this.#life.send({ kind: "events", number, entries, lost: this.#book.takeLost() });
        return;
      }
      case "answer":
      case "refused":
        return this.#answered(message);
    }
  }

  #answered(message: Extract<Message, { kind: "answer" | "refused" }>): void {
    if (this.#watch.answered(message.id)) return;
    this.#book.answered(message.id, message.kind === "answer" ? message.answer : undefined, message.kind === "refused");
    const asked = this.#asked.get(message.id);
    this.#asked.delete(message.id);
    if (asked !== undefined && asked.life === this.#life) {
      asked.life.send({ kind: "reactor", message: { ...message, id: asked.id } });
    }
    if (this.#isWaiting) this.#beginSoon();
  }

  #stalled(isStalled: boolean): void {
    if (isStalled) this.#parts.say("error", "the reactor does not turn: no I/O goes on");
    else this.#parts.say("warning", "the reactor turns again");
    this.#life?.send({ kind: "stalled", isStalled });
  }

  #crashed(reason: string): void {
    if (this.#isOver || this.#isStopping) return;
    this.#isOver = true;
    if (this.#life === null) {
      this.#parts.say(
        "error",
        `the reactor crashed: ${reason}; the daemon ends, so that the service manager starts it anew`,
      );
      endProcess(1);
    }
    // Control reports it, and ends.
    this.#life.send({ kind: "crashed", reason });
    setTimeout(() => endProcess(1), LAST_WORDS_MS);
  }

  #exited(status: number): void {
    const isNews = !this.#isOver;
    this.#isOver = true;
    this.#life?.send({ kind: "exited", status });
    if (this.#life === null) endProcess(this.#isStopping ? 0 : 1);
    else if (isNews && !this.#isStopping && this.#served) setTimeout(() => endProcess(1), LAST_WORDS_MS);
  }

  // ---- What the operator and the service manager ask for ----

  /** Stops everything, within 5 s whatever hangs. */
  stop(): void {
    if (this.#isStopping) return;
    this.#isStopping = true;
    this.#parts.manager.stopping();
    setTimeout(() => endProcess(0), STOP_MS_MAX);
    if (this.#life?.isReady === true) this.#life.send({ kind: "stop" });
    else if (this.#life !== null) this.#life.kill("the daemon stops");
    else this.#stopReactor();
  }

  /** Where control cannot do it. */
  #stopReactor(): void {
    if (this.#reactor === null || this.#isOver) endProcess(0);
    this.#reactor.send({ kind: "stop", graceMs: STOP_GRACE_MS });
  }

  /** The configuration is read again. */
  reload(): void {
    this.#parts.manager.reloading();
    this.#isReloading = true;
    if (this.#life?.isReady === true) return this.#life.send({ kind: "reload" });
    this.#parts.say("error", "the configuration was not read again: control is away, try again when it is back");
    this.#reloaded();
  }

  #reloaded(): void {
    this.#isReloading = false;
    this.#parts.manager.reloaded();
  }

  /** Replaces control with a new one. */
  replaceControl(): void {
    const life = this.#life;
    if (life?.isReady !== true || this.#isStopping) return;
    life.isLeaving = true;
    life.send({ kind: "leave" });
  }

  /** A defect in here: control reports what there is to report. */
  die(reason: string): void {
    if (this.#life === null) endProcess(1);
    this.#isOver = true;
    this.#life.send({ kind: "die", reason });
    setTimeout(() => endProcess(1), LAST_WORDS_MS);
  }
}

/** In words for an operator. */
function howItEnded(status: number | null, signal: NodeJS.Signals | null): string {
  if (signal === "SIGABRT") return "it was ended by SIGABRT, as when its heap is full";
  if (signal !== null) return `it was ended by ${signal}; the kernel's log may tell more (out of memory, a crash)`;
  return `it ended with status ${status ?? "unknown"}`;
}
