// What the tests of the policies share: a unit with paths, and the commands in flight on it.

import { loadPolicies, type Policies } from "../../../bench/policies.ts";
import * as abi from "../../../host/abi.ts";

export const allPolicies = Object.entries(abi)
  .filter(([name]) => name.startsWith("POLICY_") && name !== "POLICY_COUNT")
  .map(([, value]) => Number(value));

export interface Command {
  readonly slot: number;
  readonly note: number;
  readonly bytes: number;
  readonly write: number;
  readonly startNs: number;
}

/** One unit, with a clock of its own. Slots 0..paths-1 have priorities 1..paths and weight 1. */
export class Bed {
  readonly policies: Policies;
  readonly s: number;
  nowNs = 1e9;
  readonly commands: Command[] = [];

  constructor(paths: number, policy: number, parameter = 0, parameter2 = 0, seed = 1n) {
    const { policies, selections } = loadPolicies();
    this.policies = policies;
    this.s = selections[0] ?? 0;
    policies.init(this.s, seed);
    for (let slot = 0; slot < paths; slot++) policies.setPath(this.s, slot, slot + 1, 1);
    policies.setUsable(this.s, paths === 32 ? 0xffffffff : 2 ** paths - 1);
    if (policies.configure(this.s, policy, parameter, parameter2) !== 0) throw new Error("policy refused");
  }

  /** Sends one command and answers its slot. */
  send(bytes = 4096, write = 0, allowed = 0xffffffff, affinity = 0): number {
    const chosen = this.policies.dispatch(this.s, allowed, bytes, write, affinity, this.nowNs);
    const slot = chosen & 31;
    this.commands.push({ slot, note: chosen >>> 5, bytes, write, startNs: this.nowNs });
    return slot;
  }

  /** The command at this place of `commands` comes back now. */
  finish(at: number, good = 1): Command {
    const [command] = this.commands.splice(at, 1);
    if (command === undefined) throw new RangeError(`no command ${at}`);
    const { slot, note, bytes, write, startNs } = command;
    this.policies.finish(this.s, slot, bytes, write, this.nowNs - startNs, good, this.nowNs, note);
    return command;
  }

  /** Commands in flight by slot, as the test knows it. */
  inFlight(): number[] {
    const counts = Array.from({ length: 32 }, () => 0);
    for (const { slot } of this.commands) counts[slot] = (counts[slot] ?? 0) + 1;
    return counts;
  }

  /** Bytes in flight by slot, as the test knows it. */
  inFlightBytes(): number[] {
    const sums = Array.from({ length: 32 }, () => 0);
    for (const { slot, bytes } of this.commands) sums[slot] = (sums[slot] ?? 0) + bytes;
    return sums;
  }
}

/** The slots of a mask. */
export function slotsOf(mask: number): number[] {
  return Array.from({ length: 32 }, (_, slot) => slot).filter((slot) => ((mask >>> slot) & 1) === 1);
}
