// Learns how many commands a path works on at a time.
//
// Behind a path there is not a single server, but a link, caches and many disks. A path that works on k commands at a time
// answers k times as often as the time of one command suggests, and no command waits while fewer than k are in flight.
//
// Two observations reveal k. A path with one server answers in the order in which the commands were sent; with k servers,
// answers overtake each other more, the larger k is. And commands that find a free server take k times the interval between
// the answers of the busy path. A new path is assumed to have SERVERS_FIRST servers: a guess that is too high is noticed
// because the path is busy, one that is too low would keep it from ever being busy.

import { costAt, entryAt, Selection, Servers, SERVERS_INVERSE, serversAt } from "./layout";
import { changed, learnCost } from "./learning";
import { LEARNING, learn, unsettle } from "./phases";

const SERVERS_MAX: f32 = 64;
const SERVERS_FIRST: f32 = 8;
/** Below this number the path counts as working on one command at a time. */
const ONE: f32 = 1.2;
/** Below this number a path has shown no overtaking. */
const OVERTAKING_NONE: f32 = 0.001;
/** Weights with which the estimate of overtaking follows larger and smaller values. */
const OVERTAKING_UP: f32 = 0.25;
const OVERTAKING_DOWN: f32 = 1.0 / 256.0;
/** How many times the assumed number of servers overtaking has to indicate. */
const OVERTAKING_MIN: f32 = 1.3;
/** How many times the interval between answers a command has to take for this alone to indicate several servers. */
const APART: f32 = 2.5;
/** Samples of each kind before the two are compared. */
const SAMPLES_ENOUGH: u32 = 48;
/** Samples above this number are not counted. */
const SAMPLES_COUNTED: u32 = 1000;
/** Weight of a new sample in the means, and in the recent means. */
const PART: f32 = 1.0 / 64.0;
const PART_SAMPLES: u32 = 64;
const RECENT_PART: f32 = 1.0 / 32.0;
/** Part of its error by which the number of servers is corrected, and the larger part used at first. */
const COUNT_PART: f32 = 1.0 / 128.0;
const COUNT_PART_SAMPLES: u32 = 128;
const COUNT_PART_FIRST: f32 = 1.0 / 8.0;
const OFF_MAX: f32 = 0.5;
/** One sample counts at most this many times the expected time. */
const SAMPLE_MAX: f32 = 8;
/** The path has changed when the recent answers are this far from the expected time. */
const SLOWER: f32 = 2.5;
const FASTER: f32 = 0.35;

/**
 * A note: class (4 bits), commands ahead (8 bits), the number of answers so far (14 bits), and whether the command is part
 * of the backlog. Fits into one u32 together with a slot.
 */
export const NOTE_CLASS: u32 = 15;
const AHEAD_SHIFT: u32 = 4;
const ANSWERS_SHIFT: u32 = 12;
const ANSWERS_MASK: u32 = (1 << 14) - 1;
export const NOTE_WEIGHED: u32 = 1 << 26;
/** This many commands ahead or more, or an unknown number. */
const AHEAD_UNKNOWN: u32 = 255;
/** The note of a command about which nothing was recorded. */
export const NOTE_UNKNOWN: u32 = AHEAD_UNKNOWN << AHEAD_SHIFT;

/** Forgets what is known about a slot. */
export function forgetServers(selection: Selection, slot: u32): void {
  const servers = serversAt(selection, slot);
  servers.eventNs = 0;
  servers.busyNs = 0;
  servers.queue = 1;
  servers.overtaking = 0;
  servers.answers = 0;
  servers.answerNs = 0;
  servers.together = 0;
  servers.togetherExpected = 0;
  setServers(selection, slot, SERVERS_FIRST);
  forgetSums(servers);
}

/** The note of a command that is being sent. @param ahead commands in flight on the path before it */
export function noteOf(servers: Servers, ahead: u32): u32 {
  return (min(ahead, AHEAD_UNKNOWN) << AHEAD_SHIFT) | ((servers.answers & ANSWERS_MASK) << ANSWERS_SHIFT);
}

/**
 * A command is sent or completed while learning: records how busy the path was since the previous call. Time before learning
 * began does not count, and commands sent before it have overtaken none.
 */
export function seePath(selection: Selection, slot: u32, inFlight: u32, nowNs: u64): Servers {
  const servers = serversAt(selection, slot);
  if ((selection.seen >> slot) & 1) {
    passTime(servers, inFlight, nowNs);
  } else {
    selection.seen |= 1 << slot;
    if (inFlight === 0) selection.answered |= 1 << slot;
    servers.eventNs = nowNs;
    servers.busyNs = 0;
    servers.answers += AHEAD_UNKNOWN;
  }
  return servers;
}

function passTime(servers: Servers, inFlight: u32, nowNs: u64): void {
  if (nowNs <= servers.eventNs) return;
  const busy = <f32>inFlight < servers.count ? <f32>inFlight : servers.count;
  servers.busyNs += <f32>(<i64>(nowNs - servers.eventNs)) * busy;
  servers.eventNs = nowNs;
}

/**
 * Learns from a completed command; starts learning if it was resting.
 * @param good whether the path did its work; a failure says nothing about speed unless it took long
 * @param note the result of `noteOf`, or NOTE_UNKNOWN
 * @param inFlight commands in flight until now, including this one
 */
export function learnPath(
  selection: Selection,
  slot: u32,
  sizeClass: u32,
  took: u64,
  good: bool,
  nowNs: u64,
  note: u32,
  inFlight: u32,
): void {
  if ((selection.duties & LEARNING) === 0) learn(selection);
  const servers = seePath(selection, slot, inFlight, nowNs);
  const latencyNs = <f32>(<i64>took);
  const cost = load<f32>(costAt(selection, slot, sizeClass));
  if (!good && latencyNs <= cost) return;
  const ahead = (note >> AHEAD_SHIFT) & AHEAD_UNKNOWN;
  const known = ahead !== AHEAD_UNKNOWN;
  if (known) overtaken(servers, ahead, (servers.answers - (note >> ANSWERS_SHIFT)) & ANSWERS_MASK);
  servers.answers += 1;
  // The interval between two answers is a sample only if learning was on from its start to its end.
  const whole = isWhole(selection, slot, servers, nowNs);
  selection.answered |= 1 << slot;
  const busyNs = takeShare(servers);
  if (servers.count === 1) {
    if (known && ahead === 0) alone(servers, latencyNs, cost);
    if (whole) learnCost(selection, slot, sizeClass, busyNs);
  } else {
    const free = ahead === 0 || (<f32>ahead <= servers.overtaking && <f32>ahead + 1 <= servers.count);
    if (known && free) learnCost(selection, slot, sizeClass, latencyNs);
    servers.queue += (<f32>inFlight - servers.queue) * PART;
    if (whole) served(selection, slot, servers, busyNs < SAMPLE_MAX * cost ? busyNs : SAMPLE_MAX * cost, cost);
  }
  const samples = servers.samples + 1;
  if (samples < SAMPLES_COUNTED) servers.samples = samples;
  if (samples === SAMPLES_ENOUGH) tellOthers(selection, servers.count);
  if (samples > SAMPLES_ENOUGH) compare(selection, slot, servers);
}

/** No answer shares the server time until this moment: learning was not on from its start. */
const SHARES_NONE: u16 = 0;

/** Whether learning was on for the whole interval that ends with this answer, and those that come at the same time. */
function isWhole(selection: Selection, slot: u32, servers: Servers, nowNs: u64): bool {
  if (((selection.answered >> slot) & 1) === 0) {
    servers.answerNs = <u32>nowNs;
    servers.togetherExpected = SHARES_NONE;
    servers.together = 0;
    servers.busyNs = 0;
  } else if (servers.answerNs !== <u32>nowNs) {
    servers.answerNs = <u32>nowNs;
    servers.togetherExpected = max(servers.together, 1);
    servers.together = 0;
  }
  return servers.togetherExpected !== SHARES_NONE;
}

/**
 * The part that one answer has of the server time since the last ones. A host that fetches many answers at once gives all of them one
 * time: then each gets an equal part, if there are as many as the last time; what is left counts for the next.
 */
function takeShare(servers: Servers): f32 {
  const together = servers.together;
  const left = servers.togetherExpected > together ? servers.togetherExpected - together : 1;
  servers.together = together < u16.MAX_VALUE ? together + 1 : together;
  const part = left === 1 ? servers.busyNs : servers.busyNs / <f32>left;
  servers.busyNs -= part;
  return part;
}

/** Learns from the number of commands sent before this one that are still in flight: fewer than the path has servers. */
function overtaken(servers: Servers, ahead: u32, answers: u32): void {
  if (ahead > answers) {
    const over = <f32>(ahead - answers);
    const part = over > servers.overtaking ? OVERTAKING_UP : OVERTAKING_DOWN;
    servers.overtaking += (over - servers.overtaking) * part;
  } else if (servers.overtaking > OVERTAKING_NONE) {
    servers.overtaking -= servers.overtaking * OVERTAKING_DOWN;
  }
}

/** Learns from a command that found the path free. */
function alone(servers: Servers, latencyNs: f32, cost: f32): void {
  const most = SAMPLE_MAX * cost;
  servers.aloneNs += ((latencyNs > most ? most : latencyNs) - servers.aloneNs) * PART;
  servers.aloneExpectedNs += (cost - servers.aloneExpectedNs) * PART;
  servers.aloneSamples += 1;
}

/**
 * Compares server time with the expected time: if it is too long, the path has fewer servers or has become slower. A path
 * that is never busy reveals nothing, so the number then stays; it never rises far above the number of commands in flight.
 */
function served(selection: Selection, slot: u32, servers: Servers, busyNs: f32, expectedNs: f32): void {
  const samples = servers.samples + 1;
  const recent = servers.recentNs + (busyNs - servers.recentNs) * RECENT_PART;
  const expected = servers.recentExpectedNs + (expectedNs - servers.recentExpectedNs) * RECENT_PART;
  servers.recentNs = recent;
  servers.recentExpectedNs = expected;
  servers.expectedNs += (expectedNs - servers.expectedNs) * partOf(samples, PART, PART_SAMPLES);
  if (samples >= SAMPLES_ENOUGH && (recent > SLOWER * expected || recent < FASTER * expected)) {
    forgetSums(servers);
    return changed(selection, slot, recent / expected);
  }
  const step = partOf(samples, COUNT_PART, COUNT_PART_SAMPLES);
  const crowding = servers.queue < 2 ? servers.queue - 1 : 1;
  const off =
    ((busyNs - expectedNs) / servers.expectedNs) * crowding * (step < COUNT_PART_FIRST ? step : COUNT_PART_FIRST);
  const count = servers.count * (1 - (off < OFF_MAX ? off : OFF_MAX));
  if (count < ONE) {
    setServers(selection, slot, 1);
    unsettle(selection);
    return forgetSums(servers);
  }
  const most = max(SERVERS_FIRST, min(SERVERS_MAX, 2 * servers.queue));
  setServers(selection, slot, count < most ? count : most);
}

/** Weight of a new sample in a mean: 1 / samples at first, `least` from `enough` samples on. */
function partOf(samples: u32, least: f32, enough: u32): f32 {
  const one: f32 = 1;
  return samples >= enough ? least : one / <f32>samples;
}

/** Paths to one unit are mostly alike: those with few samples of their own adopt the first path's result. */
function tellOthers(selection: Selection, count: f32): void {
  for (let slot: u32 = 0; slot < 32; slot++) {
    if (serversAt(selection, slot).samples < SAMPLES_ENOUGH) setServers(selection, slot, count);
  }
}

/** Checks whether the path shows that it has more servers than assumed. */
function compare(selection: Selection, slot: u32, servers: Servers): void {
  const single = servers.count === 1;
  if (servers.overtaking + 1 > servers.count * OVERTAKING_MIN) {
    const count = min(servers.overtaking + 1, SERVERS_MAX);
    const factor = servers.aloneSamples > 0 ? servers.aloneNs / servers.aloneExpectedNs : count;
    setServers(selection, slot, count);
    forgetSums(servers);
    unsettle(selection);
    if (single) changed(selection, slot, factor);
  } else if (single && servers.aloneSamples >= SAMPLES_ENOUGH && servers.aloneNs > servers.aloneExpectedNs * APART) {
    const factor = servers.aloneNs / servers.aloneExpectedNs;
    setServers(selection, slot, min(factor, SERVERS_MAX));
    forgetSums(servers);
    changed(selection, slot, factor);
  }
}

function setServers(selection: Selection, slot: u32, count: f32): void {
  serversAt(selection, slot).count = count;
  store<f32>(entryAt(selection, SERVERS_INVERSE, slot), 1 / count);
}

function forgetSums(servers: Servers): void {
  servers.expectedNs = 0;
  servers.recentNs = 0;
  servers.recentExpectedNs = 0;
  servers.aloneNs = 0;
  servers.aloneExpectedNs = 0;
  servers.samples = 0;
  servers.aloneSamples = 0;
}
