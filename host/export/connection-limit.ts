// How many connections the core can take, and who has them. A client learns during its negotiation that there is no room;
// otherwise a place is reserved for it from then on, and freed when the core has closed the connection.
//
// No peer (a user on the Unix socket, an address on TCP) may have more than its share, and the last places are reserved for root
// and the kernel's block devices. No established connection is dropped for another: one that is silent may be a mounted file
// system.

import type { Peer } from "../peers/shares.ts";
import type { NbdAddress } from "./address.ts";
import { areOrIs, counted } from "../wording.ts";

export interface RoomLimits {
  /** Connections the core has records for (`limits.connections`). */
  readonly connections: number;
  /** How many of them clients over TCP may have, so that local clients and the kernel's devices find room. */
  readonly remote: number;
  /** How many of them one peer other than root may have (`limits.connections_per_peer`). Default: all. */
  readonly perPeer?: number;
  /** How many of them are reserved for root and the kernel's devices. Default: none. */
  readonly reserve?: number;
}

export type Origin = NbdAddress["kind"] | "kernel";

/** Sent to the client and logged: which limit is reached, and which key raises it. */
export class NoRoom extends Error {}

/** The daemon itself, for the kernel's devices, and others that need not share. */
const ROOT: Peer = { name: "root", isRoot: true };

/** Who has a connection, and where it came from. */
export interface Holder {
  readonly origin: Origin;
  readonly peer: Peer;
}

/** `all 8 connections are`, `the only connection is`. */
const wholeOf = (count: number, which = ""): string =>
  `${count === 1 ? `the only connection${which}` : `all ${count} connections${which}`} ${areOrIs(count)}`;

export class ConnectionRoom {
  readonly #limits: RoomLimits;
  /** Owners of open connections, by handle. */
  readonly #open = new Map<number, Holder>();
  /** Owners of places reserved for connections that are not open yet. */
  readonly #kept: Holder[] = [];

  constructor(limits: RoomLimits) {
    this.#limits = limits;
  }

  /** Each limit that holds for this peer, the general one first: how many places it leaves, and what to say when it leaves none. */
  #bounds(origin: Origin, peer: Peer): readonly { readonly left: number; readonly why: string }[] {
    const { connections, remote, perPeer = Infinity, reserve = 0 } = this.#limits;
    const all = [...this.#open.values(), ...this.#kept];
    const remedy = "raise limits.connections and restart the daemon";
    const general = { left: connections - all.length, why: `${wholeOf(connections)} in use; ${remedy}` };
    const overTcp = {
      left: remote - all.filter((holder) => holder.origin === "tcp").length,
      why: `${wholeOf(remote, " for clients over TCP")} in use, the others are for this machine; ${remedy}`,
    };
    const share = {
      left: perPeer - all.filter((holder) => holder.peer.name === peer.name).length,
      why: `${peer.name} has ${counted(perPeer, "connection")}, which is its share; raise limits.connections_per_peer and restart the daemon`,
    };
    const unreserved = {
      left: connections - reserve - all.length,
      why: `the last ${reserve === 1 ? "connection is" : `${reserve} connections are`} for root and for block devices of the kernel; ${remedy}`,
    };
    return [general, ...(origin === "tcp" ? [overTcp] : []), ...(peer.isRoot ? [] : [share, unreserved])];
  }

  /** Why there is no room for another one; null when there is. */
  full(origin: Origin, peer: Peer = ROOT): string | null {
    return this.#bounds(origin, peer).find(({ left }) => left <= 0)?.why ?? null;
  }

  /** How many more connections this peer might have now. */
  left(origin: Origin, peer: Peer = ROOT): number {
    return Math.min(...this.#bounds(origin, peer).map(({ left }) => left));
  }

  /** Reserves a place: `open` or `release` has to follow. Throws NoRoom. */
  keep(origin: Origin, peer: Peer = ROOT): void {
    const why = this.full(origin, peer);
    if (why !== null) throw new NoRoom(why);
    this.#kept.push({ origin, peer });
  }

  release(origin: Origin, peer: Peer = ROOT): void {
    const at = this.#kept.findIndex((holder) => holder.origin === origin && holder.peer.name === peer.name);
    if (at >= 0) this.#kept.splice(at, 1);
  }

  /** The connection that a place was reserved for is open. */
  open(origin: Origin, connection: number, peer: Peer = ROOT): void {
    this.release(origin, peer);
    this.#open.set(connection, { origin, peer });
  }

  /** A connection is open for which no place was reserved. */
  adopt(connection: number, { origin, peer }: Omit<Holder, "peer"> & { readonly peer?: Peer | undefined }): void {
    this.#open.set(connection, { origin, peer: peer ?? ROOT });
  }

  /** The core has closed a connection. */
  closed(connection: number): void {
    this.#open.delete(connection);
  }

  /** Opens a connection in a new place. Throws NoRoom, or what `connect` throws. */
  async connect(origin: Origin, connect: () => Promise<number>): Promise<number> {
    this.keep(origin);
    return this.connectKept(origin, connect);
  }

  /** The same, in a place that was reserved before. */
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
