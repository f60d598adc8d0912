// Sockets of the NBD export: accepts clients, passes their bytes through the negotiation, then gives the descriptor to the
// reactor. Bytes of the transmission phase are never read here on purpose; those that arrived together with the last option are
// handed over with the descriptor.

import { chmodSync, chownSync, lstatSync, mkdirSync, unlinkSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { dirname } from "node:path";
import { type Peer, placeFor, Refusals } from "../peers/shares.ts";
import { peerOfAddress, peerOfUser } from "../peers/who.ts";
import type { NbdAddress, NegotiatedConnection } from "./address.ts";
import { ExportDirectory, type NbdExport } from "./directory.ts";
import { ExportError } from "./export-errors.ts";
import { Handshake, type HandshakeEnd, type HandshakeOptions } from "./handshake.ts";
import { NEGOTIATION_LIMITS, type NegotiationLimits } from "./negotiation.ts";
import { PermittedOffer } from "./permission.ts";
import { ConnectionRoom, type Holder } from "./connection-limit.ts";
import { peerText } from "./tls/peer.ts";
import { areOrIs, counted } from "../wording.ts";

export type NbdServerEvent =
  | { readonly kind: "connected"; readonly unit: number; readonly connection: number; readonly peer: string }
  /** `isFull`: not because of anything the client did, but for lack of room. */
  | { readonly kind: "refused"; readonly reason: string; readonly peer: string; readonly isFull: boolean }
  /** A client failed to authenticate. */
  | { readonly kind: "untrusted"; readonly reason: string; readonly peer: string }
  | { readonly kind: "error"; readonly error: Error };

/** Why a client was refused for lack of room, for the counters and the log. */
export type NbdRefusal = "too many negotiate" | "no connection";

export interface NbdServerOptions {
  /** Takes over a connection; returns its handle. A rejection is reported and closes nothing here. */
  readonly hand: (connection: NegotiatedConnection, holder: Holder) => Promise<number>;
  /** A second descriptor of the same socket (native `duplicate`). */
  readonly duplicate: (descriptor: number) => number;
  readonly onEvent?: (event: NbdServerEvent) => void;
  /** Called when clients of a peer are refused for lack of room, at most once a minute for each peer and reason. */
  readonly onRefused?: (why: NbdRefusal, peer: string) => void;
  /** How long a client may take from connecting until the transmission phase. */
  readonly negotiationTimeoutMs?: number;
  /** After this long without a message it may be dropped in favour of another client. */
  readonly silentMs?: number;
  /**
   * How many clients of one address may negotiate at the same time, and half as many of one peer; beyond that a silent one is
   * dropped.
   */
  readonly negotiatingMax?: number;
  /** Limit of connections; if omitted, as many as `hand` takes. */
  readonly room?: ConnectionRoom;
  /**
   * Answered when every connection that had been closed before is known to be closed. Asked before a client is greeted that might
   * find no room; left out where `room` knows at once.
   */
  readonly settled?: () => Promise<unknown>;
  readonly limits?: NegotiationLimits;
  /** Why a new connection is refused; null when it is not. */
  readonly refusalOf?: (socket: Socket) => string | null;
}

const NEGOTIATION_TIMEOUT_MS = 10_000;
const NEGOTIATING_MAX = 128;
const SILENT_MS = 1000;
/** After this long a silent TCP client is probed: a host that lost power sends nothing. */
const KEEP_ALIVE_MS = 30_000;

/** Offers exports over NBD. Create, `setExports`, `listen` (on as many addresses as wanted), `close`. */
export class NbdServer {
  readonly #directory = new ExportDirectory();
  readonly #options: NbdServerOptions;
  readonly #servers = new Set<Server>();
  /** Unix sockets by their paths. */
  readonly #unix = new Map<string, NbdAddress>();
  readonly #negotiating = new Map<Handshake, { readonly address: NbdAddress; readonly peer: Peer }>();
  readonly #refusals: Refusals<NbdRefusal>;
  readonly #room: ConnectionRoom;

  constructor(options: NbdServerOptions) {
    this.#options = options;
    const none = { "too many negotiate": 0, "no connection": 0 };
    this.#refusals = new Refusals<NbdRefusal>(none, (why, peer) => options.onRefused?.(why, peer));
    this.#room = options.room ?? new ConnectionRoom({ connections: Infinity, remote: Infinity });
  }

  /** Replaces the exports; see ExportDirectory.replace. Connected clients are not affected. */
  setExports(entries: readonly NbdExport[]): void {
    this.#directory.replace(entries);
  }

  get exports(): readonly NbdExport[] {
    return this.#directory.entries;
  }

  /** How many clients were refused for lack of room, by reason. */
  get refused(): Readonly<Record<NbdRefusal, number>> {
    return this.#refusals.counts;
  }

  /** Number of clients that are negotiating. */
  get negotiating(): number {
    return this.#negotiating.size;
  }

  /**
   * Starts listening. A socket file that nobody listens on any more is replaced.
   *
   * @returns the address, with the port actually bound
   * @throws ExportError EXPORT_ADDRESS_IN_USE or EXPORT_LISTEN_FAILED
   */
  async listen(address: NbdAddress): Promise<NbdAddress> {
    if (address.kind === "unix") await prepareSocketPath(address.path);
    const keepAlive = { keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS };
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true, ...keepAlive }, (socket) =>
      this.#accept(socket, address),
    );
    try {
      await listening(server, address);
      if (address.kind === "unix") restrict(address);
    } catch (error) {
      server.close();
      throw listenError(address, error);
    }
    server.on("error", (error) => this.#report({ kind: "error", error }));
    this.#servers.add(server);
    if (address.kind === "unix") this.#unix.set(address.path, address);
    const bound = server.address();
    if (address.kind === "tcp" && typeof bound === "object" && bound !== null) return { ...address, port: bound.port };
    return address;
  }

  /**
   * Listens again on a Unix socket whose file is gone; clients that are connected or negotiating stay.
   *
   * @throws ExportError EXPORT_ADDRESS_IN_USE or EXPORT_LISTEN_FAILED
   */
  async listenAgain(path: string): Promise<void> {
    const address = this.#unix.get(path);
    if (address === undefined) throw new ExportError("EXPORT_LISTEN_FAILED", `nobody listened on ${path}`);
    for (const server of this.#servers) {
      if (server.address() !== path) continue;
      // Closing removes the file of that name, so it comes first.
      server.close();
      this.#servers.delete(server);
    }
    await this.listen(address);
  }

  /** Stops listening and drops the clients that are still negotiating; those in the transmission phase belong to the reactor. */
  async close(): Promise<void> {
    const closed = [...this.#servers].map((server) => new Promise<void>((resolve) => server.close(() => resolve())));
    this.#servers.clear();
    for (const handshake of this.#negotiating.keys()) handshake.drop("the server closes");
    await Promise.all(closed);
  }

  #report(event: NbdServerEvent): void {
    this.#options.onEvent?.(event);
  }

  /** What a client of an address may see without TLS, and how it starts TLS. */
  #access(address: NbdAddress): Pick<HandshakeOptions, "offer" | "tls"> {
    const directory = this.#directory;
    if (address.kind === "unix" || address.access === undefined) return { offer: directory, tls: null };
    const { tls, rules } = address.access;
    const offer = new PermittedOffer(directory, rules, null);
    if (tls === null) return { offer, tls };
    const { terminator, isRequired } = tls;
    return {
      offer,
      tls: {
        isRequired,
        offerTo: (peer) => new PermittedOffer(directory, rules, peer),
        secure: (descriptor) => terminator.secure(descriptor),
      },
    };
  }

  /** Whether one more client of this peer may negotiate, after dropping a silent one if needed. */
  #mayNegotiate(who: Peer, shown: string, address: NbdAddress): boolean {
    const places = this.#options.negotiatingMax ?? NEGOTIATING_MAX;
    const taken = [...this.#negotiating]
      .filter(([, other]) => other.address === address)
      .map(([handshake, { peer }]) => ({ handshake, peer, idleSinceMs: handshake.idleSinceMs }));
    const perPeer = Math.ceil(places / 2);
    const place = placeFor(who, taken, { places, perPeer, rootReserve: Math.floor(places / 8) });
    if (place === "free") return true;
    const reason = who.isRoot || taken.filter(({ peer }) => peer.name === who.name).length < perPeer ? places : perPeer;
    if (place === "none") {
      this.#refusals.count("too many negotiate", who);
      this.#report({
        kind: "refused",
        reason: `${counted(reason, "client")} ${areOrIs(reason)} negotiating already`,
        peer: shown,
        isFull: true,
      });
      return false;
    }
    this.#refusals.count("too many negotiate", place.peer);
    place.handshake.drop(`it said nothing, and ${counted(reason, "client")} ${areOrIs(reason)} negotiating`, true);
    return true;
  }

  #accept(socket: Socket, address: NbdAddress): void {
    const peer = socket.remoteAddress === undefined ? "unix" : `${socket.remoteAddress}:${socket.remotePort}`;
    const refusal = this.#options.refusalOf?.(socket) ?? null;
    if (refusal !== null) {
      socket.destroy();
      this.#report({ kind: "refused", reason: refusal, peer, isFull: true });
      return;
    }
    const who = address.kind === "unix" ? peerOfUser(socket) : peerOfAddress(socket);
    if (!this.#mayNegotiate(who, peer, address)) {
      socket.destroy();
      return;
    }
    let isKept = false;
    const handshake = new Handshake(socket, {
      ...this.#access(address),
      limits: this.#options.limits ?? NEGOTIATION_LIMITS,
      timeoutMs: this.#options.negotiationTimeoutMs ?? NEGOTIATION_TIMEOUT_MS,
      silentMs: this.#options.silentMs ?? SILENT_MS,
      duplicate: this.#options.duplicate,
      noRoom: () => {
        const why = this.#room.full(address.kind, who);
        if (why === null) this.#room.keep(address.kind, who);
        isKept = why === null;
        return why;
      },
      refused: (reason) => {
        this.#refusals.count("no connection", who);
        this.#report({ kind: "refused", reason, peer, isFull: true });
      },
      ended: (end) => {
        this.#negotiating.delete(handshake);
        if (end.kind !== "negotiated" && isKept) this.#room.release(address.kind, who);
        const shown = handshake.peer === null ? peer : `${peer} (${peerText(handshake.peer)})`;
        void this.#ended(end, shown, address.kind, who);
      },
    });
    this.#negotiating.set(handshake, { address, peer: who });
    const isEnough = this.#room.left(address.kind, who) >= this.#negotiating.size;
    handshake.start(isEnough ? undefined : this.#settled());
  }

  /** Where it cannot be known, those that are known to be open count. */
  async #settled(): Promise<void> {
    await this.#options.settled?.().catch(() => undefined);
  }

  async #ended(end: HandshakeEnd, peer: string, origin: NbdAddress["kind"], who: Peer): Promise<void> {
    if (end.kind === "untrusted") {
      this.#report({ kind: "untrusted", reason: end.reason, peer });
      return;
    }
    if (end.kind === "dropped") {
      this.#report({ kind: "refused", reason: end.reason, peer, isFull: end.isFull });
      return;
    }
    const { unit } = end.connection;
    try {
      const hand = (): Promise<number> => this.#options.hand(end.connection, { origin, peer: who });
      const connection = await this.#room.connectKept(origin, hand, who);
      this.#report({ kind: "connected", unit, connection, peer });
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      const isFull = error instanceof Error && "code" in error && error.code === "CORE_LIMIT";
      this.#report({ kind: "refused", reason: `the reactor did not take the connection: ${why}`, peer, isFull });
    }
  }
}

function listening(server: Server, address: NbdAddress): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    const done = (): void => {
      server.off("error", reject);
      resolve();
    };
    if (address.kind === "tcp") {
      server.listen({ host: address.host, port: address.port }, done);
      return;
    }
    // The file must never have wider permissions than it will end up with, not even for a moment.
    const before = process.umask(0o177);
    try {
      server.listen({ path: address.path }, done);
    } finally {
      process.umask(before);
    }
  });
}

function restrict(address: Extract<NbdAddress, { kind: "unix" }>): void {
  if (address.group !== undefined && lstatSync(address.path).gid !== address.group) {
    try {
      chownSync(address.path, process.getuid?.() ?? 0, address.group);
    } catch {
      // Without permission to hand it to the group, it keeps the daemon's own.
    }
  }
  chmodSync(address.path, address.mode ?? 0o660);
}

/** A socket file may be left over from a killed daemon; one that answers belongs to someone. */
async function removeStaleSocket(path: string): Promise<void> {
  const outcome = await new Promise<string>((resolve) => {
    const probe = connect(path);
    probe.once("connect", () => {
      probe.destroy();
      resolve("ANSWERED");
    });
    probe.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? "UNKNOWN"));
  });
  if (outcome === "ANSWERED") {
    throw new ExportError("EXPORT_ADDRESS_IN_USE", `another server listens on ${path}; stop it or choose another path`);
  }
  // A plain file refuses connections as well; it is someone's data, and binding will report that it is in the way.
  if (outcome === "ECONNREFUSED" && lstatSync(path).isSocket()) unlinkSync(path);
}

/** /run is empty after a boot: the socket's folder is created, with the usual permissions. */
async function prepareSocketPath(path: string): Promise<void> {
  await removeStaleSocket(path);
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
  } catch (error) {
    throw listenError({ kind: "unix", path }, error);
  }
}

function listenError(address: NbdAddress, error: unknown): ExportError {
  const where = address.kind === "unix" ? address.path : `${address.host}:${address.port}`;
  const why = error instanceof Error ? error.message : String(error);
  const inUse = error instanceof Error && "code" in error && error.code === "EADDRINUSE";
  const code = inUse ? "EXPORT_ADDRESS_IN_USE" : "EXPORT_LISTEN_FAILED";
  return new ExportError(code, `cannot listen for NBD clients on ${where}: ${why}`, { cause: error });
}
