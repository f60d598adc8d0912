// Learning how many commands a path works on at a time.
//
// Behind a path there is not one server but a link, caches, many disks. A path that works on k commands at a time
// answers k times as often as the time of one command says, and lets nobody wait while fewer than k are in flight.
//
// Two things show it. Answers of a path with one server come back in the order the commands went out; with k servers
// they overtake each other the more, the larger k is. And commands that find a server free take k times as long as the
// answers of the busy path are apart. A new path is taken for one with two servers: a guess that is too high is found
// out by the path being busy, one that is too low would keep it from ever being so.

import { costAt, lane, Selection, Servers, SERVERS_INVERSE, serversAt } from "./layout";
import { changed, learnCost } from "./learning";

const SERVERS_MAX: f32 = 64;
const SERVERS_FIRST: f32 = 8;
/** Below this the path counts as working on one command at a time. */
const ONE: f32 = 1.2;
/** The most that one command overtakes is followed upwards and downwards by these parts. */
const OVERTAKING_UP: f32 = 0.25;
const OVERTAKING_DOWN: f32 = 1.0 / 256.0;
/** How many times more servers than assumed overtaking has to show. */
const OVERTAKING_MIN: f32 = 1.3;
/** How many times longer than answers are apart a command takes before that alone counts as several servers. */
const APART: f32 = 2.5;
/** Samples of each kind before the two are compared. */
const SAMPLES_ENOUGH: u32 = 48;
/** The sums take in this part of a new sample; the recent ones so much. */
const PART: f32 = 1.0 / 64.0;
const RECENT_PART: f32 = 1.0 / 32.0;
/** The number of servers follows by this part of what it is off, and at first by so much. */
const COUNT_PART: f32 = 1.0 / 128.0;
const COUNT_PART_FIRST: f32 = 1.0 / 8.0;
/** One sample counts at most so many times what was expected. */
const SAMPLE_MAX: f32 = 8;
/** The path has changed when the recent answers are so far from what was expected. */
const SLOWER: f32 = 2.5;
const FASTER: f32 = 0.35;

/** Nothing is known of a slot. */
export function forgetServers(s: Selection, slot: u32): void {
  const servers = serversAt(s, slot);
  servers.eventNs = 0;
  servers.busyNs = 0;
  servers.crowding = 0;
  servers.overtaking = 0;
  servers.answers = 0;
  setServers(s, slot, SERVERS_FIRST);
  forgetSums(servers);
}

/** What is to be remembered of a command that goes out: commands ahead of it + 1, and the answers so far. */
export function noteOf(s: Selection, slot: u32, ahead: u32): u32 {
  return min(ahead + 1, 255) | (serversAt(s, slot).answers << 8);
}

/** A command goes out or came back: takes note of how busy the path was since the last such moment. */
export function passTime(servers: Servers, inFlight: u32, nowNs: u64): void {
  if (nowNs > servers.eventNs) {
    servers.busyNs += <f32>(<i64>(nowNs - servers.eventNs)) * min(<f32>inFlight, servers.count);
    servers.eventNs = nowNs;
  }
}

/**
 * A command came back; time has passed (`passTime`).
 * @param note what `noteOf` answered; 0 when it was not kept
 * @param inFlight commands in flight until now, it included
 * @param latencyNs since it went out
 */
export function learnPath(s: Selection, slot: u32, sizeClass: u32, note: u32, inFlight: u32, latencyNs: f32): void {
  const servers = serversAt(s, slot);
  const cost = load<f32>(costAt(s, slot, sizeClass));
  const single = servers.count === 1;
  const ahead = (note & 255) - 1;
  if (ahead < 254) overtaken(servers, ahead, (servers.answers - (note >> 8)) & 0xffffff);
  servers.answers += 1;
  const busyNs = servers.busyNs;
  servers.busyNs = 0;
  if (ahead === 0 || (<f32>ahead <= servers.overtaking && <f32>ahead + 1 <= servers.count)) {
    servers.aloneNs += (min(latencyNs, SAMPLE_MAX * cost) - servers.aloneNs) * PART;
    servers.aloneExpectedNs += (cost - servers.aloneExpectedNs) * PART;
    servers.aloneSamples += 1;
    if (!single) learnCost(s, slot, sizeClass, latencyNs);
  }
  const crowded: f32 = inFlight > 1 ? 1 : 0;
  servers.crowding += (crowded - servers.crowding) * PART;
  served(s, slot, servers, min(busyNs, SAMPLE_MAX * cost), cost);
  if (single) learnCost(s, slot, sizeClass, busyNs);
  if (servers.samples > SAMPLES_ENOUGH) compare(s, slot, servers);
}

/** How many commands that went out before this one are still out: fewer than the path has servers. */
function overtaken(servers: Servers, ahead: u32, answers: u32): void {
  const over = ahead > answers ? <f32>(ahead - answers) : 0;
  const part = over > servers.overtaking ? OVERTAKING_UP : OVERTAKING_DOWN;
  servers.overtaking += (over - servers.overtaking) * part;
}

/** Server time against what was expected: too much of it, and the path has fewer servers, or has become slower. */
function served(s: Selection, slot: u32, servers: Servers, busyNs: f32, expectedNs: f32): void {
  servers.samples += 1;
  if (servers.samples === SAMPLES_ENOUGH) tellOthers(s, servers.count);
  const part = max(PART, 1 / <f32>servers.samples);
  servers.servedNs += (busyNs - servers.servedNs) * part;
  servers.expectedNs += (expectedNs - servers.expectedNs) * part;
  if (servers.count === 1) return;
  servers.recentNs += (busyNs - servers.recentNs) * RECENT_PART;
  servers.recentExpectedNs += (expectedNs - servers.recentExpectedNs) * RECENT_PART;
  if (servers.samples >= SAMPLES_ENOUGH) {
    const ratio = servers.recentNs / servers.recentExpectedNs;
    if (ratio > SLOWER || ratio < FASTER) {
      forgetSums(servers);
      return changed(s, slot, ratio);
    }
  }
  const most: f32 = 0.5;
  const off = (busyNs - expectedNs) / servers.expectedNs;
  const count = servers.count * (1 - min(most, off * servers.crowding * countPart(servers.samples)));
  setServers(s, slot, count < ONE ? 1 : min(count, SERVERS_MAX));
  if (count < ONE) forgetSums(servers);
}

/** The part of a sample that the number of servers follows by: large at first. */
function countPart(samples: u32): f32 {
  const first: f32 = 1;
  return min(COUNT_PART_FIRST, max(COUNT_PART, first / <f32>samples));
}

/** Paths to one unit are mostly alike: those that know little of themselves take over what the first one found. */
function tellOthers(s: Selection, count: f32): void {
  for (let slot: u32 = 0; slot < 32; slot++) {
    if (serversAt(s, slot).samples < SAMPLES_ENOUGH) setServers(s, slot, count);
  }
}

/** Whether the path shows that it has more servers than it is taken to have. */
function compare(s: Selection, slot: u32, servers: Servers): void {
  const count = min(servers.overtaking + 1, SERVERS_MAX);
  if (count > servers.count * OVERTAKING_MIN) {
    const single = servers.count === 1;
    const known = servers.aloneSamples > 0;
    const factor = known ? servers.aloneNs / servers.aloneExpectedNs : count;
    setServers(s, slot, count);
    forgetSums(servers);
    if (single) changed(s, slot, factor);
    return;
  }
  if (servers.count > 1 || servers.aloneSamples < SAMPLES_ENOUGH) return;
  const alone = servers.aloneNs / servers.aloneExpectedNs;
  const busy = servers.servedNs / servers.expectedNs;
  if (alone <= busy * APART) return;
  setServers(s, slot, min(alone / busy, SERVERS_MAX));
  forgetSums(servers);
  changed(s, slot, alone);
}

function setServers(s: Selection, slot: u32, count: f32): void {
  serversAt(s, slot).count = count;
  store<f32>(lane(s, SERVERS_INVERSE, slot), 1 / count);
}

function forgetSums(servers: Servers): void {
  servers.servedNs = 0;
  servers.expectedNs = 0;
  servers.recentNs = 0;
  servers.recentExpectedNs = 0;
  servers.aloneNs = 0;
  servers.aloneExpectedNs = 0;
  servers.samples = 0;
  servers.aloneSamples = 0;
}
