// How many connections the core can take, and who has them. A client is told that there is no room while it negotiates, so a
// place is kept for it from then on; that of a connection is free again when the core has closed it.

import type { NbdAddress } from "./server.ts";

export interface RoomLimits {
  /** Connections the core has records for (`limits.connections`). */
  readonly connections: number;
  /** Of those, how many clients over TCP may have, so that clients of this machine and the kernel's devices find room. */
  readonly remote: number;
}

export type Origin = NbdAddress["kind"] | "kernel";

/** Told to a client, and to the log: which limit is reached and which key raises it. */
export class NoRoom extends Error {}

export class ConnectionRoom {
  readonly #limits: RoomLimits;
  /** Origin of every connection that is open, by its handle. */
  readonly #open = new Map<number, Origin>();
  /** Places kept for those that are not open yet. */
  readonly #kept = new Map<Origin, number>();

  constructor(limits: RoomLimits) {
    this.#limits = limits;
  }

  /** Why another one finds no room; null when it does. */
  full(origin: Origin): string | null {
    const { connections, remote } = this.#limits;
    if (this.#count() >= connections) {
      return `all ${connections} connections are in use; raise limits.connections and restart the daemon`;
    }
    if (origin === "tcp" && this.#count("tcp") >= remote) {
      return `all ${remote} connections for clients over TCP are in use, the others are for this machine; raise limits.connections and restart the daemon`;
    }
    return null;
  }

  /** Keeps a place: `open` or `release` has to follow. Throws NoRoom. */
  keep(origin: Origin): void {
    const why = this.full(origin);
    if (why !== null) throw new NoRoom(why);
    this.#keep(origin, 1);
  }

  release(origin: Origin): void {
    this.#keep(origin, -1);
  }

  /** What a place was kept for is open. */
  open(origin: Origin, connection: number): void {
    this.release(origin);
    this.#open.set(connection, origin);
  }

  /** The core has closed a connection. */
  closed(connection: number): void {
    this.#open.delete(connection);
  }

  /** Opens a connection in a place of its own. Throws NoRoom, or what `connect` throws. */
  async connect(origin: Origin, connect: () => Promise<number>): Promise<number> {
    this.keep(origin);
    return this.connectKept(origin, connect);
  }

  /** The same, in a place that was kept already. */
  async connectKept(origin: Origin, connect: () => Promise<number>): Promise<number> {
    let connection: number;
    try {
      connection = await connect();
    } catch (error) {
      this.release(origin);
      throw error;
    }
    this.open(origin, connection);
    return connection;
  }

  #keep(origin: Origin, change: number): void {
    this.#kept.set(origin, (this.#kept.get(origin) ?? 0) + change);
  }

  #count(origin?: Origin): number {
    const open = [...this.#open.values()].filter((one) => origin === undefined || one === origin).length;
    const kept = [...this.#kept].reduce((sum, [one, n]) => sum + (origin === undefined || one === origin ? n : 0), 0);
    return open + kept;
  }
}
