// Notices to a syslog server: a Unix socket, UDP (RFC 5426), TCP (RFC 6587, octet counting), TLS (RFC 5425).

import { createSocket } from "node:dgram";
import { connect as connectTcp, isIP, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import type { SendDatagram } from "../system-log.ts";
import type { Notice } from "./notice.ts";
import type { Transport } from "./receiver.ts";
import { syslogMessage } from "./syslog-message.ts";

/** `unix:/dev/log`, `udp://host:514`, `tcp://host:601`, `tls://host:6514`. */
export type SyslogAddress =
  | { readonly kind: "unix"; readonly path: string }
  | { readonly kind: "udp" | "tcp" | "tls"; readonly host: string; readonly port: number };

const PORTS = { udp: 514, tcp: 601, tls: 6514 } as const;
/** What every receiver of UDP should take (RFC 5426, 3.2). */
const UDP_BYTES_MAX = 2048;

/** Null when it is no such address. */
export function syslogAddress(text: string): SyslogAddress | null {
  const path = /^unix:(?:\/\/)?(\/.+)$/.exec(text)?.[1];
  if (path !== undefined) return { kind: "unix", path };
  const [, kind, v6, name, given] =
    /^(udp|tcp|tls):\/\/(?:\[([0-9a-fA-F:.]+)\]|([^:/[\]]+))(?::(\d{1,5}))?$/.exec(text) ?? [];
  if (kind !== "udp" && kind !== "tcp" && kind !== "tls") return null;
  const port = given === undefined ? PORTS[kind] : Number(given);
  return port < 1 || port > 65_535 ? null : { kind, host: v6 ?? name ?? "", port };
}

export interface SyslogOptions {
  readonly address: SyslogAddress;
  readonly host: string;
  readonly sendDatagram: SendDatagram;
  /** PEM certificates of the authorities to trust, instead of Node's own. */
  readonly authority?: Buffer | undefined;
}

/** A connection that stays open between calls. */
class Stream {
  readonly #open: () => Socket;
  readonly #isReady: "connect" | "secureConnect";
  #socket: Socket | null = null;

  constructor(open: () => Socket, isReady: "connect" | "secureConnect") {
    this.#open = open;
    this.#isReady = isReady;
  }

  async #connected(signal: AbortSignal): Promise<Socket> {
    if (this.#socket !== null) return this.#socket;
    const socket = this.#open();
    const forget = (): void => {
      if (this.#socket === socket) this.#socket = null;
    };
    socket.on("close", forget);
    // A server sends nothing; what it sends all the same is not kept. Its end is ours: what follows would be lost.
    socket.on("data", () => undefined);
    socket.on("end", () => socket.destroy());
    await new Promise<void>((resolve, reject) => {
      const giveUp = (): void => void socket.destroy(new Error("no connection in time"));
      signal.addEventListener("abort", giveUp, { once: true });
      socket.once(this.#isReady, resolve);
      socket.once("error", reject);
      socket.once("close", () => reject(new Error("the connection was closed")));
    });
    socket.on("error", forget);
    socket.unref();
    this.#socket = socket;
    return socket;
  }

  async write(bytes: Buffer, signal: AbortSignal): Promise<void> {
    const socket = await this.#connected(signal);
    let closed: (() => void) | undefined;
    try {
      await new Promise<void>((resolve, reject) => {
        closed = () => reject(new Error("the connection was closed"));
        socket.once("close", closed);
        signal.addEventListener("abort", closed, { once: true });
        socket.write(bytes, (error) => {
          if (error) reject(error);
          else resolve();
        });
      });
    } catch (thrown) {
      // Half a message may have gone: the next one begins a new connection.
      socket.destroy();
      this.#socket = null;
      throw thrown;
    } finally {
      if (closed !== undefined) socket.off("close", closed);
    }
  }

  close(): void {
    this.#socket?.destroy();
  }
}

async function sendUdp(messages: readonly Buffer[], host: string, port: number): Promise<void> {
  const socket = createSocket(isIP(host) === 6 ? "udp6" : "udp4");
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once("error", reject);
      socket.connect(port, host, resolve);
    });
    for (const message of messages) {
      await new Promise<void>((resolve, reject) => {
        socket.send(message, (error) => (error === null ? resolve() : reject(error)));
      });
    }
  } finally {
    socket.close();
  }
}

export class SyslogReceiver implements Transport {
  readonly batchMax = 50;
  readonly #options: SyslogOptions;
  readonly #stream: Stream | null;

  constructor(options: SyslogOptions) {
    this.#options = options;
    const { address, authority } = options;
    if (address.kind === "tcp") this.#stream = new Stream(() => connectTcp(address.port, address.host), "connect");
    else if (address.kind === "tls") {
      const { host, port } = address;
      const name = isIP(host) === 0 ? { servername: host } : {};
      const open = (): Socket => connectTls({ host, port, ...name, ca: authority, minVersion: "TLSv1.2" });
      this.#stream = new Stream(open, "secureConnect");
    } else this.#stream = null;
  }

  async send(batch: readonly Notice[], signal: AbortSignal): Promise<void> {
    const { address, host, sendDatagram } = this.#options;
    const bytesMax = address.kind === "udp" ? UDP_BYTES_MAX : Infinity;
    const messages = batch.map((notice) => syslogMessage(notice, host, process.pid, bytesMax));
    if (address.kind === "unix") for (const message of messages) sendDatagram(address.path, message);
    else if (address.kind === "udp") await sendUdp(messages, address.host, address.port);
    else {
      const frames = messages.flatMap((message) => [Buffer.from(`${message.length} `), message]);
      await this.#stream?.write(Buffer.concat(frames), signal);
    }
  }

  close(): void {
    this.#stream?.close();
  }
}
