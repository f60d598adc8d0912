// Relays bytes between a client's TLS connection and the plain socket on which the negotiation, and then the core, speaks NBD.
// Each direction holds one buffer at most: a reader that stops makes the other side wait.

import { Socket } from "node:net";
import type { TLSSocket } from "node:tls";

/** How much is read from the plain side at once: the replies to a few requests. */
const PLAIN_READ_BYTES = 256 * 1024;
/** How long a client may take to read its last replies and close its side after ours is closed. */
const LINGER_MS = 5_000;

/** How often a client that nothing is being read from is checked for a broken connection. */
const POLL_MS = 20;

/** The plain end: nothing is read from it before `relay`. */
export interface PlainEnd {
  readonly socket: Socket;
  /** Receives what is read; the bytes may be overwritten once it has called `taken`. */
  onRead: ((bytes: Uint8Array, taken: () => void) => void) | null;
}

/** One buffer for the life of the connection: at gigabytes per second, new ones would keep the collector busy. */
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
          // Not before the previous bytes are taken.
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
 * Starts the relay. When a side ends, the other ends after its last byte; when a side breaks or is closed, the other is closed at
 * once, so whatever the core has not read from a client that is gone it never reads.
 *
 * @param isBroken whether the client's connection is broken; called while `tls` is open
 */
export function relay(tls: TLSSocket, plain: PlainEnd, isBroken: () => boolean): void {
  const { socket } = plain;
  // Node does not notice that a socket breaks while it is not being read. The client may meanwhile be back on another connection
  // and resend its writes: what is buffered here, or in the pair, must not reach the core after them.
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
  // Neither the core nor the negotiation closes one direction alone: this end is closed for good.
  socket.once("end", over);
  socket.once("close", over);
  socket.resume();
}
