// The core's accounts: at any moment, the resources it reports as used are those taken and not returned, and its counters
// match what its host has observed. At rest everything has been returned.

import {
  OP_SCSI,
  PATH_BYTES,
  PATH_CHECKS,
  PATH_FLAG_PRESENT,
  PATH_FLAGS,
  PATH_ORPHANS,
  PATH_IN_FLIGHT,
  PATH_IOS,
  PATH_SLOT,
  PATH_STATISTICS,
  PATH_UNIT,
  STATISTICS_BUCKETS,
  STATISTICS_HEDGES,
  STATISTICS_HEDGES_WON,
  STATISTICS_HISTOGRAM_READ,
  STATISTICS_HISTOGRAM_WRITE,
  STATISTICS_READS,
  STATISTICS_WRITES,
  UNIT_BYTES,
  UNIT_CONNECTIONS,
  UNIT_FLAG_PRESENT,
  UNIT_FLAGS,
  UNIT_ORPHANS,
  UNIT_PATHS,
  UNIT_REQUESTS,
  UNIT_SLOTS,
  UNIT_STATISTICS,
  UNIT_USABLE,
  UNIT_WAITING,
} from "../../host/abi.ts";
import type { CoreLimits } from "../../host/reactor/laid-out-core.ts";
import { INSPECT, type SimulatedCore } from "./core.ts";
import type { Tap } from "./tap.ts";

/** What removed paths had done, by port. */
interface Past {
  ios: number;
  checks: number;
}

function ones(mask: number): number {
  let count = 0;
  for (let rest = mask >>> 0; rest !== 0; rest = (rest & (rest - 1)) >>> 0) count++;
  return count;
}

export class Books {
  readonly #core: SimulatedCore;
  readonly #tap: Tap;
  readonly #limits: CoreLimits;
  readonly #violation: (text: string) => void;
  /** The port of each path record in use. */
  readonly #ports = new Map<number, number>();
  readonly #past = new Map<number, Past>();
  /** Connections passed to the core whose end has not been reported, by handle: their unit. */
  readonly #connections = new Map<number, number>();
  /** Completions given to the core that belong to no submission. */
  strays = 0;

  constructor(core: SimulatedCore, tap: Tap, limits: CoreLimits, violation: (text: string) => void) {
    this.#core = core;
    this.#tap = tap;
    this.#limits = limits;
    this.#violation = violation;
  }

  pathAdded(path: number, port: number): void {
    this.#ports.set(path, port);
  }

  /** The port of a path; undefined: no such path. */
  portOf(path: number): number | undefined {
    return this.#ports.get(path);
  }

  /** Number of paths that have this port: several while one of them is being removed. */
  pathsOn(port: number): number {
    let count = 0;
    for (const other of this.#ports.values()) if (other === port) count++;
    return count;
  }

  /** A path was removed, and its record is not in use again yet. */
  pathGone(path: number): void {
    const port = this.#ports.get(path);
    if (port === undefined) return this.#violation(`path ${path} goes, which was none`);
    const past = this.#pastOf(port);
    past.ios += this.#path64(path, PATH_IOS);
    past.checks += this.#path64(path, PATH_CHECKS);
    if (this.#path(path, PATH_IN_FLIGHT) !== 0) this.#violation(`path ${path} goes with commands in flight`);
    if (this.#path(path, PATH_ORPHANS) !== 0) this.#violation(`path ${path} goes with orphans`);
    this.#ports.delete(path);
  }

  connectionAdded(connection: number, unit: number): void {
    if (this.#connections.has(connection)) this.#violation(`connection ${connection} is given out twice`);
    this.#connections.set(connection, unit);
  }

  connectionClosed(connection: number): void {
    if (!this.#connections.delete(connection)) this.#violation(`the end of connection ${connection} is told twice`);
  }

  /** Number of connections whose end has not been reported. */
  get connections(): number {
    return this.#connections.size;
  }

  #pastOf(port: number): Past {
    let past = this.#past.get(port);
    if (past === undefined) {
      past = { ios: 0, checks: 0 };
      this.#past.set(port, past);
    }
    return past;
  }

  #path(path: number, field: number): number {
    return this.#core.view.getUint32(this.#core.exports.pathTable() + path * PATH_BYTES + field, true);
  }

  #path64(path: number, field: number): number {
    return Number(this.#core.view.getBigUint64(this.#core.exports.pathTable() + path * PATH_BYTES + field, true));
  }

  #unit(unit: number, field: number): number {
    return this.#core.view.getUint32(this.#core.exports.unitTable() + unit * UNIT_BYTES + field, true);
  }

  #is(what: string, found: number, expected: number): void {
    if (found !== expected) this.#violation(`${what}: ${found}, not ${expected}`);
  }

  /** Compares everything, right after a turn of the core. */
  look(): void {
    this.#paths();
    for (let unit = 0; unit < this.#limits.units; unit++) this.#ofUnit(unit);
    const under = this.#tap.count(OP_SCSI);
    const { exports } = this.#core;
    const taken = this.#limits.commands - exports.inspect(INSPECT.commands);
    if (taken < under || taken > this.#limits.commands) {
      this.#violation(`${taken} command slots are taken, ${under} commands are under way`);
    }
    if (exports.inspect(INSPECT.requests) > this.#limits.requests)
      this.#violation("more request slots are free than there are");
    if (exports.inspect(INSPECT.poolBytes) > this.#limits.poolBytes)
      this.#violation("more of the pool is free than there is");
    this.#is("stray completions", exports.inspect(INSPECT.strays), this.strays);
    this.#is("pages for checks", exports.inspect(INSPECT.checkPages), this.#limits.paths + 1 - this.#tap.checkPages);
  }

  #paths(): void {
    const sums = new Map<number, Past & { inFlight: number }>();
    for (const [path, port] of this.#ports) {
      const past = this.#past.get(port);
      const sum = sums.get(port) ?? { inFlight: 0, ios: past?.ios ?? 0, checks: past?.checks ?? 0 };
      sum.inFlight += this.#path(path, PATH_IN_FLIGHT);
      sum.ios += this.#path64(path, PATH_IOS);
      sum.checks += this.#path64(path, PATH_CHECKS);
      sums.set(port, sum);
      if (this.#path(path, PATH_ORPHANS) > this.#path(path, PATH_IN_FLIGHT)) {
        this.#violation(`path ${path}: more orphans than commands in flight`);
      }
    }
    for (const [port, sum] of sums) {
      const account = this.#tap.account(port);
      this.#is(`port ${port}: commands in flight`, sum.inFlight, account.inFlight);
      this.#is(`port ${port}: checks`, sum.checks, account.checks);
      if (sum.ios < account.good || sum.ios > account.good + account.unverified) {
        this.#violation(
          `port ${port}: ${sum.ios} I/Os are counted, ${account.good} (${account.unverified} in doubt) were good`,
        );
      }
    }
  }

  #ofUnit(unit: number): void {
    const present = (this.#unit(unit, UNIT_FLAGS) & UNIT_FLAG_PRESENT) !== 0;
    let paths = 0;
    let orphans = 0;
    for (const path of this.#ports.keys()) {
      if ((this.#path(path, PATH_FLAGS) & PATH_FLAG_PRESENT) === 0 || this.#path(path, PATH_UNIT) !== unit) continue;
      const slot = this.#core.view.getUint8(this.#core.exports.pathTable() + path * PATH_BYTES + PATH_SLOT);
      if (this.#unit(unit, UNIT_SLOTS + 4 * slot) !== path)
        this.#violation(`unit ${unit}: slot ${slot} is not path ${path}`);
      paths++;
      orphans += this.#path(path, PATH_ORPHANS);
    }
    if (!present) {
      if (paths !== 0) this.#violation(`unit ${unit}: ${paths} paths without a unit`);
      return;
    }
    const mask = this.#unit(unit, UNIT_PATHS);
    this.#is(`unit ${unit}: paths`, ones(mask), paths);
    if ((this.#unit(unit, UNIT_USABLE) & ~mask) !== 0) this.#violation(`unit ${unit}: a slot without a path is usable`);
    this.#is(`unit ${unit}: orphans`, this.#unit(unit, UNIT_ORPHANS), orphans);
    let connections = 0;
    for (const of of this.#connections.values()) if (of === unit) connections++;
    this.#is(`unit ${unit}: connections`, this.#unit(unit, UNIT_CONNECTIONS), connections);
    const requests = this.#limits.requests - this.#core.exports.inspect(INSPECT.requests);
    if (this.#unit(unit, UNIT_REQUESTS) > requests) this.#violation(`unit ${unit}: more requests than slots are taken`);
    if (this.#unit(unit, UNIT_WAITING) > this.#limits.requests + this.#limits.commands) {
      this.#violation(`unit ${unit}: ${this.#unit(unit, UNIT_WAITING)} pieces wait`);
    }
  }

  /** Resources that have not been returned although no requests are left; empty when all have. */
  unreturned(): string[] {
    const { exports } = this.#core;
    const found: string[] = [];
    const back = (what: string, free: number, all: number): void => {
      if (free !== all) found.push(`${all - free} ${what} not given back`);
    };
    back("request slots", exports.inspect(INSPECT.requests), this.#limits.requests);
    back("command slots", exports.inspect(INSPECT.commands), this.#limits.commands);
    back("bytes of the pool", exports.inspect(INSPECT.poolBytes), this.#limits.poolBytes);
    back("commands", -this.#tap.count(OP_SCSI), 0);
    for (const path of this.#ports.keys()) {
      back(`commands in flight on path ${path}`, -this.#path(path, PATH_IN_FLIGHT), 0);
      back(`orphans of path ${path}`, -this.#path(path, PATH_ORPHANS), 0);
    }
    for (let unit = 0; unit < this.#limits.units; unit++) {
      if ((this.#unit(unit, UNIT_FLAGS) & UNIT_FLAG_PRESENT) === 0) continue;
      back(`requests of unit ${unit}`, -this.#unit(unit, UNIT_REQUESTS), 0);
      back(`waiting pieces of unit ${unit}`, -this.#unit(unit, UNIT_WAITING), 0);
      back(`orphans of unit ${unit}`, -this.#unit(unit, UNIT_ORPHANS), 0);
    }
    return found;
  }

  /** The histograms contain every counted I/O; no more hedges are won than were tried. */
  statistics(): void {
    for (const path of this.#ports.keys()) this.#histograms(`path ${path}`, this.#path(path, PATH_STATISTICS));
    for (let unit = 0; unit < this.#limits.units; unit++) {
      if ((this.#unit(unit, UNIT_FLAGS) & UNIT_FLAG_PRESENT) === 0) continue;
      const at = this.#unit(unit, UNIT_STATISTICS);
      this.#histograms(`unit ${unit}`, at);
      const { view } = this.#core;
      const hedges = view.getBigUint64(at + STATISTICS_HEDGES, true);
      if (view.getBigUint64(at + STATISTICS_HEDGES_WON, true) > hedges)
        this.#violation(`unit ${unit}: more hedges won than sent`);
    }
  }

  #histograms(whose: string, at: number): void {
    const { view } = this.#core;
    for (const [count, histogram] of [
      [STATISTICS_READS, STATISTICS_HISTOGRAM_READ],
      [STATISTICS_WRITES, STATISTICS_HISTOGRAM_WRITE],
    ] as const) {
      let sum = 0;
      for (let i = 0; i < STATISTICS_BUCKETS; i++) sum += Number(view.getBigUint64(at + histogram + 8 * i, true));
      this.#is(`${whose}: I/Os in the histogram`, sum, Number(view.getBigUint64(at + count, true)));
    }
  }
}
