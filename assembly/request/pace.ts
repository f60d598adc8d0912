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

/** A request of `client` was accepted, or a piece of one goes out. */
export function paceSeen(client: Client): void {
  if (client.index === lastIndex) return;
  if (lastIndex !== NONE) sharedUntilNs = now + <u64>PACE_SHARED_MS * MILLISECOND;
  lastIndex = client.index;
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
function mibNs(unit: Unit, zero: bool): u64 {
  const ns = zero ? unit.paceZeroNs : unit.paceDataNs;
  const loneNs = zero ? unit.paceZeroLoneMibNs : unit.paceLoneMibNs;
  if (loneNs !== 0) return min(ns, loneNs);
  return ns === 0 ? UNKNOWN_NS : ns;
}

/** Estimated time that the device needs for `bytes`. */
function busyTime(unit: Unit, zero: bool, bytes: u64): u64 {
  return (bytes * mibNs(unit, zero)) >> MIB_SHIFT;
}

/** The cost of a piece to its flow, in bytes: for a zeroing, as many as the device moves in the same time. */
export function paceBytes(unit: Unit, method: u8, bytes: u32): u64 {
  if (!isZero(method)) return bytes;
  if (unit.paceZeroLoneMibNs === 0 || unit.paceLoneMibNs === 0) return bytes;
  return (bytes * unit.paceZeroLoneMibNs) / unit.paceLoneMibNs;
}

/** Largest piece of a zeroing or trim. For a lone client only the device's limit counts. */
export function zeroingPieceBytes(unit: Unit): u32 {
  return isShared() ? unit.zeroingBytes : ZEROING_PIECE_BYTES_MAX;
}

/** Whether a piece of `bytes` may go out now. */
export function paceOpen(unit: Unit, method: u8, bytes: u32): bool {
  const zero = isZero(method);
  const shared = isShared();
  if (zero && !zeroOpen(unit, bytes, shared)) return false;
  if (!shared || bytes < LARGE_BYTES || (unit.paceData | unit.paceZero) === 0) return true;
  if (now >= patienceEndNs(unit)) return true;
  // For both kinds together, or one would keep the other from ever being alone.
  if (unit.paceLoneAtNs === 0 || now - unit.paceLoneAtNs >= <u64>PACE_LONE_MS * MILLISECOND) return false;
  const flightNs = busyTime(unit, false, unit.paceData) + busyTime(unit, true, unit.paceZero);
  return flightNs + busyTime(unit, zero, bytes) <= windowNs(unit, zero);
}

/** Not too many zeroings, and for a lone client not for too long: another one may come. */
function zeroOpen(unit: Unit, bytes: u32, shared: bool): bool {
  if (unit.paceZeroes < 2) return true;
  // Other units may be on the same device.
  if (shared) return flights === unit.paceZeroes && unit.paceZeroes < ZEROING_SHARED_PIECES_MAX;
  if (unit.paceZeroes >= ZEROING_PIECES_MAX) return false;
  const mostNs = max(2 * unit.paceZeroLoneNs, <u64>ZEROING_LONE_MS * MILLISECOND);
  return unit.paceZeroNs === 0 || busyTime(unit, true, unit.paceZero + bytes) <= mostNs;
}

function windowNs(unit: Unit, zero: bool): u64 {
  // Split further, a zeroing would take longer; of those a second one may wait in the device.
  if (zero) return max(2 * unit.paceZeroLoneNs, <u64>PACE_MIN_US * MICROSECOND);
  return min(max(2 * unit.paceLoneNs, <u64>PACE_MIN_US * MICROSECOND), <u64>PACE_MAX_MS * MILLISECOND);
}

/** Whether nothing large of the unit is in flight. */
export function paceIdle(unit: Unit): bool {
  return (unit.paceData | unit.paceZero) === 0;
}

/** When a piece may be sent although nothing has ended meanwhile. */
export function patienceEndNs(unit: Unit): u64 {
  return unit.paceMovedNs + max(<u64>PACE_PATIENCE_MS * MILLISECOND, 4 * max(unit.paceLoneNs, unit.paceZeroLoneNs));
}

/** A command is sent that is large, or a zeroing. */
export function paceBegin(unit: Unit, command: Command): void {
  const zero = isZero(command.method);
  unit.paceMovedNs = now;
  paceSeen(command.request.client);
  command.lone = flights === 0 ? LONE_QUITE : (unit.paceData | unit.paceZero) === 0 ? LONE_ON_UNIT : LONE_NOT;
  flights++;
  if (zero) {
    command.pace = PACE_ZERO;
    command.paceDone = unit.paceZeroDone;
    unit.paceZero += command.pieceBytes;
    unit.paceZeroes++;
  } else {
    command.pace = PACE_DATA;
    command.paceDone = unit.paceDataDone;
    unit.paceData += command.pieceBytes;
  }
}

/** It has come back, or was given up. */
export function paceEnd(unit: Unit, command: Command, timeNs: u64, good: bool): void {
  const zero = command.pace === PACE_ZERO;
  command.pace = PACE_NOT;
  flights--;
  unit.paceMovedNs = now;
  if (zero) {
    unit.paceZero -= command.pieceBytes;
    unit.paceZeroes--;
  } else unit.paceData -= command.pieceBytes;
  if (good && (command.flags & COMMAND_ORPHAN) === 0 && timeNs > command.timeNs)
    learn(unit, command, zero, timeNs - command.timeNs);
  if (unit.flows !== 0) unitDirty(unit);
}

/** What the device has carried out since the command was sent, and in what time. */
function learn(unit: Unit, command: Command, zero: bool, latencyNs: u64): void {
  let done: u64;
  if (zero) done = unit.paceZeroDone += command.pieceBytes;
  else done = unit.paceDataDone += command.pieceBytes;
  const sampleNs = max<u64>((latencyNs << MIB_SHIFT) / (done - command.paceDone), 1);
  if (zero) {
    unit.paceZeroNs = approach(unit.paceZeroNs, sampleNs);
    sizePieces(unit, command.pieceBytes, sampleNs, flights === unit.paceZeroes);
  } else unit.paceDataNs = approach(unit.paceDataNs, sampleNs);
  if (command.lone !== LONE_NOT) learnLone(unit, command, zero, latencyNs);
}

function learnLone(unit: Unit, command: Command, zero: bool, latencyNs: u64): void {
  const knownNs = zero ? unit.paceZeroLoneNs : unit.paceLoneNs;
  const knownMibNs = zero ? unit.paceZeroLoneMibNs : unit.paceLoneMibNs;
  const mib = max<u64>((latencyNs << MIB_SHIFT) / command.pieceBytes, 1);
  // Delays caused by others say nothing about the device.
  const bounded = command.lone === LONE_ON_UNIT && knownNs !== 0;
  const ns = bounded ? min(knownNs, latencyNs) : approach(knownNs, latencyNs);
  const ownMibNs = bounded ? min(knownMibNs, mib) : approach(knownMibNs, mib);
  unit.paceLoneAtNs = now;
  if (zero) {
    unit.paceZeroLoneNs = ns;
    unit.paceZeroLoneMibNs = ownMibNs;
  } else {
    unit.paceLoneNs = ns;
    unit.paceLoneMibNs = ownMibNs;
  }
}

function approach(knownNs: u64, sampleNs: u64): u64 {
  return knownNs !== 0 && sampleNs > knownNs ? knownNs + ((sampleNs - knownNs + 3) >> SLOWER_SHIFT) : sampleNs;
}

/**
 * Pieces of zeroings shrink until one takes a short time, and grow again where that costs more than it gains, because a device
 * takes as long for a small one as for a large one. Delays caused by other units do not count.
 */
function sizePieces(unit: Unit, bytes: u32, sampleNs: u64, alone: bool): void {
  const bestNs = unit.paceZeroBestNs;
  unit.paceZeroBestNs =
    bestNs === 0 || sampleNs < bestNs ? sampleNs : bestNs + ((sampleNs - bestNs) >> BEST_FADE_SHIFT);
  const size = unit.zeroingBytes;
  if (bytes > size) return;
  const targetNs = <u64>ZEROING_PIECE_US * MICROSECOND;
  const takesNs = (sampleNs * bytes) >> MIB_SHIFT;
  const dear = alone && sampleNs > unit.paceZeroBestNs + unit.paceZeroBestNs / 2;
  if (bytes === size && (dear || takesNs * 4 < targetNs)) {
    unit.zeroingBytes = min(size * 2, ZEROING_PIECE_BYTES_MAX);
  } else if (takesNs > targetNs) {
    unit.zeroingBytes = max((bytes / 2) & ~(ZEROING_PIECE_BYTES_MIN - 1), ZEROING_PIECE_BYTES_MIN);
  }
}
