// News about shared components between the reactors of a host. Checks that a core tells what it has found out itself, and nothing that it
// was told; and that what it is told makes suspects of its paths there, or clears them.

import {
  EVENT_BYTES,
  EVENT_SHARED_ANSWER,
  EVENT_SHARED_FAULT,
  EVENT_SUSPECT,
  PATH_FLAG_FAILED,
  PATH_FLAG_PRESENT,
  PATH_FLAG_REMOVING,
  PATH_FLAG_SUSPECT,
} from "../../host/abi.ts";
import { newsIn, type SharedNews } from "../../host/reactor/shared-news.ts";
import type { CoreEvent } from "./core.ts";
import type { Daemon } from "./daemon.ts";

const GONE = PATH_FLAG_FAILED | PATH_FLAG_REMOVING;

type Component = Pick<SharedNews, "initiatorPort" | "targetPort"> & { readonly controller?: number };

export class News {
  readonly #daemon: Daemon;
  readonly #reactors: number;
  readonly #tell: (news: readonly SharedNews[]) => void;
  readonly #violation: (text: string) => void;
  /** It is being told something. */
  #isHearing = false;
  /** Suspects, and what was told, since the events were taken last. */
  #suspects = 0;
  #told: SharedNews[] = [];

  constructor(
    daemon: Daemon,
    reactors: number,
    tell: (news: readonly SharedNews[]) => void,
    violation: (text: string) => void,
  ) {
    this.#daemon = daemon;
    this.#reactors = reactors;
    this.#tell = tell;
    this.#violation = violation;
  }

  event({ kind, arg0, entry }: CoreEvent): void {
    if (this.#reactors === 1) return;
    if (kind === EVENT_SUSPECT && arg0 === 1) this.#suspects++;
    if (kind !== EVENT_SHARED_FAULT && kind !== EVENT_SHARED_ANSWER) return;
    const { memory } = this.#daemon.core;
    this.#told.push(...newsIn(memory.slice(entry, entry + EVENT_BYTES), this.#reactors - 1));
  }

  drained(): void {
    const told = this.#told;
    const isHearing = this.#isHearing;
    const hasFound = (what: SharedNews["what"]): boolean => told.some((news) => news.what === what);
    if (isHearing && told.length > 0) this.#violation("news: what a core was told it tells again");
    if (!isHearing && this.#suspects > 0 && !hasFound("fault"))
      this.#violation("news: a core does not tell of a fault");
    this.#told = [];
    this.#suspects = 0;
    if (told.length > 0) this.#tell(told);
  }

  /** Another reactor has told this, between two turns. */
  hear(news: SharedNews): void {
    this.#daemon.drain();
    const { exports } = this.#daemon.core;
    const { what, initiatorPort, targetPort, controller, isSilent, probesMax } = news;
    this.#isHearing = true;
    const answer =
      what === "fault"
        ? exports.sharedFault(initiatorPort, targetPort, controller, isSilent ? 1 : 0, probesMax)
        : exports.sharedAnswer(initiatorPort, targetPort);
    if (answer < 0) this.#violation(`news: the core refuses them with ${answer}`);
    this.#daemon.drain();
    this.#isHearing = false;
    for (const { path, port, flags } of this.#daemon.inventory.placed()) {
      if ((flags & (PATH_FLAG_PRESENT | GONE)) !== PATH_FLAG_PRESENT) continue;
      const isSuspect = (flags & PATH_FLAG_SUSPECT) !== 0;
      if (what === "fault" && shares(news, port) && !isSuspect) {
        this.#violation(`news: path ${path} shares a component with a fault elsewhere, and is no suspect`);
      }
      if (what === "answer" && isOfNexus(news, port) && isSuspect) {
        this.#violation(`news: path ${path} is a suspect, although its nexus has answered elsewhere`);
      }
    }
  }
}

const isOfNexus = (a: Component, b: Component): boolean =>
  a.initiatorPort === b.initiatorPort && a.targetPort === b.targetPort;

const shares = (a: Component, b: Component): boolean =>
  a.initiatorPort === b.initiatorPort || a.targetPort === b.targetPort || a.controller === b.controller;
