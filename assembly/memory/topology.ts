// Records of units and paths, as classes laid over the core's memory. They own nothing but themselves. The parts that the host
// reads have the offsets of abi.ts; `checkTopology` compares them once at init.

import {
  IDENTITY_BYTES_MAX,
  PATH_BYTES,
  PATH_IOS,
  PATH_LAST_HOST_STATUS,
  PATH_LAST_SENSE,
  PATH_MARGINAL_SECONDS,
  PATH_STATISTICS,
  UNIT_BLOCKS,
  UNIT_BYTES,
  UNIT_SLOTS,
  UNIT_STATISTICS,
} from "../abi";
import { Selection } from "../selection/selection";

/** One path. The fields up to `statistics` are the ABI's. */
@unmanaged
export class Path {
  flags: u32;
  unitHandle: u32;
  priority: u16;
  alua: u8;
  slot: u8;
  inFlight: u32;
  depth: u32;
  weight: u32;
  ios: u64;
  bytesRead: u64;
  bytesWritten: u64;
  errors: u64;
  retries: u64;
  checks: u64;
  lastAnswerNs: u64;
  sinceNs: u64;
  serviceNs: u32;
  orphans: u32;
  lastSense: u32;
  lastHostStatus: u16;
  spare0: u16;
  marginalSeconds: u32;
  statistics: u32;
  // From here on private to the core.
  index: u32;
  port: u32;
  arrayPort: u32;
  /** Flags as control knows them from events. */
  toldFlags: u32;
  /** Depth as configured; `depth` is lowered by BUSY and TASK SET FULL and comes back. */
  depthMax: u32;
  unit: Unit;
  /** Completions since `depth` last changed. */
  sinceDepthChange: u32;
  targetPortGroup: u32;
  initiatorPort: u32;
  targetPort: u32;
  controller: u32;
  /** When patrol considers it next; when the pending check must be answered. */
  nextCheckNs: u64;
  /** When it last answered an I/O. */
  lastIoNs: u64;
  checkDueNs: u64;
  /** WANT_* of the pending check, 0 none; of those to follow; of those for the next check. */
  checking: u8;
  wanted: u8;
  wantedLater: u8;
  /** The pending check timed out. */
  checkLost: u8;
  checkRetries: u8;
  /** Why it is being reinstated, 0 when it is not; whether that was announced. */
  back: u8;
  backTold: u8;
  /** Failed by control's order: reinstated only by order. */
  heldDown: u8;
  /** Its target port group is known. */
  groupKnown: u8;
  /** A reset is under way; RESET_* of the next or the present one. */
  resetting: u8;
  resetScope: u8;
  resetGeneration: u8;
  /** The last reset was carried out. */
  resetWorked: u8;
  /** Reports over paths of other groups omit its own, so it is asked itself. */
  ownReport: u8;
  resetStartNs: u64;
  /** `answeredNs` when the reset began. */
  resetAnsweredNs: u64;
  resetNotBeforeNs: u64;
  /** When it was found stalled. */
  stalledNs: u64;
  /** When the newest READ or other I/O that it has answered was sent. */
  answeredNs: u64;
  /** While stalled: earliest time for a piece that is already on another path; the pause after that. */
  probeNotBeforeNs: u64;
  probePauseNs: u64;
  /** Commands in the host that count as lost; when the first of them was sent. */
  lost: u32;
  lostNs: u64;
  /** Orphans that the host has, those included that can change nothing any more. */
  orphansHeld: u32;
  /** When control was last told of an unanswered command. */
  stallToldNs: u64;
  /** It did not answer I/O: its next health check is a READ, whatever TEST UNIT READY says. */
  silent: u8;
  /** Consecutive pieces that it refused and another path carried out; it has failed for that (refusal.ts). */
  refusals: u8;
  refuses: u8;
  /** Faults counted by intermittent-failure monitoring; its clean period, and when that ends or ended. */
  faults: u32;
  /** The number of the registration it waits for, 0: not asked for yet; why (REGISTRATION_*) (registration.ts). */
  registrationAsked: u32;
  registrationWhy: u32;
  /** PROOF_*: how far it is with the check after that registration was granted (registration.ts). */
  registrationProof: u8;
  /** Reservation conflicts that control was not told of; when it was last told of some. */
  conflicts: u32;
  conflictToldNs: u64;
  marginalPeriodNs: u64;
  marginalEndNs: u64;
}

/** Where in a path record the times of its last faults are. */
export const PATH_FAULT_TIMES: usize = 384;
export const PATH_FAULT_TIMES_MAX: u32 = 16;

/** One logical unit. The fields up to `slots7` are the ABI's. */
@unmanaged
export class Unit {
  flags: u32;
  paths: u32;
  usable: u32;
  policy: u32;
  blocks: u64;
  blockBytes: u32;
  requests: u32;
  waiting: u32;
  orphans: u32;
  answered: u64;
  failed: u64;
  latencyNsMax: u64;
  stallNs: u64;
  connections: u32;
  statistics: u32;
  slots0: v128;
  slots1: v128;
  slots2: v128;
  slots3: v128;
  slots4: v128;
  slots5: v128;
  slots6: v128;
  slots7: v128;
  // The core's own from here on.
  ioTimeoutNs: u64;
  noPathTimeoutNs: u64;
  stallMinNs: u64;
  stallMaxNs: u64;
  orphanResetNs: u64;
  lostResetNs: u64;
  /** Longest time the host gives a READ or WRITE; all ones: only the request's deadline. */
  commandTimeoutNs: u64;
  /** When the last usable path was lost; 0 while there is one. */
  noPathNs: u64;
  index: u32;
  selection: Selection;
  capabilities: u32;
  /** It may have a write cache although control has found none (cache.ts). */
  cacheUnverified: u32;
  /** It has lost acknowledged data, and no flush has failed for that yet (cache.ts). */
  dataLost: u32;
  /** Counts unit attentions that report a loss of power, and thus of a volatile cache's content (cache.ts). */
  powerLosses: u32;
  blockShift: u32;
  /** Largest piece of a READ or WRITE, UNMAP, WRITE SAME, in bytes. */
  transferBytes: u32;
  unmapBytes: u32;
  sameBytes: u32;
  parameter: u32;
  /** Slots that could get I/O if the better ones were gone (UNIT_USABLE is the best tier of them). */
  eligible: u32;
  /** Lower tiers of the eligible slots; each is used only when all above it are empty. */
  tier2: u32;
  tier3: u32;
  tier4: u32;
  tier5: u32;
  /** Eligible slots whose path is stalled. */
  stalled: u32;
  released: u32;
  /** Slots whose depth is used up. */
  full: u32;
  /** Handle of the path with the highest priority in use; all ones when none is. */
  inUsePath: u32;
  identityBytes: u32;
  /** Requests with pieces to be made, in order. */
  queueFirst: usize;
  queueLast: usize;
  /** Requests that wait for an orphan. */
  heldFirst: usize;
  heldLast: usize;
  /** Flows with waiting requests, in turn order: of small I/O, of everything else; their number (flows.ts). */
  smallFirst: usize;
  smallLast: usize;
  largeFirst: usize;
  largeLast: usize;
  /** Bytes of small I/O to be sent before the next large I/O, because large I/O went first the last time. */
  smallCredit: u32;
  flows: u32;
  /** Every request accepted and not answered, oldest first. */
  requestFirst: usize;
  requestLast: usize;
  /** Commands to be sent again as soon as a path takes them. */
  retryFirst: usize;
  retryLast: usize;
  /** Commands to be sent again after a pause, in time order. */
  delayedFirst: usize;
  delayedLast: usize;
  /** Commands in the host, oldest first. */
  flightFirst: usize;
  flightLast: usize;
  /** Link in the list of units with work to do at the end of the turn. */
  dirtyNext: usize;
  dirtyPrevious: usize;
  dirty: u32;
  /** Link in the list of units that found no command slot. */
  starvedNext: usize;
  starvedPrevious: usize;
  starved: u32;
  /** Why the last path was lost; whether control was told that requests wait. */
  noPathReason: u32;
  noPathTold: u32;
  queued: u32;
  retrying: u32;
  /** Orphans that could still change the medium. */
  harmful: u32;
  /** Accepted, unanswered requests that read the blocks around what they write (exclusive.ts). */
  exclusives: u32;
  /** Whether commands of an earlier daemon could change the medium, too; counts as one of them. */
  leftovers: u32;
  /** Request slots and buffer bytes that this unit's requests hold. */
  slotsHeld: u32;
  bytesHeld: u32;
  /** Connections waiting because the unit holds its share already. */
  shareFirst: usize;
  shareLast: usize;
  /** 99.9th percentile of the latencies, ns; latencies counted; how many until it is computed again. */
  percentileNs: u64;
  latencies: u32;
  learnIn: u32;
  /** The slowest recent command of each method from METHOD_SAME on, ns (long.ts). */
  slowest0: u64;
  slowest1: u64;
  slowest2: u64;
  slowest3: u64;
  /** When the last of them completed, and when that one had been sent. */
  longDoneNs: u64;
  longDoneSentNs: u64;
  /** How many of them are in the host. */
  longs: u32;
  /** When a piece of a zeroing or trim was last settled. */
  zeroedNs: u64;
  /** Estimated ns per MiB of data, and zeroed; bytes done of each; bytes in flight of each, and number of zeroings (pace.ts). */
  paceDataNs: u64;
  paceZeroNs: u64;
  paceDataDone: u64;
  paceZeroDone: u64;
  paceData: u64;
  paceZero: u64;
  paceZeroes: u32;
  /** Duration of a large command that is alone, and per MiB, and when that was measured; the same two of a zeroing. */
  paceLoneNs: u64;
  paceLoneMibNs: u64;
  paceLoneAtNs: u64;
  paceZeroLoneNs: u64;
  paceZeroLoneMibNs: u64;
  /** Shortest ns per MiB zeroed, for any size of piece; bytes of a piece on a shared core; when one was last sent or completed. */
  paceZeroBestNs: u64;
  zeroingBytes: u32;
  paceMovedNs: u64;
  /** Hedged reads: budget in hundredths of a percent. */
  hedgeBudget: u32;
  /** SET TARGET PORT GROUPS: when it is due (0: not called for), not before when, and the pause after the next one. */
  aluaSetNs: u64;
  aluaSetNotBeforeNs: u64;
  aluaPauseNs: u64;
  aluaExplicit: u32;
  patrolRead: u32;
  /** How long the device says that an implicit transition may take, ns; 0: it does not say. */
  transitionNs: u64;
  /** It does not know the extended header of REPORT TARGET PORT GROUPS; nor SYNCHRONIZE CACHE(16). */
  groupsPlain: u8;
  shortSync: u8;
  /** LACKS_* that control was told of. */
  lacksTold: u8;
  /** Requests got more time while they waited for the end of a transition. */
  putOff: u8;
  /** It does not know READ(16) and WRITE(16), but the shorter ones (short.ts). */
  shortIo: u8;
  /** Paths must be registered before they carry I/O; another host has preempted this one; others are registered, too (registration.ts). */
  registration: u8;
  preempted: u8;
  /** What was under way then, or what an earlier daemon left, may not be over. */
  draining: u8;
  shared: u8;
  /** Its reservation is for registrants (UNIT_SET_REGISTRANTS). */
  registrants: u8;
}

/** Where in a unit record the counts of its latencies are (stall.ts). */
export const UNIT_LATENCIES: usize = 1024;
export const STALL_BUCKETS: u32 = 184;

/** Where in a unit record its identity is. */
export const UNIT_IDENTITY: usize = UNIT_BYTES - IDENTITY_BYTES_MAX;

/** Compares the classes with abi.ts. */
export function checkTopology(): void {
  assert(offsetof<Path>("ios") === PATH_IOS && offsetof<Path>("lastSense") === PATH_LAST_SENSE);
  assert(offsetof<Path>("lastHostStatus") === PATH_LAST_HOST_STATUS && offsetof<Path>() <= PATH_BYTES);
  assert(
    offsetof<Path>("marginalSeconds") === PATH_MARGINAL_SECONDS && offsetof<Path>("statistics") === PATH_STATISTICS,
  );
  assert(offsetof<Unit>("blocks") === UNIT_BLOCKS && offsetof<Unit>("statistics") === UNIT_STATISTICS);
  assert(offsetof<Unit>("slots0") === UNIT_SLOTS && offsetof<Unit>() <= UNIT_LATENCIES);
  assert(UNIT_LATENCIES + 4 * STALL_BUCKETS <= UNIT_IDENTITY);
  assert(offsetof<Path>() <= PATH_FAULT_TIMES && PATH_FAULT_TIMES + 8 * PATH_FAULT_TIMES_MAX <= PATH_BYTES);
}
