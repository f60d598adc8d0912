// Carries requests to a reactor and its messages back: the reactor is a thread of this process, or of the process that keeps it.

import { Worker } from "node:worker_threads";
import { closeDescriptor, wake } from "../native/index.ts";
import type { Message, ReactorOptions, Request } from "./reactor-messages.ts";

const YOUNG_GENERATION_MIB = 12;

/** Receives what comes back. */
export interface LinkListener {
  message(message: Message): void;
  /** The thread has ended with an error. */
  crashed(reason: string): void;
  /** The thread is gone; nothing comes after this. */
  exited(status: number): void;
}

export interface ReactorLink {
  /** Whether someone keeps labels beside the handles, so that creating them is worthwhile. */
  readonly keepsLabels: boolean;
  /** Call it once, at once. */
  listen(listener: LinkListener): void;
  send(request: Request): void;
  /** Ends the thread by force. */
  terminate(): void;
  /** The thread hangs: do not let it keep the process from ending. */
  abandon(): void;
}

/** A reactor on a thread of its own in this process. */
export class ThreadLink implements ReactorLink {
  readonly keepsLabels = false;
  readonly #worker: Worker;
  /** Ours to close, whatever happens to the ring. */
  #wakeDescriptor = -1;

  constructor(options: ReactorOptions) {
    // The loop allocates nothing; without a limit V8 would keep a young generation of 100 MB for it.
    const resourceLimits = { maxYoungGenerationSizeMb: YOUNG_GENERATION_MIB };
    const worker = new URL("./worker.ts", import.meta.url);
    this.#worker = new Worker(worker, { workerData: options, name: "reactor", resourceLimits });
  }

  listen(listener: LinkListener): void {
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

  send(request: Request): void {
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
