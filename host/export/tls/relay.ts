// Carries bytes between a client's TLS connection and the plain socket on which the negotiation, and then the core, speaks
// NBD. Each direction holds one buffer at most: whoever does not take its bytes makes the other side wait.

import { Socket } from "node:net";
import type { TLSSocket } from "node:tls";

/** What is read of the plain side at once: the replies to a few requests. */
const PLAIN_READ_BYTES = 256 * 1024;
/** How long a client may take to read its last replies and to close its side when ours is closed. */
const LINGER_MS = 5_000;

/** How often a client of whom nothing is read is asked whether it is still there. */
const POLL_MS = 20;

/** The plain end: nothing is read of it before `relay`. */
export interface PlainEnd {
  readonly socket: Socket;
  /** Told of what is read; the bytes are overwritten when it has called `taken`. */
  onRead: ((bytes: Uint8Array, taken: () => void) => void) | null;
}

/** One buffer for the whole life of the connection: at gigabytes a second, new ones would keep the collector busy. */
export function plainEnd(descriptor: number): PlainEnd {
  const buffer = Buffer.allocUnsafeSlow(PLAIN_READ_BYTES);
  const end: PlainEnd = {
    socket: new Socket({
      fd: descriptor,
      allowHalfOpen: true,
      onread: {
        buffer,
        callback: (bytes) => {
          end.onRead?.(buffer.subarray(0, bytes), () => end.socket.resume());
          // Not before they are taken.
          return false;
        },
      },
    }),
    onRead: null,
  };
  end.socket.on("error", () => end.socket.destroy());
  return end;
}

/**
 * Begins to carry. A side that ends ends the other behind its last byte; one that breaks, or is closed, closes the other at
 * once, so what the core has not read of a client that is gone it never reads.
 *
 * @param isBroken whether the client has broken the connection; asked as long as `tls` is open
 */
export function relay(tls: TLSSocket, plain: PlainEnd, isBroken: () => boolean): void {
  const { socket } = plain;
  // Of a socket that is not read, Node does not notice that it breaks. Its client may be back meanwhile on another connection
  // and send its writes again: what lies here, or in the pair, must not reach the core behind them.
  let poll: NodeJS.Timeout | undefined;
  tls.on("data", (chunk: Buffer) => {
    if (socket.write(chunk)) return;
    tls.pause();
    poll ??= setInterval(() => void (isBroken() && tls.destroy()), POLL_MS);
  });
  const read = (): void => {
    clearInterval(poll);
    poll = undefined;
  };
  socket.on("drain", () => {
    read();
    tls.resume();
  });
  tls.once("close", read);
  tls.on("end", () => socket.end());
  tls.on("close", () => socket.destroy());
  plain.onRead = (bytes, taken) => void tls.write(bytes, taken);
  const over = (): void => {
    tls.end();
    setTimeout(() => tls.destroy(), LINGER_MS).unref();
  };
  // Neither the core nor the negotiation ends one direction alone: it has closed its end.
  socket.once("end", over);
  socket.once("close", over);
  socket.resume();
}
