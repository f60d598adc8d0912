// Limits how much large I/O a device gets at a time while several clients share the core.
//
// What is in a device's queue delays whatever comes later, and cannot be taken back. A lone client may fill that queue as it
// likes. As soon as another one has recently sent anything, a unit has no more large data, zeroings and trims in flight than the
// device carries out in a short time: twice what a large command takes with nothing of its kind beside it, which is enough to
// keep a device busy. The rest waits in flows (flows.ts), and small I/O passes it.
//
// The device's speed is learned from what it has carried out between the sending and the end of a command, as BBR does for
// networks; separately for data and zeroings, which have little in common. Once per LONE_NS one command is sent alone, because
// otherwise its time would be that of the queue. Devices shared by several units are slower for each of them, so the units'
// windows add up to about one.
//
// If nothing ends any more, because a path has gone silent, one piece is sent per PATIENCE_NS.

import {
  LARGE_BYTES,
  PACE_LONE_MS,
  PACE_MAX_MS,
  PACE_MIN_US,
  PACE_PATIENCE_MS,
  PACE_SHARED_MS,
  ZEROING_LONE_MS,
  ZEROING_PIECES_MAX,
  ZEROING_PIECE_BYTES_MAX,
  ZEROING_PIECE_BYTES_MIN,
  ZEROING_PIECE_US,
  ZEROING_SHARED_PIECES_MAX,
} from "../abi";
import { unitDirty } from "../memory/due";
import { COMMAND_ORPHAN, Command, Client, METHOD_UNMAP, METHOD_ZERO_WRITE } from "../memory/records";
import { NONE, now } from "../memory/ring";
import { MICROSECOND, MILLISECOND } from "../memory/time";
import { Unit } from "../memory/topology";

const MIB_SHIFT: u64 = 20;
/** A device about which nothing is known is assumed to move 1 GB/s. */
const UNKNOWN_NS: u64 = MILLISECOND;
/** An estimate approaches a slower sample by this fraction of the difference; a faster one is taken at once. */
const SLOWER_SHIFT: u64 = 2;

/** The best estimate of zeroings decays by this fraction of the difference with each worse one. */
const BEST_FADE_SHIFT: u64 = 6;

/** Not counted; large data; a zeroing or trim. */
const PACE_NOT: u8 = 0;
const PACE_DATA: u8 = 1;
const PACE_ZERO: u8 = 2;
/** Whether others of that kind were in flight when it was sent: on its unit; on other units, with which it may share a device. */
const LONE_NOT: u8 = 0;
const LONE_ON_UNIT: u8 = 1;
const LONE_QUITE: u8 = 2;

/** Whose request came last, and until when the core counts as shared because the previous one was another's. */
let lastIndex: u32 = NONE;
let sharedUntilNs: u64 = 0;
/** Commands in flight, of all units, that are large or zeroings. */
let flights: u32 = 0;

/** A request of `n` was accepted, or a piece of one goes out. */
export function paceSeen(n: Client): void {
  if (n.index === lastIndex) return;
  if (lastIndex !== NONE) sharedUntilNs = now + <u64>PACE_SHARED_MS * MILLISECOND;
  lastIndex = n.index;
}

/** Whether several clients have recently sent anything. */
export function isShared(): bool {
  return now < sharedUntilNs;
}

function isZero(method: u8): bool {
  return method >= METHOD_ZERO_WRITE && method <= METHOD_UNMAP;
}

/**
 * Estimated time for 1 MiB: beside other I/O, the work done meanwhile is too little a sample; alone, its duration too large a
 * one.
 */
function mibNs(u: Unit, zero: bool): u64 {
  const ns = zero ? u.paceZeroNs : u.paceDataNs;
  const loneNs = zero ? u.paceZeroLoneMibNs : u.paceLoneMibNs;
  if (loneNs !== 0) return min(ns, loneNs);
  return ns === 0 ? UNKNOWN_NS : ns;
}

/** Estimated time that the device needs for `bytes`. */
function busyTime(u: Unit, zero: bool, bytes: u64): u64 {
  return (bytes * mibNs(u, zero)) >> MIB_SHIFT;
}

/** The cost of a piece to its flow, in bytes: for a zeroing, as many as the device moves in the same time. */
export function paceBytes(u: Unit, method: u8, bytes: u32): u64 {
  if (!isZero(method)) return bytes;
  if (u.paceZeroLoneMibNs === 0 || u.paceLoneMibNs === 0) return bytes;
  return (bytes * u.paceZeroLoneMibNs) / u.paceLoneMibNs;
}

/** Largest piece of a zeroing or trim. For a lone client only the device's limit counts. */
export function zeroingPieceBytes(u: Unit): u32 {
  return isShared() ? u.zeroingBytes : ZEROING_PIECE_BYTES_MAX;
}

/** Whether a piece of `bytes` may go out now. */
export function paceOpen(u: Unit, method: u8, bytes: u32): bool {
  const zero = isZero(method);
  const shared = isShared();
  if (zero && !zeroOpen(u, bytes, shared)) return false;
  if (!shared || bytes < LARGE_BYTES || (u.paceData | u.paceZero) === 0) return true;
  if (now >= patienceEndNs(u)) return true;
  // For both kinds together, or one would keep the other from ever being alone.
  if (u.paceLoneAtNs === 0 || now - u.paceLoneAtNs >= <u64>PACE_LONE_MS * MILLISECOND) return false;
  const flightNs = busyTime(u, false, u.paceData) + busyTime(u, true, u.paceZero);
  return flightNs + busyTime(u, zero, bytes) <= windowNs(u, zero);
}

/** Not too many zeroings, and for a lone client not for too long: another one may come. */
function zeroOpen(u: Unit, bytes: u32, shared: bool): bool {
  if (u.paceZeroes < 2) return true;
  // Other units may be on the same device.
  if (shared) return flights === u.paceZeroes && u.paceZeroes < ZEROING_SHARED_PIECES_MAX;
  if (u.paceZeroes >= ZEROING_PIECES_MAX) return false;
  const mostNs = max(2 * u.paceZeroLoneNs, <u64>ZEROING_LONE_MS * MILLISECOND);
  return u.paceZeroNs === 0 || busyTime(u, true, u.paceZero + bytes) <= mostNs;
}

function windowNs(u: Unit, zero: bool): u64 {
  // Split further, a zeroing would take longer; of those a second one may wait in the device.
  if (zero) return max(2 * u.paceZeroLoneNs, <u64>PACE_MIN_US * MICROSECOND);
  return min(max(2 * u.paceLoneNs, <u64>PACE_MIN_US * MICROSECOND), <u64>PACE_MAX_MS * MILLISECOND);
}

/** Whether nothing large of the unit is in flight. */
export function paceIdle(u: Unit): bool {
  return (u.paceData | u.paceZero) === 0;
}

/** When a piece may be sent although nothing has ended meanwhile. */
export function patienceEndNs(u: Unit): u64 {
  return u.paceMovedNs + max(<u64>PACE_PATIENCE_MS * MILLISECOND, 4 * max(u.paceLoneNs, u.paceZeroLoneNs));
}

/** A command is sent that is large, or a zeroing. */
export function paceBegin(u: Unit, c: Command): void {
  const zero = isZero(c.method);
  u.paceMovedNs = now;
  paceSeen(c.request.client);
  c.lone = flights === 0 ? LONE_QUITE : (u.paceData | u.paceZero) === 0 ? LONE_ON_UNIT : LONE_NOT;
  flights++;
  if (zero) {
    c.pace = PACE_ZERO;
    c.paceDone = u.paceZeroDone;
    u.paceZero += c.pieceBytes;
    u.paceZeroes++;
  } else {
    c.pace = PACE_DATA;
    c.paceDone = u.paceDataDone;
    u.paceData += c.pieceBytes;
  }
}

/** It has come back, or was given up. */
export function paceEnd(u: Unit, c: Command, timeNs: u64, good: bool): void {
  const zero = c.pace === PACE_ZERO;
  c.pace = PACE_NOT;
  flights--;
  u.paceMovedNs = now;
  if (zero) {
    u.paceZero -= c.pieceBytes;
    u.paceZeroes--;
  } else u.paceData -= c.pieceBytes;
  if (good && (c.flags & COMMAND_ORPHAN) === 0 && timeNs > c.timeNs) learn(u, c, zero, timeNs - c.timeNs);
  if (u.flows !== 0) unitDirty(u);
}

/** What the device has carried out since the command was sent, and in what time. */
function learn(u: Unit, c: Command, zero: bool, latencyNs: u64): void {
  let done: u64;
  if (zero) done = u.paceZeroDone += c.pieceBytes;
  else done = u.paceDataDone += c.pieceBytes;
  const sampleNs = max<u64>((latencyNs << MIB_SHIFT) / (done - c.paceDone), 1);
  if (zero) {
    u.paceZeroNs = approach(u.paceZeroNs, sampleNs);
    sizePieces(u, c.pieceBytes, sampleNs, flights === u.paceZeroes);
  } else u.paceDataNs = approach(u.paceDataNs, sampleNs);
  if (c.lone !== LONE_NOT) learnLone(u, c, zero, latencyNs);
}

function learnLone(u: Unit, c: Command, zero: bool, latencyNs: u64): void {
  const knownNs = zero ? u.paceZeroLoneNs : u.paceLoneNs;
  const knownMibNs = zero ? u.paceZeroLoneMibNs : u.paceLoneMibNs;
  const mib = max<u64>((latencyNs << MIB_SHIFT) / c.pieceBytes, 1);
  // Delays caused by others say nothing about the device.
  const bounded = c.lone === LONE_ON_UNIT && knownNs !== 0;
  const ns = bounded ? min(knownNs, latencyNs) : approach(knownNs, latencyNs);
  const ownMibNs = bounded ? min(knownMibNs, mib) : approach(knownMibNs, mib);
  u.paceLoneAtNs = now;
  if (zero) {
    u.paceZeroLoneNs = ns;
    u.paceZeroLoneMibNs = ownMibNs;
  } else {
    u.paceLoneNs = ns;
    u.paceLoneMibNs = ownMibNs;
  }
}

function approach(knownNs: u64, sampleNs: u64): u64 {
  return knownNs !== 0 && sampleNs > knownNs ? knownNs + ((sampleNs - knownNs + 3) >> SLOWER_SHIFT) : sampleNs;
}

/**
 * Pieces of zeroings shrink until one takes a short time, and grow again where that costs more than it gains, because a device
 * takes as long for a small one as for a large one. Delays caused by other units do not count.
 */
function sizePieces(u: Unit, bytes: u32, sampleNs: u64, alone: bool): void {
  const bestNs = u.paceZeroBestNs;
  u.paceZeroBestNs = bestNs === 0 || sampleNs < bestNs ? sampleNs : bestNs + ((sampleNs - bestNs) >> BEST_FADE_SHIFT);
  const size = u.zeroingBytes;
  if (bytes > size) return;
  const targetNs = <u64>ZEROING_PIECE_US * MICROSECOND;
  const takesNs = (sampleNs * bytes) >> MIB_SHIFT;
  const dear = alone && sampleNs > u.paceZeroBestNs + u.paceZeroBestNs / 2;
  if (bytes === size && (dear || takesNs * 4 < targetNs)) {
    u.zeroingBytes = min(size * 2, ZEROING_PIECE_BYTES_MAX);
  } else if (takesNs > targetNs) {
    u.zeroingBytes = max((bytes / 2) & ~(ZEROING_PIECE_BYTES_MIN - 1), ZEROING_PIECE_BYTES_MIN);
  }
}
