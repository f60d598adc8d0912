// Checks what control is told about unanswered commands: a stall not too often, and only for a path that has one; that an
// orphan was settled at most once for each, and correctly.

import { EVENT_ORPHAN_SETTLED, EVENT_STALL, SETTLED_COMPLETED } from "../../host/abi.ts";
import type { Books } from "./books.ts";
import type { CoreEvent } from "./core.ts";
import type { Tap } from "./tap.ts";

const NS_PER_MS = 1e6;
/** Minimum time between two reported stalls of a path. */
const STALL_EVERY_NS = 1000 * NS_PER_MS;

export class Stalls {
  readonly #tap: Tap;
  readonly #books: Books;
  readonly #violation: (text: string) => void;
  /** When a stall of each path was last reported. */
  readonly #stalls = new Map<number, number>();

  constructor(tap: Tap, books: Books, violation: (text: string) => void) {
    this.#tap = tap;
    this.#books = books;
    this.#violation = violation;
  }

  /** An event; called before anything is submitted that the same turn has created. */
  event({ kind, path, arg0, arg1 }: CoreEvent): void {
    if (kind === EVENT_STALL) this.#stall(path);
    else if (kind === EVENT_ORPHAN_SETTLED) this.#settled(path, arg0, arg1);
  }

  /** A path was removed: its record may now be another path's. */
  pathGone(path: number): void {
    this.#stalls.delete(path);
  }

  #stall(path: number): void {
    const { nowNs } = this.#tap;
    const port = this.#books.portOf(path);
    if (port === undefined) return this.#violation(`events: a stall of path ${path}, which there is not`);
    const last = this.#stalls.get(path);
    if (last !== undefined && nowNs - last < STALL_EVERY_NS) {
      this.#violation(`events: a stall of path ${path} is told again after ${(nowNs - last) / NS_PER_MS} ms`);
    }
    this.#stalls.set(path, nowNs);
    if (!this.#tap.commandsOf(port, false).some(({ sentNs }) => sentNs < nowNs)) {
      this.#violation(`events: a stall of path ${path}, to which everything was answered`);
    }
  }

  #settled(path: number, how: number, ageMs: number): void {
    const { nowNs } = this.#tap;
    const port = this.#books.portOf(path);
    if (port === undefined) return this.#violation(`events: an orphan of path ${path}, which there is not, is settled`);
    // A reset settles commands that the host still has, or returns right after it.
    const left = [...this.#tap.commandsOf(port, true), ...this.#underWay(port, how)].filter(({ settled }) => !settled);
    const age = ({ sentNs }: { readonly sentNs: number }): number => Math.floor((nowNs - sentNs) / NS_PER_MS);
    // While the machine is paused, no time passes for the core.
    const orphan = left.find((one) => age(one) === ageMs) ?? left.find((one) => age(one) > ageMs);
    if (orphan === undefined) {
      return this.#violation(`events: path ${path}: no orphan of ${ageMs} ms is left that could be settled (${how})`);
    }
    orphan.settled = true;
  }

  #underWay(port: number, how: number): ReturnType<Tap["commandsOf"]> {
    return how === SETTLED_COMPLETED ? [] : this.#tap.commandsOf(port, false);
  }
}
