// Files of the daemon that others may delete while it runs: the state file, the sockets. They are compared by inode, as a file of
// the same name may be someone else's, and recreated. Also watches whether anyone reads the daemon's output.

import type { EventHub } from "./event-hub.ts";
import { reasonOf } from "../ground/control-errors.ts";
import type { Logger } from "../ground/logger.ts";
import type { State } from "../state/state.ts";
import { inodeOf } from "../state/state-store.ts";

/** Short enough that an operator whose command fails may simply try again. */
const POLL_MS = 1000;
/** How often lost lines are reported at most. */
const LOST_SAID_MS = 60_000;

/** A socket that the daemon listens on. */
export interface KeptSocket {
  readonly what: string;
  readonly path: string;
  /** Listens again; connected clients stay. */
  readonly again: () => Promise<void>;
}

interface Watched extends KeptSocket {
  /** Inode of the file that was created; null before the first check. */
  inode: string | null;
  /** What was reported last; null when all is well. */
  problem: string | null;
}

export interface KeepingParts {
  readonly state: State;
  readonly hub: EventHub;
  readonly logger: Logger;
  /** Rewrites the other files beside the state. */
  readonly stateMadeAgain: () => void;
  /** Lines of standard error that were never read, since the start. */
  readonly linesLost?: (() => number) | undefined;
}

export class Keeping {
  readonly #parts: KeepingParts;
  readonly #sockets: Watched[] = [];
  #timer: NodeJS.Timeout | undefined;
  #checking: Promise<void> | null = null;
  #isStopped = false;
  /** The number that was last reported. */
  #linesLost = 0;
  #lostSaidMs = -Infinity;

  constructor(parts: KeepingParts) {
    this.#parts = parts;
  }

  start(): void {
    const { problem, file } = this.#parts.state;
    if (problem !== null) this.#tellUnwritable(file, problem);
    this.#timer = setInterval(() => void this.check(), POLL_MS);
    this.#timer.unref();
  }

  /** Waits for the check under way. Call it before closing sockets, or their files would be found missing and recreated. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    clearInterval(this.#timer);
    await this.#checking?.catch(() => undefined);
    this.#sockets.length = 0;
  }

  /** Call it for each socket once it listens. */
  async keep(socket: KeptSocket): Promise<void> {
    const inode = await inodeOf(socket.path).catch(() => null);
    this.#sockets.push({ ...socket, inode, problem: null });
  }

  /** What an operator should know, one sentence each. */
  get attention(): string[] {
    const { state } = this.#parts;
    return [
      ...(state.problem === null ? [] : [`${state.file} cannot be written, nothing can be set: ${state.problem}`]),
      ...this.#sockets.map(({ problem }) => problem).filter((problem) => problem !== null),
    ];
  }

  /** Checks everything once; the next check begins after this one has ended. */
  async check(): Promise<void> {
    if (this.#checking !== null || this.#isStopped) return;
    this.#checking = this.#check();
    try {
      await this.#checking;
    } finally {
      this.#checking = null;
    }
  }

  async #check(): Promise<void> {
    await this.#checkState();
    for (const socket of this.#sockets) if (!this.#isStopped) await this.#checkSocket(socket);
    this.#tellLost();
  }

  #tellLost(): void {
    const lost = this.#parts.linesLost?.() ?? 0;
    if (lost === this.#linesLost || performance.now() - this.#lostSaidMs < LOST_SAID_MS) return;
    this.#parts.hub.say("lines-lost", { detail: { lines: lost - this.#linesLost } });
    this.#linesLost = lost;
    this.#lostSaidMs = performance.now();
  }

  async #checkState(): Promise<void> {
    const { state, hub, logger, stateMadeAgain } = this.#parts;
    const change = await state.keep();
    if (change === null) return;
    if (change.kind === "made again") {
      logger.warning(`${state.file} was deleted while the daemon ran; it was made again, with all that was set`);
      hub.say("file-made-again", { detail: { what: "state", file: state.file } });
      stateMadeAgain();
    } else if (change.kind === "copy made again") {
      logger.warning(`${change.file}, the copy of the settings, was deleted or replaced; it was made again`);
      hub.say("file-made-again", { detail: { what: "copy of the settings", file: change.file } });
    } else if (change.kind === "writable") {
      logger.info(`${state.file} can be written again`);
      hub.say("state-writable", { detail: { file: state.file } });
      stateMadeAgain();
    } else this.#tellUnwritable(state.file, change.reason);
  }

  #tellUnwritable(file: string, reason: string): void {
    this.#parts.logger.warning(`${file} cannot be written (${reason}); what was set is in force, nothing can be set`);
    this.#parts.hub.say("state-unwritable", { detail: { file, reason } });
  }

  async #checkSocket(socket: Watched): Promise<void> {
    const { hub, logger } = this.#parts;
    const { what, path } = socket;
    try {
      const inode = await inodeOf(path);
      if (inode === null) {
        await socket.again();
        socket.inode = await inodeOf(path);
        logger.warning(`the ${what} socket ${path} was deleted while the daemon ran; it was made again`);
        hub.say("file-made-again", { detail: { what: `${what} socket`, file: path } });
      } else if (inode !== socket.inode) {
        throw new Error("another file has taken its place; move it away, and it is made again");
      }
      socket.problem = null;
    } catch (thrown) {
      const problem = `nobody reaches the ${what} socket ${path}: ${reasonOf(thrown)}`;
      if (problem !== socket.problem) logger.warning(problem);
      socket.problem = problem;
    }
  }
}
