// The TLS thread: handshakes, and then the relays. It knows nothing about NBD, and nothing else runs in it, so neither control
// nor the reactor spends time on ciphers.

import { Socket } from "node:net";
import { createServer, type Server, type TLSSocket } from "node:tls";
import { parentPort, workerData } from "node:worker_threads";
import { isBroken } from "../../native/index.ts";
import type { FromWorker, TlsSettings, ToWorker } from "./tls-messages.ts";
import { peerOfCertificate, type TlsPeer } from "./peer.ts";
import { plainEnd, type PlainEnd, relay } from "./relay.ts";
import { TLS_SERVER } from "./suites.ts";

/** A client during its handshake. */
interface Pending {
  readonly id: number;
  /** The client's descriptor, which `raw` owns. */
  readonly client: number;
  readonly raw: Socket;
  readonly plain: PlainEnd;
}

const tell = (message: FromWorker): void => parentPort?.postMessage(message);

/** OpenSSL's message, without the location in its sources. */
function reasonOf(error: Error): string {
  const reason: unknown = Reflect.get(error, "reason");
  return typeof reason === "string" ? reason : error.message;
}

/** What was wrong with a certificate, like CERT_HAS_EXPIRED. */
function describe(error: Error | string | undefined): string {
  if (error === undefined || error === null) return "no certificate";
  return error instanceof Error ? error.message : error;
}

/** What Node's server identifies a connection by, before and after its handshake. */
const keyOf = (socket: Socket): string =>
  `${socket.remoteAddress} ${socket.remotePort} ${socket.localAddress} ${socket.localPort}`;

const contextOf = ({ x509 }: TlsSettings): Parameters<Server["setSecureContext"]>[0] =>
  x509 === undefined
    ? TLS_SERVER
    : {
        ...TLS_SERVER,
        cert: Buffer.from(x509.certificate),
        key: Buffer.from(x509.key),
        ca: Buffer.from(x509.authorities),
      };

class Terminal {
  #settings: TlsSettings;
  readonly #server: Server;
  readonly #pending = new Map<string, Pending>();
  /** The identity whose key was last given out for a connection. */
  readonly #identities = new WeakMap<TLSSocket, string>();

  constructor(settings: TlsSettings) {
    this.#settings = settings;
    this.#server = createServer(
      {
        ...contextOf(settings),
        requestCert: true,
        // A client that has not authenticated is turned away below, where it can be told why.
        rejectUnauthorized: false,
        // The negotiation has a time limit of its own, and cancels within it.
        handshakeTimeout: 60_000,
        pskCallback: (socket, identity) => this.#keyOf(socket, identity),
      },
      (tls) => this.#secured(tls),
    );
    this.#server.on("tlsClientError", (error, tls) => this.#fail(keyOf(tls), reasonOf(error)));
  }

  take(message: ToWorker): void {
    switch (message.kind) {
      case "settings":
        this.#settings = message.settings;
        this.#server.setSecureContext(contextOf(message.settings));
        return;
      case "connection":
        this.#begin(message);
        return;
      case "cancel":
        for (const [key, { id }] of this.#pending) if (id === message.id) this.#fail(key, "nobody waits for it");
    }
  }

  #begin({ id, client, plain }: Extract<ToWorker, { kind: "connection" }>): void {
    // A client that closes its side during the handshake has left.
    const raw = new Socket({ fd: client, allowHalfOpen: false });
    const pending: Pending = { id, client, raw, plain: plainEnd(plain) };
    const key = keyOf(raw);
    raw.on("error", () => raw.destroy());
    raw.on("close", () => this.#fail(key, "the client hung up in the TLS handshake", id));
    if (raw.remotePort === undefined) {
      this.#end(pending, "the client hung up");
      return;
    }
    this.#pending.set(key, pending);
    this.#server.emit("connection", raw);
  }

  #keyOf(tls: TLSSocket, identity: string): Uint8Array | null {
    const key = this.#settings.psk.get(identity);
    if (key === undefined) return null;
    this.#identities.set(tls, identity);
    return key;
  }

  #secured(tls: TLSSocket): void {
    tls.on("error", () => tls.destroy());
    const key = keyOf(tls);
    const pending = this.#pending.get(key);
    const peer = this.#peerOf(tls);
    if (pending === undefined || peer === null) {
      this.#fail(key, `the client has not proven who it is: ${describe(tls.authorizationError)}`);
      tls.destroy();
      return;
    }
    this.#pending.delete(key);
    // From here on the client's end of stream passes through the relay, after its last byte.
    tls.allowHalfOpen = true;
    tell({ kind: "secured", id: pending.id, peer });
    relay(tls, pending.plain, () => isBroken(pending.client));
  }

  /** Without tickets, only a key of the file makes TLS 1.3 report a resumption. */
  #peerOf(tls: TLSSocket): TlsPeer | null {
    const identity = this.#identities.get(tls);
    if (identity !== undefined && (tls.isSessionReused() || tls.getCipher().name.includes("-PSK-"))) {
      return { kind: "psk", identity };
    }
    const certificate = tls.getPeerX509Certificate();
    // Without authorities of our own, Node would accept those that browsers trust.
    if (this.#settings.x509 === undefined) return null;
    return tls.authorized && certificate !== undefined ? peerOfCertificate(certificate) : null;
  }

  /** @param id only that connection: another one may have the same address by now */
  #fail(key: string, reason: string, id?: number): void {
    const pending = this.#pending.get(key);
    if (pending === undefined || (id !== undefined && pending.id !== id)) return;
    this.#pending.delete(key);
    this.#end(pending, reason);
  }

  #end({ id, raw, plain }: Pending, reason: string): void {
    plain.socket.destroy();
    // What is on its way, such as an alert that explains the failure, is still sent.
    raw.destroySoon();
    tell({ kind: "failed", id, reason });
  }
}

const terminal = new Terminal(workerData as TlsSettings);
parentPort?.on("message", (message: ToWorker) => terminal.take(message));
