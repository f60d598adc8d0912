// The policies alone, compiled from the very modules of the core, for tests and benches: Selections in memory of their
// own, and loops that run inside the module so that what a decision costs can be told from what a call costs.

import {
  finished,
  inUse,
  pick,
  Selection,
  SELECTION_BYTES,
  selectionClearPath,
} from "../../assembly/selection/selection";
import { selectionConfigure, selectionInFlight, selectionInit } from "../../assembly/selection/selection";
import { selectionServiceNs, selectionSetParameter, selectionSetPath } from "../../assembly/selection/selection";
import { selectionSetPolicy, selectionSetUsable, started } from "../../assembly/selection/selection";

function at(s: u32): Selection {
  return changetype<Selection>(<usize>s);
}

/** Room for `units` Selections; answers the address of the first. Called once. */
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

/** Times are f64 ns: exact up to 2^53, and nothing is boxed on the way. */
export function choose(s: u32, allowed: u32, bytes: u32, write: bool, affinity: u32, nowNs: f64): u32 {
  return pick(at(s), allowed, bytes, write, affinity, <u64>nowNs);
}

export function start(s: u32, slot: u32, bytes: u32, write: bool, nowNs: f64): u32 {
  return started(at(s), slot, bytes, write, <u64>nowNs);
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
  finished(at(s), slot, bytes, write, <u64>latencyNs, good, <u64>nowNs, note);
}

/** What dispatch does with one command before it is on its way: choose, then account for it. Slot + 32 x note. */
export function dispatch(s: u32, allowed: u32, bytes: u32, write: bool, affinity: u32, nowNs: f64): u32 {
  const slot = pick(at(s), allowed, bytes, write, affinity, <u64>nowNs);
  return slot | (started(at(s), slot, bytes, write, <u64>nowNs) << 5);
}

/** A command of `loop`. */
@unmanaged
class InFlight {
  slot: u32;
  note: u32;
  bytes: u32;
  write: u32;
  startNs: u64;
}

/** Time between two commands of `loop`. */
const STEP_NS: u64 = 1000;

function send(s: Selection, command: InFlight, i: u32, nowNs: u64): u32 {
  const bytes: u32 = (i & 15) === 0 ? 65536 : 4096;
  const write = (i & 3) === 0;
  const slot = pick(s, 0xffffffff, bytes, write, i & 63, nowNs);
  command.slot = slot;
  command.bytes = bytes;
  command.write = write ? 1 : 0;
  command.startNs = nowNs;
  command.note = started(s, slot, bytes, write, nowNs);
  return slot;
}

function receive(s: Selection, command: InFlight, nowNs: u64): void {
  const latencyNs = nowNs - command.startNs;
  finished(s, command.slot, command.bytes, command.write !== 0, latencyNs, true, nowNs, command.note);
}

/**
 * `count` times: a command comes back, the next is sent; `depth` (a power of two) of them are in flight meanwhile.
 * @param scratch address of 32 x depth bytes
 * @param startNs the clock at the start; one step passes for each command
 * @returns a digest of the slots picked: the same algorithm in C must come to the same
 */
export function loop(s: u32, scratch: u32, depth: u32, count: u32, startNs: f64): u32 {
  const selection = at(s);
  let nowNs = <u64>startNs;
  let digest: u32 = 0;
  for (let i: u32 = 0; i < depth; i++) send(selection, changetype<InFlight>(<usize>(scratch + i * 32)), i, nowNs);
  for (let i: u32 = 0; i < count; i++) {
    const command = changetype<InFlight>(<usize>(scratch + (i & (depth - 1)) * 32));
    nowNs += STEP_NS;
    receive(selection, command, nowNs);
    digest = digest * 31 + send(selection, command, i, nowNs);
  }
  for (let i: u32 = 0; i < depth; i++) receive(selection, changetype<InFlight>(<usize>(scratch + i * 32)), nowNs);
  return digest;
}
