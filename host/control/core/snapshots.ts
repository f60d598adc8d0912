// A copy of the core's tables, from which everything is displayed. A display never waits for a path, and waits for the reactor
// only for a limited time: then it shows the last copy.

import type { ReactorClient } from "../../reactor/reactor-client.ts";
import { NO_SNAPSHOT, Snapshot } from "./snapshot.ts";

/** A copy younger than this is fresh enough to display. */
const FRESH_MS = 15;
/** How long a display waits for a new copy. */
const WAIT_MS = 25;
/** After this without a new copy, the reactor counts as not answering. */
const SILENT_MS = 1000;

export class Snapshots {
  readonly #reactor: ReactorClient;
  readonly #onSnapshot: (snapshot: Snapshot) => void;
  #newest: Snapshot = NO_SNAPSHOT;
  #takenMs = 0;
  #askedMs: number | null = null;
  #pending: Promise<void> | null = null;

  constructor(reactor: ReactorClient, onSnapshot: (snapshot: Snapshot) => void) {
    this.#reactor = reactor;
    this.#onSnapshot = onSnapshot;
  }

  /** The newest copy. */
  get newest(): Snapshot {
    return this.#newest;
  }

  get ageMs(): number {
    return performance.now() - this.#takenMs;
  }

  /** False while a requested copy is overdue. */
  get isAnswering(): boolean {
    return this.#askedMs === null || performance.now() - this.#askedMs < SILENT_MS;
  }

  /** Requests a new copy, or joins the request that is under way. */
  #refresh(): Promise<void> {
    this.#pending ??= this.#ask().finally(() => {
      this.#pending = null;
    });
    return this.#pending;
  }

  async #ask(): Promise<void> {
    const asked = performance.now();
    this.#askedMs = asked;
    const snapshot = await this.#reactor.snapshotCopy();
    this.#newest = new Snapshot(snapshot);
    this.#takenMs = asked;
    this.#askedMs = null;
    this.#onSnapshot(this.#newest);
  }

  /** A copy to display: a new one if the reactor answers in time, else the last one. */
  async forDisplay(): Promise<Snapshot> {
    if (this.ageMs > FRESH_MS) {
      let timer: NodeJS.Timeout | undefined;
      const limit = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, WAIT_MS);
      });
      await Promise.race([this.#refresh().catch(() => undefined), limit]);
      clearTimeout(timer);
    }
    return this.#newest;
  }

  /** A copy taken after this call; for the answer to a change. Rejects when the reactor is gone. */
  async current(): Promise<Snapshot> {
    await this.#pending?.catch(() => undefined);
    await this.#refresh();
    return this.#newest;
  }
}
