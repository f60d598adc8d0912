// Who is connected to the API, and how much of the daemon each may take: nothing that a client sends, or leaves unread, may
// cost the data path its memory or its processor.
//
// - A connection's requests are carried out one after the other: the next begins when the answer before it has been taken.
// - A connection that sends many ahead is closed, and so is one that takes nothing of its answer for long.
// - Each peer (a user on the Unix socket, an address on TCP) has a share of the places, root has some of its own, and
//   for a newcomer the peer with the most connections loses the one that has been idle longest.

import type { IncomingMessage, ServerResponse } from "node:http";
import type { Server as NetServer, Socket } from "node:net";
import { type Peer, placeFor, Refusals } from "../../peers/shares.ts";

/** Connections at a time. */
export const CONNECTIONS_MAX = 256;
/** Of these, connections of one peer that is not root. */
export const PEER_CONNECTIONS_MAX = 96;
/** Of these, places for root alone. */
export const ROOT_RESERVE = 16;
/** Requests a connection may send ahead of the answer it waits for. */
export const REQUESTS_AHEAD_MAX = 8;
/** How long an answer may lie without its reader taking a byte of it. */
export const UNREAD_MS_MAX = 30_000;
/** How often that is looked at. */
const WATCH_MS = 5_000;

/** Why a connection was closed or refused, for the counters and the log. */
export type Closing = "too many requests ahead" | "answer left unread" | "too many connections";

interface Connection {
  readonly key: string | Socket;
  readonly peer: Peer;
  /** Below TLS, the TCP socket. */
  readonly socket: Socket;
  /** What answers are written to: the socket, or TLS above it. */
  stream: Socket;
  readonly waiting: (() => void)[];
  response: ServerResponse | null;
  idleSinceMs: number;
  /** Bytes its peer had taken when it was last seen to take some, and when that was. */
  takenBytes: number;
  takenMs: number;
}

export interface ConnectionsOptions {
  readonly peerOf: (socket: Socket) => Peer;
  /** Told when connections of a peer are closed for what they did, at most once a minute for each peer and reason. */
  readonly onClosed: (why: Closing, peer: string) => void;
  readonly unreadMsMax?: number;
  /** Refuses a newcomer whom nobody can serve now; answers whether it did. */
  readonly refuse?: (socket: Socket) => boolean;
}

export class Connections {
  readonly #options: ConnectionsOptions;
  readonly #known = new Map<string | Socket, Connection>();
  readonly #closed: Refusals<Closing>;
  readonly #timer: NodeJS.Timeout;
  readonly #watchMs: number;
  #watchedMs = performance.now();

  constructor(options: ConnectionsOptions) {
    this.#options = options;
    const none = { "too many requests ahead": 0, "answer left unread": 0, "too many connections": 0 };
    this.#closed = new Refusals<Closing>(none, options.onClosed);
    this.#watchMs = Math.min(WATCH_MS, (options.unreadMsMax ?? UNREAD_MS_MAX) / 4);
    this.#timer = setInterval(() => this.#watch(), this.#watchMs).unref();
  }

  /** How many connections were closed or refused, by reason. */
  get closed(): Readonly<Record<Closing, number>> {
    return this.#closed.counts;
  }

  get count(): number {
    return this.#known.size;
  }

  /** Counts the server's connections from now on. */
  watch(server: NetServer): void {
    server.on("connection", (socket: Socket) => this.#arrived(socket));
    server.on("close", () => clearInterval(this.#timer));
  }

  /**
   * Begins a request when its turn has come.
   * @param begin carries it out; not called when the connection is closed instead
   */
  enter(request: IncomingMessage, response: ServerResponse, begin: () => void): void {
    const connection = this.#known.get(keyOf(request.socket));
    // Of a socket that was closed a moment ago, requests may still come out of the parser.
    if (connection === undefined || connection.socket.destroyed) return;
    connection.stream = request.socket;
    const start = (): void => {
      connection.response = response;
      response.once("close", () => this.#answered(connection, response));
      begin();
    };
    if (connection.response === null) return start();
    if (connection.waiting.length >= REQUESTS_AHEAD_MAX) return this.#close(connection, "too many requests ahead");
    connection.waiting.push(start);
  }

  #answered(connection: Connection, response: ServerResponse): void {
    if (connection.response !== response) return;
    connection.response = null;
    connection.idleSinceMs = performance.now();
    const next = connection.waiting.shift();
    if (next !== undefined && !connection.socket.destroyed) next();
  }

  #arrived(socket: Socket): void {
    if (this.#options.refuse?.(socket) === true) return;
    const peer = this.#options.peerOf(socket);
    const key = keyOf(socket);
    if (!this.#hasRoom(peer)) {
      this.#closed.count("too many connections", peer);
      socket.destroy();
      return;
    }
    const now = performance.now();
    this.#known.set(key, {
      key,
      peer,
      socket,
      stream: socket,
      waiting: [],
      response: null,
      idleSinceMs: now,
      takenBytes: 0,
      takenMs: now,
    });
    socket.once("close", () => this.#known.delete(key));
  }

  /** Whether one more connection of this peer fits, if need be after closing an idle one. */
  #hasRoom(peer: Peer): boolean {
    const taken = [...this.#known.values()].map((connection) => ({
      peer: connection.peer,
      idleSinceMs: connection.response === null ? connection.idleSinceMs : null,
      connection,
    }));
    const place = placeFor(peer, taken, {
      places: CONNECTIONS_MAX,
      perPeer: PEER_CONNECTIONS_MAX,
      rootReserve: ROOT_RESERVE,
    });
    if (place === "none") return false;
    if (place !== "free") this.#close(place.connection, "too many connections");
    return true;
  }

  /** Closes connections whose peer takes nothing of what lies there for it. */
  #watch(): void {
    const now = performance.now();
    const max = this.#options.unreadMsMax ?? UNREAD_MS_MAX;
    // While this process stood still itself (a machine that was paused, or is overloaded), nobody could take anything.
    const stoodStillMs = Math.max(0, now - this.#watchedMs - 2 * this.#watchMs);
    this.#watchedMs = now;
    for (const connection of this.#known.values()) {
      const { stream } = connection;
      connection.takenMs += stoodStillMs;
      // bytesWritten counts what lies in the process, too; what the kernel has taken is the rest.
      const taken = stream.bytesWritten - stream.writableLength;
      if (taken !== connection.takenBytes || stream.writableLength === 0) {
        connection.takenBytes = taken;
        connection.takenMs = now;
      } else if (now - connection.takenMs > max) {
        this.#close(connection, "answer left unread");
      }
    }
  }

  #close(connection: Connection, why: Closing): void {
    this.#closed.count(why, connection.peer);
    connection.waiting.length = 0;
    connection.socket.destroy();
    this.#known.delete(connection.key);
  }
}

/** A TLS socket and the TCP socket below it are one connection: both know the peer's address and port. */
function keyOf(socket: Socket): string | Socket {
  return socket.remotePort === undefined ? socket : `${socket.remoteAddress}:${socket.remotePort}`;
}
