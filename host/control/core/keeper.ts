// Keeps the reactor alive while control ends and is restarted (host/supervisor). Without a keeper the reactor is a thread of this
// process and ends with it.

import type { ReactorClient, ReactorOptions } from "../../reactor/reactor-client.ts";
import type { Adoption, Privileges } from "../../supervisor/protocol.ts";

export interface Keeper {
  /** The process that operators know as the daemon. */
  readonly pid: number;
  /** How long the daemon has been running, ms. */
  readonly runningMs: number;
  /** What an earlier control left; null when this is the first. */
  readonly adoption: Adoption | null;
  /** The reactor; started unless it is running. */
  reactor(options: ReactorOptions, privileges: Privileges): Promise<ReactorClient>;
  /** Starts the delivery of events: from now on there is a listener. */
  follow(onLost: (events: number) => void): void;
  /** Returns a function that acknowledges all events received so far. */
  noting(): () => void;
  /** Stored for the next control, by name. Values must be cloneable. */
  keep(name: string, value: unknown): void;
  relabel(connection: number, label: unknown): void;
  /** Like the native addon's, but open for as long as the daemon runs. */
  claim(device: string): Promise<number>;
  release(device: string): Promise<void>;
}
