// The faults of an array, and the clock that starts, toggles and lifts them.

import { ArrayError } from "../array-errors.ts";
import { PortFault, PortFaults, type SeededRandom } from "./fault-state.ts";
import { checkFault, type FaultPlace, type FaultReport, type FaultRequest } from "./faults.ts";
import type { Engine } from "../engine.ts";
import { setGroupState } from "../array-groups.ts";
import { Overrides } from "./overrides.ts";
import { attentionOf } from "../plan.ts";
import {
  ASC_CAPACITY_CHANGED,
  ASC_LUNS_CHANGED,
  ASC_NEXUS_LOSS,
  ASC_POWER_ON,
  ASC_REGISTRATIONS_PREEMPTED,
  HOST_TRANSPORT_DISRUPTED,
} from "../scsi.ts";
import type { LogicalUnit, Port } from "../array-unit.ts";

const NS_PER_MS = 1_000_000;
/** Nexus number of the other host in faults of kind `reservation`; no real nexus has it. */
const FOREIGN_NEXUS = 1_000_000;
const FOREIGN_KEY = "f0f0f0f0f0f0f0f0";
/** MODE PARAMETERS CHANGED. */
const ASC_MODE_CHANGED = 0x2a01;

interface Entry {
  readonly id: number;
  readonly request: FaultRequest;
  readonly ports: ReadonlySet<Port>;
  state: "waiting" | "active";
  /** What lifting it has to undo, in reverse order. */
  readonly undo: (() => void)[];
}

interface Alarm {
  readonly atNs: number;
  readonly entry: Entry;
  readonly act: (nowNs: number) => void;
}

/** What the book needs from the array. */
export interface FaultHost {
  readonly ports: readonly Port[];
  readonly units: readonly LogicalUnit[];
  readonly random: SeededRandom;
  /** Acts on all commands in flight. */
  inFlight(act: (engine: Engine) => void): void;
}

export class FaultBook {
  readonly #host: FaultHost;
  readonly #entries = new Map<number, Entry>();
  readonly #leads = new Map<Port, Overrides<LogicalUnit | null>>();
  readonly #states = new Map<string, Overrides<number>>();
  #alarms: Alarm[] = [];
  #nextId = 1;
  /** [0]: when the next fault starts, toggles or ends, ns; Infinity if none does. */
  readonly next = Float64Array.of(Infinity);

  constructor(host: FaultHost) {
    this.#host = host;
  }

  /** Adds a fault and returns its id. Throws ARRAY_FAULT if it is wrong or applies to no port. */
  add(request: FaultRequest, nowNs: number): number {
    checkFault(request);
    const ports = new Set(this.#host.ports.filter((port) => matches(request.where ?? {}, port)));
    if (ports.size === 0) {
      throw new ArrayError("ARRAY_FAULT", `fault where: ${JSON.stringify(request.where)} matches no port of the array`);
    }
    this.#checkAgainst(request, ports);
    const entry: Entry = { id: this.#nextId++, request, ports, state: "waiting", undo: [] };
    this.#entries.set(entry.id, entry);
    const afterMs = request.afterMs ?? 0;
    if (afterMs > 0) this.#alarm(entry, nowNs + afterMs * NS_PER_MS, (atNs) => this.#start(entry, atNs));
    else this.#start(entry, nowNs);
    return entry.id;
  }

  /** Lifts a fault. Returns false if there is none with this id. */
  lift(id: number): boolean {
    const entry = this.#entries.get(id);
    if (entry === undefined) return false;
    this.#entries.delete(id);
    this.#alarms = this.#alarms.filter((alarm) => alarm.entry !== entry);
    this.#findNext();
    for (const undo of entry.undo.toReversed()) undo();
    return true;
  }

  liftAll(): void {
    for (const id of this.#entries.keys()) this.lift(id);
  }

  list(): FaultReport[] {
    const reports: FaultReport[] = [];
    for (const { id, request, ports, state } of this.#entries.values()) {
      reports.push({ ...request, id, state, ports: ports.size });
    }
    return reports;
  }

  /** Does everything that is due at `nowNs`, in order of time. */
  run(nowNs: number): void {
    while ((this.next[0] as number) <= nowNs) {
      const alarm = this.#alarms.shift();
      if (alarm === undefined) return;
      this.#findNext();
      alarm.act(alarm.atNs);
    }
  }

  #alarm(entry: Entry, atNs: number, act: (nowNs: number) => void): void {
    this.#alarms.push({ atNs, entry, act });
    this.#alarms.sort((a, b) => a.atNs - b.atNs);
    this.#findNext();
  }

  #findNext(): void {
    this.next[0] = this.#alarms[0]?.atNs ?? Infinity;
  }

  #checkAgainst(request: FaultRequest, ports: ReadonlySet<Port>): void {
    const { fault } = request;
    if (fault.kind === "remap" && fault.unit !== null) {
      for (const port of ports) this.#unitOf(port, fault.unit);
    }
    if (fault.kind === "capacity") {
      for (const port of ports) {
        const most = port.home.blocksMax;
        if (fault.blocks <= most) continue;
        throw new ArrayError(
          "ARRAY_FAULT",
          `fault blocks: ${fault.blocks} is more than the ${most} the medium has room for`,
        );
      }
    }
  }

  #unitOf(port: Port, index: number): LogicalUnit {
    const unit = this.#host.units.find((other) => other.array === port.array && other.index === index);
    if (unit === undefined) throw new ArrayError("ARRAY_FAULT", `fault unit: ${port.array.name} has no unit ${index}`);
    return unit;
  }

  #start(entry: Entry, nowNs: number): void {
    entry.state = "active";
    const { forMs } = entry.request;
    const momentary = this.#apply(entry, nowNs);
    if (momentary) this.lift(entry.id);
    else if (forMs !== undefined) this.#alarm(entry, nowNs + forMs * NS_PER_MS, () => this.lift(entry.id));
  }

  /** Puts a fault into force. Returns true if it is over at once. */
  #apply(entry: Entry, nowNs: number): boolean {
    const { fault } = entry.request;
    switch (fault.kind) {
      case "alua":
        for (const unit of unitsOf(entry.ports)) unit.transitionSeconds = fault.transitionS ?? unit.transitionSeconds;
        this.#applyAlua(entry, fault.state, fault.silent === true);
        return false;
      case "remap":
        this.#applyRemap(entry, fault.unit, fault.silent === true);
        return false;
      case "capacity":
        for (const unit of unitsOf(entry.ports)) {
          if (unit.blocks === fault.blocks) continue;
          unit.blocks = fault.blocks;
          unit.attention(ASC_CAPACITY_CHANGED, null);
        }
        return true;
      case "write-protect":
        this.#applyWriteProtect(entry);
        return false;
      case "reservation":
        this.#applyReservation(entry, fault);
        return false;
      case "power-loss":
        this.#powerLoss(entry.ports, fault.keep ?? 0);
        return true;
      case "unit-attention":
        if ((fault.every ?? 0) === 0) {
          for (const port of entry.ports) port.attend(attentionOf(fault));
          return true;
        }
        this.#attach(entry);
        return false;
      default:
        this.#attach(entry);
        this.#begin(entry, nowNs);
        return false;
    }
  }

  /** Applies the fault to every command on its ports from now on. */
  #attach(entry: Entry): PortFault[] {
    const { fault, when } = entry.request;
    const made: PortFault[] = [];
    for (const port of entry.ports) {
      const portFault = new PortFault(entry.id, fault, when ?? {}, this.#host.random);
      const faults = (port.faults ??= new PortFaults());
      faults.list.push(portFault);
      faults.refresh();
      made.push(portFault);
    }
    entry.undo.push(() => {
      for (const port of entry.ports) detach(port, entry.id);
    });
    return made;
  }

  /** What the fault does to commands in flight, now and when it is lifted. */
  #begin(entry: Entry, nowNs: number): void {
    const { fault, when } = entry.request;
    // A fault that affects single commands does nothing to those in flight.
    if (when !== undefined && Object.values(when).some((value) => value !== undefined)) return;
    if (fault.kind === "port-down") {
      this.#host.inFlight((engine) =>
        engine.inFlight.endAll(entry.ports, fault.hostStatus ?? HOST_TRANSPORT_DISRUPTED, false),
      );
      entry.undo.push(() => attend(entry.ports, ASC_NEXUS_LOSS));
    } else if (fault.kind === "no-answer") {
      this.#host.inFlight((engine) =>
        engine.inFlight.hold(entry.ports, fault.execution ?? "never", fault.giveUp !== false),
      );
      entry.undo.push(() => this.#host.inFlight((engine) => engine.inFlight.release(entry.ports)));
    } else if (fault.kind === "queued") {
      entry.undo.push(() => this.#host.inFlight((engine) => engine.inFlight.deliver(entry.ports)));
    } else if (fault.kind === "flapping") {
      this.#flap(entry, nowNs, true);
      entry.undo.push(() => {
        this.#host.inFlight((engine) => engine.inFlight.release(entry.ports));
        attend(entry.ports, ASC_NEXUS_LOSS);
      });
    }
  }

  #flap(entry: Entry, nowNs: number, down: boolean): void {
    const { fault } = entry.request;
    if (fault.kind !== "flapping") return;
    for (const port of entry.ports) {
      for (const portFault of port.faults?.list ?? []) if (portFault.id === entry.id) portFault.down = down;
    }
    if (!down) {
      this.#host.inFlight((engine) => engine.inFlight.release(entry.ports));
      attend(entry.ports, ASC_NEXUS_LOSS);
    } else if (fault.how === "no-answer")
      this.#host.inFlight((engine) => engine.inFlight.hold(entry.ports, "never", true));
    else
      this.#host.inFlight((engine) =>
        engine.inFlight.endAll(entry.ports, fault.hostStatus ?? HOST_TRANSPORT_DISRUPTED, false),
      );
    const nextNs = nowNs + (down ? fault.downMs : fault.upMs) * NS_PER_MS;
    this.#alarm(entry, nextNs, (atNs) => this.#flap(entry, atNs, !down));
  }

  #applyAlua(entry: Entry, state: number, silent: boolean): void {
    const done = new Set<string>();
    for (const port of entry.ports) {
      const unit = port.home;
      const group = port.controller;
      const key = `${port.arrayIndex}/${unit.index}/${group}`;
      if (done.has(key)) continue;
      done.add(key);
      const set = (to: number): void => {
        if (silent) unit.groupStates[group] = to;
        else setGroupState(unit, group, to, null);
      };
      const wishes = this.#states.get(key) ?? new Overrides(unit.groupStates[group] ?? 0);
      this.#states.set(key, wishes);
      set(wishes.set(entry.id, state));
      entry.undo.push(() => {
        set(wishes.lift(entry.id));
        if (wishes.empty) this.#states.delete(key);
      });
    }
  }

  #applyRemap(entry: Entry, index: number | null, silent: boolean): void {
    for (const port of entry.ports) {
      const lead = (to: LogicalUnit | null): void => {
        // Commands that the port has accepted were meant for the old unit: they must not reach the new one.
        this.#host.inFlight((engine) => engine.inFlight.endAll(new Set([port]), HOST_TRANSPORT_DISRUPTED, true));
        port.leadTo(to);
        if (!silent) port.attend(ASC_LUNS_CHANGED);
      };
      const wishes = this.#leads.get(port) ?? new Overrides<LogicalUnit | null>(port.home);
      this.#leads.set(port, wishes);
      lead(wishes.set(entry.id, index === null ? null : this.#unitOf(port, index)));
      entry.undo.push(() => lead(wishes.lift(entry.id)));
    }
  }

  #applyWriteProtect(entry: Entry): void {
    for (const unit of unitsOf(entry.ports)) {
      const before = unit.writeProtected;
      const set = (to: boolean): void => {
        unit.writeProtected = to;
        unit.attention(ASC_MODE_CHANGED, null);
      };
      set(true);
      entry.undo.push(() => set(before));
    }
  }

  #applyReservation(entry: Entry, { type, preempts }: { readonly type: number; readonly preempts?: boolean }): void {
    for (const unit of unitsOf(entry.ports)) {
      const held = unit.reservations;
      if (preempts === true) this.#preemptAll(unit);
      held.keys.set(FOREIGN_NEXUS, FOREIGN_KEY);
      held.generation++;
      held.reserve(FOREIGN_NEXUS, type);
      entry.undo.push(() => held.unregister(FOREIGN_NEXUS));
    }
  }

  /** What PREEMPT AND ABORT by another host does to all who are registered. */
  #preemptAll(unit: LogicalUnit): void {
    const victims = new Set(unit.ports.filter(({ nexus }) => unit.reservations.keys.has(nexus)));
    unit.reservations.keys.clear();
    attend(victims, ASC_REGISTRATIONS_PREEMPTED);
    this.#host.inFlight((engine) => engine.inFlight.preempt(victims));
  }

  /** Power-cycles every array that a port of the set belongs to. */
  #powerLoss(struck: ReadonlySet<Port>, keep: number): void {
    const arrays = new Set([...struck].map((port) => port.arrayIndex));
    const ports = new Set(this.#host.ports.filter((port) => arrays.has(port.arrayIndex)));
    this.#host.inFlight((engine) => engine.inFlight.endAll(ports, HOST_TRANSPORT_DISRUPTED, true));
    for (const unit of unitsOf(ports)) {
      unit.cache?.lose(() => this.#host.random.next() < keep);
      unit.reservations.losePower();
    }
    attend(ports, ASC_POWER_ON);
  }
}

function unitsOf(ports: ReadonlySet<Port>): Set<LogicalUnit> {
  return new Set([...ports].map((port) => port.home));
}

function attend(ports: ReadonlySet<Port>, code: number): void {
  for (const port of ports) {
    port.attend(code);
    if (code === ASC_NEXUS_LOSS) port.unit?.reservations.endSpc2(port.nexus);
  }
}

function detach(port: Port, id: number): void {
  const { faults } = port;
  if (faults === null) return;
  const at = faults.list.findIndex((portFault) => portFault.id === id);
  if (at >= 0) faults.list.splice(at, 1);
  faults.refresh();
  if (faults.list.length === 0) port.faults = null;
}

function matches(place: FaultPlace, port: Port): boolean {
  return (
    (place.array === undefined || place.array === port.array.name) &&
    (place.unit === undefined || place.unit === port.home.index) &&
    (place.controller === undefined || place.controller === port.controller) &&
    (place.targetPort === undefined || place.targetPort === port.targetPort) &&
    (place.initiatorPort === undefined || place.initiatorPort === port.initiatorPort) &&
    (place.path === undefined || place.path === port.pathNumber) &&
    (place.port === undefined || place.port === port.handle)
  );
}
