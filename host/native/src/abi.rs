//! Generated from assembly/abi.ts by `npm run build:abi`. Do not edit.
#![allow(dead_code)]
/// Version of this interface. The host refuses a core with another version (export `abiVersion`).
pub const ABI_VERSION: u32 = 1;

// Limits
/// Maximum number of paths of a logical unit. Policies keep a set of paths as a 32-bit mask.
pub const PATHS_PER_UNIT_MAX: u32 = 32;
/// Largest transfer of one SCSI command in bytes, and the largest piece of a request.
pub const PIECE_BYTES_MAX: u32 = 1048576;
/// Largest value that `init` accepts as the limit of an NBD payload (READ or WRITE), in bytes; requests above that limit get EOVERFLOW or EINVAL.
pub const NBD_PAYLOAD_BYTES_MAX: u32 = 33554432;
/// Bytes of one page of the buffer pool; every data buffer is aligned to it.
pub const BUFFER_PAGE_BYTES: u32 = 4096;
/// Bytes of each connection's receive buffer for request headers and small payloads.
pub const CONNECTION_RECEIVE_BYTES: u32 = 65536;
/// Bytes of the scratch area through which control exchanges bulk data with the core (export `scratch`).
pub const SCRATCH_BYTES: u32 = 65536;
/// Longest identity (VPD page 0x83 designator as `type byte, code set byte, designator`) that the core stores, in bytes.
pub const IDENTITY_BYTES_MAX: u32 = 256;
/// Type byte of an identity that is a unit serial number (VPD page 0x80): this byte, 0, then the number as text without padding.
pub const IDENTITY_TYPE_SERIAL: u32 = 128;
/// From this size in bytes a command, or the rest of a request, counts as large: several clients take turns with it.
pub const LARGE_BYTES: u32 = 131072;
/// Bytes that a flow of a connection (small, large, zeroing) may send in each of its turns on a unit.
pub const FLOW_QUANTUM_BYTES: u32 = 262144;
/// Smallest and largest charge for one piece, in bytes: a small piece costs the device more than its bytes.
pub const FLOW_CHARGE_BYTES_MIN: u32 = 16384;
pub const FLOW_CHARGE_BYTES_MAX: u32 = 16777216;
/// How long after another connection's last request the core still counts as shared, in ms.
pub const PACE_SHARED_MS: u32 = 5000;
/// Limit of large commands in flight on a unit of a shared core, as estimated device time: at least in us, at most in ms.
pub const PACE_MIN_US: u32 = 1000;
pub const PACE_MAX_MS: u32 = 50;
/// How often one of them is sent alone, to measure how long one takes, in ms.
pub const PACE_LONE_MS: u32 = 1000;
/// When none of them has completed for at least this long, another one is sent nonetheless, in ms.
pub const PACE_PATIENCE_MS: u32 = 100;
/// Maximum number of pieces of zeroings and trims in flight on a unit, and on a unit of a shared core.
pub const ZEROING_PIECES_MAX: u32 = 16;
pub const ZEROING_SHARED_PIECES_MAX: u32 = 4;
/// A lone client may have more than two of them in flight only up to this much estimated device time, in ms.
pub const ZEROING_LONE_MS: u32 = 1000;
/// On a shared core: device time that one of them may take, in us; size of the first, the smallest and the largest piece.
pub const ZEROING_PIECE_US: u32 = 2000;
pub const ZEROING_PIECE_BYTES_FIRST: u32 = 8388608;
pub const ZEROING_PIECE_BYTES_MIN: u32 = 1048576;
pub const ZEROING_PIECE_BYTES_MAX: u32 = 67108864;
/// Sense bytes kept per command (SPC-4 4.5 allows 252; everything needed for classification is in the first 96).
pub const SENSE_BYTES_MAX: u32 = 96;

// Control block: the host's entry point (export `controlBlock` gives its address)
/// u64, host writes: CLOCK_MONOTONIC in ns; the core reads it at the start of every `run`.
pub const CONTROL_NOW_NS: u32 = 0;
/// u64, core writes: latest time at which `run` has to be called again, in ns; all ones when nothing is due.
pub const CONTROL_DEADLINE_NS: u32 = 8;
/// u64, host writes: seed of the core's random numbers; set once before `init`. The same seed gives the same decisions.
pub const CONTROL_SEED: u32 = 16;
/// Ring descriptor of submissions for the native ring (sockets, sg ports).
pub const CONTROL_NATIVE_QUEUE: u32 = 32;
/// Ring descriptor of SCSI submissions for the emulated array.
pub const CONTROL_ARRAY_QUEUE: u32 = 48;
/// Ring descriptor of completions from the native ring and the emulated array.
pub const CONTROL_COMPLETION_QUEUE: u32 = 64;
/// Ring descriptor of events for control.
pub const CONTROL_EVENT_QUEUE: u32 = 80;
/// u64, core writes: events lost because control did not drain the event ring in time.
pub const CONTROL_EVENTS_LOST: u32 = 96;
/// u64, host writes (optional): when the host last stopped working and began to wait; until then its work, not a silent device, delayed answers.
pub const CONTROL_WAITING_NS: u32 = 104;
/// Ring descriptor of the block door's entries (BLOCK_ENTRY_*), filled by the embedder. Capacity 0 until `blockInit`.
pub const CONTROL_BLOCK_ENTRIES: u32 = 112;
/// Ring descriptor of the block door's completions (BLOCK_COMPLETION_*), emptied by the embedder.
pub const CONTROL_BLOCK_COMPLETIONS: u32 = 128;
/// u32, core writes: bytes of the pool that belong to no request.
pub const CONTROL_POOL_FREE: u32 = 144;
/// Bytes of the control block.
pub const CONTROL_BYTES: u32 = 192;
/// u32, core writes at init: address of the first entry.
pub const RING_BASE: u32 = 0;
/// u32, core writes at init: number of entries, a power of two.
pub const RING_CAPACITY: u32 = 4;
/// u32, consumer writes: index of the next entry to take.
pub const RING_HEAD: u32 = 8;
/// u32, producer writes: index of the next entry to fill.
pub const RING_TAIL: u32 = 12;

// Submission entry (native queue and array queue)
/// u8: one of OP_*.
pub const SUBMISSION_OP: u32 = 0;
/// u8: SUBMISSION_FLAG_* bits.
pub const SUBMISSION_FLAGS: u32 = 1;
/// u32: returned in the op's only completion.
pub const SUBMISSION_TAG: u32 = 4;
/// u32: socket handle (RECV, SEND, CLOSE, WATCH) or port handle (SCSI, RESET).
pub const SUBMISSION_HANDLE: u32 = 8;
/// u32: RECV: address of the buffer. SEND: address of the table of gather entries. SCSI: address of the command slot.
pub const SUBMISSION_ADDRESS: u32 = 12;
/// u32: RECV: size of the buffer in bytes. SEND: number of gather entries. RESET: one of RESET_*.
pub const SUBMISSION_LENGTH: u32 = 16;
/// Bytes of a submission entry.
pub const SUBMISSION_BYTES: u32 = 32;
/// Receives up to `length` bytes into `address`. Result: bytes, 0 at end of stream, or a negated errno.
pub const OP_RECV: u32 = 1;
/// Sends every byte of the gather table (never a part: the host continues short writes). Result: bytes or a negated errno.
pub const OP_SEND: u32 = 2;
/// Executes the SCSI command in the slot. Result: 0 when a status was returned (whatever it is), or a negated errno.
pub const OP_SCSI: u32 = 3;
/// Shuts down the socket, lets its pending ops complete, then closes it. Result 0; no completion for this handle follows.
pub const OP_CLOSE: u32 = 4;
/// SG_SCSI_RESET with the scope in `length`. Result: 0 or a negated errno. May take seconds; never blocks the ring.
pub const OP_RESET: u32 = 5;
/// Result: 0 when the peer of the socket has closed it, even if bytes from it are unread, or at the latest with CLOSE. Or a negated errno.
pub const OP_WATCH: u32 = 6;
/// RECV: completes only when all `length` bytes have arrived (or the stream ends: then with the bytes received).
pub const SUBMISSION_FLAG_WAIT_ALL: u32 = 1;
/// SEND: nothing waits for this op's success; the host may report it together with the next completion (saves a turn).
pub const SUBMISSION_FLAG_LAZY: u32 = 2;
/// Scope of OP_RESET: the logical unit, the target, the host (values of SG_SCSI_RESET_* in <scsi/sg.h>).
pub const RESET_DEVICE: u32 = 1;
pub const RESET_HOST: u32 = 3;
pub const RESET_TARGET: u32 = 4;
/// Gather entry: u32 address.
pub const GATHER_ADDRESS: u32 = 0;
/// Gather entry: u32 length in bytes.
pub const GATHER_LENGTH: u32 = 4;
/// Bytes of a gather entry.
pub const GATHER_BYTES: u32 = 8;
/// Maximum number of gather entries of one SEND (IOV_MAX of the host is larger).
pub const GATHER_ENTRIES_MAX: u32 = 128;

// Completion entry
/// u32: the tag of the submission.
pub const COMPLETION_TAG: u32 = 0;
/// i32: result as the op defines it.
pub const COMPLETION_RESULT: u32 = 4;
/// u64: CLOCK_MONOTONIC in ns when the host noticed the completion.
pub const COMPLETION_TIME_NS: u32 = 8;
/// Bytes of a completion entry.
pub const COMPLETION_BYTES: u32 = 16;

// Command slot: one SCSI command on one path
/// u8[16]: the command descriptor block.
pub const COMMAND_CDB: u32 = 0;
/// u8: length of the CDB (6, 10, 12 or 16).
pub const COMMAND_CDB_BYTES: u32 = 16;
/// u8: DIRECTION_*.
pub const COMMAND_DIRECTION: u32 = 17;
/// u8, host writes: SCSI status (SAM-5 5.3.1).
pub const COMMAND_STATUS: u32 = 18;
/// u8, host writes: number of valid sense bytes, at most SENSE_BYTES_MAX.
pub const COMMAND_SENSE_BYTES: u32 = 19;
/// u16, host writes: host status (DID_* of the Linux SCSI midlayer).
pub const COMMAND_HOST_STATUS: u32 = 20;
/// u16, host writes: driver status (DRIVER_* of the Linux SCSI midlayer).
pub const COMMAND_DRIVER_STATUS: u32 = 22;
/// u32: address of the data buffer, a multiple of BUFFER_PAGE_BYTES; 0: no data.
pub const COMMAND_BUFFER: u32 = 24;
/// u32: bytes to transfer.
pub const COMMAND_BUFFER_BYTES: u32 = 28;
/// i32, host writes: bytes requested but not transferred (negative: overrun).
pub const COMMAND_RESIDUAL: u32 = 32;
/// u32: time in ms after which the host may give up the command (it then completes with DID_TIME_OUT).
pub const COMMAND_TIMEOUT_MS: u32 = 36;
/// u8[SENSE_BYTES_MAX], host writes: sense data in fixed or descriptor format.
pub const COMMAND_SENSE: u32 = 40;
/// The rest of the slot belongs to the core; the host neither reads nor writes it.
pub const COMMAND_PRIVATE: u32 = 136;
/// No data phase.
pub const DIRECTION_NONE: u32 = 0;
/// Data from the device (READ).
pub const DIRECTION_IN: u32 = 1;
/// Data to the device (WRITE).
pub const DIRECTION_OUT: u32 = 2;

// Event entry
/// u16: one of EVENT_*.
pub const EVENT_KIND: u32 = 0;
/// u16: reason, one of REASON_*.
pub const EVENT_REASON: u32 = 2;
/// u32: unit handle; all ones: none.
pub const EVENT_UNIT: u32 = 4;
/// u32: path handle; all ones: none.
pub const EVENT_PATH: u32 = 8;
/// u32: meaning depends on the kind.
pub const EVENT_ARG0: u32 = 12;
/// u32: meaning depends on the kind.
pub const EVENT_ARG1: u32 = 16;
/// u64: time of the event, CLOCK_MONOTONIC in ns.
pub const EVENT_TIME_NS: u32 = 24;
/// u8[4]: SCSI status, sense key, ASC, ASCQ of the outcome that caused the event (zero: none).
pub const EVENT_SENSE: u32 = 32;
/// u16: host status of the outcome that caused the event.
pub const EVENT_HOST_STATUS: u32 = 36;
/// Bytes of an event entry.
pub const EVENT_BYTES: u32 = 40;
/// A path's health, enabled state or conditions changed. arg0: flags before, arg1: flags after (PATH_FLAG_*).
pub const EVENT_PATH_STATE: u32 = 1;
/// A unit leaves its path in use because of a fault (message 257).
pub const EVENT_FAILOVER_STARTED: u32 = 2;
/// A unit now uses another path (message 258). path: the new one, arg0: the old one.
pub const EVENT_FAILOVER_DONE: u32 = 3;
/// The unit has no path left (message 259).
pub const EVENT_FAILOVER_FAILED: u32 = 4;
/// An I/O failed on a path (message 270).
pub const EVENT_PATH_ERROR_IO: u32 = 5;
/// A check of a path failed (message 271).
pub const EVENT_PATH_ERROR_CHECK: u32 = 6;
/// A recovery check succeeded; automatic failback of the path begins (message 272).
pub const EVENT_FAILBACK_STARTED: u32 = 7;
/// Failback of the path is complete (message 273 when automatic, 263 when by hand; see the reason).
pub const EVENT_FAILBACK_DONE: u32 = 8;
/// Failback of the path failed (message 262).
pub const EVENT_FAILBACK_FAILED: u32 = 9;
/// The path leads to a logical unit other than its own; it gets no I/O.
pub const EVENT_WRONG_UNIT: u32 = 10;
/// Requests of the unit wait because no path is usable. arg0: how long they may wait in ms, arg1: 1 while port groups are in transition.
pub const EVENT_NO_PATH_WAITING: u32 = 11;
/// Requests of the unit failed because no path became usable in time, or by release. arg0: how many.
pub const EVENT_NO_PATH_FAILED: u32 = 12;
/// The device reported a changed capacity; control reads it again.
pub const EVENT_CAPACITY_CHANGED: u32 = 13;
/// A path's asymmetric access state changed. arg0: state before, arg1: state after (ALUA_*).
pub const EVENT_ALUA_CHANGED: u32 = 14;
/// A command got no answer within the stall threshold and was sent again on another path. arg0: threshold in us.
pub const EVENT_STALL: u32 = 15;
/// An orphan was settled. arg0: how (SETTLED_*), arg1: its age in ms.
pub const EVENT_ORPHAN_SETTLED: u32 = 16;
/// A connection is closed and its handle free. arg0: connection handle, arg1: negated errno or 0.
pub const EVENT_CONNECTION_CLOSED: u32 = 17;
/// The device's inventory or parameters changed (unit attention 3F/0E, 2A/01, ...); control scans it again.
pub const EVENT_INQUIRY_CHANGED: u32 = 18;
/// Intermittent-failure monitoring took a path out of use early, or returned it to use. arg0: 1 out, 0 back; arg1: clean period in s.
pub const EVENT_MARGINAL: u32 = 19;
/// A path that shares a component with a failed one is suspected until a probe is answered. arg0: 1 suspected, 0 cleared.
pub const EVENT_SUSPECT: u32 = 20;
/// Explicit ALUA: SET TARGET PORT GROUPS was sent. arg0: group, arg1: 1 accepted, 0 refused.
pub const EVENT_ALUA_SET: u32 = 21;
/// The device lost data that it had acknowledged. arg0: 1 reported by a deferred error, 0 by its answer to a flush.
pub const EVENT_DATA_LOST: u32 = 22;
/// The device rejects a command or flag that it was assumed to support; the core does without. Reported once. arg0: one of LACKS_*.
pub const EVENT_LACKS: u32 = 23;
/// A thin unit has reached its soft threshold: its array is running out of space (unit attention 38/07, reported to each path once).
pub const EVENT_THIN_THRESHOLD: u32 = 24;
/// A client of the block door is gone: it has nothing in progress and no lent buffers any more. arg0: its handle.
pub const EVENT_BLOCK_CLOSED: u32 = 25;
/// A fault that other cores may share (MODE_TELLS_SHARERS; the arguments of `sharedFault`). Reason: silent; arg0: initiator port, arg1: target port, in the place of sense data: controller.
pub const EVENT_SHARED_FAULT: u32 = 26;
/// A suspect of a nexus has answered, for the same cores (`sharedAnswer`). arg0: initiator port, arg1: target port.
pub const EVENT_SHARED_ANSWER: u32 = 27;
/// A path waits for its registration (UNIT_SET_REGISTRATION), once its identity is known. arg0: why (REGISTRATION_*), arg1: the number that PATH_SET_REGISTERED gives back.
pub const EVENT_REGISTRATION_ASKED: u32 = 28;
/// The device refused a command for another host's reservation; no path is blamed. At most ten a second for each path. arg0: how many since the last one.
pub const EVENT_RESERVATION_CONFLICT: u32 = 29;
/// Why a path waits for its registration: it was added, has recovered, leads to its unit again.
pub const REGISTRATION_ADDED: u32 = 1;
pub const REGISTRATION_BACK: u32 = 2;
pub const REGISTRATION_IDENTITY: u32 = 3;
/// It reported a reset, a power-on or a lost nexus (29/xx); reservations or registrations preempted or released (2A/03, 2A/04, 2A/05).
pub const REGISTRATION_RESET: u32 = 4;
pub const REGISTRATION_PREEMPTED: u32 = 5;
/// By control: UNIT_SET_REGISTRATION 2, PATH_SET_REGISTERED 0, or the end of UNIT_SET_PREEMPTED.
pub const REGISTRATION_CONTROL: u32 = 6;
/// SYNCHRONIZE CACHE: the device reported nothing about a cache, so it has none.
pub const LACKS_SYNCHRONIZE_CACHE: u32 = 1;
/// Force unit access in WRITE: a flush follows instead if there is a cache.
pub const LACKS_FUA: u32 = 2;
/// By an operator's command.
pub const REASON_OPERATOR: u32 = 1;
/// By an I/O's outcome.
pub const REASON_IO: u32 = 2;
/// By a health check or recovery check.
pub const REASON_PATROL: u32 = 3;
/// By an ALUA state.
pub const REASON_ALUA: u32 = 4;
/// By a missing answer.
pub const REASON_TIMEOUT: u32 = 5;
/// By the identity check.
pub const REASON_IDENTITY: u32 = 6;
/// By the fault of a shared component (the same initiator port, target port or controller).
pub const REASON_SHARED_COMPONENT: u32 = 7;
/// By intermittent-failure monitoring.
pub const REASON_MARGINAL: u32 = 8;
/// By a reservation: the path waits for its registration, or the unit was preempted.
pub const REASON_RESERVATION: u32 = 9;

// Path record (export `pathTable` + handle * PATH_BYTES): what a display needs
/// u32: PATH_FLAG_* bits.
pub const PATH_FLAGS: u32 = 0;
/// u32: handle of its unit.
pub const PATH_UNIT: u32 = 4;
/// u16: priority 1..254.
pub const PATH_PRIORITY: u32 = 8;
/// u8: ALUA_* state.
pub const PATH_ALUA: u32 = 10;
/// u8: slot within its unit, 0..31.
pub const PATH_SLOT: u32 = 11;
/// u32: commands in flight now.
pub const PATH_IN_FLIGHT: u32 = 12;
/// u32: maximum number of commands in flight; lowered by BUSY / TASK SET FULL.
pub const PATH_DEPTH: u32 = 16;
/// u32: weight for the policies that use one (service time, weighted).
pub const PATH_WEIGHT: u32 = 20;
/// u64: I/O commands that succeeded.
pub const PATH_IOS: u32 = 24;
/// u64: bytes read by them.
pub const PATH_BYTES_READ: u32 = 32;
/// u64: bytes written by them.
pub const PATH_BYTES_WRITTEN: u32 = 40;
/// u64: I/O commands that failed because of the path.
pub const PATH_ERRORS: u32 = 48;
/// u64: I/O commands that were sent again on the same path.
pub const PATH_RETRIES: u32 = 56;
/// u64: checks (TUR or READ) made by patrol.
pub const PATH_CHECKS: u32 = 64;
/// u64: when a command last completed on the path, ns; 0: never.
pub const PATH_LAST_ANSWER_NS: u32 = 72;
/// u64: when the health last changed, ns.
pub const PATH_SINCE_NS: u32 = 80;
/// u32: learned service time in ns (0 until learned).
pub const PATH_SERVICE_NS: u32 = 88;
/// u32: unsettled orphans (commands whose request went on elsewhere).
pub const PATH_ORPHANS: u32 = 92;
/// u8[4]: status, sense key, ASC, ASCQ of the last outcome that counted against the path.
pub const PATH_LAST_SENSE: u32 = 96;
/// u16: host status of that outcome.
pub const PATH_LAST_HOST_STATUS: u32 = 100;
/// u32: seconds of clean service that a marginal path still has to show; 0: it waits for an operator.
pub const PATH_MARGINAL_SECONDS: u32 = 104;
/// u32: address of this path's statistics (STATISTICS_*); 0: none.
pub const PATH_STATISTICS: u32 = 108;
/// Bytes between path records; everything after the fields above belongs to the core.
pub const PATH_BYTES: u32 = 512;
/// The record is in use.
pub const PATH_FLAG_PRESENT: u32 = 1;
/// Enabled (an operator's `-avail`).
pub const PATH_FLAG_ENABLED: u32 = 2;
/// Failed: unusable because of a fault.
pub const PATH_FLAG_FAILED: u32 = 4;
/// In use: currently selected by the policy; displayed as `>`.
pub const PATH_FLAG_IN_USE: u32 = 8;
/// Leads to another logical unit.
pub const PATH_FLAG_WRONG_UNIT: u32 = 16;
/// Suspected because of a shared component.
pub const PATH_FLAG_SUSPECT: u32 = 32;
/// Marginal: used only as a last resort, until an operator clears it or it has shown a clean period.
pub const PATH_FLAG_MARGINAL: u32 = 64;
/// Stalled: a command has been unanswered for longer than the stall threshold.
pub const PATH_FLAG_STALLED: u32 = 128;
/// Being removed: gets no new commands; the handle is free when the last one has completed.
pub const PATH_FLAG_REMOVING: u32 = 256;
/// Its identity has not been checked yet; it gets no I/O until then.
pub const PATH_FLAG_UNVERIFIED: u32 = 512;
/// It has to be registered before it carries I/O (UNIT_SET_REGISTRATION); checks go on.
pub const PATH_FLAG_UNREGISTERED: u32 = 1024;
/// ALUA access states (SPC-4 table 307).
pub const ALUA_OPTIMIZED: u32 = 0;
pub const ALUA_NON_OPTIMIZED: u32 = 1;
pub const ALUA_STANDBY: u32 = 2;
pub const ALUA_UNAVAILABLE: u32 = 3;
pub const ALUA_OFFLINE: u32 = 14;
pub const ALUA_TRANSITIONING: u32 = 15;
/// Not reported yet: the path takes I/O when no path is known to be optimized.
pub const ALUA_UNKNOWN: u32 = 16;

// Unit record (export `unitTable` + handle * UNIT_BYTES)
/// u32: UNIT_FLAG_* bits.
pub const UNIT_FLAGS: u32 = 0;
/// u32: mask of the path slots in use.
pub const UNIT_PATHS: u32 = 4;
/// u32: mask of the path slots that may get I/O now.
pub const UNIT_USABLE: u32 = 8;
/// u32: POLICY_*.
pub const UNIT_POLICY: u32 = 12;
/// u64: number of blocks.
pub const UNIT_BLOCKS: u32 = 16;
/// u32: block size in bytes.
pub const UNIT_BLOCK_BYTES: u32 = 24;
/// u32: requests accepted and not yet answered.
pub const UNIT_REQUESTS: u32 = 28;
/// u32: pieces that wait because no path is usable.
pub const UNIT_WAITING: u32 = 32;
/// u32: unsettled orphans.
pub const UNIT_ORPHANS: u32 = 36;
/// u64: requests answered without error.
pub const UNIT_ANSWERED: u32 = 40;
/// u64: requests answered with an error.
pub const UNIT_FAILED: u32 = 48;
/// u64: longest time from a request's acceptance to its answer, ns, since the last reset of the statistics.
pub const UNIT_LATENCY_NS_MAX: u32 = 56;
/// u64: current stall threshold, ns.
pub const UNIT_STALL_NS: u32 = 64;
/// u32: open connections.
pub const UNIT_CONNECTIONS: u32 = 72;
/// u32: address of this unit's statistics; 0: none.
pub const UNIT_STATISTICS: u32 = 76;
/// u32[32]: path handle in each slot; all ones: none.
pub const UNIT_SLOTS: u32 = 80;
/// Bytes between unit records; everything after the fields above belongs to the core.
pub const UNIT_BYTES: u32 = 2048;
/// The record is in use.
pub const UNIT_FLAG_PRESENT: u32 = 1;
/// Released: requests fail at once until a path is usable.
pub const UNIT_FLAG_RELEASED: u32 = 4;
/// Preempted (UNIT_SET_PREEMPTED): requests fail with EPERM, and no I/O is sent.
pub const UNIT_FLAG_PREEMPTED: u32 = 8;
/// Block size in bytes: 512 or 4096.
pub const UNIT_SET_BLOCK_BYTES: u32 = 1;
/// Number of blocks.
pub const UNIT_SET_BLOCKS: u32 = 2;
/// Largest transfer in blocks (VPD B0, sg limits); 0: limited by PIECE_BYTES_MAX only.
pub const UNIT_SET_TRANSFER_BLOCKS_MAX: u32 = 3;
/// UNIT_CAN_* bits: capabilities of the device.
pub const UNIT_SET_CAPABILITIES: u32 = 4;
/// Largest UNMAP in blocks (VPD B0); 0: the device reports no limit.
pub const UNIT_SET_UNMAP_BLOCKS_MAX: u32 = 5;
/// Largest WRITE SAME in blocks (VPD B0); 0: the device reports no limit.
pub const UNIT_SET_WRITE_SAME_BLOCKS_MAX: u32 = 6;
/// POLICY_*. Takes effect with the next I/O.
pub const UNIT_SET_POLICY: u32 = 7;
/// Parameter of the current policy (its meaning depends on the policy: n of "every n I/Os", a percentage, a mask).
pub const UNIT_SET_POLICY_PARAMETER: u32 = 8;
/// Deadline of one I/O in ms, counted from its acceptance.
pub const UNIT_SET_IO_TIMEOUT_MS: u32 = 9;
/// How long requests wait while no path is usable, in ms; 0 fails them at once.
pub const UNIT_SET_NO_PATH_TIMEOUT_MS: u32 = 10;
/// Lower and upper bound of the learned stall threshold, in ms; upper 0 turns the stall rule off.
pub const UNIT_SET_STALL_MIN_MS: u32 = 11;
pub const UNIT_SET_STALL_MAX_MS: u32 = 12;
/// Time in ms after which an orphan is settled by a reset, whatever the state of its path; 0: never for that reason.
pub const UNIT_SET_ORPHAN_RESET_MS: u32 = 13;
/// 1: explicit ALUA (SET TARGET PORT GROUPS) allowed.
pub const UNIT_SET_ALUA_EXPLICIT: u32 = 14;
/// Hedged reads: budget in hundredths of a percent of the reads; 0: off.
pub const UNIT_SET_HEDGE_BUDGET: u32 = 15;
/// 1: waiting requests fail now, and new ones until a path is usable again (`pathctl unit release`).
pub const UNIT_SET_RELEASED: u32 = 16;
/// Second parameter of the current policy.
pub const UNIT_SET_POLICY_PARAMETER_2: u32 = 17;
/// 1: patrol checks with a READ of the first block instead of TEST UNIT READY.
pub const UNIT_SET_PATROL_READ: u32 = 18;
/// Any value: resets UNIT_LATENCY_NS_MAX and the histograms.
pub const UNIT_SET_STATISTICS_RESET: u32 = 19;
/// Time in ms, and 20 x p99.9, after which a lost command that I/O waits for is settled by LOGICAL UNIT RESET; 0: never.
pub const UNIT_SET_LOST_RESET_MS: u32 = 20;
/// Time in ms after which the host ends an unanswered READ or WRITE (Linux: ABORT TASK); 0: at its request's deadline.
pub const UNIT_SET_COMMAND_TIMEOUT_MS: u32 = 21;
/// 1: commands of an earlier daemon are in flight and may still change the medium: whatever writes waits. 0: no longer.
pub const UNIT_SET_LEFTOVERS: u32 = 22;
/// Paths must be registered before they carry I/O. 0: no. 1: those that are added or recover from now on, or report a reset or a preemption. 2: the present ones, too.
pub const UNIT_SET_REGISTRATION: u32 = 23;
/// 1: another host has preempted this one's registration: requests fail with EPERM, those in flight too, and nothing more is sent. 0: paths ask for their registration anew.
pub const UNIT_SET_PREEMPTED: u32 = 24;
/// 1: other hosts are registered on the unit, too: LOGICAL UNIT RESET, which ends their commands as well, waits four times as long.
pub const UNIT_SET_SHARED: u32 = 25;
/// 1: the unit's reservation is for registrants, and this host is one: cluster mode lets it balance. Ends by itself, with its policy (static), when a device reports a conflict, a reset or a preemption.
pub const UNIT_SET_REGISTRANTS: u32 = 26;
/// The unit refuses writes (write-protected medium).
pub const UNIT_CAN_NOT_WRITE: u32 = 1;
/// UNMAP (VPD B2 LBPU).
pub const UNIT_CAN_UNMAP: u32 = 2;
/// WRITE SAME(16) with zeroes.
pub const UNIT_CAN_WRITE_SAME: u32 = 4;
/// WRITE SAME(16) with the UNMAP bit (VPD B2 LBPWS) and unmapped blocks read as zeroes (LBPRZ).
pub const UNIT_CAN_WRITE_SAME_UNMAP: u32 = 8;
/// FUA bit in WRITE (MODE SENSE DPOFUA).
pub const UNIT_CAN_FUA: u32 = 16;
/// A volatile write cache (mode page 08h WCE); without one a flush needs no command.
pub const UNIT_CAN_CACHE_WRITES: u32 = 32;
/// ALUA: REPORT TARGET PORT GROUPS (INQUIRY TPGS implicit or explicit).
pub const UNIT_CAN_ALUA: u32 = 64;
/// GET LBA STATUS is useful: the unit is thin, and unmapped blocks read as zeroes (LBPME, LBPRZ).
pub const UNIT_CAN_LBA_STATUS: u32 = 128;
/// With UNIT_CAN_CACHE_WRITES: the device reports nothing about a cache; it has none if it does not support SYNCHRONIZE CACHE either.
pub const UNIT_CAN_ASSUMED_CACHE: u32 = 256;
/// Priority 1..254, unique in the unit.
pub const PATH_SET_PRIORITY: u32 = 1;
/// 1 enabled, 0 disabled.
pub const PATH_SET_ENABLED: u32 = 2;
/// Maximum number of commands in flight.
pub const PATH_SET_DEPTH: u32 = 3;
/// Weight for policies.
pub const PATH_SET_WEIGHT: u32 = 4;
/// ALUA state as read by control (the core tracks it from then on).
pub const PATH_SET_ALUA: u32 = 5;
/// Target port group of the path (SPC-4 6.37); its relative target port identifier in the high half.
pub const PATH_SET_TARGET_PORT_GROUP: u32 = 6;
/// Handles of the components that the path uses, equal where they are shared: initiator port, target port, controller.
pub const PATH_SET_INITIATOR_PORT: u32 = 7;
pub const PATH_SET_TARGET_PORT: u32 = 8;
pub const PATH_SET_CONTROLLER: u32 = 9;
/// 1: failed by control (its device is gone), 0: failback after the checks (`-failback`).
pub const PATH_SET_FAILED: u32 = 10;
/// 1: an operator clears a marginal path; it is used like any other.
pub const PATH_SET_CLEAR_MARGINAL: u32 = 11;
/// Number of faults, at most 16, known to control from before the path was added (its device was present earlier and disappeared).
pub const PATH_SET_FAULTS: u32 = 12;
/// 1: control received a unit attention after which the path may lead to another unit; its identity is checked before its next I/O.
pub const PATH_SET_UNVERIFIED: u32 = 13;
/// arg1 of the path's last EVENT_REGISTRATION_ASKED: it is registered now, and carries I/O once a check finds that the device has no unit attention left to tell; ERROR_NOT_ASKED if it was asked anew meanwhile. 0: its registration may be gone.
pub const PATH_SET_REGISTERED: u32 = 14;
/// FAILBACK_MODE_*.
pub const MODE_FAILBACK: u32 = 1;
/// Cluster mode ("MSCS"), 0 or 1. On: static policies only, but where UNIT_SET_REGISTRANTS holds; a command that changes the medium is not sent again while the first one may still be executed.
pub const MODE_CLUSTER: u32 = 2;
/// Path patrol: 0 none, 1 health, 2 recovery, 3 both.
pub const MODE_PATROL: u32 = 3;
/// Path patrol: request interval, threshold, timeout in ms.
pub const MODE_PATROL_INTERVAL_MS: u32 = 4;
pub const MODE_PATROL_THRESHOLD_MS: u32 = 5;
pub const MODE_PATROL_TIMEOUT_MS: u32 = 6;
/// Intermittent-failure monitoring: 1 on, 0 off.
pub const MODE_MARGINAL: u32 = 7;
/// A path is taken out after this many counts (retries that helped, and failures) ...
pub const MODE_MARGINAL_COUNT: u32 = 8;
/// ... within this many seconds.
pub const MODE_MARGINAL_WINDOW_S: u32 = 9;
/// First clean period in seconds, which doubles each time; 0: a marginal path waits for an operator.
pub const MODE_MARGINAL_CLEAN_S: u32 = 10;
/// Whether the host is told of faults and answers that concern other cores: 0 or 1, 0 at first.
pub const MODE_TELLS_SHARERS: u32 = 11;
/// A recovered path is enabled and, if it has the highest priority, used.
pub const FAILBACK_MODE_ACTIVE: u32 = 0;
/// A recovered path stays disabled until an operator enables it.
pub const FAILBACK_MODE_STANDBY: u32 = 1;
/// Policies.
pub const POLICY_STATIC: u32 = 0;
pub const POLICY_ROUND_ROBIN: u32 = 1;
pub const POLICY_LEAST_SECTORS: u32 = 2;
pub const POLICY_ADAPTIVE: u32 = 3;
pub const POLICY_ROUND_ROBIN_SUBSET: u32 = 4;
pub const POLICY_LEAST_IN_FLIGHT: u32 = 5;
pub const POLICY_SERVICE_TIME: u32 = 6;
pub const POLICY_HISTORICAL_SERVICE_TIME: u32 = 7;
pub const POLICY_WEIGHTED: u32 = 8;
pub const POLICY_AFFINITY: u32 = 9;
pub const POLICY_POWER_OF_TWO: u32 = 10;
pub const POLICY_COUNT: u32 = 11;
/// How an orphan was settled: it completed, a reset ended it, or its path was removed.
pub const SETTLED_COMPLETED: u32 = 1;
pub const SETTLED_RESET: u32 = 2;
pub const SETTLED_REMOVED: u32 = 3;

// `connectionAdd` flags
/// The client negotiated structured replies.
pub const CONNECTION_STRUCTURED: u32 = 1;
/// The export was negotiated read-only.
pub const CONNECTION_READ_ONLY: u32 = 2;
/// NBD_FLAG_SEND_FAST_ZERO was advertised.
pub const CONNECTION_FAST_ZERO: u32 = 4;
/// NBD_FLAG_SEND_TRIM was advertised.
pub const CONNECTION_TRIM: u32 = 8;
/// The client did not request block sizes: its requests may be unaligned.
pub const CONNECTION_UNALIGNED: u32 = 16;
/// The client negotiated extended headers (and thus structured replies).
pub const CONNECTION_EXTENDED: u32 = 32;
/// The client selected the metadata context base:allocation.
pub const CONNECTION_ALLOCATION: u32 = 64;

// Operations and their flags, with NBD's numbers, which the block door uses as well
/// Reads blocks.
pub const OPERATION_READ: u32 = 0;
/// Writes blocks.
pub const OPERATION_WRITE: u32 = 1;
/// When this is answered, everything answered before is on the medium. Offset and length 0.
pub const OPERATION_FLUSH: u32 = 3;
/// A hint: the contents of these blocks are no longer needed.
pub const OPERATION_TRIM: u32 = 4;
/// Makes blocks read as zeroes, without data.
pub const OPERATION_WRITE_ZEROES: u32 = 6;
/// Answered only when the written data is on the medium.
pub const OPERATION_FLAG_FUA: u32 = 1;
/// WRITE_ZEROES: the blocks stay allocated.
pub const OPERATION_FLAG_NO_HOLE: u32 = 2;
/// WRITE_ZEROES: fails with ENOTSUP where it would be no faster than writing zeroes.
pub const OPERATION_FLAG_FAST_ZERO: u32 = 16;

// Block door: requests without NBD (docs/block-door.md)
/// Largest READ or WRITE of the block door in bytes; its buffer is contiguous. TRIM and WRITE_ZEROES may be longer.
pub const BLOCK_BYTES_MAX: u32 = 1048576;
/// Maximum number of clients of the block door (`blockInit`), and of requests in progress, of all clients together.
pub const BLOCK_CLIENTS_MAX: u32 = 4096;
pub const BLOCK_TAGS_MAX: u32 = 65536;
/// `blockOpen` flag: writes fail with EPERM.
pub const BLOCK_READ_ONLY: u32 = 1;
/// u8: OPERATION_*, BLOCK_FETCHED or BLOCK_RELEASE.
pub const BLOCK_ENTRY_OPERATION: u32 = 0;
/// u8: OPERATION_FLAG_* bits.
pub const BLOCK_ENTRY_FLAGS: u32 = 1;
/// u32: identifies the request until it is over, below the `tags` of `blockInit`; all clients share one number space.
pub const BLOCK_ENTRY_TAG: u32 = 4;
/// u32: the handle returned by `blockOpen`.
pub const BLOCK_ENTRY_CLIENT: u32 = 8;
/// u32: READ, WRITE: address of the data in the embedder's region, a multiple of BUFFER_PAGE_BYTES; 0: the core lends a buffer.
pub const BLOCK_ENTRY_BUFFER: u32 = 12;
/// u64: offset in bytes, a multiple of the unit's block size.
pub const BLOCK_ENTRY_OFFSET: u32 = 16;
/// u64: length in bytes, a multiple of the unit's block size.
pub const BLOCK_ENTRY_LENGTH: u32 = 24;
/// Bytes of an entry.
pub const BLOCK_ENTRY_BYTES: u32 = 32;
/// The data of a WRITE is in the buffer lent by BLOCK_FETCH. Only tag and client are used.
pub const BLOCK_FETCHED: u32 = 16;
/// Returns a lent buffer: of a READ, its data was taken; of a WRITE that waits for its data, there will be none (ECANCELED).
pub const BLOCK_RELEASE: u32 = 17;
/// u32: the tag of the entry.
pub const BLOCK_COMPLETION_TAG: u32 = 0;
/// u32: errno; 0: success.
pub const BLOCK_COMPLETION_ERROR: u32 = 4;
/// u8: BLOCK_ANSWER, BLOCK_FETCH, BLOCK_RETURNED or BLOCK_REFUSED.
pub const BLOCK_COMPLETION_KIND: u32 = 8;
/// u8: BLOCK_LENT and BLOCK_HELD bits.
pub const BLOCK_COMPLETION_FLAGS: u32 = 9;
/// u32: address of the data (successful READ), or for it (FETCH). Error: the device's sense, if it is its answer (key, ASC << 8, ASCQ << 16).
pub const BLOCK_COMPLETION_ADDRESS: u32 = 12;
/// u32: contiguous bytes at this address; `blockData` gives the location of the rest.
pub const BLOCK_COMPLETION_LENGTH: u32 = 16;
/// u32: the client of the entry.
pub const BLOCK_COMPLETION_CLIENT: u32 = 20;
/// Bytes of a completion.
pub const BLOCK_COMPLETION_BYTES: u32 = 24;
/// The answer to the request, given once. Without BLOCK_LENT and BLOCK_HELD its tag is free.
pub const BLOCK_ANSWER: u32 = 1;
/// A WRITE without a buffer of its own: store its data at the address, then submit BLOCK_FETCHED. Its deadline counts from then on.
pub const BLOCK_FETCH: u32 = 2;
/// After an answer with BLOCK_HELD: the request's own buffer is no longer accessed.
pub const BLOCK_RETURNED: u32 = 3;
/// The entry was invalid and had no effect; a request that uses its tag continues.
pub const BLOCK_REFUSED: u32 = 4;
/// The data is in the core's buffer, which stays lent until BLOCK_RELEASE.
pub const BLOCK_LENT: u32 = 1;
/// An unanswered command may still read or write the request's own buffer; BLOCK_RETURNED follows.
pub const BLOCK_HELD: u32 = 2;

// Errors that exports return (negative numbers; 0 or more is success)
/// The handle is not in use.
pub const ERROR_HANDLE: u32 = 1;
/// The value is out of range.
pub const ERROR_RANGE: u32 = 2;
/// No room: the table is full.
pub const ERROR_LIMIT: u32 = 3;
/// Another path of the unit already has this priority.
pub const ERROR_PRIORITY_IN_USE: u32 = 4;
/// Refused while cluster mode is on.
pub const ERROR_CLUSTER_MODE: u32 = 5;
/// Unknown property.
pub const ERROR_PROPERTY: u32 = 6;
/// The path is not failed.
pub const ERROR_NOT_FAILED: u32 = 7;
/// Still in use (by connections, paths or requests).
pub const ERROR_BUSY: u32 = 8;
/// The path does not wait for this registration, or not any more.
pub const ERROR_NOT_ASKED: u32 = 9;

// Statistics of a path or a unit (PATH_STATISTICS, UNIT_STATISTICS give the address)
/// u64: completed reads.
pub const STATISTICS_READS: u32 = 0;
/// u64: completed writes.
pub const STATISTICS_WRITES: u32 = 8;
/// u64: bytes read by them.
pub const STATISTICS_BYTES_READ: u32 = 16;
/// u64: bytes written by them.
pub const STATISTICS_BYTES_WRITTEN: u32 = 24;
/// u64: sum of the reads' latencies, ns.
pub const STATISTICS_LATENCY_SUM_READ_NS: u32 = 32;
/// u64: sum of the writes' latencies, ns.
pub const STATISTICS_LATENCY_SUM_WRITE_NS: u32 = 40;
/// u64: longest latency of a read, ns.
pub const STATISTICS_LATENCY_MAX_READ_NS: u32 = 48;
/// u64: longest latency of a write, ns.
pub const STATISTICS_LATENCY_MAX_WRITE_NS: u32 = 56;
/// u64: errors.
pub const STATISTICS_ERRORS: u32 = 64;
/// u64: commands sent again on the same path.
pub const STATISTICS_RETRIES: u32 = 72;
/// u64: reads sent a second time on another path because the first was late.
pub const STATISTICS_HEDGES: u32 = 80;
/// u64: hedges whose second answer came first.
pub const STATISTICS_HEDGES_WON: u32 = 88;
/// u64[STATISTICS_BUCKETS]: reads by latency.
pub const STATISTICS_HISTOGRAM_READ: u32 = 96;
/// u64[STATISTICS_BUCKETS]: writes by latency.
pub const STATISTICS_HISTOGRAM_WRITE: u32 = 1888;
/// Bytes of a statistics record.
pub const STATISTICS_BYTES: u32 = 3680;
/// Number of buckets of a histogram. Bucket 0: below 2^STATISTICS_OCTAVE_FIRST ns. The last one: everything longer.
pub const STATISTICS_BUCKETS: u32 = 224;
/// Number of buckets, of equal width, between one power of two of ns and the next.
pub const STATISTICS_BUCKETS_PER_OCTAVE: u32 = 8;
/// Exponent of the power of two at which bucket 1 begins.
pub const STATISTICS_OCTAVE_FIRST: u32 = 10;

// What is counted of units only, behind their statistics (offsets from the same address)
/// u64: requests that did not leave the queue at once: they waited for a path, room, or another request.
pub const STATISTICS_WAITED: u32 = 3680;
/// u64: sum of the times they waited, ns.
pub const STATISTICS_WAIT_SUM_NS: u32 = 3688;
/// Reads by size class, then writes: of each class a count (u64), the sum of the latencies in ns (u64), u64[STATISTICS_SIZE_BUCKETS].
pub const STATISTICS_SIZES: u32 = 3696;
/// Bytes of a size class.
pub const STATISTICS_SIZE_BYTES: u32 = 120;
/// Classes: up to 4 KiB, up to 64 KiB, up to 512 KiB, larger.
pub const STATISTICS_SIZE_CLASSES: u32 = 4;
/// Bucket 0: below 2^STATISTICS_SIZE_OCTAVE_FIRST ns; each further one reaches four times as far; the last one: everything longer.
pub const STATISTICS_SIZE_BUCKETS: u32 = 13;
/// Exponent of the power of two at which bucket 1 begins.
pub const STATISTICS_SIZE_OCTAVE_FIRST: u32 = 14;
/// Bytes of a unit's statistics, all together.
pub const STATISTICS_UNIT_BYTES: u32 = 4656;
