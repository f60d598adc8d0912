// How busy each reactor is: what it has counted since it began, and the share of the last seconds for which it worked.

import type { ReactorClient } from "../../reactor/reactor-client.ts";
import type { ReactorLoad } from "../../reactor/reactor-messages.ts";

/** How often a share begins anew; it is over one to two of these. */
const PERIOD_MS = 10_000;
/** A share of less time says nothing. */
const SHARE_MS_MIN = 100;
/** How long a display waits for a reactor; then it shows what that one told last. */
const WAIT_MS = 25;

type Reactors = Pick<ReactorClient, "reactors" | "present" | "loadOf">;

interface Told {
  readonly atMs: number;
  readonly load: ReactorLoad;
}

class OneLoad {
  readonly #ask: () => Promise<ReactorLoad>;
  newest: Told | null = null;
  /** What it had told when this period and the one before began. */
  #begins: readonly Told[] = [];
  #pending: Promise<void> | null = null;

  constructor(ask: () => Promise<ReactorLoad>) {
    this.#ask = ask;
  }

  /** Percent of the last seconds; null while it is not known. */
  get busyPercent(): number | null {
    const [first] = this.#begins;
    if (first === undefined || this.newest === null) return null;
    const ms = this.newest.atMs - first.atMs;
    if (ms < SHARE_MS_MIN) return null;
    const share = (this.newest.load.busyNs - first.load.busyNs) / 1e6 / ms;
    return Math.round(1000 * Math.min(1, Math.max(0, share))) / 10;
  }

  refresh(): Promise<void> {
    this.#pending ??= this.#learn().finally(() => {
      this.#pending = null;
    });
    return this.#pending;
  }

  async #learn(): Promise<void> {
    const load = await this.#ask();
    const told = { atMs: performance.now(), load };
    // It was started again, and counts from the beginning.
    if (this.newest !== null && load.busyNs < this.newest.load.busyNs) this.#begins = [];
    this.newest = told;
    const last = this.#begins.at(-1);
    if (last === undefined) this.#begins = [told];
    else if (told.atMs - last.atMs >= PERIOD_MS) this.#begins = [last, told];
  }
}

export class ReactorLoads {
  readonly #reactors: Reactors;
  readonly #loads: readonly OneLoad[];
  readonly #timer: NodeJS.Timeout;

  /** @param learn is called with what a reactor tells */
  constructor(reactors: Reactors, learn: (load: ReactorLoad) => void = () => undefined) {
    this.#reactors = reactors;
    const ask = async (one: number): Promise<ReactorLoad> => {
      const load = await reactors.loadOf(one);
      learn(load);
      return load;
    };
    this.#loads = Array.from({ length: reactors.reactors }, (_, one) => new OneLoad(() => ask(one)));
    this.#timer = setInterval(() => void this.#refresh(), PERIOD_MS).unref();
    void this.#refresh();
  }

  async #refresh(): Promise<void> {
    const { present } = this.#reactors;
    await Promise.allSettled(present.map((one) => this.#loads[one]?.refresh()));
  }

  /** New figures of those that answer in time. */
  async forDisplay(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const limit = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, WAIT_MS);
    });
    await Promise.race([this.#refresh(), limit]);
    clearTimeout(timer);
  }

  /** What a reactor told last; null when it has told nothing. */
  of(reactor: number): ReactorLoad | null {
    return this.#loads[reactor]?.newest?.load ?? null;
  }

  /** Percent of the last 10 to 20 s for which it worked; less at the start, null when it is not known. */
  busyPercent(reactor: number): number | null {
    return this.#loads[reactor]?.busyPercent ?? null;
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
