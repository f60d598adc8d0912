// One life of control: a process of its own, a channel for messages, and one for the sockets it has negotiated.

import { spawn, type ChildProcess } from "node:child_process";
import { fileURLToPath } from "node:url";
import { closeDescriptor, receiveDescriptor, socketPair } from "../native/index.ts";
import type { Downward, Upward } from "./protocol.ts";

export interface LifeListener {
  message(message: Upward): void;
  ended(status: number | null, signal: NodeJS.Signals | null): void;
}

export class Life {
  readonly startedMs = performance.now();
  /** It is serving. */
  isReady = false;
  /** It was asked to go, so that another one can take over. */
  isLeaving = false;
  /** Why it ends, as far as it could say, or why we ended it. */
  reason: string | null = null;
  /** Ticks since its last answer. */
  silentTicks = 0;
  readonly #child: ChildProcess;
  readonly #channel: number;
  #isOver = false;

  /** @param entry the program, run as this process is, with `args` */
  constructor(entry: URL, args: readonly string[], listener: LifeListener) {
    const [ours, theirs] = socketPair("seqpacket");
    this.#channel = ours;
    // Only the process that the service manager started reports to it.
    const { NOTIFY_SOCKET: _, WATCHDOG_USEC: __, WATCHDOG_PID: ___, ...env } = process.env;
    this.#child = spawn(process.execPath, [...process.execArgv, fileURLToPath(entry), ...args], {
      stdio: ["ignore", "inherit", "inherit", "ipc", theirs],
      serialization: "advanced",
      env,
    });
    closeDescriptor(theirs);
    const end = (status: number | null, signal: NodeJS.Signals | null): void => {
      if (this.#isOver) return;
      this.#isOver = true;
      closeDescriptor(ours);
      listener.ended(status, signal);
    };
    this.#child.on("message", (message) => {
      // Both ends are of the same version; what arrives here was written by `Lifeline`.
      if (!this.#isOver) listener.message(message as Upward);
    });
    this.#child.once("exit", end);
    this.#child.on("error", (error) => {
      this.reason ??= `it cannot be started: ${error.message}`;
      if (this.#child.pid === undefined) end(null, null);
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  send(message: Downward): void {
    // A process that has ended need not be told anything.
    if (this.#child.connected) this.#child.send(message, () => undefined);
  }

  /** The next descriptor that control has passed; `tag` says which one it must be. */
  takeDescriptor(tag: number): number {
    const given = receiveDescriptor(this.#channel);
    if (given.tag === tag) return given.fd;
    closeDescriptor(given.fd);
    throw new Error(`descriptor ${given.tag} came for ${tag}`);
  }

  kill(reason: string): void {
    this.reason ??= reason;
    this.#child.kill("SIGKILL");
  }
}
