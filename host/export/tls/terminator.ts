// TLS for the NBD export, on threads of its own: a client's socket goes in, a plain socket and the client's identity come out.

import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import { closeDescriptor, socketPair } from "../../native/index.ts";
import type { FromWorker, TlsSettings, ToWorker } from "./tls-messages.ts";
import type { TlsPeer } from "./peer.ts";

const THREADS_MAX = 4;
/** A relay keeps its buffers; without a limit V8 would grow the young generation for nothing. */
const YOUNG_GENERATION_MIB = 16;

/** A client behind TLS. */
export interface Secured {
  /** A socket that carries its bytes unencrypted; the receiver closes it. */
  readonly descriptor: number;
  readonly peer: TlsPeer;
}

/** A TLS handshake under way. */
export interface Securing {
  /** Rejects when the client fails to authenticate, disconnects, or `cancel` was called. */
  readonly outcome: Promise<Secured>;
  cancel(): void;
}

interface Waiting {
  readonly thread: number;
  /** Our end of the pair. */
  readonly descriptor: number;
  readonly resolve: (secured: Secured) => void;
  readonly reject: (error: Error) => void;
}

export class TlsTerminator {
  #settings: TlsSettings;
  readonly #onFailure: (error: Error) => void;
  readonly #threads: (Worker | null)[];
  readonly #waiting = new Map<number, Waiting>();
  #nextId = 1;

  /** @param onFailure called when a thread has crashed; its clients have lost their connections, new ones use another thread */
  constructor(settings: TlsSettings, onFailure: (error: Error) => void) {
    this.#settings = settings;
    this.#onFailure = onFailure;
    const count = Math.min(THREADS_MAX, Math.max(1, Math.floor(availableParallelism() / 2)));
    this.#threads = Array.from({ length: count }, () => null);
    // So that the first client need not wait for them.
    for (const thread of this.#threads.keys()) this.#worker(thread);
  }

  /** Certificates and keys for new connections. */
  replace(settings: TlsSettings): void {
    this.#settings = settings;
    for (const worker of this.#threads) worker?.postMessage({ kind: "settings", settings } satisfies ToWorker);
  }

  /** Starts a handshake; takes over the descriptor. */
  secure(descriptor: number): Securing {
    const id = this.#nextId++;
    const thread = id % this.#threads.length;
    const { promise, resolve, reject } = Promise.withResolvers<Secured>();
    try {
      const worker = this.#worker(thread);
      const [ours, theirs] = socketPair("stream", true);
      this.#waiting.set(id, { thread, descriptor: ours, resolve, reject });
      worker.postMessage({ kind: "connection", id, client: descriptor, plain: theirs } satisfies ToWorker);
    } catch (thrown) {
      closeDescriptor(descriptor);
      reject(thrown instanceof Error ? thrown : new Error(String(thrown)));
    }
    return { outcome: promise, cancel: () => this.#cancel(id) };
  }

  /** Ends the threads, and with them every TLS connection. */
  async close(): Promise<void> {
    await Promise.all(this.#threads.map((worker) => worker?.terminate()));
  }

  #worker(thread: number): Worker {
    const known = this.#threads[thread];
    if (known !== null && known !== undefined) return known;
    const worker = new Worker(new URL("./tls-worker.ts", import.meta.url), {
      workerData: this.#settings,
      name: "tls",
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MIB },
    });
    worker.on("message", (message: FromWorker) => this.#receive(message));
    worker.on("error", (error) => this.#onFailure(error instanceof Error ? error : new Error(String(error))));
    worker.on("exit", () => {
      if (this.#threads[thread] === worker) this.#threads[thread] = null;
      for (const [id, waiting] of this.#waiting) {
        if (waiting.thread === thread) this.#fail(id, "the thread that speaks TLS has ended");
      }
    });
    this.#threads[thread] = worker;
    return worker;
  }

  #receive(message: FromWorker): void {
    const waiting = this.#waiting.get(message.id);
    if (waiting === undefined) return;
    if (message.kind === "failed") {
      this.#fail(message.id, message.reason);
      return;
    }
    this.#waiting.delete(message.id);
    waiting.resolve({ descriptor: waiting.descriptor, peer: message.peer });
  }

  #fail(id: number, reason: string): void {
    const waiting = this.#waiting.get(id);
    if (waiting === undefined) return;
    this.#waiting.delete(id);
    closeDescriptor(waiting.descriptor);
    waiting.reject(new Error(reason));
  }

  #cancel(id: number): void {
    const waiting = this.#waiting.get(id);
    if (waiting === undefined) return;
    this.#threads[waiting.thread]?.postMessage({ kind: "cancel", id } satisfies ToWorker);
    this.#fail(id, "nobody waits for it");
  }
}
