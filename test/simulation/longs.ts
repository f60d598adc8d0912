// Commands that may rightly take long - UNMAP, WRITE SAME, SYNCHRONIZE CACHE - say nothing about the path they were sent on. So
//
// - a path that has answered what was sent after one is not reported as stalled because of it before the command's own time is
//   over: half of the time of its request, or 30 s; less if it was sent before;
// - a path that has nothing but such commands has been asked something else before it is reported as stalled, unless it is a suspect
//   (then another path of its nexus is asked);
// - and no path is reset for one that it is just slow with: only when the host should have ended it, when other I/O has waited for
//   it far beyond its own time, or when the path answers nothing.
//
// Resets for other commands are held to their times as well. A zeroing's time starts again with each of its commands that is done, and
// with each that is done before its turn: so what a unit has done of that kind is kept here.

import {
  EVENT_STALL,
  OP_RESET,
  OP_SCSI,
  PATH_BYTES,
  PATH_FLAG_FAILED,
  PATH_FLAG_STALLED,
  PATH_FLAG_SUSPECT,
  PATH_FLAGS,
  UNIT_SET_IO_TIMEOUT_MS,
  UNIT_SET_LOST_RESET_MS,
  UNIT_SET_ORPHAN_RESET_MS,
  UNIT_SET_STALL_MAX_MS,
} from "../../host/abi.ts";
import type { Books } from "./books.ts";
import type { CoreEvent, SimulatedCore } from "./core.ts";
import type { Listener, Operation } from "./tap.ts";

const NS_PER_MS = 1e6;
const NS_PER_S = 1e9;
/** UNMAP, WRITE SAME(10) and (16), SYNCHRONIZE CACHE(10) and (16). */
const ZEROING_CODES = new Set([0x42, 0x41, 0x93]);
const LONG_CODES = new Set([...ZEROING_CODES, 0x35, 0x91]);
/** One's own time, at most; and how much later it is settled by force if other I/O waits for it. */
const OWN_NS = 30 * NS_PER_S;
const LATER_NS = 5 * NS_PER_S;
/** What the host needs to end one whose time is over. */
const ABORT_NS = NS_PER_S;
/** One that was sent again often has this part of its own time. */
const PART_LEAST = 4;

interface Port {
  readonly under: Set<Operation>;
  /** The latest of the commands that were answered, and of those that were sent, except for checks that move no data, ns. */
  answeredNs: number;
  sentNs: number;
  /** What was sent before was ended by a reset, or belonged to another path, ns. */
  overNs: number;
}

export class Longs implements Listener {
  readonly #core: SimulatedCore;
  readonly #books: Books;
  readonly #violation: (text: string) => void;
  readonly #ports = new Map<number, Port>();
  #nowNs = 0;
  /** When a zeroing of any unit has last made progress. */
  zeroedNs = 0;

  constructor(core: SimulatedCore, books: Books, violation: (text: string) => void) {
    this.#core = core;
    this.#books = books;
    this.#violation = violation;
  }

  #port(handle: number): Port {
    let port = this.#ports.get(handle);
    if (port === undefined) {
      port = { under: new Set(), answeredNs: -1, sentNs: -1, overNs: -1 };
      this.#ports.set(handle, port);
    }
    return port;
  }

  sent(operation: Operation): void {
    this.#nowNs = operation.sentNs;
    if (operation.op === OP_RESET) return this.#reset(operation);
    if (operation.op !== OP_SCSI) return;
    const port = this.#port(operation.handle);
    port.under.add(operation);
    if (!operation.check || operation.ranges.length > 0) port.sentNs = operation.sentNs;
  }

  ended(operation: Operation, answered: boolean, nowNs: number): void {
    if (operation.op !== OP_SCSI && operation.op !== OP_RESET) return;
    const port = this.#port(operation.handle);
    if (operation.op === OP_RESET) port.overNs = nowNs;
    port.under.delete(operation);
    if (!answered) return;
    port.answeredNs = Math.max(port.answeredNs, operation.sentNs);
    if (ZEROING_CODES.has(operation.code)) this.zeroedNs = nowNs;
  }

  /** A path begins or ends: what is under way on its port is none of the next one's. */
  pathChanges(handle: number | undefined, nowNs: number): void {
    if (handle !== undefined) this.#port(handle).overNs = nowNs;
  }

  /** An event; called before anything is submitted that the same turn has created. */
  event({ kind, path }: CoreEvent, nowNs: number): void {
    this.#nowNs = nowNs;
    const handle = kind === EVENT_STALL ? this.#books.portOf(path) : undefined;
    if (handle === undefined) return;
    const port = this.#port(handle);
    const flags = this.#flags(path);
    const all = [...port.under].filter(({ check, sentNs }) => !check && sentNs < nowNs);
    if (all.length === 0 || all.some((command) => this.#mayBeStalled(command, port, flags))) return;
    const ages = all.map(({ code, sentNs }) => `${code.toString(16)} for ${(nowNs - sentNs) / NS_PER_MS} ms`);
    this.#violation(`long commands: path ${path} is told to be stalled, which has only ${ages.join(", ")}`);
  }

  #flags(path: number): number {
    return this.#core.view.getUint32(this.#core.exports.pathTable() + path * PATH_BYTES + PATH_FLAGS, true);
  }

  #ms(setting: number): number {
    return this.#core.had(setting).least * NS_PER_MS;
  }

  /** A command's own time, at least. */
  get #ownNs(): number {
    return Math.min(OWN_NS, this.#ms(UNIT_SET_IO_TIMEOUT_MS) / 2) / PART_LEAST;
  }

  /** Whether what is known of the port is not about the path of this command, or not any more. */
  #isOver({ handle, sentNs }: Operation, port: Port): boolean {
    return port.overNs >= sentNs || this.#books.pathsOn(handle) !== 1;
  }

  #mayBeStalled(command: Operation, port: Port, flags: number): boolean {
    if (!LONG_CODES.has(command.code) || this.#isOver(command, port)) return true;
    const ageNs = this.#nowNs - command.sentNs;
    const silentNs = this.#ms(UNIT_SET_STALL_MAX_MS);
    const isAvoided = (flags & (PATH_FLAG_FAILED | PATH_FLAG_STALLED)) !== 0;
    if (port.answeredNs > command.sentNs) return ageNs >= (isAvoided ? silentNs : this.#ownNs);
    const isSuspect = (flags & PATH_FLAG_SUSPECT) !== 0;
    const isAsked = isSuspect || port.sentNs > command.sentNs || [...port.under].some(({ check }) => check);
    return ageNs >= silentNs && isAsked;
  }

  #reset({ handle }: Operation): void {
    const port = this.#port(handle);
    if ([...port.under].some((command) => this.#mayBeReset(command, port))) return;
    const all = [...port.under].map(
      ({ code, sentNs }) => `${code.toString(16)} for ${(this.#nowNs - sentNs) / NS_PER_MS} ms`,
    );
    this.#violation(`long commands: port ${handle} is reset, which has ${all.join(", ") || "nothing"}`);
  }

  #mayBeReset(command: Operation, port: Port): boolean {
    const ageNs = this.#nowNs - command.sentNs;
    const orphanNs = this.#ms(UNIT_SET_ORPHAN_RESET_MS);
    const lostNs = this.#ms(UNIT_SET_LOST_RESET_MS);
    if (command.check || this.#isOver(command, port)) return true;
    if (!LONG_CODES.has(command.code)) return ageNs >= Math.min(orphanNs, lostNs);
    if (port.answeredNs <= command.sentNs) return ageNs >= orphanNs;
    const isEnded = this.#nowNs >= command.endsNs + ABORT_NS && ageNs >= orphanNs;
    return (
      isEnded || (lostNs !== Infinity && ageNs >= Math.min(this.#ownNs + LATER_NS, command.endsNs - command.sentNs))
    );
  }
}
