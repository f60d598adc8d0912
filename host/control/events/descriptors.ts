// File descriptors are scarce where nobody has raised the limit. The last ones are reserved for what must go on (paths, the state
// file, a reload): clients are refused before the kernel refuses everyone, and this is reported once.

import { readFileSync } from "node:fs";
import type { Socket } from "node:net";
import { descriptorOf } from "../../peers/who.ts";
import type { ReactorLoad } from "../../reactor/reactor-messages.ts";
import type { EventHub } from "./event-hub.ts";
import type { Logger } from "../ground/logger.ts";

/** Reserved for the daemon itself. */
const DESCRIPTORS_KEPT = 32;
/** How often a shortage is reported at most. */
const SAID_MS = 60_000;

/** How many descriptors this process may have open; Node has raised the limit as far as it may. */
export function descriptorLimit(limits = readFileSync("/proc/self/limits", "utf8")): number {
  return Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1] ?? Infinity);
}

export class Descriptors {
  readonly limit: number;
  readonly #hub: Pick<EventHub, "say">;
  readonly #logger: Logger;
  #saidMs = -Infinity;
  #saidOfPaths = false;

  constructor(hub: Pick<EventHub, "say">, logger: Logger, limit = descriptorLimit()) {
    this.#hub = hub;
    this.#logger = logger;
    this.limit = limit;
  }

  /** What a reactor tells of its paths; that they are short is said once. */
  pathsHave({ descriptorRefusals }: Pick<ReactorLoad, "descriptorRefusals">): void {
    if (descriptorRefusals === 0 || this.#saidOfPaths) return;
    this.#saidOfPaths = true;
    this.#hub.say("path-descriptors-short", { detail: { limit: this.limit } });
  }

  /** Why a new client cannot be served; null when it can. The kernel always assigns the lowest free number. */
  refusalOf(socket: Socket): string | null {
    if (descriptorOf(socket) < this.limit - DESCRIPTORS_KEPT) return null;
    const reason = `the daemon may have ${this.limit} files and connections open, and all but its reserve are`;
    if (performance.now() - this.#saidMs >= SAID_MS) {
      this.#saidMs = performance.now();
      this.#logger.warning(`clients are refused: ${reason}; raise LimitNOFILE or \`ulimit -n\``);
      this.#hub.say("descriptors-short", { detail: { limit: this.limit } });
    }
    return reason;
  }
}
