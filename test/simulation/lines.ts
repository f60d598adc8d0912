// How a client reaches the core, whichever front end it uses. Both carry NBD's bytes, requests in and replies out; the block
// door's embedder (gate.ts) turns requests into entries, and completions into simple replies.

import { ERROR_HANDLE } from "../../host/abi.ts";
import type { Daemon } from "./daemon.ts";
import { SimulatedSocket, type Sockets } from "./sockets.ts";

export interface Line {
  /** Passes the connection to the core, for a unit. */
  join(unit: number): void;
  /** Bytes of a request arrive from the client. */
  arrive(bytes: Uint8Array): void;
  /** The client has disconnected. */
  hangUp(): void;
  /** Control closes it. */
  close(): void;
  /** The daemon was killed. */
  die(): void;
}

/** An NBD connection. */
export class NbdLine implements Line {
  readonly #daemon: Daemon;
  readonly #sockets: Sockets;
  readonly #flags: number;
  readonly #socket: SimulatedSocket;
  #connection = -1;

  constructor(
    daemon: Daemon,
    sockets: Sockets,
    flags: number,
    deliver: (bytes: Uint8Array) => void,
    onClosed: () => void,
  ) {
    this.#daemon = daemon;
    this.#sockets = sockets;
    this.#flags = flags;
    this.#socket = new SimulatedSocket(deliver, onClosed);
  }

  join(unit: number): void {
    const handle = this.#sockets.add(this.#socket);
    this.#sockets.tell();
    this.#connection = this.#daemon.connect(handle, unit, this.#flags);
  }

  arrive(bytes: Uint8Array): void {
    this.#sockets.arrive(this.#socket, bytes);
  }

  hangUp(): void {
    this.#sockets.hangUp(this.#socket);
  }

  close(): void {
    // The client may have hung up, which the core is about to report.
    this.#socket.hungUp = true;
    const answer = this.#daemon.core.exports.connectionClose(this.#connection);
    if (answer < 0 && answer !== -ERROR_HANDLE) this.#daemon.complain(`connectionClose answers ${answer}`);
  }

  die(): void {
    this.#socket.hungUp = true;
    this.#socket.closed = true;
  }
}
