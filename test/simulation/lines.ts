// How a client reaches the core: what the world does with it, whichever front end it comes by. Both carry NBD's bytes: requests in,
// replies out; the block door's embedder (gate.ts) makes entries of the ones and simple replies of its completions.

import { ERROR_HANDLE } from "../../host/abi.ts";
import type { Daemon } from "./daemon.ts";
import { SimulatedSocket, type Sockets } from "./sockets.ts";

export interface Line {
  /** Gives it to the core, for a unit. */
  join(unit: number): void;
  /** Bytes of a request come from the client. */
  arrive(bytes: Uint8Array): void;
  /** The client has gone. */
  hangUp(): void;
  /** Control closes it. */
  close(): void;
  /** The daemon is dead. */
  die(): void;
}

/** A connection by NBD. */
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
    // The client may have hung up, and the core be about to say so.
    this.#socket.hungUp = true;
    const answer = this.#daemon.core.exports.connectionClose(this.#connection);
    if (answer < 0 && answer !== -ERROR_HANDLE) this.#daemon.complain(`connectionClose answers ${answer}`);
  }

  die(): void {
    this.#socket.hungUp = true;
    this.#socket.closed = true;
  }
}
