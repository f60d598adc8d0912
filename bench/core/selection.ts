// The policies alone, compiled from the core's own modules, for tests and benches: Selections in memory of their
// own.

import { BACKLOG, classOf, costAt, entryAt, serversAt } from "../../assembly/selection/layout";
import { hedgeAfterNs, hedgeLearn, hedgeSetBudget, hedgeTake } from "../../assembly/selection/hedge-budget";
import { inUse, Selection, SELECTION_BYTES, selectionClearPath } from "../../assembly/selection/selection";
import { selectionConfigure, selectionInFlight, selectionInit } from "../../assembly/selection/selection";
import { selectionServiceNs, selectionSetParameter, selectionSetPath } from "../../assembly/selection/selection";
import { selectionSetPolicy, selectionSetUsable } from "../../assembly/selection/selection";

function at(s: u32): Selection {
  return changetype<Selection>(<usize>s);
}

/** Allocates `units` Selections; returns the address of the first. Called once. */
export function tableNew(units: u32): u32 {
  const base = (__heap_base + 63) & ~63;
  const bytes = base + <usize>(units * SELECTION_BYTES);
  const pages = <i32>((bytes + 65535) >> 16) - memory.size();
  if (pages > 0) assert(memory.grow(pages) >= 0);
  return <u32>base;
}

export function selectionBytes(): u32 {
  return SELECTION_BYTES;
}

export function init(s: u32, seed: u64): void {
  selectionInit(at(s), seed);
}

export function configure(s: u32, policy: u32, parameter: u32, parameter2: u32): i32 {
  return selectionConfigure(at(s), policy, parameter, parameter2);
}

export function setPolicy(s: u32, policy: u32): i32 {
  return selectionSetPolicy(at(s), policy);
}

export function setParameter(s: u32, index: u32, value: u32): i32 {
  return selectionSetParameter(at(s), index, value);
}

export function setPath(s: u32, slot: u32, priority: u32, weight: u32): i32 {
  return selectionSetPath(at(s), slot, priority, weight);
}

export function clearPath(s: u32, slot: u32): void {
  selectionClearPath(at(s), slot);
}

export function setUsable(s: u32, usable: u32): void {
  selectionSetUsable(at(s), usable);
}

export function usedSlots(s: u32): u32 {
  return inUse(at(s));
}

export function serviceNs(s: u32, slot: u32): u32 {
  return selectionServiceNs(at(s), slot);
}

export function inFlight(s: u32, slot: u32): u32 {
  return selectionInFlight(at(s), slot);
}

/** The estimated cost of a command of this kind on a slot, ns. */
export function costNs(s: u32, slot: u32, bytes: u32, write: bool): f32 {
  return load<f32>(costAt(at(s), slot, classOf(bytes, write)));
}

/** The expected time of everything in flight on a slot, ns. */
export function backlogNs(s: u32, slot: u32): f32 {
  return load<f32>(entryAt(at(s), BACKLOG, slot));
}

/** The estimated number of commands a path works on at a time. */
export function servers(s: u32, slot: u32): f32 {
  return serversAt(at(s), slot).count;
}

/** Whether the policy is learning from every command now. */
export function learns(s: u32): bool {
  return at(s).learns();
}

/** Times are f64 ns: exact up to 2^53, and nothing is boxed. */
export function choose(s: u32, allowed: u32, bytes: u32, write: bool, affinity: u32, nowNs: f64): u32 {
  return at(s).pick(allowed, bytes, write, affinity, <u64>nowNs);
}

export function start(s: u32, slot: u32, bytes: u32, write: bool, nowNs: f64): u32 {
  return at(s).started(slot, bytes, write, <u64>nowNs);
}

export function finish(
  s: u32,
  slot: u32,
  bytes: u32,
  write: bool,
  latencyNs: f64,
  good: bool,
  nowNs: f64,
  note: u32,
): void {
  at(s).finished(slot, bytes, write, <u64>latencyNs, good, <u64>nowNs, note);
}

/** What dispatch does with a command before sending it: choose a path, then account for it. Slot + 32 x note. */
export function dispatch(s: u32, allowed: u32, bytes: u32, write: bool, affinity: u32, nowNs: f64): u32 {
  const slot = at(s).pick(allowed, bytes, write, affinity, <u64>nowNs);
  return slot | (at(s).started(slot, bytes, write, <u64>nowNs) << 5);
}

/** The clock of `send` and `receive`, ns: in memory, as the core's is, so that nothing is converted. */
let nowNs: u64 = 1000000000;

/** A command goes out `stepNs` after the previous step: choose a path, then account for it. Returns slot + 32 x note. */
export function send(s: u32, bytes: u32, write: bool, affinity: u32, stepNs: u32): u32 {
  nowNs += stepNs;
  const slot = at(s).pick(0xffffffff, bytes, write, affinity, nowNs);
  return slot | (at(s).started(slot, bytes, write, nowNs) << 5);
}

/** The command for which `send` returned `sent` comes back, this many ns after it was sent. */
export function receive(s: u32, sent: u32, bytes: u32, write: bool, latencyNs: u32): void {
  at(s).finished(sent & 31, bytes, write, latencyNs, true, nowNs, sent >> 5);
}

/** Both in one call: a command of 4 KiB comes back, and the next one goes out. Returns the same as `send`. */
export function exchange(s: u32, sent: u32, latencyNs: u32, affinity: u32, stepNs: u32): u32 {
  nowNs += stepNs;
  at(s).finished(sent & 31, 4096, false, latencyNs, true, nowNs, sent >> 5);
  const slot = at(s).pick(0xffffffff, 4096, false, affinity, nowNs);
  return slot | (at(s).started(slot, 4096, false, nowNs) << 5);
}

export function setHedgeBudget(s: u32, budget: u32): i32 {
  return hedgeSetBudget(at(s), budget);
}

/** After how many ns a read sent now may be hedged; 0: never. */
export function hedgeAfter(s: u32, bytes: u32): f64 {
  return <f64>hedgeAfterNs(at(s), bytes);
}

export function takeHedge(s: u32): bool {
  return hedgeTake(at(s));
}

export function learnHedge(s: u32, bytes: u32, latencyNs: f64): void {
  hedgeLearn(at(s), bytes, <u64>latencyNs);
}
