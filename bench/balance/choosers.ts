// What chooses the paths in a run: a shipped policy (the core's own bytes), or one that knows what no policy can know.

import { loadPolicies } from "../policies.ts";
import { courseFactor, meanNs, type Case } from "./model.ts";
import type { Queues } from "./queues.ts";

export interface Chooser {
  /** Chooses a path among `allowed` and records that the command is sent on it. Returns slot + 32 x note. */
  send(allowed: number, bytes: number, write: number, nowNs: number, luck: number): number;
  finish(slot: number, bytes: number, write: number, latencyNs: number, nowNs: number, note: number): void;
}

/** A chooser whose policy can be changed during a run. */
export interface PolicyChooser extends Chooser {
  change(policy: number): void;
  /** Commands in flight on each path, as the policy counts them. */
  inFlight(): number[];
}

/** A policy of assembly/selection. `weights`: for policies with weights from the operator (here the true speeds). */
export function policyChooser(what: Case, policy: number, weights?: readonly number[]): PolicyChooser {
  const { policies, selections } = loadPolicies();
  const s = selections[0] ?? 0;
  policies.init(s, 42n);
  what.paths.forEach((_, slot) => policies.setPath(s, slot, slot + 1, weights?.[slot] ?? 1));
  policies.setUsable(s, what.paths.length === 32 ? 0xffffffff : 2 ** what.paths.length - 1);
  if (policies.configure(s, policy, 0, 0) !== 0) throw new RangeError(`policy: ${policy} was refused`);
  let connection = 0;
  return {
    send: (allowed, bytes, write, nowNs) => {
      connection = (connection + 1) % 64;
      return policies.dispatch(s, allowed, bytes, write, connection, nowNs);
    },
    finish: (slot, bytes, write, latencyNs, nowNs, note) => {
      policies.finish(s, slot, bytes, write, latencyNs, 1, nowNs, note);
    },
    change: (next) => {
      if (policies.setPolicy(s, next) !== 0) throw new RangeError(`policy: ${next} was refused`);
    },
    inFlight: () => what.paths.map((_, slot) => policies.inFlight(s, slot)),
  };
}

/**
 * The oracle: joint shortest expected delay. It knows the true mean service time of every size on every path at every
 * moment and every queue, and takes the path on which this command is expected to finish first.
 */
export function oracleChooser(what: Case): Chooser {
  const inFlight = what.paths.map(() => 0);
  const workNs = what.paths.map(() => 0);
  let turn = 0;
  const factorAt = (slot: number, nowNs: number): number => {
    const path = what.paths[slot];
    const now = path?.troubles.find(({ fromNs, toNs }) => nowNs >= fromNs && nowNs < toNs);
    return (now?.factor ?? 1) * (path === undefined ? 1 : courseFactor(path, nowNs));
  };
  const expectedNs = (slot: number, bytes: number, nowNs: number): number => {
    const path = what.paths[slot];
    if (path === undefined) return Infinity;
    const ahead = inFlight[slot] ?? 0;
    const ahead1 = ahead - path.servers + 1;
    const waitNs = ahead1 > 0 ? (((workNs[slot] ?? 0) / ahead) * ahead1) / path.servers : 0;
    return (waitNs + meanNs(path, bytes)) * factorAt(slot, nowNs);
  };
  return {
    send: (allowed, bytes, _write, nowNs) => {
      let best = -1;
      let bestNs = Infinity;
      turn = (turn + 1) % what.paths.length;
      for (let count = 0; count < what.paths.length; count++) {
        const slot = (turn + count) % what.paths.length;
        if (((allowed >>> slot) & 1) === 0) continue;
        const ns = expectedNs(slot, bytes, nowNs);
        if (best < 0 || ns < bestNs) {
          best = slot;
          bestNs = ns;
        }
      }
      const path = what.paths[best];
      if (path === undefined) throw new RangeError("no path allowed");
      inFlight[best] = (inFlight[best] ?? 0) + 1;
      workNs[best] = (workNs[best] ?? 0) + meanNs(path, bytes);
      return best;
    },
    finish: (slot, bytes) => {
      const path = what.paths[slot];
      if (path === undefined) return;
      inFlight[slot] = (inFlight[slot] ?? 0) - 1;
      workNs[slot] = inFlight[slot] === 0 ? 0 : (workNs[slot] ?? 0) - meanNs(path, bytes);
    },
  };
}

/** Knows even the luck of every command: where this one will really finish first. A bound, not a target. */
export function clairvoyantChooser(what: Case, queues: Queues): Chooser {
  return {
    send: (allowed, bytes, _write, nowNs, luck) => {
      let best = -1;
      let bestNs = Infinity;
      for (let slot = 0; slot < what.paths.length; slot++) {
        if (((allowed >>> slot) & 1) === 0) continue;
        const ns = queues.doneNs(slot, nowNs, bytes, luck);
        if (best < 0 || ns < bestNs) {
          best = slot;
          bestNs = ns;
        }
      }
      return best;
    },
    finish: () => {},
  };
}
