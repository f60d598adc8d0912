// Carries requests to the reactors and their messages back: they are threads of this process, or of the process that keeps them.

import { Worker } from "node:worker_threads";
import { closeDescriptor, wake } from "../native/index.ts";
import type { Message, Request, ThreadOptions, ThreadRequest } from "./reactor-messages.ts";

const YOUNG_GENERATION_MIB = 12;

/** Receives what comes back from each reactor; they are numbered from 0. */
export interface LinkListener {
  message(reactor: number, message: Message): void;
  /** The thread has ended with an error. */
  crashed(reactor: number, reason: string): void;
  /** The thread is gone; nothing comes after this. */
  exited(reactor: number, status: number): void;
  /** One of several takes no calls, for this reason, or does so again (null); its keeper looks after it. */
  away(reactor: number, reason: string | null): void;
}

export interface ReactorLink {
  /** Number of reactors. */
  readonly reactors: number;
  /** Whether someone keeps labels beside the handles, so that creating them is worthwhile. */
  readonly keepsLabels: boolean;
  /** Call it once, at once. */
  listen(listener: LinkListener): void;
  send(reactor: number, request: Request): void;
  /** Ends the threads by force. */
  terminate(): void;
  /** Threads hang: do not let them keep the process from ending. */
  abandon(): void;
}

/** What a thread reports; its keeper knows which reactor it is. */
export interface ThreadListener {
  message(message: Message): void;
  crashed(reason: string): void;
  exited(status: number): void;
}

/** A reactor on a thread of its own in this process. */
export class ReactorThread {
  readonly #worker: Worker;
  /** Ours to close, whatever happens to the ring. */
  #wakeDescriptor = -1;

  constructor(options: ThreadOptions, name: string, listener: ThreadListener) {
    // The loop allocates nothing; without a limit V8 would keep a young generation of 100 MB for it.
    const resourceLimits = { maxYoungGenerationSizeMb: YOUNG_GENERATION_MIB };
    const worker = new URL("./worker.ts", import.meta.url);
    this.#worker = new Worker(worker, { workerData: options, name, resourceLimits });
    this.#worker.on("message", (message: Message) => {
      if (message.kind === "ready") this.#wakeDescriptor = message.wakeDescriptor;
      listener.message(message);
    });
    this.#worker.on("error", (error) => listener.crashed(String(error)));
    this.#worker.once("exit", (status) => {
      listener.exited(status);
      if (this.#wakeDescriptor >= 0) closeDescriptor(this.#wakeDescriptor);
      this.#wakeDescriptor = -1;
    });
  }

  send(request: ThreadRequest): void {
    const { label: _, ...rest } = { label: undefined, ...request };
    this.#worker.postMessage(rest);
    this.#wake();
  }

  terminate(): void {
    const terminated = this.#worker.terminate();
    this.#wake();
    terminated.catch(() => undefined);
  }

  abandon(): void {
    this.#worker.unref();
  }

  #wake(): void {
    if (this.#wakeDescriptor >= 0) wake(this.#wakeDescriptor);
  }
}
