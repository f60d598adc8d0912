// What control is told of commands that are not answered: a stall seldom enough, and only of a path that has one; and of each
// orphan once at most that it is settled, as it is.

import { EVENT_ORPHAN_SETTLED, EVENT_STALL, SETTLED_COMPLETED } from "../../host/abi.ts";
import type { Books } from "./books.ts";
import type { CoreEvent } from "./core.ts";
import type { Tap } from "./tap.ts";

const NS_PER_MS = 1e6;
/** A path's stalls are told no more often than this. */
const STALL_EVERY_NS = 1000 * NS_PER_MS;

export class Stalls {
  readonly #tap: Tap;
  readonly #books: Books;
  readonly #violation: (text: string) => void;
  /** When the last stall of a path was told. */
  readonly #stalls = new Map<number, number>();

  constructor(tap: Tap, books: Books, violation: (text: string) => void) {
    this.#tap = tap;
    this.#books = books;
    this.#violation = violation;
  }

  /** An event, before anything is submitted that the same turn has made. */
  event({ kind, path, arg0, arg1 }: CoreEvent): void {
    if (kind === EVENT_STALL) this.#stall(path);
    else if (kind === EVENT_ORPHAN_SETTLED) this.#settled(path, arg0, arg1);
  }

  /** A path has gone: its record may be that of another one now. */
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
    // A reset settles what the host still has, or gives back right behind it.
    const left = [...this.#tap.commandsOf(port, true), ...this.#underWay(port, how)].filter(({ settled }) => !settled);
    const age = ({ sentNs }: { readonly sentNs: number }): number => Math.floor((nowNs - sentNs) / NS_PER_MS);
    // While the machine stands still no time passes for the core.
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
