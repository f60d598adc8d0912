// The stall threshold, learned from the unit's own latencies; commands beyond it are handled in overdue/stall.ts.

import { COMMAND_HEDGED, Command, METHOD_READ, METHOD_ZERO_WRITE } from "../memory/records";
import { now } from "../memory/ring";
import { MILLISECOND } from "../memory/time";
import { STALL_BUCKETS, UNIT_LATENCIES, Unit } from "../memory/topology";
import { wakeUnit } from "../memory/wake";
import { hedgeAfterNs } from "../selection/hedge-budget";
import { longAskNs, longSilentNs } from "./long";
import { isLong } from "./pieces";

/** Latencies counted between two checks at the percentile. */
const LEARN_EVERY: u32 = 128;
const SAMPLES_MIN: u32 = 16;
/** Threshold while there is nothing to learn from. */
const UNLEARNED_NS: u64 = 500 * MILLISECOND;
const SAMPLES_MAX: u32 = 8192;

/** A command is sent; returns after how long it may be hedged, 0 when it may not. */
function hedgeEarn(unit: Unit, command: Command): u64 {
  if (
    unit.hedgeBudget === 0 ||
    command.method !== METHOD_READ ||
    (command.flags & COMMAND_HEDGED) !== 0 ||
    command.attempt !== 0
  )
    return 0;
  return hedgeAfterNs(unit.selection, command.bufferBytes);
}

/** Bucket of a latency: eight to an octave from 2 us on. */
function bucketOf(latencyNs: u64): u32 {
  const value = (<u32>min<u64>(latencyNs >> 8, 0x7fffffff)) | 8;
  const octave = 31 - <u32>clz(value);
  return min<u32>(((octave - 3) << 3) | ((value >> (octave - 3)) & 7), STALL_BUCKETS - 1);
}

/** The longest latency of a bucket. */
function bucketEnd(bucket: u32): u64 {
  const shift = <u64>(bucket >> 3);
  return ((<u64>(9 + (bucket & 7))) << shift) << 8;
}

/** Learns from a good command. */
export function stallLearn(unit: Unit, latencyNs: u64): void {
  const at = changetype<usize>(unit) + UNIT_LATENCIES + <usize>bucketOf(latencyNs) * 4;
  store<u32>(at, load<u32>(at) + 1);
  unit.latencies++;
  unit.learnIn--;
  if (unit.learnIn === 0) stallThreshold(unit);
}

/** Recomputes the threshold. */
export function stallThreshold(unit: Unit): void {
  unit.learnIn = unit.latencies < LEARN_EVERY ? SAMPLES_MIN : LEARN_EVERY;
  if (unit.latencies < SAMPLES_MIN) {
    unit.stallNs = bounded(unit, UNLEARNED_NS);
    return;
  }
  const counts = changetype<usize>(unit) + UNIT_LATENCIES;
  // The slowest thousandth, rounded up: with few samples, the slowest one.
  unit.percentileNs = exceededBy(counts, unit.latencies / 1000 + 1);
  unit.stallNs = bounded(unit, unit.percentileNs + unit.percentileNs / 2);
  if (unit.latencies < SAMPLES_MAX) return;
  unit.latencies = 0;
  for (let i: u32 = 0; i < STALL_BUCKETS; i++) {
    const half = load<u32>(counts + <usize>i * 4) / 2;
    store<u32>(counts + <usize>i * 4, half);
    unit.latencies += half;
  }
}

/** The latency that only the `count` slowest commands have reached. */
function exceededBy(counts: usize, count: u32): u64 {
  let above = count;
  let bucket: u32 = STALL_BUCKETS;
  while (bucket > 0 && above > 0) {
    bucket--;
    above -= min(above, load<u32>(counts + <usize>bucket * 4));
  }
  return bucketEnd(bucket);
}

function bounded(unit: Unit, ns: u64): u64 {
  return min(max(ns, unit.stallMinNs), max(unit.stallMaxNs, unit.stallMinNs));
}

/** An orphan has been answered well after all. */
export function stallLearnOrphan(unit: Unit, latencyNs: u64): void {
  stallLearn(unit, min(latencyNs, unit.stallNs * 2));
}

/** After how long a command has to be checked: then it counts as stalled, or its path is asked. */
export function thresholdOf(unit: Unit, command: Command): u64 {
  if (command.method > METHOD_ZERO_WRITE) return isLong(command.method) ? longAskNs(unit) : longSilentNs(unit);
  if (command.attempt === 0) return unit.stallNs;
  return max(command.attempt === 1 ? unit.stallNs / 2 : unit.stallNs / 4, unit.stallMinNs / 2);
}

/** The shortest threshold a command of the unit can have. */
export function soonest(unit: Unit): u64 {
  return max(unit.stallNs / 4, unit.stallMinNs / 2);
}

/** A command is sent: the unit's timer has to check it in time. */
export function stallArm(unit: Unit, command: Command): void {
  if (unit.stallMaxNs !== 0) wakeUnit(unit, now + thresholdOf(unit, command));
  const hedgeNs = hedgeEarn(unit, command);
  if (hedgeNs !== 0) wakeUnit(unit, now + hedgeNs);
}
