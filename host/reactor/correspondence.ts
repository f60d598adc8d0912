// Calls to the reactors and their answers: every call is a promise, events come to listeners, stopping always works. A reactor that has
// ended or is silent refuses at once, and the others go on.

import { ReactorError } from "./reactor-errors.ts";
import type { ReactorLink } from "./link.ts";
import type { CallName, Message, ReactorCalls } from "./reactor-messages.ts";
import { decodeEvents, type CoreEvent } from "./decode-records.ts";

/** How reactors ended: by themselves, by force, or not at all (a thread hangs in the kernel and was left behind). */
export type StopOutcome = "stopped" | "terminated" | "abandoned";

/** Time for the reactors to end by themselves, and then by force. Together below 5 s. */
const STOP_MS = 2500;
const TERMINATE_MS = 1500;

interface Waiting {
  readonly reactor: number;
  readonly resolve: (answer: unknown) => void;
  readonly reject: (error: ReactorError) => void;
}

export class Correspondence {
  readonly #link: ReactorLink;
  readonly #waiting = new Map<number, Waiting>();
  readonly #eventListeners = new Set<(events: readonly CoreEvent[]) => void>();
  readonly #failureListeners = new Set<(error: ReactorError) => void>();
  readonly #begun: PromiseWithResolvers<void> = Promise.withResolvers();
  readonly #exited: PromiseWithResolvers<void> = Promise.withResolvers();
  /** Reactors that have not begun, and those whose threads are there. */
  readonly #beginning: Set<number>;
  readonly #running: Set<number>;
  /** Why a reactor takes no calls. */
  readonly #away = new Map<number, ReactorError>();
  readonly #memoryBytes: number[] = [];
  #nextId = 1;
  #stopping = false;
  #ended: ReactorError | null = null;
  /** Hears that a reactor has commands about reservations, or that a SCSI device was removed by somebody else. */
  onTarget: (reactor: number, ended: number | null) => void = () => {};
  /** How the rings talk to the kernel. */
  backend: "io_uring" | "epoll" = "epoll";

  private constructor(link: ReactorLink) {
    this.#link = link;
    this.#beginning = new Set(Array(link.reactors).keys());
    this.#running = new Set(this.#beginning);
    link.listen({
      message: (reactor, message) => this.#receive(reactor, message),
      crashed: (_, reason) => this.#fail("REACTOR_CRASHED", `the reactor crashed: ${reason}`),
      exited: (reactor, status) => this.#leave(reactor, status),
      away: (reactor, reason) => this.#goesAway(reactor, reason),
    });
  }

  static async begin(link: ReactorLink): Promise<Correspondence> {
    const made = new Correspondence(link);
    await made.#begun.promise;
    return made;
  }

  get reactors(): number {
    return this.#link.reactors;
  }

  /** Those that take calls. */
  get present(): number[] {
    return Array.from({ length: this.reactors }, (_, reactor) => reactor).filter((reactor) => !this.#away.has(reactor));
  }

  /** Why it takes no calls, in a sentence; null when it does. */
  whyAway(reactor: number): string | null {
    return (this.#ended ?? this.#away.get(reactor))?.message ?? null;
  }

  /** Size of the cores' memories; they never grow. */
  get memoryBytes(): number {
    return this.#memoryBytes.reduce((sum, bytes) => sum + bytes, 0);
  }

  onEvent(listener: (events: readonly CoreEvent[]) => void): () => void {
    this.#eventListeners.add(listener);
    return () => this.#eventListeners.delete(listener);
  }

  onFailure(listener: (error: ReactorError) => void): () => void {
    const ended = this.#ended;
    if (ended !== null && !this.#stopping) queueMicrotask(() => listener(ended));
    this.#failureListeners.add(listener);
    return () => this.#failureListeners.delete(listener);
  }

  /** Nobody waits for a reactor that is away. */
  #goesAway(reactor: number, reason: string | null): void {
    if (reason === null) {
      this.#away.delete(reactor);
      return;
    }
    this.#begins(reactor);
    const error = new ReactorError("REACTOR_SILENT", reason);
    this.#away.set(reactor, error);
    for (const [id, waiting] of this.#waiting) {
      if (waiting.reactor !== reactor) continue;
      this.#waiting.delete(id);
      waiting.reject(error);
    }
  }

  /** @param label made only if someone keeps labels beside the handles */
  call<Name extends CallName>(
    reactor: number,
    label: (() => unknown) | undefined,
    name: Name,
    ...args: ReactorCalls[Name]["args"]
  ): Promise<ReactorCalls[Name]["answer"]> {
    const refused = this.#ended ?? this.#away.get(reactor);
    if (refused !== undefined) return Promise.reject(refused);
    if (this.#stopping) return Promise.reject(new ReactorError("REACTOR_STOPPED", `${name}: the reactor is stopping`));
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      // The reactor's answer to each call has the type that `ReactorCalls` gives it.
      this.#waiting.set(id, { reactor, resolve: resolve as (answer: unknown) => void, reject });
      const request = { kind: "call", id, name, args } as const;
      const withLabel = this.#link.keepsLabels && label !== undefined;
      this.#link.send(reactor, withLabel ? { ...request, label: label() } : request);
    });
  }

  // ---- Stopping ----

  /** @param graceMs how long commands in flight may take to finish, 0 to 2000 */
  async stop(graceMs: number): Promise<StopOutcome> {
    if (this.#ended === null || !this.#stopping) {
      this.#stopping = true;
      const request = { kind: "stop", graceMs: Math.min(2000, Math.max(0, graceMs)) } as const;
      for (let reactor = 0; reactor < this.reactors; reactor++) this.#link.send(reactor, request);
    }
    if (await this.#exitsWithin(STOP_MS)) return "stopped";
    this.#link.terminate();
    if (await this.#exitsWithin(TERMINATE_MS)) return "terminated";
    this.#link.abandon();
    this.#fail("REACTOR_STOPPED", "the reactor does not answer and was left behind");
    return "abandoned";
  }

  async #exitsWithin(ms: number): Promise<boolean> {
    const timer = Promise.withResolvers<boolean>();
    const timeout = setTimeout(() => timer.resolve(false), ms);
    const exited = await Promise.race([this.#exited.promise.then(() => true), timer.promise]);
    clearTimeout(timeout);
    return exited;
  }

  // ---- Messages ----

  #receive(reactor: number, message: Message): void {
    switch (message.kind) {
      case "ready":
        this.backend = message.backend;
        this.#memoryBytes[reactor] = message.memoryBytes;
        return this.#begins(reactor);
      case "answer":
        this.#waiting.get(message.id)?.resolve(message.answer);
        this.#waiting.delete(message.id);
        return;
      case "refused":
        this.#waiting.get(message.id)?.reject(new ReactorError(message.code, message.message));
        this.#waiting.delete(message.id);
        return;
      case "events": {
        const events = decodeEvents(message.entries, reactor);
        for (const listener of this.#eventListeners) listener(events);
        return;
      }
      case "asked":
        return this.onTarget(reactor, null);
      case "ended":
        return this.onTarget(reactor, message.name);
      case "failed":
        return this.#fail(message.code, message.message);
    }
  }

  #begins(reactor: number): void {
    this.#beginning.delete(reactor);
    if (this.#beginning.size === 0) this.#begun.resolve();
  }

  #leave(reactor: number, status: number): void {
    this.#running.delete(reactor);
    // While all are stopped, those that still run do their work to the end.
    if (this.#running.size > 0 && this.#stopping) return this.#goesAway(reactor, "the reactor has ended");
    this.#fail("REACTOR_STOPPED", `the reactor has ended (exit ${status})`);
    if (this.#running.size === 0) this.#exited.resolve();
    else this.#link.terminate();
  }

  /** The reactors are gone: everyone waiting for them learns why, once. */
  #fail(code: string, message: string): void {
    if (this.#ended !== null) return;
    this.#ended = new ReactorError(code, message);
    const crashed = this.#beginning.size === 0 && !this.#stopping;
    this.#beginning.clear();
    this.#begun.reject(this.#ended);
    for (const waiting of this.#waiting.values()) waiting.reject(this.#ended);
    this.#waiting.clear();
    if (crashed) for (const listener of this.#failureListeners) listener(this.#ended);
  }
}
