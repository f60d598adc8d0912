// Keeps the reactors running, and control with it. Control decides, displays and remembers, and may end at any time: through a defect,
// out of memory, killed by the watchdog, or because it was asked to. The reactors continue, and the next control takes over what
// is there. Nothing else is done here, so that little can go wrong.

import { endProcess } from "../native/index.ts";
import type { ServiceManager } from "../liaison/notify.ts";
import { Book } from "./book.ts";
import { KeptClaims } from "./kept-claims.ts";
import { KeptReactors } from "./kept-reactors.ts";
import { Life } from "./life.ts";
import { DEATHS_WITHIN_MS, Pace, type Verdict } from "./restart-pace.ts";
import type { Death, Upward } from "./protocol.ts";
import { takePrivileges, type PrivilegeCalls } from "./privileges.ts";
import { ControlWatch, TICK_MS } from "./watch.ts";
import { counted } from "../wording.ts";

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

export class Supervisor {
  readonly #parts: SupervisorParts;
  readonly #book = new Book();
  readonly #claims = new KeptClaims();
  readonly #pace = new Pace();
  // The first start may take its time: the service manager limits it.
  readonly #watch = new ControlWatch((life, reason) => (this.#served ? life.kill(reason) : undefined));
  #life: Life | null = null;
  #reactors: KeptReactors | null = null;
  /** The reactors are gone. */
  #isOver = false;
  /** Control has been ready once: from then on I/O may depend on this process. */
  #served = false;
  #isStopping = false;
  #isReloading = false;
  /** How the last control ended. */
  #death: Death | null = null;
  /** How many reactors that had ended the control was told of. */
  #told = 0;
  /** Control is to be started once the reactors have answered everything the last one asked. */
  #isWaiting = false;
  /** A control that is being started has to be replaced as soon as it serves. */
  #isOutdated = false;

  constructor(parts: SupervisorParts) {
    this.#parts = parts;
  }

  /** Starts control, which starts the reactors. */
  begin(): void {
    this.#begin();
    setInterval(() => {
      if (!this.#isOver) this.#reactors?.tick();
      if (this.#life !== null) this.#watch.tick(this.#life);
    }, TICK_MS);
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
    const reactors = this.#reactors;
    this.#isOutdated = false;
    this.#told = 0;
    if (death === null || reactors?.hasBegun !== true) {
      life.send({ kind: "begin", runningMs, adoption: null });
      return;
    }
    const { fallen } = reactors;
    this.#told = fallen.length;
    const count = reactors.reactors;
    const adoption = { ...this.#book.adoption(), claims: this.#claims.devices, death, reactors: count, fallen };
    life.send({ kind: "begin", runningMs, adoption });
    reactors.introduce(life);
  }

  /** Starts it when no calls are under way that must be recorded first. */
  #beginSoon(): void {
    this.#isWaiting = this.#book.underWay > 0;
    if (!this.#isWaiting && this.#life === null && !this.#isStopping && !this.#isOver) this.#begin();
  }

  #ended(life: Life, status: number | null, signal: NodeJS.Signals | null): void {
    this.#life = null;
    if (this.#isReloading && life.isReady) this.#reloaded();
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
    const text = `control has died ${counted(deaths, "time")} in ${counted(minutes, "minute")}; I/O goes on, but nothing can be shown or set while it is away`;
    say("error", `${text}: please report what it says above, and restart the daemon when I/O may pause`);
    manager.status(text);
  }

  #fromControl(life: Life, message: Upward): void {
    switch (message.kind) {
      case "start":
        return this.#start(life, message);
      case "request":
        return this.#reactors?.request(life, message.reactor, message.request, message.descriptor);
      case "terminate":
        this.#reactors?.terminate();
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
        else this.#parts.manager.ready(message.status, () => this.#reactors?.isTurning === true);
        this.#served = true;
        this.#reactors?.told(this.#told);
        this.#told = 0;
        if (this.#isReloading) life.send({ kind: "reload" });
        if (this.#isOutdated) this.replaceControl();
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

  // ---- The reactors ----

  #start(life: Life, { options, privileges }: Extract<Upward, { kind: "start" }>): void {
    if (this.#reactors !== null) return;
    const told = (level: "debug" | "warning") => (text: string) => life.send({ kind: "told", level, text });
    const log = { debug: told("debug"), warning: told("warning") };
    takePrivileges(privileges, this.#parts.privileges, log);
    this.#reactors = new KeptReactors(options, {
      book: this.#book,
      life: () => this.#life,
      say: this.#parts.say,
      crashed: (reason) => this.#crashed(reason),
      exited: () => this.#exited(),
      idle: () => {
        if (this.#isWaiting) this.#beginSoon();
      },
      replaceControl: () => {
        if (this.#life?.isReady === true) this.replaceControl();
        else this.#isOutdated = this.#life !== null;
      },
    });
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
    this.#life.send({ kind: "crashed", reactor: 0, reason });
    setTimeout(() => endProcess(1), LAST_WORDS_MS);
  }

  #exited(): void {
    const isNews = !this.#isOver;
    this.#isOver = true;
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
    if (this.#reactors === null || this.#isOver) endProcess(0);
    this.#reactors.stop(STOP_GRACE_MS);
  }

  /** The configuration is read again. */
  reload(): void {
    this.#parts.manager.reloading();
    this.#isReloading = true;
    // While control is away the order waits: the next one keeps the settings in force, and would not read the file.
    if (this.#life?.isReady === true) this.#life.send({ kind: "reload" });
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
