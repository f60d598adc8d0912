// Learns how long each path takes for a command of each class.
//
// A sample is the time that the path took for one command, without the time that the command waited behind others. For a
// command that found the path free it is the latency. For one that waited, on a path that works on one command at a time, it
// is the time since the previous command's completion. For paths that work on several commands see servers.ts.
//
// BACKLOG is always the sum of the currently estimated costs of the commands in flight; so when an estimate changes,
// commands that wait on the path are revalued at once.

import {
  BACKLOG,
  CLASS_IN_FLIGHT,
  CLASSES,
  entriesOfClass,
  COST,
  costAt,
  entriesOf,
  learningAt,
  Selection,
} from "./layout";
import { LEARNING, learn, unsettle } from "./phases";

/** Assumed cost of a command before anything was learned, ns. It only matters that it is equal for all paths. */
const COST_UNKNOWN: f32 = 100000;
/** A cost is the mean of at most about this many samples: a compromise between the estimate's noise and its speed. */
const SAMPLES_MAX: u32 = 256;
const PART: f32 = 1.0 / 256.0;
const COST_MIN: f32 = 1;
/** Weight of a new sample in the recent mean. */
const RECENT_PART: f32 = 0.125;
/** A sample counts at most this many times the estimate: one stalled command says little about the next. */
const SAMPLE_MAX: f32 = 8;
/** The path has changed when the recent mean is this many times the estimate ... */
const SLOWER: f32 = 2.5;
const FASTER: f32 = 0.35;
/** ... and the estimate then restarts from the recent mean, which counts as this many samples. */
const SAMPLES_RECENT: u32 = 8;
/** The estimate of a path without I/O for this long may be outdated: it then counts as only this many samples. */
export const STALE_NS: i64 = 100000000;
const SAMPLES_STALE: u32 = 2;

/** Forgets what is known of a slot: equal costs for all slots, nothing in flight. */
export function forgetCosts(selection: Selection, slot: u32): void {
  for (let sizeClass: u32 = 0; sizeClass < CLASSES; sizeClass++) {
    const known = learningAt(selection, slot, sizeClass);
    known.samples = 0;
    known.recent = 0;
    setCost(selection, slot, sizeClass, seedCost(selection, slot, sizeClass));
  }
}

/** Called for a path's first command after STALE_NS: old estimates then give way faster to new samples. */
export function ageCosts(selection: Selection, slot: u32): void {
  if ((selection.duties & LEARNING) === 0) learn(selection);
  for (let sizeClass: u32 = 0; sizeClass < CLASSES; sizeClass++) {
    const known = learningAt(selection, slot, sizeClass);
    if (known.samples > SAMPLES_STALE) known.samples = SAMPLES_STALE;
  }
}

/** Adds a sample. @param sampleNs see above */
export function learnCost(selection: Selection, slot: u32, sizeClass: u32, sampleNs: f32): void {
  const known = learningAt(selection, slot, sizeClass);
  const cost = load<f32>(costAt(selection, slot, sizeClass));
  const samples = known.samples;
  if (samples === 0) return firstSample(selection, slot, sizeClass, sampleNs);
  const most = SAMPLE_MAX * cost;
  const off = (sampleNs > most ? most : sampleNs) - cost;
  const recent = known.recent + (off + cost - known.recent) * RECENT_PART;
  known.recent = recent;
  if (samples >= SAMPLES_RECENT && (recent > SLOWER * cost || recent < FASTER * cost)) {
    return changed(selection, slot, recent / cost);
  }
  if (samples >= SAMPLES_MAX) return addToCost(selection, slot, sizeClass, off * PART);
  known.samples = samples + 1;
  addToCost(selection, slot, sizeClass, off / <f32>(samples + 1));
}

/** The path became slower or faster: scales the cost of every class by the same factor, until each has samples of its own. */
export function changed(selection: Selection, slot: u32, factor: f32): void {
  unsettle(selection);
  for (let sizeClass: u32 = 0; sizeClass < CLASSES; sizeClass++) {
    const known = learningAt(selection, slot, sizeClass);
    const cost = load<f32>(costAt(selection, slot, sizeClass)) * factor;
    if (known.samples > SAMPLES_RECENT) known.samples = SAMPLES_RECENT;
    known.recent = cost;
    setCost(selection, slot, sizeClass, cost);
  }
}

/** The first sample of a class on a path; paths that know nothing about this class adopt it. */
function firstSample(selection: Selection, slot: u32, sizeClass: u32, sampleNs: f32): void {
  const known = learningAt(selection, slot, sizeClass);
  const first = !knownAnywhere(selection, sizeClass);
  const cost = first ? sampleNs : 0.5 * (sampleNs + load<f32>(costAt(selection, slot, sizeClass)));
  known.samples = first ? 1 : 2;
  known.recent = cost;
  setCost(selection, slot, sizeClass, cost);
  for (let other: u32 = 0; other < 32; other++) {
    if (learningAt(selection, other, sizeClass).samples === 0)
      setCost(selection, other, sizeClass, seedCost(selection, other, sizeClass));
  }
}

function knownAnywhere(selection: Selection, sizeClass: u32): bool {
  for (let slot: u32 = 0; slot < 32; slot++) if (learningAt(selection, slot, sizeClass).samples > 0) return true;
  return false;
}

/** Expected cost of a class of which a path has no sample: the smallest cost on other paths, so that this path is tried. */
function seedCost(selection: Selection, slot: u32, sizeClass: u32): f32 {
  let least: f32 = f32.MAX_VALUE;
  for (let other: u32 = 0; other < 32; other++) {
    if (other !== slot && learningAt(selection, other, sizeClass).samples > 0) {
      least = min(least, load<f32>(costAt(selection, other, sizeClass)));
    }
  }
  return least === f32.MAX_VALUE ? COST_UNKNOWN : least;
}

function setCost(selection: Selection, slot: u32, sizeClass: u32, cost: f32): void {
  addToCost(selection, slot, sizeClass, cost - load<f32>(costAt(selection, slot, sizeClass)));
}

/** Changes an estimate, and with it the value of the commands in flight. An estimate is never below 1 ns. */
function addToCost(selection: Selection, slot: u32, sizeClass: u32, more: f32): void {
  const entries = entriesOf(selection, slot);
  const ofClass = entriesOfClass(entries, sizeClass);
  const before = load<f32>(ofClass, COST);
  const cost = before + more < COST_MIN ? COST_MIN : before + more;
  store<f32>(ofClass, cost, COST);
  const inFlight = load<u32>(ofClass, CLASS_IN_FLIGHT);
  if (inFlight === 0) return;
  const value = load<f32>(entries, BACKLOG) + <f32>inFlight * (cost - before);
  store<f32>(entries, value < 0 ? 0 : value, BACKLOG);
}

/** The largest cost of any class in flight on a slot, ns. */
export function largestInFlight(selection: Selection, slot: u32): f32 {
  let largest: f32 = 0;
  for (let sizeClass: u32 = 0; sizeClass < CLASSES; sizeClass++) {
    const ofClass = entriesOfClass(entriesOf(selection, slot), sizeClass);
    if (load<u32>(ofClass, CLASS_IN_FLIGHT) > 0) largest = max(largest, load<f32>(ofClass, COST));
  }
  return largest;
}

/** Address of the costs of a class: f32[32]. */
export function costsOf(selection: Selection, sizeClass: u32): usize {
  return changetype<usize>(selection) + COST + ((<usize>sizeClass) << 7);
}
