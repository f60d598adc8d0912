// Control's link to the supervisor: one channel for messages, one for descriptors. When it breaks, control ends.

import { closeDescriptor, dieWithParent, endProcess, sendDescriptor } from "../../native/index.ts";
import { ReactorClient, type ReactorOptions } from "../../reactor/reactor-client.ts";
import type { LinkListener, ReactorLink } from "../../reactor/link.ts";
import type { Request } from "../../reactor/reactor-messages.ts";
import type { Adoption, Downward, Privileges, Upward, Begin } from "../../supervisor/protocol.ts";
import { reasonOf } from "../ground/control-errors.ts";
import type { Keeper } from "./keeper.ts";

/** As the supervisor starts us (host/supervisor/life.ts). */
const DESCRIPTOR_CHANNEL = 4;

/** What the supervisor asks for. */
export interface Orders {
  stop(): void;
  reload(): void;
  /** A new control takes over. */
  leave(): void;
  /** The whole daemon stops. */
  die(reason: string): void;
  stalled(reactor: number, isStalled: boolean): void;
  told(level: "debug" | "warning", text: string): void;
}

type Events = Extract<Downward, { kind: "events" }>;

export class Lifeline implements Keeper, ReactorLink {
  readonly keepsLabels = true;
  reactors = 1;
  readonly pid = process.ppid;
  adoption: Adoption | null = null;
  #begunMs = performance.now();
  #ranMs = 0;
  readonly #begun = Promise.withResolvers<void>();
  #listener: LinkListener | null = null;
  /** What arrived before there was a listener. */
  #early: Downward[] = [];
  #orders: Orders | null = null;
  #onLost: ((events: number) => void) | null = null;
  #heldEvents: Events[] = [];
  #lastEvents = 0;
  #nextTag = 1;
  #nextId = 1;
  readonly #waiting = new Map<number, (answer: number) => void>();

  private constructor() {
    // One message at a time: code that waits for an answer must run before the next message, which may be an event that undoes it.
    // Node delivers everything that has arrived at once.
    process.on("message", (message) => setImmediate(() => this.#receive(message as Downward)));
  }

  /** Waits for the supervisor's first message. */
  static async begin(): Promise<Lifeline> {
    // The supervisor may be killed at any time; its successor must not find our locks or sockets in its way.
    process.on("disconnect", () => endProcess(1));
    if (!dieWithParent(process.ppid) || !process.connected) endProcess(1);
    const lifeline = new Lifeline();
    await lifeline.#begun.promise;
    return lifeline;
  }

  #begin({ runningMs, adoption }: Begin): void {
    this.adoption = adoption;
    this.#begunMs = performance.now();
    this.#ranMs = runningMs;
    this.#lastEvents = adoption?.number ?? 0;
    this.reactors = adoption?.reactors ?? 1;
    this.#begun.resolve();
  }

  get runningMs(): number {
    return this.#ranMs + performance.now() - this.#begunMs;
  }

  /** Sets who handles orders, and delivers those that have already arrived. */
  obey(orders: Orders): void {
    this.#orders = orders;
    for (const message of this.#early.splice(0)) this.#receive(message);
  }

  ready(status: string): void {
    this.#say({ kind: "ready", status });
  }

  reloaded(): void {
    this.#say({ kind: "reloaded" });
  }

  /** Why this process is about to end. */
  dying(reason: string): void {
    this.#say({ kind: "dying", reason });
  }

  // ---- Keeper ----

  reactor(options: ReactorOptions, privileges: Privileges): Promise<ReactorClient> {
    if (this.adoption === null) {
      this.reactors = options.reactors ?? 1;
      this.#say({ kind: "start", options, privileges });
    }
    return ReactorClient.over(this);
  }

  follow(onLost: (events: number) => void): void {
    this.#onLost = onLost;
    for (const events of this.#heldEvents.splice(0)) this.#events(events);
  }

  noting(): () => void {
    const number = this.#lastEvents;
    return () => this.#say({ kind: "noted", number });
  }

  keep(name: string, value: unknown): void {
    this.#say({ kind: "keep", name, value });
  }

  relabel(connection: number, label: unknown): void {
    this.#say({ kind: "relabel", connection, label });
  }

  claim(device: string): Promise<number> {
    return this.#ask((id) => ({ kind: "claim", id, device }));
  }

  async release(device: string): Promise<void> {
    await this.#ask((id) => ({ kind: "release", id, device }));
  }

  #ask(question: (id: number) => Upward): Promise<number> {
    const id = this.#nextId++;
    return new Promise((resolve) => {
      this.#waiting.set(id, resolve);
      this.#say(question(id));
    });
  }

  // ---- ReactorLink ----

  listen(listener: LinkListener): void {
    this.#listener = listener;
    for (const message of this.#early.splice(0)) this.#receive(message);
  }

  send(reactor: number, request: Request): void {
    const fd = request.kind === "call" && request.name === "addConnection" ? Number(request.args[0]) : null;
    if (fd === null || request.kind !== "call") return this.#say({ kind: "request", reactor, request });
    const tag = this.#nextTag++;
    try {
      sendDescriptor(DESCRIPTOR_CHANNEL, fd, tag);
      this.#say({ kind: "request", reactor, request, descriptor: tag });
    } catch (thrown) {
      const refused = {
        kind: "refused",
        id: request.id,
        code: "REACTOR_DESCRIPTOR",
        message: reasonOf(thrown),
      } as const;
      queueMicrotask(() => this.#listener?.message(reactor, refused));
    } finally {
      closeDescriptor(fd);
    }
  }

  terminate(): void {
    this.#say({ kind: "terminate" });
  }

  abandon(): void {
    // This process ends first, then the supervisor.
  }

  // ---- Messages ----

  #say(message: Upward): void {
    if (process.connected) process.send?.(message, undefined, undefined, () => undefined);
  }

  #receive(message: Downward): void {
    switch (message.kind) {
      case "ping":
        return this.#say({ kind: "pong" });
      case "claimed":
      case "released":
        this.#waiting.get(message.id)?.(message.kind === "claimed" ? message.answer : 0);
        this.#waiting.delete(message.id);
        return;
      case "events":
        return this.#events(message);
      case "reactor":
      case "crashed":
      case "exited":
      case "away":
        if (this.#listener === null) this.#early.push(message);
        else toListener(this.#listener, message);
        return;
      case "begin":
        return this.#begin(message);
      default:
        if (this.#orders === null) this.#early.push(message);
        else carryOut(this.#orders, message);
    }
  }

  #events(events: Events): void {
    if (this.#onLost === null || this.#listener === null) {
      this.#heldEvents.push(events);
      return;
    }
    if (events.lost > 0) this.#onLost(events.lost);
    this.#lastEvents = events.number;
    this.#listener.message(events.reactor, { kind: "events", entries: events.entries });
  }
}

function toListener(
  listener: LinkListener,
  message: Extract<Downward, { kind: "reactor" | "crashed" | "exited" | "away" }>,
): void {
  const { reactor } = message;
  if (message.kind === "reactor") listener.message(reactor, message.message);
  else if (message.kind === "crashed") listener.crashed(reactor, message.reason);
  else if (message.kind === "away") listener.away(reactor, message.reason);
  else listener.exited(reactor, message.status);
}

function carryOut(
  orders: Orders,
  message: Extract<Downward, { kind: "stop" | "reload" | "leave" | "die" | "stalled" | "told" }>,
): void {
  if (message.kind === "die") orders.die(message.reason);
  else if (message.kind === "stalled") orders.stalled(message.reactor, message.isStalled);
  else if (message.kind === "told") orders.told(message.level, message.text);
  else orders[message.kind]();
}
