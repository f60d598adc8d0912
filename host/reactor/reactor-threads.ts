// All reactors of this process: threads that share nothing but the news about components that they have in common.

import { randomUUID } from "node:crypto";
import { NBD_PAYLOAD_BYTES_MAX } from "../abi.ts";
import { ReactorThread, type LinkListener, type ReactorLink } from "./link.ts";
import type { Message, ReactorOptions, Request, ThreadOptions } from "./reactor-messages.ts";
import { newsIn } from "./shared-news.ts";

/** Calls that change the emulated arrays, of which each reactor has a copy. */
const OF_ARRAYS: ReadonlySet<string> = new Set(["addFault", "liftFault", "liftAllFaults"]);
/** Answers to the calls that are repeated to a reactor that was started again; nobody has asked. */
const NOBODY = Number.MIN_SAFE_INTEGER;

const nothing = (): void => undefined;
const DEAF: LinkListener = { message: nothing, crashed: nothing, exited: nothing, away: nothing };

/** The share of one of several. Only the memory for data is divided: the tables take memory only where they are used. */
function shareOf(options: ReactorOptions, reactors: number, media: string | null): ThreadOptions {
  const { limits } = options;
  if (reactors === 1 || limits?.poolBytes === undefined) return { ...options, media };
  const largest = limits.payloadBytes ?? NBD_PAYLOAD_BYTES_MAX;
  const share = Math.floor(limits.poolBytes / reactors);
  return { ...options, limits: { ...limits, poolBytes: Math.max(share, Math.min(largest, limits.poolBytes)) }, media };
}

export class ReactorThreads implements ReactorLink {
  readonly keepsLabels = false;
  readonly reactors: number;
  readonly #options: ThreadOptions;
  readonly #threads: (ReactorThread | null)[];
  #listener: LinkListener = DEAF;
  /** What was done to the emulated arrays, in order. */
  readonly #arrayCalls: Extract<Request, { kind: "call" }>[] = [];

  constructor(options: ReactorOptions) {
    this.reactors = options.reactors ?? 1;
    this.#options = shareOf(options, this.reactors, this.reactors === 1 ? null : randomUUID());
    this.#threads = Array.from({ length: this.reactors }, (_, reactor) => this.#thread(reactor));
  }

  #thread(reactor: number): ReactorThread {
    const name = this.reactors === 1 ? "reactor" : `reactor ${reactor}`;
    const { seed } = this.#options;
    const own = seed === undefined ? this.#options : { ...this.#options, seed: seed + BigInt(reactor) };
    return new ReactorThread(own, name, {
      message: (message) => this.#receive(reactor, message),
      crashed: (reason) => this.#listener.crashed(reactor, reason),
      exited: (status) => {
        this.#threads[reactor] = null;
        this.#listener.exited(reactor, status);
      },
    });
  }

  listen(listener: LinkListener): void {
    this.#listener = listener;
  }

  send(reactor: number, request: Request): void {
    if (this.reactors > 1 && reactor === 0 && request.kind === "call" && OF_ARRAYS.has(request.name)) {
      this.#arrayCalls.push(request);
    }
    this.#threads[reactor]?.send(request);
  }

  #receive(reactor: number, message: Message): void {
    if ((message.kind === "answer" || message.kind === "refused") && message.id === NOBODY) return;
    if (message.kind === "ready") this.#repeat(reactor);
    if (message.kind === "events" && this.reactors > 1) this.#passOn(reactor, message.entries);
    this.#listener.message(reactor, message);
  }

  #passOn(from: number, entries: Uint8Array): void {
    for (const news of newsIn(entries, this.reactors - 1)) {
      for (const [reactor, thread] of this.#threads.entries()) if (reactor !== from) thread?.send(news);
    }
  }

  isRunning(reactor: number): boolean {
    return this.#threads[reactor] !== null;
  }

  /** Starts one again that has exited. */
  restart(reactor: number): void {
    this.#threads[reactor] = this.#thread(reactor);
  }

  /** Gives the emulated arrays of a reactor that begins the faults of the others. */
  #repeat(reactor: number): void {
    for (const call of this.#arrayCalls) this.#threads[reactor]?.send({ ...call, id: NOBODY });
  }

  /** Ends one thread by force, if it can be ended. */
  terminateOne(reactor: number): void {
    this.#threads[reactor]?.terminate();
  }

  terminate(): void {
    for (const thread of this.#threads) thread?.terminate();
  }

  abandon(): void {
    for (const thread of this.#threads) thread?.abandon();
  }
}
