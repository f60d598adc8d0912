// An operator, and control on his behalf: makes every control call of the core, at any moment, under load. The expectations
// include which calls may be refused, and with which error. Nothing he does leaves a unit of a reachable world without its
// paths for long.

import * as abi from "../../host/abi.ts";
import type { Daemon } from "./daemon.ts";
import type { WorldPlan } from "./plan.ts";
import type { Random } from "./random.ts";

const PRIORITY_MAX = 254;
/** Longest time after which a change that keeps a path out of use is undone, ms. */
const UNDO_MS = 400;
/** Minimum time that the operator allows a system whose disks are reachable, ms. */
const PATIENT_MS = 20_000;
const NEVER_A_HANDLE = 0xffff;
const NEVER_A_PROPERTY = 99;

/** What the operator needs to know about the world. */
export interface Office {
  readonly plan: WorldPlan;
  readonly random: Random;
  /** Schedules an action, unless the daemon is a new one by then. */
  after(ms: number, action: () => void): void;
  /** The array's LUNs lead where they should, all the time: so one that does not was configured that way. */
  readonly steadyLuns: boolean;
  /** No path reports a smaller unit: what the last path reports would be the device's answer. */
  readonly steadyEnds: boolean;
  /** No path answers each read with too little: as the last path left, it would fail them. */
  readonly steadyReads: boolean;
  /** Cluster mode is harmless: unanswered commands are given up soon enough, or errors are allowed. */
  readonly cluster: boolean;
}

type Call = () => void;

export class Operator {
  readonly #daemon: Daemon;
  readonly #office: Office;
  readonly #capabilities: number;
  /** The longest deadline that was set, ms. */
  ioTimeoutMs: number;

  constructor(daemon: Daemon, office: Office, capabilities: number) {
    this.#daemon = daemon;
    this.#office = office;
    this.#capabilities = capabilities;
    this.ioTimeoutMs = office.plan.ioTimeoutMs;
  }

  /** Makes a random call. */
  act(): void {
    const kinds: readonly (() => readonly Call[])[] = [
      () => this.#ofUnits(),
      () => this.#ofPaths(),
      () => this.#ofPaths(),
      () => this.#modes(),
      () => this.#nonsense(),
    ];
    this.#office.random.pick(this.#office.random.pick(kinds)())();
  }

  /** Resets everything to the world's plan. */
  settle(): void {
    const { plan } = this.#office;
    this.#mode(abi.MODE_PATROL, 3);
    this.#mode(abi.MODE_PATROL_INTERVAL_MS, plan.patrolMs);
    this.#mode(abi.MODE_PATROL_THRESHOLD_MS, plan.patrolMs);
    this.#mode(abi.MODE_PATROL_TIMEOUT_MS, plan.patrolMs);
    this.#mode(abi.MODE_FAILBACK, 0);
    for (const path of this.#daemon.inventory.paths) {
      if (path < 0) continue;
      this.#path(path, abi.PATH_SET_ENABLED, 1);
      this.#path(path, abi.PATH_SET_FAILED, 0, abi.ERROR_NOT_FAILED);
    }
    for (const unit of this.#daemon.inventory.units) if (unit >= 0) this.#unit(unit, abi.UNIT_SET_RELEASED, 0);
  }

  /** A failed path is back, and may be disabled: he enables it soon. */
  back(index: number): void {
    this.#later(() => this.#path(this.#daemon.inventory.paths[index] ?? -1, abi.PATH_SET_ENABLED, 1, abi.ERROR_HANDLE));
  }

  /** A call has to return 0, or be refused with one of `errors`, or with the error that is `due`. */
  #expect(what: string, answer: number, errors: readonly number[], due?: number): void {
    const fine = due === undefined ? answer >= 0 || errors.includes(-answer) : answer === -due;
    if (!fine) this.#daemon.complain(`the core answers ${answer} to ${what}`);
  }

  #unit(unit: number, property: number, value: number, ...errors: number[]): void {
    const answer = this.#daemon.core.exports.unitSet(unit, property, BigInt(value));
    this.#expect(`unitSet ${property} = ${value}`, answer, errors);
  }

  #path(path: number, property: number, value: number, ...errors: number[]): void {
    const answer = this.#daemon.core.exports.pathSet(path, property, BigInt(value));
    this.#expect(`pathSet ${property} = ${value}`, answer, errors);
  }

  #mode(mode: number, value: number): void {
    this.#expect(`modeSet ${mode} = ${value}`, this.#daemon.core.exports.modeSet(mode, BigInt(value)), []);
  }

  get #patient(): boolean {
    return this.#office.plan.kind !== "outage";
  }

  #ofUnits(): readonly Call[] {
    const { plan, random } = this.#office;
    const units = this.#daemon.inventory.units.filter((unit) => unit >= 0);
    if (units.length === 0) return [() => {}];
    const unit = random.pick(units);
    const set =
      (property: number, value: () => number, ...errors: number[]): Call =>
      () =>
        this.#unit(unit, property, value(), ...errors);
    const calls: Call[] = [
      () => this.#policy(unit),
      set(abi.UNIT_SET_POLICY_PARAMETER, () => random.pick([0, 1, 2, 7, 100, 1000]), abi.ERROR_RANGE),
      set(abi.UNIT_SET_POLICY_PARAMETER_2, () => random.pick([0, 1, 2, 7, 100]), abi.ERROR_RANGE),
      set(abi.UNIT_SET_STALL_MIN_MS, () => random.pick([10, 20, 50, 200])),
      // Without the stall rule, requests wait for lost commands until their deadline.
      set(abi.UNIT_SET_STALL_MAX_MS, () => random.pick(this.#patient ? [100, 500, 2000] : [0, 100, 500, 2000])),
      set(abi.UNIT_SET_ORPHAN_RESET_MS, () => random.pick([500, 2000])),
      set(abi.UNIT_SET_LOST_RESET_MS, () => random.pick([0, 100, 1000])),
      set(abi.UNIT_SET_COMMAND_TIMEOUT_MS, () =>
        this.#daemon.inventory.cluster && this.#patient ? 3000 : random.pick([0, 3000, 8000]),
      ),
      set(abi.UNIT_SET_NO_PATH_TIMEOUT_MS, () => (this.#patient ? PATIENT_MS : random.pick([0, 500, 5000]))),
      set(abi.UNIT_SET_HEDGE_BUDGET, () => random.pick([0, 100, 500, 1000]), abi.ERROR_RANGE),
      set(abi.UNIT_SET_PATROL_READ, () => random.between(0, 1)),
      set(abi.UNIT_SET_ALUA_EXPLICIT, () => random.between(0, 1)),
      set(abi.UNIT_SET_TRANSFER_BLOCKS_MAX, () => random.pick([0, 8, 11, 32])),
      set(abi.UNIT_SET_UNMAP_BLOCKS_MAX, () => random.pick([0, 1, 8, 64])),
      set(abi.UNIT_SET_WRITE_SAME_BLOCKS_MAX, () => random.pick([0, 1, 8, 64])),
      set(abi.UNIT_SET_CAPABILITIES, () => this.#drawCapabilities()),
      set(abi.UNIT_SET_STATISTICS_RESET, () => 1),
      set(abi.UNIT_SET_BLOCK_BYTES, () => plan.blockBytes),
      () => this.#ioTimeout(unit),
      () => this.#daemon.inventory.identify(unit),
      () => this.#spareUnit(),
    ];
    if (plan.kind === "outage") calls.push(() => this.#release(unit));
    return calls;
  }

  #drawCapabilities(): number {
    // Clients depend on whether zeroing is fast.
    const may = abi.UNIT_CAN_FUA | abi.UNIT_CAN_UNMAP | abi.UNIT_CAN_LBA_STATUS;
    return (this.#capabilities & ~may) | (this.#capabilities & may & this.#office.random.uint32());
  }

  #policy(unit: number): void {
    const policy = this.#office.random.between(0, abi.POLICY_COUNT - 1);
    const answer = this.#daemon.core.exports.unitSet(unit, abi.UNIT_SET_POLICY, BigInt(policy));
    const refused = this.#daemon.inventory.cluster && policy !== abi.POLICY_STATIC;
    this.#expect(`policy ${policy}`, answer, [], refused ? abi.ERROR_CLUSTER_MODE : undefined);
  }

  #ioTimeout(unit: number): void {
    const ms = this.#office.random.pick(
      this.#patient ? [Math.max(this.#office.plan.ioTimeoutMs, 25_000), 30_000] : [1500, 8000, 25_000],
    );
    this.ioTimeoutMs = Math.max(this.ioTimeoutMs, ms);
    this.#unit(unit, abi.UNIT_SET_IO_TIMEOUT_MS, ms);
  }

  #release(unit: number): void {
    this.#unit(unit, abi.UNIT_SET_RELEASED, 1);
    this.#later(() => this.#unit(unit, abi.UNIT_SET_RELEASED, 0, abi.ERROR_HANDLE));
  }

  #later(action: () => void): void {
    this.#office.after(this.#office.random.between(0, UNDO_MS), action);
  }

  /** A unit is added and removed, perhaps with a path of another one. */
  #spareUnit(): void {
    const unit = this.#daemon.core.exports.unitAdd();
    if (unit < 0) return this.#expect("unitAdd", unit, [abi.ERROR_LIMIT]);
    this.#expect("unitRemove", this.#daemon.core.exports.unitRemove(unit), []);
  }

  #ofPaths(): readonly Call[] {
    const { random } = this.#office;
    const { core, inventory } = this.#daemon;
    const index = random.between(0, inventory.paths.length - 1);
    const path = inventory.paths[index] ?? -1;
    if (path < 0) return [() => {}];
    const set =
      (property: number, value: () => number, ...errors: number[]): Call =>
      () =>
        this.#path(path, property, value(), ...errors);
    const calls: Call[] = [
      set(abi.PATH_SET_DEPTH, () => random.pick([1, 4, 32, 128])),
      set(abi.PATH_SET_WEIGHT, () => random.between(1, 100)),
      ...(this.#office.plan.reactors === undefined
        ? [
            set(abi.PATH_SET_INITIATOR_PORT, () => random.between(0, 2)),
            set(abi.PATH_SET_TARGET_PORT, () => random.between(0, 6)),
            set(abi.PATH_SET_CONTROLLER, () => random.between(0, 2)),
          ]
        : []),
      set(abi.PATH_SET_CLEAR_MARGINAL, () => 1),
      set(abi.PATH_SET_FAULTS, () => random.between(0, 4)),
      set(abi.PATH_SET_UNVERIFIED, () => 1),
      () => {
        const priority = random.between(1, PRIORITY_MAX);
        const taken = inventory.priorityTaken(path, priority);
        const answer = core.exports.pathSet(path, abi.PATH_SET_PRIORITY, BigInt(priority));
        this.#expect(`priority ${priority}`, answer, [], taken ? abi.ERROR_PRIORITY_IN_USE : undefined);
      },
      () => {
        const other = random.pick(inventory.paths);
        const answer = core.exports.pathSwap(path, other);
        const due = inventory.sameUnit(path, other) ? undefined : other < 0 ? abi.ERROR_HANDLE : abi.ERROR_RANGE;
        this.#expect("pathSwap", answer, [], due);
      },
      // Off and on again at once.
      () => {
        this.#path(path, abi.PATH_SET_ENABLED, 0);
        this.#path(path, abi.PATH_SET_ENABLED, 1);
      },
      set(abi.PATH_SET_FAILED, () => 0, abi.ERROR_NOT_FAILED),
      () => inventory.renumber(random),
    ];
    if (this.#office.steadyEnds) {
      calls.push(
        () => {
          if (!this.#office.steadyReads) return;
          this.#path(path, abi.PATH_SET_ENABLED, 0);
          this.#later(() => this.#path(inventory.paths[index] ?? -1, abi.PATH_SET_ENABLED, 1, abi.ERROR_HANDLE));
        },
        () => {
          if (!this.#office.steadyReads) return;
          this.#path(path, abi.PATH_SET_FAILED, 1);
          this.#later(() =>
            this.#path(inventory.paths[index] ?? -1, abi.PATH_SET_FAILED, 0, abi.ERROR_HANDLE, abi.ERROR_NOT_FAILED),
          );
        },
      );
    }
    if (this.#office.steadyLuns) {
      calls.push(() => {
        const misfit = inventory.addMisfit(random);
        if (misfit >= 0) this.#later(() => inventory.removeMisfit(misfit));
      });
    }
    return calls;
  }

  #modes(): readonly Call[] {
    const { plan, random } = this.#office;
    return [
      () => this.#mode(abi.MODE_FAILBACK, random.between(0, 1)),
      () => {
        this.#mode(abi.MODE_PATROL, random.between(0, 3));
        this.#later(() => this.#mode(abi.MODE_PATROL, 3));
      },
      () => this.#mode(abi.MODE_PATROL_INTERVAL_MS, random.between(100, plan.patrolMs)),
      () => this.#mode(abi.MODE_PATROL_THRESHOLD_MS, random.between(100, plan.patrolMs)),
      () => this.#mode(abi.MODE_PATROL_TIMEOUT_MS, random.between(200, plan.patrolMs)),
      () => this.#mode(abi.MODE_MARGINAL, random.between(0, 1)),
      () => this.#mode(abi.MODE_MARGINAL_COUNT, random.between(1, 10)),
      () => this.#mode(abi.MODE_MARGINAL_WINDOW_S, random.pick([1, 60, 1800])),
      () => this.#mode(abi.MODE_MARGINAL_CLEAN_S, random.pick([0, 1, 60])),
      () => {
        if (this.#office.cluster) this.#toggleCluster();
      },
    ];
  }

  /** Cluster mode only supports the static policy. */
  #toggleCluster(): void {
    if (!this.#daemon.inventory.cluster) {
      for (const unit of this.#daemon.inventory.units)
        if (unit >= 0) this.#unit(unit, abi.UNIT_SET_POLICY, abi.POLICY_STATIC);
    }
    this.#daemon.inventory.cluster = !this.#daemon.inventory.cluster;
    this.#mode(abi.MODE_CLUSTER, this.#daemon.inventory.cluster ? 1 : 0);
  }

  /** Invalid calls: they are refused without effect. */
  #nonsense(): readonly Call[] {
    const { exports } = this.#daemon.core;
    const unit = this.#daemon.inventory.units.find((handle) => handle >= 0);
    if (unit === undefined) return [() => {}];
    const refused = (what: string, due: number, answer: number): void => this.#expect(what, answer, [], due);
    return [
      () => refused("pathAdd to nothing", abi.ERROR_HANDLE, exports.pathAdd(NEVER_A_HANDLE, 1, 0, 1, 1, 1)),
      () => refused("pathAdd with priority 0", abi.ERROR_RANGE, exports.pathAdd(unit, 1, 0, 0, 1, 1)),
      () => refused("pathAdd with depth 0", abi.ERROR_RANGE, exports.pathAdd(unit, 1, 0, PRIORITY_MAX, 1, 0)),
      () => refused("pathRemove of nothing", abi.ERROR_HANDLE, exports.pathRemove(NEVER_A_HANDLE)),
      () => refused("pathSet of nothing", abi.ERROR_HANDLE, exports.pathSet(NEVER_A_HANDLE, abi.PATH_SET_ENABLED, 1n)),
      () => refused("pathSwap of nothing", abi.ERROR_HANDLE, exports.pathSwap(NEVER_A_HANDLE, 0)),
      () => refused("unitSet of nothing", abi.ERROR_HANDLE, exports.unitSet(NEVER_A_HANDLE, abi.UNIT_SET_POLICY, 0n)),
      () => refused("unitSet of what there is not", abi.ERROR_PROPERTY, exports.unitSet(unit, NEVER_A_PROPERTY, 0n)),
      () => refused("a deadline of 0", abi.ERROR_RANGE, exports.unitSet(unit, abi.UNIT_SET_IO_TIMEOUT_MS, 0n)),
      () => refused("a negative deadline", abi.ERROR_RANGE, exports.unitSet(unit, abi.UNIT_SET_IO_TIMEOUT_MS, -1n)),
      () =>
        refused(
          "a policy too many",
          this.#daemon.inventory.cluster ? abi.ERROR_CLUSTER_MODE : abi.ERROR_RANGE,
          exports.unitSet(unit, abi.UNIT_SET_POLICY, BigInt(abi.POLICY_COUNT)),
        ),
      () => refused("unitRemove of nothing", abi.ERROR_HANDLE, exports.unitRemove(NEVER_A_HANDLE)),
      () => refused("unitIdentity of nothing", abi.ERROR_HANDLE, exports.unitIdentity(NEVER_A_HANDLE, 18)),
      () => refused("an identity of 2 bytes", abi.ERROR_RANGE, exports.unitIdentity(unit, 2)),
      () => refused("connectionAdd to nothing", abi.ERROR_HANDLE, exports.connectionAdd(1, NEVER_A_HANDLE, 0, 0)),
      () => refused("connectionClose of nothing", abi.ERROR_HANDLE, exports.connectionClose(NEVER_A_HANDLE)),
      () => refused("modeSet of what there is not", abi.ERROR_PROPERTY, exports.modeSet(NEVER_A_PROPERTY, 1n)),
      () => refused("patrol 4", abi.ERROR_RANGE, exports.modeSet(abi.MODE_PATROL, 4n)),
    ];
  }
}
