// One receiver: a bounded queue, and a transport that empties it in order. A receiver that is down, slow or refuses costs only its
// own notices: they wait, are sent again after growing pauses, and beyond the queue's limit they are counted and dropped.

import { clean } from "../clean.ts";
import type { Notice } from "./notice.ts";

/** Carries notices to somewhere. */
export interface Transport {
  /** Most notices in one call of `send`. */
  readonly batchMax: number;
  /** Rejects when they were not taken; after `signal` it has to let go. A Refusal is not repeated. */
  send(batch: readonly Notice[], signal: AbortSignal): Promise<void>;
  close(): void;
}

/** The receiver does not take these notices, however often they are sent. */
export class Refusal extends Error {
  override readonly name = "Refusal";
}

export interface ReceiverStatus {
  readonly name: string;
  readonly kind: string;
  readonly queued: number;
  readonly sent: number;
  readonly dropped: number;
  readonly failures: number;
  /** Why the last attempt failed; null when it succeeded. */
  readonly failing: string | null;
}

/** What a receiver reports about itself. */
export interface Listener {
  failed(name: string, reason: string): void;
  restored(name: string, sent: number, dropped: number, failedMs: number): void;
}

export interface ReceiverOptions {
  readonly name: string;
  readonly kind: string;
  readonly transport: Transport;
  readonly queueMax: number;
  readonly listener: Listener;
  /** For tests. */
  readonly sendMsMax?: number;
  readonly pauseMsMin?: number;
}

const SEND_MS_MAX = 10_000;
const PAUSE_MS_MIN = 1000;
const PAUSE_MS_MAX = 60_000;
const REASON_CHARS_MAX = 300;

/** One line, whatever a peer has answered. */
const reasonOf = (thrown: unknown): string =>
  clean(thrown instanceof Error ? thrown.message : String(thrown)).slice(0, REASON_CHARS_MAX);

export class Receiver {
  readonly #options: ReceiverOptions;
  readonly #queue: Notice[] = [];
  #sending: Promise<void> | null = null;
  #wake: (() => void) | null = null;
  #stopped = new AbortController();
  #sent = 0;
  #dropped = 0;
  #failures = 0;
  #failing: { readonly reason: string; readonly sinceMs: number; readonly dropped: number } | null = null;

  constructor(options: ReceiverOptions) {
    this.#options = options;
  }

  get status(): ReceiverStatus {
    const { name, kind } = this.#options;
    return {
      name,
      kind,
      queued: this.#queue.length,
      sent: this.#sent,
      dropped: this.#dropped,
      failures: this.#failures,
      failing: this.#failing?.reason ?? null,
    };
  }

  offer(notice: Notice): void {
    if (this.#stopped.signal.aborted) return;
    if (this.#queue.length >= this.#options.queueMax) {
      this.#dropped++;
      return;
    }
    this.#queue.push(notice);
    this.#sending ??= this.#empty().finally(() => {
      this.#sending = null;
    });
  }

  /** Sends one notice at once, past the queue; returns why it failed, null when it was taken. */
  async test(notice: Notice): Promise<string | null> {
    try {
      await this.#send([notice]);
      return null;
    } catch (thrown) {
      return reasonOf(thrown);
    }
  }

  async #send(batch: readonly Notice[]): Promise<void> {
    const { transport, sendMsMax = SEND_MS_MAX } = this.#options;
    const late = AbortSignal.timeout(sendMsMax);
    const signal = AbortSignal.any([late, this.#stopped.signal]);
    let onAbort: (() => void) | undefined;
    const aborted = new Promise<never>((_, reject) => {
      onAbort = () =>
        reject(new Error(late.aborted ? `it did not answer within ${sendMsMax / 1000} s` : "the daemon is stopping"));
      signal.addEventListener("abort", onAbort, { once: true });
    });
    try {
      await Promise.race([transport.send(batch, signal), aborted]);
    } finally {
      if (onAbort !== undefined) signal.removeEventListener("abort", onAbort);
    }
  }

  async #empty(): Promise<void> {
    const { transport, pauseMsMin = PAUSE_MS_MIN } = this.#options;
    let pauseMs = pauseMsMin;
    while (this.#queue.length > 0 && !this.#stopped.signal.aborted) {
      const batch = this.#queue.slice(0, transport.batchMax);
      try {
        await this.#send(batch);
        this.#queue.splice(0, batch.length);
        this.#sent += batch.length;
        this.#restored();
        pauseMs = pauseMsMin;
      } catch (thrown) {
        if (this.#stopped.signal.aborted) return;
        if (thrown instanceof Refusal) {
          this.#queue.splice(0, batch.length);
          this.#dropped += batch.length;
        }
        this.#failed(reasonOf(thrown));
        await this.#pause(pauseMs);
        pauseMs = Math.min(2 * pauseMs, PAUSE_MS_MAX);
      }
    }
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      timer.unref();
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #failed(reason: string): void {
    this.#failures++;
    const before = this.#failing;
    this.#failing = {
      reason,
      sinceMs: before?.sinceMs ?? performance.now(),
      dropped: before?.dropped ?? this.#dropped,
    };
    if (before === null) this.#options.listener.failed(this.#options.name, reason);
  }

  #restored(): void {
    if (this.#failing === null) return;
    const { sinceMs, dropped } = this.#failing;
    this.#failing = null;
    const { listener, name } = this.#options;
    listener.restored(name, this.#sent, this.#dropped - dropped, Math.round(performance.now() - sinceMs));
  }

  /** Waits for what is queued, no longer than `ms`; then lets go. */
  async stop(ms = 0): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const limit = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, ms);
    });
    // One that fails already is not waited for.
    if (this.#failing === null && ms > 0) await Promise.race([this.#sending ?? Promise.resolve(), limit]);
    clearTimeout(timer);
    this.#stopped.abort();
    this.#wake?.();
    this.#options.transport.close();
  }
}
