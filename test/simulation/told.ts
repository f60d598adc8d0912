// Checks what control is told: each change exactly once. Anybody who follows the events from the start knows the content of
// the records.

import {
  EVENT_ALUA_CHANGED,
  EVENT_FAILBACK_DONE,
  EVENT_FAILBACK_FAILED,
  EVENT_FAILBACK_STARTED,
  EVENT_FAILOVER_DONE,
  EVENT_FAILOVER_FAILED,
  EVENT_FAILOVER_STARTED,
  EVENT_PATH_ERROR_CHECK,
  EVENT_PATH_ERROR_IO,
  EVENT_PATH_STATE,
  EVENT_MARGINAL,
  EVENT_SUSPECT,
  EVENT_WRONG_UNIT,
  PATH_ALUA,
  PATH_BYTES,
  PATH_FLAG_FAILED,
  PATH_FLAG_PRESENT,
  PATH_FLAG_MARGINAL,
  PATH_FLAG_SUSPECT,
  PATH_FLAG_WRONG_UNIT,
  PATH_FLAGS,
  REASON_OPERATOR,
} from "../../host/abi.ts";
import type { CoreEvent, SimulatedCore } from "./core.ts";

/** A path as known from the events so far. */
interface KnownPath {
  flags: number;
  alua: number;
  /** Its failback was announced, and the result has not been reported yet. */
  returning: boolean;
  /** Flags whose setting or clearing was announced by an event of its own, and that change with the next PATH_STATE. */
  setting: number;
  clearing: number;
}

/** Flags with an event of their own, for which PATH_STATE is not enough. */
const ANNOUNCED = PATH_FLAG_FAILED | PATH_FLAG_WRONG_UNIT | PATH_FLAG_SUSPECT | PATH_FLAG_MARGINAL;
/** Those of them whose clearing is announced as well. */
const CLEARING_ANNOUNCED = PATH_FLAG_FAILED | PATH_FLAG_SUSPECT | PATH_FLAG_MARGINAL;

export class Told {
  readonly #violation: (text: string) => void;
  readonly #paths = new Map<number, KnownPath>();
  /** The unit whose failover has started: its result is the next event. */
  #failover: number | undefined;

  constructor(violation: (text: string) => void) {
    this.#violation = violation;
  }

  /** An event, in the order of reporting. */
  event(event: CoreEvent): void {
    const { kind, unit } = event;
    if (this.#failover !== undefined) {
      if ((kind !== EVENT_FAILOVER_DONE && kind !== EVENT_FAILOVER_FAILED) || unit !== this.#failover) {
        this.#violation(`events: the failover of unit ${this.#failover} has no end`);
      }
      this.#failover = undefined;
    } else if (kind === EVENT_FAILOVER_DONE || kind === EVENT_FAILOVER_FAILED) {
      this.#violation(`events: a failover of unit ${unit} ends that has not begun`);
    }
    if (kind === EVENT_FAILOVER_STARTED) this.#failover = unit;
    else if (kind === EVENT_PATH_STATE) this.#state(event);
    else this.#ofPath(event);
  }

  #known(path: number): KnownPath {
    let known = this.#paths.get(path);
    if (known === undefined) {
      known = { flags: 0, alua: 0, returning: false, setting: 0, clearing: 0 };
      this.#paths.set(path, known);
    }
    return known;
  }

  #state({ path, reason, arg0: before, arg1: after }: CoreEvent): void {
    const known = this.#known(path);
    if (before !== known.flags) {
      this.#violation(`events: path ${path} had flags ${before}, but ${known.flags} was told`);
    }
    if (before === after) this.#violation(`events: path ${path}: a change that is none`);
    known.flags = after;
    if (after === 0) {
      this.#paths.delete(path);
      return;
    }
    let set = after & ~before & ANNOUNCED;
    let cleared = before & ~after & CLEARING_ANNOUNCED;
    // What an operator orders is not an error, nor a failure that needs its own event.
    if (reason === REASON_OPERATOR) set &= ~PATH_FLAG_FAILED | known.setting;
    // A flag that was cleared and set again in between was reported both times.
    const again = known.setting & known.clearing;
    set |= again & after;
    cleared |= again;
    if (set !== known.setting || cleared !== known.clearing) {
      this.#violation(
        `events: path ${path} from ${before} to ${after}: told as set ${known.setting}, as cleared ${known.clearing}`,
      );
    }
    known.setting = 0;
    known.clearing = 0;
  }

  #announce(path: number, flag: number, sets: boolean): void {
    const known = this.#known(path);
    const told = sets ? known.setting : known.clearing;
    if ((told & flag) !== 0)
      this.#violation(`events: path ${path}: flag ${flag} is told twice as ${sets ? "set" : "cleared"}`);
    if (sets) known.setting |= flag;
    else known.clearing |= flag;
  }

  #ofPath({ kind, path, arg0, arg1 }: CoreEvent): void {
    if (kind === EVENT_PATH_ERROR_IO || kind === EVENT_PATH_ERROR_CHECK) this.#announce(path, PATH_FLAG_FAILED, true);
    else if (kind === EVENT_WRONG_UNIT) this.#announce(path, PATH_FLAG_WRONG_UNIT, true);
    else if (kind === EVENT_SUSPECT) this.#announce(path, PATH_FLAG_SUSPECT, arg0 === 1);
    else if (kind === EVENT_MARGINAL) this.#announce(path, PATH_FLAG_MARGINAL, arg0 === 1);
    else if (kind === EVENT_ALUA_CHANGED) {
      const known = this.#known(path);
      if (known.alua !== arg0 || arg0 === arg1) {
        this.#violation(`events: path ${path}: ALUA from ${arg0} to ${arg1}, but ${known.alua} was told`);
      }
      known.alua = arg1;
    } else if (kind === EVENT_FAILBACK_STARTED) {
      const known = this.#known(path);
      if (known.returning) this.#violation(`events: path ${path}: its failback begins twice`);
      known.returning = true;
    } else if (kind === EVENT_FAILBACK_DONE || kind === EVENT_FAILBACK_FAILED) {
      this.#known(path).returning = false;
      if (kind === EVENT_FAILBACK_DONE) this.#announce(path, PATH_FLAG_FAILED, false);
    }
  }

  /** Compares what was reported with the records, right after a turn whose events were taken. */
  look(core: SimulatedCore, records: number): void {
    if (this.#failover !== undefined) this.#violation(`events: the failover of unit ${this.#failover} has no end`);
    for (let path = 0; path < records; path++) {
      const record = core.exports.pathTable() + path * PATH_BYTES;
      const flags = core.view.getUint32(record + PATH_FLAGS, true);
      const known = this.#paths.get(path);
      if (flags !== (known?.flags ?? 0)) {
        this.#violation(`events: path ${path} has flags ${flags}, told were ${known?.flags ?? 0}`);
      }
      if (known === undefined || (flags & PATH_FLAG_PRESENT) === 0) continue;
      const alua = core.view.getUint8(record + PATH_ALUA);
      if (alua !== known.alua) this.#violation(`events: path ${path} has ALUA state ${alua}, told was ${known.alua}`);
      if ((known.setting | known.clearing) !== 0) {
        this.#violation(
          `events: path ${path}: told as set ${known.setting}, as cleared ${known.clearing}, and nothing changed`,
        );
      }
      if (known.returning && (flags & PATH_FLAG_FAILED) === 0) {
        this.#violation(`events: path ${path}: how its failback went was not told`);
      }
    }
  }
}
