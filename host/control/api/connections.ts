// Connections to the API, and how much of the daemon each may use. Nothing a client sends, or leaves unread, may cost the data
// path memory or processor time.
//
// - Requests of one connection are handled in order: the next begins once the previous answer has been read.
// - A connection that pipelines too many requests, or reads nothing of its answer for too long, is closed.
// - Each peer (a user on the Unix socket, an address on TCP) has a share of the connections, and some are reserved for root. When
//   there is no room for a newcomer, the peer with the most connections loses its longest idle one.

import type { IncomingMessage, ServerResponse } from "node:http";
import type { Server as NetServer, Socket } from "node:net";
import { type Peer, placeFor, Refusals } from "../../peers/shares.ts";

/** Limit on open connections. */
export const CONNECTIONS_MAX = 256;
/** Limit per peer other than root. */
export const PEER_CONNECTIONS_MAX = 96;
/** Connections reserved for root. */
export const ROOT_RESERVE = 16;
/** Requests a connection may pipeline. */
export const REQUESTS_AHEAD_MAX = 8;
/** How long an answer may wait without its reader taking a byte. */
const UNREAD_MS_MAX = 30_000;
/** How often that is checked. */
const WATCH_MS = 5_000;

/** Why a connection was closed or refused, for the counters and the log. */
export type Closing = "too many requests ahead" | "answer left unread" | "too many connections";

interface Connection {
  readonly key: string | Socket;
  readonly peer: Peer;
  /** The TCP socket below TLS. */
  readonly socket: Socket;
  /** The socket that answers are written to: with TLS, the one above it. */
  stream: Socket;
  readonly waiting: (() => void)[];
  response: ServerResponse | null;
  idleSinceMs: number;
  /** Bytes the peer had taken when it last took any, and when that was. */
  takenBytes: number;
  takenMs: number;
}

export interface ConnectionsOptions {
  readonly peerOf: (socket: Socket) => Peer;
  /** Reports connections closed for what their peer did, at most once a minute for each peer and reason. */
  readonly onClosed: (why: Closing, peer: string) => void;
  readonly unreadMsMax?: number;
  /** Refuses a newcomer that cannot be served now; returns whether it did. */
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

  /** Starts counting the server's connections. */
  watch(server: NetServer): void {
    server.on("connection", (socket: Socket) => this.#arrived(socket));
    server.on("close", () => clearInterval(this.#timer));
  }

  /**
   * Starts a request when its turn comes.
   * @param begin handles it; not called when the connection is closed first
   */
  enter(request: IncomingMessage, response: ServerResponse, begin: () => void): void {
    const connection = this.#known.get(keyOf(request.socket));
    // The parser may still deliver requests of a socket that has just been closed.
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

  /** Whether this peer may have one more connection, after closing an idle one if needed. */
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

  /** Closes connections whose peer has stopped reading. */
  #watch(): void {
    const now = performance.now();
    const max = this.#options.unreadMsMax ?? UNREAD_MS_MAX;
    // If this process itself was stopped (paused machine, overload), peers had no chance to read.
    const stoodStillMs = Math.max(0, now - this.#watchedMs - 2 * this.#watchMs);
    this.#watchedMs = now;
    for (const connection of this.#known.values()) {
      const { stream } = connection;
      connection.takenMs += stoodStillMs;
      // bytesWritten includes what is still buffered in the process; the rest is what the kernel has taken.
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

/** A TLS socket and the TCP socket below it are one connection: both have the same peer address and port. */
function keyOf(socket: Socket): string | Socket {
  return socket.remotePort === undefined ? socket : `${socket.remoteAddress}:${socket.remotePort}`;
}
