// A client's side of STARTTLS, and a server with TLS on a free port.

import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { connect as connectTls, type ConnectionOptions, type TLSSocket } from "node:tls";
import type { ExecutionContext } from "ava";
import type { Rule } from "../../../host/export/permission.ts";
import type { NegotiatedConnection } from "../../../host/export/address.ts";
import { NbdServer, type NbdServerEvent } from "../../../host/export/server.ts";
import type { TlsSettings } from "../../../host/export/tls/tls-messages.ts";
import { TlsTerminator } from "../../../host/export/tls/terminator.ts";
import { duplicate } from "../../../host/native/index.ts";
import { option, u32 } from "./client.ts";

export const fixture = (name: string): Buffer => readFileSync(new URL(`./fixtures/tls/${name}.pem`, import.meta.url));

export const PSK = Buffer.from("00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff", "hex");

const SETTINGS: TlsSettings = {
  x509: { certificate: fixture("server"), key: fixture("server-key"), authorities: fixture("authority") },
  psk: new Map([["alice", PSK]]),
};

/** How a client proves itself by a certificate of the fixtures. */
export const byCertificate = (name: string, options: ConnectionOptions = {}): ConnectionOptions => ({
  ca: fixture("authority"),
  cert: fixture(name),
  key: fixture(`${name}-key`),
  servername: "localhost",
  ...options,
});

export const byKey = (identity: string, psk: Buffer = PSK, options: ConnectionOptions = {}): ConnectionOptions => ({
  pskCallback: () => ({ identity, psk }),
  checkServerIdentity: () => undefined,
  // What Node's client calls a PSK it offers with these only.
  ciphers: "TLS_AES_128_GCM_SHA256:ECDHE-PSK-CHACHA20-POLY1305",
  ...options,
});

export interface Server {
  readonly port: number;
  readonly server: NbdServer;
  readonly terminator: TlsTerminator;
  readonly events: NbdServerEvent[];
}

export interface ServerOptions {
  readonly hand?: (connection: NegotiatedConnection) => void;
  readonly rules?: readonly Rule[];
  readonly isRequired?: boolean;
  readonly settings?: TlsSettings;
  readonly negotiationTimeoutMs?: number;
}

export async function tlsServer(t: ExecutionContext, options: ServerOptions = {}): Promise<Server> {
  const events: NbdServerEvent[] = [];
  const terminator = new TlsTerminator(options.settings ?? SETTINGS, (error) => t.fail(error.message));
  const server = new NbdServer({
    duplicate,
    hand: (connection) => {
      options.hand?.(connection);
      return Promise.resolve(0);
    },
    onEvent: (event) => events.push(event),
    ...(options.negotiationTimeoutMs === undefined ? {} : { negotiationTimeoutMs: options.negotiationTimeoutMs }),
  });
  server.setExports([
    { unit: 3, number: 0, bytes: 1n << 20n, blockBytes: 512, capabilities: 0 },
    { unit: 4, number: 1, bytes: 1n << 20n, blockBytes: 512, capabilities: 0 },
  ]);
  const access = { tls: { terminator, isRequired: options.isRequired ?? true }, rules: () => options.rules ?? [] };
  const address = await server.listen({ kind: "tcp", host: "127.0.0.1", port: 0, access });
  t.teardown(async () => {
    await server.close();
    await terminator.close();
  });
  return { port: address.kind === "tcp" ? address.port : 0, server, terminator, events };
}

/** Exactly so many bytes; what came with them stays in the stream. */
export function take(socket: Socket, bytes: number): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const look = (): void => {
    const chunk: unknown = socket.read(bytes);
    if (Buffer.isBuffer(chunk) && chunk.length === bytes) resolve(chunk);
    else if (socket.readableEnded || socket.destroyed) reject(new Error("the server hung up"));
  };
  for (const event of ["readable", "end", "close"]) socket.on(event, look);
  look();
  return promise.finally(() => {
    for (const event of ["readable", "end", "close"]) socket.off(event, look);
  });
}

/** A client up to the answer to its STARTTLS. */
export async function asked(port: number): Promise<Socket> {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => {});
  socket.write(Buffer.concat([u32(3), option(5)]));
  const said = await take(socket, 18 + 20);
  if (said.readUInt32BE(18 + 12) !== 1) throw new Error("STARTTLS is not acknowledged");
  return socket;
}

/** A client with TLS; rejects when one of the two does not trust the other. */
export async function secure(port: number, options: ConnectionOptions): Promise<TLSSocket> {
  const socket = connectTls({ socket: await asked(port), ...options });
  await once(socket, "secureConnect");
  socket.on("error", () => {});
  return socket;
}
