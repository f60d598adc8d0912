// Pick and completion in a loop inside a module, to separate the cost of a decision from that of a call.
// Compiled from the core's own modules; bench/peers/selection.c is the same in C.

import { Selection, SELECTION_BYTES, selectionConfigure } from "../../assembly/selection/selection";
import { selectionInit, selectionSetPath, selectionSetUsable } from "../../assembly/selection/selection";

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

/**
 * `count` times: a command goes out, and the one sent `depth` commands earlier comes back. Then the rest come back.
 * As in the core, one place picks and one takes completions, so both are compiled alike.
 * @param scratch address of 32 x depth bytes @param depth a power of two
 * @param startNs the clock at the start; one step passes for each command
 * @returns a digest of the slots picked: the same algorithm in C must return the same
 */
export function loop(s: u32, scratch: u32, depth: u32, count: u32, startNs: f64): u32 {
  const selection = changetype<Selection>(<usize>s);
  let nowNs = <u64>startNs;
  let digest: u32 = 0;
  for (let i: u32 = 0; i < count + depth; i++) {
    const command = changetype<InFlight>(<usize>(scratch + (i & (depth - 1)) * 32));
    nowNs += STEP_NS;
    if (i >= depth) {
      const latencyNs = nowNs - command.startNs;
      selection.finished(command.slot, command.bytes, command.write !== 0, latencyNs, true, nowNs, command.note);
    }
    if (i >= count) continue;
    const bytes: u32 = (i & 15) === 0 ? 65536 : 4096;
    const write = (i & 3) === 0;
    const slot = selection.pick(0xffffffff, bytes, write, i & 63, nowNs);
    command.slot = slot;
    command.note = selection.started(slot, bytes, write, nowNs);
    command.bytes = bytes;
    command.write = write ? 1 : 0;
    command.startNs = nowNs;
    digest = digest * 31 + slot;
  }
  return digest;
}

/** The same without selection: the cost of the loop itself, to be subtracted. */
export function empty(scratch: u32, depth: u32, count: u32, startNs: f64): u32 {
  let nowNs = <u64>startNs;
  let digest: u32 = 0;
  for (let i: u32 = 0; i < count + depth; i++) {
    const command = changetype<InFlight>(<usize>(scratch + (i & (depth - 1)) * 32));
    nowNs += STEP_NS;
    if (i >= depth) {
      digest += command.slot + command.bytes + command.write + <u32>(nowNs - command.startNs) + command.note;
    }
    if (i >= count) continue;
    command.slot = digest & 3;
    command.bytes = (i & 15) === 0 ? 65536 : 4096;
    command.write = (i & 3) === 0 ? 1 : 0;
    command.startNs = nowNs;
    command.note = i;
    digest = digest * 31 + command.slot;
  }
  return digest;
}

/** A unit with this many paths (weights 1, 2, 3, 1, ...) under a policy. Returns its address. */
export function prepared(policy: u32, paths: u32): u32 {
  const base = (__heap_base + 63) & ~63;
  const pages = <i32>((base + <usize>SELECTION_BYTES + 65536 + 65535) >> 16) - memory.size();
  if (pages > 0) assert(memory.grow(pages) >= 0);
  const s = changetype<Selection>(base);
  selectionInit(s, 1);
  for (let slot: u32 = 0; slot < paths; slot++) selectionSetPath(s, slot, slot + 1, 1 + (slot % 3));
  selectionSetUsable(s, paths === 32 ? 0xffffffff : (1 << paths) - 1);
  assert(selectionConfigure(s, policy, 0, 0) === 0);
  return <u32>base;
}
