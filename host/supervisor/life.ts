// One life of control: a process of its own, a channel for messages, and one for the sockets that it has negotiated.

import { spawn, type ChildProcess } from "node:child_process";
import { fileURLToPath } from "node:url";
import { closeDescriptor, receiveDescriptor, socketPair } from "../native/index.ts";
import type { Downward, Upward } from "./protocol.ts";

/** Where control finds the channel for descriptors; the one for messages is Node's, at 3. */
export const DESCRIPTOR_CHANNEL = 4;

export interface LifeListener {
  message(message: Upward): void;
  ended(status: number | null, signal: NodeJS.Signals | null): void;
}

export class Life {
  readonly startedMs = performance.now();
  /** It serves. */
  isReady = false;
  /** It was asked to go, so that another one follows. */
  isLeaving = false;
  /** Why it ends, as far as it could say or we have ended it. */
  reason: string | null = null;
  /** Checks since it has answered one last. */
  silentTicks = 0;
  readonly #child: ChildProcess;
  readonly #channel: number;
  #isOver = false;

  /** @param entry the program, run as this process is, with `args` */
  constructor(entry: URL, args: readonly string[], listener: LifeListener) {
    const [ours, theirs] = socketPair("seqpacket");
    this.#channel = ours;
    // What the service manager wants to hear, it hears from its own child.
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
      // Both ends are of one version; what comes here was written by `Lifeline`.
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
    // To one that has ended, nothing is worth saying.
    if (this.#child.connected) this.#child.send(message, () => undefined);
  }

  /** The next descriptor that control has given; `tag` says which it has to be. */
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
