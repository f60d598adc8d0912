// Who keeps the reactor where control may end and be started again while I/O goes on (host/supervisor). Where nobody does, the
// reactor is a thread of this process and ends with it.

import type { ReactorClient, ReactorOptions } from "../../reactor/client.ts";
import type { Adoption, Privileges } from "../../supervisor/protocol.ts";

export interface Keeper {
  /** The daemon's process, as operators know it. */
  readonly pid: number;
  /** How long the daemon has been running, ms. */
  readonly runningMs: number;
  /** What there is already; null: nothing, this is the first control. */
  readonly adoption: Adoption | null;
  /** The reactor, which is started unless it runs. */
  reactor(options: ReactorOptions, privileges: Privileges): Promise<ReactorClient>;
  /** From here on events come: whoever hears them is there. */
  follow(onLost: (events: number) => void): void;
  /** Answers how to say that every event that has come until now is noted. */
  noting(): () => void;
  /** Remembered for the next control, by name. What is remembered can be cloned. */
  keep(name: string, value: unknown): void;
  relabel(connection: number, label: unknown): void;
  /** As the native addon's, but open for as long as the daemon runs. */
  claim(device: string): Promise<number>;
  release(device: string): Promise<void>;
}
