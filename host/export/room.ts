// How many connections the core can take, and who has them. A client is told that there is no room while it negotiates, so a
// place is kept for it from then on; that of a connection is free again when the core has closed it.
//
// No peer (a user on the Unix socket, an address on TCP) may have more than its share, and the last places are for root and for the
// kernel's block devices. Nobody is put out who has come that far: a connection that says nothing may be a mounted file system.

import type { Peer } from "../peers/shares.ts";
import type { NbdAddress } from "./address.ts";

export interface RoomLimits {
  /** Connections the core has records for (`limits.connections`). */
  readonly connections: number;
  /** Of those, how many clients over TCP may have, so that clients of this machine and the kernel's devices find room. */
  readonly remote: number;
  /** And how many one peer that is not root may have (`limits.connections_per_peer`). Default: all. */
  readonly perPeer?: number;
  /** And how many are for root and the kernel's devices alone. Default: none. */
  readonly reserve?: number;
}

export type Origin = NbdAddress["kind"] | "kernel";

/** Told to a client, and to the log: which limit is reached and which key raises it. */
export class NoRoom extends Error {}

/** The daemon itself, for the kernel's devices, and whoever else need not share. */
const ROOT: Peer = { name: "root", isRoot: true };

/** Who has a connection, and where it came from. */
export interface Holder {
  readonly origin: Origin;
  readonly peer: Peer;
}

export class ConnectionRoom {
  readonly #limits: RoomLimits;
  /** Who has the connections that are open, by their handles. */
  readonly #open = new Map<number, Holder>();
  /** Who has the places that are kept for those that are not open yet. */
  readonly #kept: Holder[] = [];

  constructor(limits: RoomLimits) {
    this.#limits = limits;
  }

  /** Why another one finds no room; null when it does. */
  full(origin: Origin, peer: Peer = ROOT): string | null {
    const { connections, remote, perPeer = Infinity, reserve = 0 } = this.#limits;
    const all = [...this.#open.values(), ...this.#kept];
    const restart = "and restart the daemon";
    if (all.length >= connections) {
      return `all ${connections} connections are in use; raise limits.connections ${restart}`;
    }
    if (origin === "tcp" && all.filter((holder) => holder.origin === "tcp").length >= remote) {
      return `all ${remote} connections for clients over TCP are in use, the others are for this machine; raise limits.connections ${restart}`;
    }
    if (peer.isRoot) return null;
    if (all.filter((holder) => holder.peer.name === peer.name).length >= perPeer) {
      return `${peer.name} has ${perPeer} connections, which is its share; raise limits.connections_per_peer ${restart}`;
    }
    if (all.length >= connections - reserve) {
      return `the last ${reserve} connections are for root and for block devices of the kernel; raise limits.connections ${restart}`;
    }
    return null;
  }

  /** Keeps a place: `open` or `release` has to follow. Throws NoRoom. */
  keep(origin: Origin, peer: Peer = ROOT): void {
    const why = this.full(origin, peer);
    if (why !== null) throw new NoRoom(why);
    this.#kept.push({ origin, peer });
  }

  release(origin: Origin, peer: Peer = ROOT): void {
    const at = this.#kept.findIndex((holder) => holder.origin === origin && holder.peer.name === peer.name);
    if (at >= 0) this.#kept.splice(at, 1);
  }

  /** What a place was kept for is open. */
  open(origin: Origin, connection: number, peer: Peer = ROOT): void {
    this.release(origin, peer);
    this.#open.set(connection, { origin, peer });
  }

  /** A connection is open that no place was kept for. */
  adopt(connection: number, { origin, peer }: Omit<Holder, "peer"> & { readonly peer?: Peer | undefined }): void {
    this.#open.set(connection, { origin, peer: peer ?? ROOT });
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
  async connectKept(origin: Origin, connect: () => Promise<number>, peer: Peer = ROOT): Promise<number> {
    let connection: number;
    try {
      connection = await connect();
    } catch (error) {
      this.release(origin, peer);
      throw error;
    }
    this.open(origin, connection, peer);
    return connection;
  }
}
