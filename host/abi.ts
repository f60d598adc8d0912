// Generated from assembly/abi.ts by `npm run build:abi`. Do not edit.
/** Version of this interface. The host refuses a core with another version (export `abiVersion`). */
export const ABI_VERSION = 1;

// Limits
/** Maximum number of paths of a logical unit. Policies keep a set of paths as a 32-bit mask. */
export const PATHS_PER_UNIT_MAX = 32;
/** Largest transfer of one SCSI command in bytes, and the largest piece of a request. */
export const PIECE_BYTES_MAX = 1048576;
/** Largest value that `init` accepts as the limit of an NBD payload (READ or WRITE), in bytes; requests above that limit get EOVERFLOW or EINVAL. */
export const NBD_PAYLOAD_BYTES_MAX = 33554432;
/** Bytes of one page of the buffer pool; every data buffer is aligned to it. */
export const BUFFER_PAGE_BYTES = 4096;
/** Bytes of each connection's receive buffer for request headers and small payloads. */
export const CONNECTION_RECEIVE_BYTES = 65536;
/** Bytes of the scratch area through which control exchanges bulk data with the core (export `scratch`). */
export const SCRATCH_BYTES = 65536;
/** Longest identity (VPD page 0x83 designator as `type byte, code set byte, designator`) that the core stores, in bytes. */
export const IDENTITY_BYTES_MAX = 256;
/** Type byte of an identity that is a unit serial number (VPD page 0x80): this byte, 0, then the number as text without padding. */
export const IDENTITY_TYPE_SERIAL = 128;
/** From this size in bytes a command, or the rest of a request, counts as large: several clients take turns with it. */
export const LARGE_BYTES = 131072;
/** Bytes that a flow of a connection (small, large, zeroing) may send in each of its turns on a unit. */
export const FLOW_QUANTUM_BYTES = 262144;
/** Smallest and largest charge for one piece, in bytes: a small piece costs the device more than its bytes. */
export const FLOW_CHARGE_BYTES_MIN = 16384;
export const FLOW_CHARGE_BYTES_MAX = 16777216;
/** How long after another connection's last request the core still counts as shared, in ms. */
export const PACE_SHARED_MS = 5000;
/** Limit of large commands in flight on a unit of a shared core, as estimated device time: at least in us, at most in ms. */
export const PACE_MIN_US = 1000;
export const PACE_MAX_MS = 50;
/** How often one of them is sent alone, to measure how long one takes, in ms. */
export const PACE_LONE_MS = 1000;
/** When none of them has completed for at least this long, another one is sent nonetheless, in ms. */
export const PACE_PATIENCE_MS = 100;
/** Maximum number of pieces of zeroings and trims in flight on a unit, and on a unit of a shared core. */
export const ZEROING_PIECES_MAX = 16;
export const ZEROING_SHARED_PIECES_MAX = 4;
/** A lone client may have more than two of them in flight only up to this much estimated device time, in ms. */
export const ZEROING_LONE_MS = 1000;
/** On a shared core: device time that one of them may take, in us; size of the first, the smallest and the largest piece. */
export const ZEROING_PIECE_US = 2000;
export const ZEROING_PIECE_BYTES_FIRST = 8388608;
export const ZEROING_PIECE_BYTES_MIN = 1048576;
export const ZEROING_PIECE_BYTES_MAX = 67108864;
/** Sense bytes kept per command (SPC-4 4.5 allows 252; everything needed for classification is in the first 96). */
export const SENSE_BYTES_MAX = 96;

// Control block: the host's entry point (export `controlBlock` gives its address)
/** u64, host writes: CLOCK_MONOTONIC in ns; the core reads it at the start of every `run`. */
export const CONTROL_NOW_NS = 0;
/** u64, core writes: latest time at which `run` has to be called again, in ns; all ones when nothing is due. */
export const CONTROL_DEADLINE_NS = 8;
/** u64, host writes: seed of the core's random numbers; set once before `init`. The same seed gives the same decisions. */
export const CONTROL_SEED = 16;
/** Ring descriptor of submissions for the native ring (sockets, sg ports). */
export const CONTROL_NATIVE_QUEUE = 32;
/** Ring descriptor of SCSI submissions for the emulated array. */
export const CONTROL_ARRAY_QUEUE = 48;
/** Ring descriptor of completions from the native ring and the emulated array. */
export const CONTROL_COMPLETION_QUEUE = 64;
/** Ring descriptor of events for control. */
export const CONTROL_EVENT_QUEUE = 80;
/** u64, core writes: events lost because control did not drain the event ring in time. */
export const CONTROL_EVENTS_LOST = 96;
/** u64, host writes (optional): when the host last stopped working and began to wait; until then its work, not a silent device, delayed answers. */
export const CONTROL_WAITING_NS = 104;
/** Ring descriptor of the block door's entries (BLOCK_ENTRY_*), filled by the embedder. Capacity 0 until `blockInit`. */
export const CONTROL_BLOCK_ENTRIES = 112;
/** Ring descriptor of the block door's completions (BLOCK_COMPLETION_*), emptied by the embedder. */
export const CONTROL_BLOCK_COMPLETIONS = 128;
/** u32, core writes: bytes of the pool that belong to no request. */
export const CONTROL_POOL_FREE = 144;
/** Bytes of the control block. */
export const CONTROL_BYTES = 192;
/** u32, core writes at init: address of the first entry. */
export const RING_BASE = 0;
/** u32, core writes at init: number of entries, a power of two. */
export const RING_CAPACITY = 4;
/** u32, consumer writes: index of the next entry to take. */
export const RING_HEAD = 8;
/** u32, producer writes: index of the next entry to fill. */
export const RING_TAIL = 12;

// Submission entry (native queue and array queue)
/** u8: one of OP_*. */
export const SUBMISSION_OP = 0;
/** u8: SUBMISSION_FLAG_* bits. */
export const SUBMISSION_FLAGS = 1;
/** u32: returned in the op's only completion. */
export const SUBMISSION_TAG = 4;
/** u32: socket handle (RECV, SEND, CLOSE, WATCH) or port handle (SCSI, RESET). */
export const SUBMISSION_HANDLE = 8;
/** u32: RECV: address of the buffer. SEND: address of the table of gather entries. SCSI: address of the command slot. */
export const SUBMISSION_ADDRESS = 12;
/** u32: RECV: size of the buffer in bytes. SEND: number of gather entries. RESET: one of RESET_*. */
export const SUBMISSION_LENGTH = 16;
/** Bytes of a submission entry. */
export const SUBMISSION_BYTES = 32;
/** Receives up to `length` bytes into `address`. Result: bytes, 0 at end of stream, or a negated errno. */
export const OP_RECV = 1;
/** Sends every byte of the gather table (never a part: the host continues short writes). Result: bytes or a negated errno. */
export const OP_SEND = 2;
/** Executes the SCSI command in the slot. Result: 0 when a status was returned (whatever it is), or a negated errno. */
export const OP_SCSI = 3;
/** Shuts down the socket, lets its pending ops complete, then closes it. Result 0; no completion for this handle follows. */
export const OP_CLOSE = 4;
/** SG_SCSI_RESET with the scope in `length`. Result: 0 or a negated errno. May take seconds; never blocks the ring. */
export const OP_RESET = 5;
/** Result: 0 when the peer of the socket has closed it, even if bytes from it are unread, or at the latest with CLOSE. Or a negated errno. */
export const OP_WATCH = 6;
/** RECV: completes only when all `length` bytes have arrived (or the stream ends: then with the bytes received). */
export const SUBMISSION_FLAG_WAIT_ALL = 1;
/** SEND: nothing waits for this op's success; the host may report it together with the next completion (saves a turn). */
export const SUBMISSION_FLAG_LAZY = 2;
/** Scope of OP_RESET: the logical unit, the target, the host (values of SG_SCSI_RESET_* in <scsi/sg.h>). */
export const RESET_DEVICE = 1;
export const RESET_HOST = 3;
export const RESET_TARGET = 4;
/** Gather entry: u32 address. */
export const GATHER_ADDRESS = 0;
/** Gather entry: u32 length in bytes. */
export const GATHER_LENGTH = 4;
/** Bytes of a gather entry. */
export const GATHER_BYTES = 8;
/** Maximum number of gather entries of one SEND (IOV_MAX of the host is larger). */
export const GATHER_ENTRIES_MAX = 128;

// Completion entry
/** u32: the tag of the submission. */
export const COMPLETION_TAG = 0;
/** i32: result as the op defines it. */
export const COMPLETION_RESULT = 4;
/** u64: CLOCK_MONOTONIC in ns when the host noticed the completion. */
export const COMPLETION_TIME_NS = 8;
/** Bytes of a completion entry. */
export const COMPLETION_BYTES = 16;

// Command slot: one SCSI command on one path
/** u8[16]: the command descriptor block. */
export const COMMAND_CDB = 0;
/** u8: length of the CDB (6, 10, 12 or 16). */
export const COMMAND_CDB_BYTES = 16;
/** u8: DIRECTION_*. */
export const COMMAND_DIRECTION = 17;
/** u8, host writes: SCSI status (SAM-5 5.3.1). */
export const COMMAND_STATUS = 18;
/** u8, host writes: number of valid sense bytes, at most SENSE_BYTES_MAX. */
export const COMMAND_SENSE_BYTES = 19;
/** u16, host writes: host status (DID_* of the Linux SCSI midlayer). */
export const COMMAND_HOST_STATUS = 20;
/** u16, host writes: driver status (DRIVER_* of the Linux SCSI midlayer). */
export const COMMAND_DRIVER_STATUS = 22;
/** u32: address of the data buffer, a multiple of BUFFER_PAGE_BYTES; 0: no data. */
export const COMMAND_BUFFER = 24;
/** u32: bytes to transfer. */
export const COMMAND_BUFFER_BYTES = 28;
/** i32, host writes: bytes requested but not transferred (negative: overrun). */
export const COMMAND_RESIDUAL = 32;
/** u32: time in ms after which the host may give up the command (it then completes with DID_TIME_OUT). */
export const COMMAND_TIMEOUT_MS = 36;
/** u8[SENSE_BYTES_MAX], host writes: sense data in fixed or descriptor format. */
export const COMMAND_SENSE = 40;
/** The rest of the slot belongs to the core; the host neither reads nor writes it. */
export const COMMAND_PRIVATE = 136;
/** No data phase. */
export const DIRECTION_NONE = 0;
/** Data from the device (READ). */
export const DIRECTION_IN = 1;
/** Data to the device (WRITE). */
export const DIRECTION_OUT = 2;

// Event entry
/** u16: one of EVENT_*. */
export const EVENT_KIND = 0;
/** u16: reason, one of REASON_*. */
export const EVENT_REASON = 2;
/** u32: unit handle; all ones: none. */
export const EVENT_UNIT = 4;
/** u32: path handle; all ones: none. */
export const EVENT_PATH = 8;
/** u32: meaning depends on the kind. */
export const EVENT_ARG0 = 12;
/** u32: meaning depends on the kind. */
export const EVENT_ARG1 = 16;
/** u64: time of the event, CLOCK_MONOTONIC in ns. */
export const EVENT_TIME_NS = 24;
/** u8[4]: SCSI status, sense key, ASC, ASCQ of the outcome that caused the event (zero: none). */
export const EVENT_SENSE = 32;
/** u16: host status of the outcome that caused the event. */
export const EVENT_HOST_STATUS = 36;
/** Bytes of an event entry. */
export const EVENT_BYTES = 40;
/** A path's health, enabled state or conditions changed. arg0: flags before, arg1: flags after (PATH_FLAG_*). */
export const EVENT_PATH_STATE = 1;
/** A unit leaves its path in use because of a fault (message 257). */
export const EVENT_FAILOVER_STARTED = 2;
/** A unit now uses another path (message 258). path: the new one, arg0: the old one. */
export const EVENT_FAILOVER_DONE = 3;
/** The unit has no path left (message 259). */
export const EVENT_FAILOVER_FAILED = 4;
/** An I/O failed on a path (message 270). */
export const EVENT_PATH_ERROR_IO = 5;
/** A check of a path failed (message 271). */
export const EVENT_PATH_ERROR_CHECK = 6;
/** A recovery check succeeded; automatic failback of the path begins (message 272). */
export const EVENT_FAILBACK_STARTED = 7;
/** Failback of the path is complete (message 273 when automatic, 263 when by hand; see the reason). */
export const EVENT_FAILBACK_DONE = 8;
/** Failback of the path failed (message 262). */
export const EVENT_FAILBACK_FAILED = 9;
/** The path leads to a logical unit other than its own; it gets no I/O. */
export const EVENT_WRONG_UNIT = 10;
/** Requests of the unit wait because no path is usable. arg0: how long they may wait in ms, arg1: 1 while port groups are in transition. */
export const EVENT_NO_PATH_WAITING = 11;
/** Requests of the unit failed because no path became usable in time, or by release. arg0: how many. */
export const EVENT_NO_PATH_FAILED = 12;
/** The device reported a changed capacity; control reads it again. */
export const EVENT_CAPACITY_CHANGED = 13;
/** A path's asymmetric access state changed. arg0: state before, arg1: state after (ALUA_*). */
export const EVENT_ALUA_CHANGED = 14;
/** A command got no answer within the stall threshold and was sent again on another path. arg0: threshold in us. */
export const EVENT_STALL = 15;
/** An orphan was settled. arg0: how (SETTLED_*), arg1: its age in ms. */
export const EVENT_ORPHAN_SETTLED = 16;
/** A connection is closed and its handle free. arg0: connection handle, arg1: negated errno or 0. */
export const EVENT_CONNECTION_CLOSED = 17;
/** The device's inventory or parameters changed (unit attention 3F/0E, 2A/01, ...); control scans it again. */
export const EVENT_INQUIRY_CHANGED = 18;
/** Intermittent-failure monitoring took a path out of use early, or returned it to use. arg0: 1 out, 0 back; arg1: clean period in s. */
export const EVENT_MARGINAL = 19;
/** A path that shares a component with a failed one is suspected until a probe is answered. arg0: 1 suspected, 0 cleared. */
export const EVENT_SUSPECT = 20;
/** Explicit ALUA: SET TARGET PORT GROUPS was sent. arg0: group, arg1: 1 accepted, 0 refused. */
export const EVENT_ALUA_SET = 21;
/** The device lost data that it had acknowledged. arg0: 1 reported by a deferred error, 0 by its answer to a flush. */
export const EVENT_DATA_LOST = 22;
/** The device rejects a command or flag that it was assumed to support; the core does without. Reported once. arg0: one of LACKS_*. */
export const EVENT_LACKS = 23;
/** A thin unit has reached its soft threshold: its array is running out of space (unit attention 38/07, reported to each path once). */
export const EVENT_THIN_THRESHOLD = 24;
/** A client of the block door is gone: it has nothing in progress and no lent buffers any more. arg0: its handle. */
export const EVENT_BLOCK_CLOSED = 25;
/** A fault that other cores may share (MODE_TELLS_SHARERS; the arguments of `sharedFault`). Reason: silent; arg0: initiator port, arg1: target port, in the place of sense data: controller. */
export const EVENT_SHARED_FAULT = 26;
/** A suspect of a nexus has answered, for the same cores (`sharedAnswer`). arg0: initiator port, arg1: target port. */
export const EVENT_SHARED_ANSWER = 27;
/** A path waits for its registration (UNIT_SET_REGISTRATION), once its identity is known. arg0: why (REGISTRATION_*), arg1: the number that PATH_SET_REGISTERED gives back. */
export const EVENT_REGISTRATION_ASKED = 28;
/** The device refused a command for another host's reservation; no path is blamed. At most ten a second for each path. arg0: how many since the last one. */
export const EVENT_RESERVATION_CONFLICT = 29;
/** Why a path waits for its registration: it was added, has recovered, leads to its unit again. */
export const REGISTRATION_ADDED = 1;
export const REGISTRATION_BACK = 2;
export const REGISTRATION_IDENTITY = 3;
/** It reported a reset, a power-on or a lost nexus (29/xx); reservations or registrations preempted or released (2A/03, 2A/04, 2A/05). */
export const REGISTRATION_RESET = 4;
export const REGISTRATION_PREEMPTED = 5;
/** By control: UNIT_SET_REGISTRATION 2, PATH_SET_REGISTERED 0, or the end of UNIT_SET_PREEMPTED. */
export const REGISTRATION_CONTROL = 6;
/** SYNCHRONIZE CACHE: the device reported nothing about a cache, so it has none. */
export const LACKS_SYNCHRONIZE_CACHE = 1;
/** Force unit access in WRITE: a flush follows instead if there is a cache. */
export const LACKS_FUA = 2;
/** By an operator's command. */
export const REASON_OPERATOR = 1;
/** By an I/O's outcome. */
export const REASON_IO = 2;
/** By a health check or recovery check. */
export const REASON_PATROL = 3;
/** By an ALUA state. */
export const REASON_ALUA = 4;
/** By a missing answer. */
export const REASON_TIMEOUT = 5;
/** By the identity check. */
export const REASON_IDENTITY = 6;
/** By the fault of a shared component (the same initiator port, target port or controller). */
export const REASON_SHARED_COMPONENT = 7;
/** By intermittent-failure monitoring. */
export const REASON_MARGINAL = 8;
/** By a reservation: the path waits for its registration, or the unit was preempted. */
export const REASON_RESERVATION = 9;

// Path record (export `pathTable` + handle * PATH_BYTES): what a display needs
/** u32: PATH_FLAG_* bits. */
export const PATH_FLAGS = 0;
/** u32: handle of its unit. */
export const PATH_UNIT = 4;
/** u16: priority 1..254. */
export const PATH_PRIORITY = 8;
/** u8: ALUA_* state. */
export const PATH_ALUA = 10;
/** u8: slot within its unit, 0..31. */
export const PATH_SLOT = 11;
/** u32: commands in flight now. */
export const PATH_IN_FLIGHT = 12;
/** u32: maximum number of commands in flight; lowered by BUSY / TASK SET FULL. */
export const PATH_DEPTH = 16;
/** u32: weight for the policies that use one (service time, weighted). */
export const PATH_WEIGHT = 20;
/** u64: I/O commands that succeeded. */
export const PATH_IOS = 24;
/** u64: bytes read by them. */
export const PATH_BYTES_READ = 32;
/** u64: bytes written by them. */
export const PATH_BYTES_WRITTEN = 40;
/** u64: I/O commands that failed because of the path. */
export const PATH_ERRORS = 48;
/** u64: I/O commands that were sent again on the same path. */
export const PATH_RETRIES = 56;
/** u64: checks (TUR or READ) made by patrol. */
export const PATH_CHECKS = 64;
/** u64: when a command last completed on the path, ns; 0: never. */
export const PATH_LAST_ANSWER_NS = 72;
/** u64: when the health last changed, ns. */
export const PATH_SINCE_NS = 80;
/** u32: learned service time in ns (0 until learned). */
export const PATH_SERVICE_NS = 88;
/** u32: unsettled orphans (commands whose request went on elsewhere). */
export const PATH_ORPHANS = 92;
/** u8[4]: status, sense key, ASC, ASCQ of the last outcome that counted against the path. */
export const PATH_LAST_SENSE = 96;
/** u16: host status of that outcome. */
export const PATH_LAST_HOST_STATUS = 100;
/** u32: seconds of clean service that a marginal path still has to show; 0: it waits for an operator. */
export const PATH_MARGINAL_SECONDS = 104;
/** u32: address of this path's statistics (STATISTICS_*); 0: none. */
export const PATH_STATISTICS = 108;
/** Bytes between path records; everything after the fields above belongs to the core. */
export const PATH_BYTES = 512;
/** The record is in use. */
export const PATH_FLAG_PRESENT = 1;
/** Enabled (an operator's `-avail`). */
export const PATH_FLAG_ENABLED = 2;
/** Failed: unusable because of a fault. */
export const PATH_FLAG_FAILED = 4;
/** In use: currently selected by the policy; displayed as `>`. */
export const PATH_FLAG_IN_USE = 8;
/** Leads to another logical unit. */
export const PATH_FLAG_WRONG_UNIT = 16;
/** Suspected because of a shared component. */
export const PATH_FLAG_SUSPECT = 32;
/** Marginal: used only as a last resort, until an operator clears it or it has shown a clean period. */
export const PATH_FLAG_MARGINAL = 64;
/** Stalled: a command has been unanswered for longer than the stall threshold. */
export const PATH_FLAG_STALLED = 128;
/** Being removed: gets no new commands; the handle is free when the last one has completed. */
export const PATH_FLAG_REMOVING = 256;
/** Its identity has not been checked yet; it gets no I/O until then. */
export const PATH_FLAG_UNVERIFIED = 512;
/** It has to be registered before it carries I/O (UNIT_SET_REGISTRATION); checks go on. */
export const PATH_FLAG_UNREGISTERED = 1024;
/** ALUA access states (SPC-4 table 307). */
export const ALUA_OPTIMIZED = 0;
export const ALUA_NON_OPTIMIZED = 1;
export const ALUA_STANDBY = 2;
export const ALUA_UNAVAILABLE = 3;
export const ALUA_OFFLINE = 14;
export const ALUA_TRANSITIONING = 15;
/** Not reported yet: the path takes I/O when no path is known to be optimized. */
export const ALUA_UNKNOWN = 16;

// Unit record (export `unitTable` + handle * UNIT_BYTES)
/** u32: UNIT_FLAG_* bits. */
export const UNIT_FLAGS = 0;
/** u32: mask of the path slots in use. */
export const UNIT_PATHS = 4;
/** u32: mask of the path slots that may get I/O now. */
export const UNIT_USABLE = 8;
/** u32: POLICY_*. */
export const UNIT_POLICY = 12;
/** u64: number of blocks. */
export const UNIT_BLOCKS = 16;
/** u32: block size in bytes. */
export const UNIT_BLOCK_BYTES = 24;
/** u32: requests accepted and not yet answered. */
export const UNIT_REQUESTS = 28;
/** u32: pieces that wait because no path is usable. */
export const UNIT_WAITING = 32;
/** u32: unsettled orphans. */
export const UNIT_ORPHANS = 36;
/** u64: requests answered without error. */
export const UNIT_ANSWERED = 40;
/** u64: requests answered with an error. */
export const UNIT_FAILED = 48;
/** u64: longest time from a request's acceptance to its answer, ns, since the last reset of the statistics. */
export const UNIT_LATENCY_NS_MAX = 56;
/** u64: current stall threshold, ns. */
export const UNIT_STALL_NS = 64;
/** u32: open connections. */
export const UNIT_CONNECTIONS = 72;
/** u32: address of this unit's statistics; 0: none. */
export const UNIT_STATISTICS = 76;
/** u32[32]: path handle in each slot; all ones: none. */
export const UNIT_SLOTS = 80;
/** Bytes between unit records; everything after the fields above belongs to the core. */
export const UNIT_BYTES = 2048;
/** The record is in use. */
export const UNIT_FLAG_PRESENT = 1;
/** Released: requests fail at once until a path is usable. */
export const UNIT_FLAG_RELEASED = 4;
/** Preempted (UNIT_SET_PREEMPTED): requests fail with EPERM, and no I/O is sent. */
export const UNIT_FLAG_PREEMPTED = 8;
/** Block size in bytes: 512 or 4096. */
export const UNIT_SET_BLOCK_BYTES = 1;
/** Number of blocks. */
export const UNIT_SET_BLOCKS = 2;
/** Largest transfer in blocks (VPD B0, sg limits); 0: limited by PIECE_BYTES_MAX only. */
export const UNIT_SET_TRANSFER_BLOCKS_MAX = 3;
/** UNIT_CAN_* bits: capabilities of the device. */
export const UNIT_SET_CAPABILITIES = 4;
/** Largest UNMAP in blocks (VPD B0); 0: the device reports no limit. */
export const UNIT_SET_UNMAP_BLOCKS_MAX = 5;
/** Largest WRITE SAME in blocks (VPD B0); 0: the device reports no limit. */
export const UNIT_SET_WRITE_SAME_BLOCKS_MAX = 6;
/** POLICY_*. Takes effect with the next I/O. */
export const UNIT_SET_POLICY = 7;
/** Parameter of the current policy (its meaning depends on the policy: n of "every n I/Os", a percentage, a mask). */
export const UNIT_SET_POLICY_PARAMETER = 8;
/** Deadline of one I/O in ms, counted from its acceptance. */
export const UNIT_SET_IO_TIMEOUT_MS = 9;
/** How long requests wait while no path is usable, in ms; 0 fails them at once. */
export const UNIT_SET_NO_PATH_TIMEOUT_MS = 10;
/** Lower and upper bound of the learned stall threshold, in ms; upper 0 turns the stall rule off. */
export const UNIT_SET_STALL_MIN_MS = 11;
export const UNIT_SET_STALL_MAX_MS = 12;
/** Time in ms after which an orphan is settled by a reset, whatever the state of its path; 0: never for that reason. */
export const UNIT_SET_ORPHAN_RESET_MS = 13;
/** 1: explicit ALUA (SET TARGET PORT GROUPS) allowed. */
export const UNIT_SET_ALUA_EXPLICIT = 14;
/** Hedged reads: budget in hundredths of a percent of the reads; 0: off. */
export const UNIT_SET_HEDGE_BUDGET = 15;
/** 1: waiting requests fail now, and new ones until a path is usable again (`pathctl unit release`). */
export const UNIT_SET_RELEASED = 16;
/** Second parameter of the current policy. */
export const UNIT_SET_POLICY_PARAMETER_2 = 17;
/** 1: patrol checks with a READ of the first block instead of TEST UNIT READY. */
export const UNIT_SET_PATROL_READ = 18;
/** Any value: resets UNIT_LATENCY_NS_MAX and the histograms. */
export const UNIT_SET_STATISTICS_RESET = 19;
/** Time in ms, and 20 x p99.9, after which a lost command that I/O waits for is settled by LOGICAL UNIT RESET; 0: never. */
export const UNIT_SET_LOST_RESET_MS = 20;
/** Time in ms after which the host ends an unanswered READ or WRITE (Linux: ABORT TASK); 0: at its request's deadline. */
export const UNIT_SET_COMMAND_TIMEOUT_MS = 21;
/** 1: commands of an earlier daemon are in flight and may still change the medium: whatever writes waits. 0: no longer. */
export const UNIT_SET_LEFTOVERS = 22;
/** Paths must be registered before they carry I/O. 0: no. 1: those that are added or recover from now on, or report a reset or a preemption. 2: the present ones, too. */
export const UNIT_SET_REGISTRATION = 23;
/** 1: another host has preempted this one's registration: requests fail with EPERM, those in flight too, and nothing more is sent. 0: paths ask for their registration anew. */
export const UNIT_SET_PREEMPTED = 24;
/** 1: other hosts are registered on the unit, too: LOGICAL UNIT RESET, which ends their commands as well, waits four times as long. */
export const UNIT_SET_SHARED = 25;
/** 1: the unit's reservation is for registrants, and this host is one: cluster mode lets it balance. Ends by itself, with its policy (static), when a device reports a conflict, a reset or a preemption. */
export const UNIT_SET_REGISTRANTS = 26;
/** The unit refuses writes (write-protected medium). */
export const UNIT_CAN_NOT_WRITE = 1;
/** UNMAP (VPD B2 LBPU). */
export const UNIT_CAN_UNMAP = 2;
/** WRITE SAME(16) with zeroes. */
export const UNIT_CAN_WRITE_SAME = 4;
/** WRITE SAME(16) with the UNMAP bit (VPD B2 LBPWS) and unmapped blocks read as zeroes (LBPRZ). */
export const UNIT_CAN_WRITE_SAME_UNMAP = 8;
/** FUA bit in WRITE (MODE SENSE DPOFUA). */
export const UNIT_CAN_FUA = 16;
/** A volatile write cache (mode page 08h WCE); without one a flush needs no command. */
export const UNIT_CAN_CACHE_WRITES = 32;
/** ALUA: REPORT TARGET PORT GROUPS (INQUIRY TPGS implicit or explicit). */
export const UNIT_CAN_ALUA = 64;
/** GET LBA STATUS is useful: the unit is thin, and unmapped blocks read as zeroes (LBPME, LBPRZ). */
export const UNIT_CAN_LBA_STATUS = 128;
/** With UNIT_CAN_CACHE_WRITES: the device reports nothing about a cache; it has none if it does not support SYNCHRONIZE CACHE either. */
export const UNIT_CAN_ASSUMED_CACHE = 256;
/** Priority 1..254, unique in the unit. */
export const PATH_SET_PRIORITY = 1;
/** 1 enabled, 0 disabled. */
export const PATH_SET_ENABLED = 2;
/** Maximum number of commands in flight. */
export const PATH_SET_DEPTH = 3;
/** Weight for policies. */
export const PATH_SET_WEIGHT = 4;
/** ALUA state as read by control (the core tracks it from then on). */
export const PATH_SET_ALUA = 5;
/** Target port group of the path (SPC-4 6.37); its relative target port identifier in the high half. */
export const PATH_SET_TARGET_PORT_GROUP = 6;
/** Handles of the components that the path uses, equal where they are shared: initiator port, target port, controller. */
export const PATH_SET_INITIATOR_PORT = 7;
export const PATH_SET_TARGET_PORT = 8;
export const PATH_SET_CONTROLLER = 9;
/** 1: failed by control (its device is gone), 0: failback after the checks (`-failback`). */
export const PATH_SET_FAILED = 10;
/** 1: an operator clears a marginal path; it is used like any other. */
export const PATH_SET_CLEAR_MARGINAL = 11;
/** Number of faults, at most 16, known to control from before the path was added (its device was present earlier and disappeared). */
export const PATH_SET_FAULTS = 12;
/** 1: control received a unit attention after which the path may lead to another unit; its identity is checked before its next I/O. */
export const PATH_SET_UNVERIFIED = 13;
/** arg1 of the path's last EVENT_REGISTRATION_ASKED: it is registered now, and carries I/O once a check finds that the device has no unit attention left to tell; ERROR_NOT_ASKED if it was asked anew meanwhile. 0: its registration may be gone. */
export const PATH_SET_REGISTERED = 14;
/** FAILBACK_MODE_*. */
export const MODE_FAILBACK = 1;
/** Cluster mode ("MSCS"), 0 or 1. On: static policies only, but where UNIT_SET_REGISTRANTS holds; a command that changes the medium is not sent again while the first one may still be executed. */
export const MODE_CLUSTER = 2;
/** Path patrol: 0 none, 1 health, 2 recovery, 3 both. */
export const MODE_PATROL = 3;
/** Path patrol: request interval, threshold, timeout in ms. */
export const MODE_PATROL_INTERVAL_MS = 4;
export const MODE_PATROL_THRESHOLD_MS = 5;
export const MODE_PATROL_TIMEOUT_MS = 6;
/** Intermittent-failure monitoring: 1 on, 0 off. */
export const MODE_MARGINAL = 7;
/** A path is taken out after this many counts (retries that helped, and failures) ... */
export const MODE_MARGINAL_COUNT = 8;
/** ... within this many seconds. */
export const MODE_MARGINAL_WINDOW_S = 9;
/** First clean period in seconds, which doubles each time; 0: a marginal path waits for an operator. */
export const MODE_MARGINAL_CLEAN_S = 10;
/** Whether the host is told of faults and answers that concern other cores: 0 or 1, 0 at first. */
export const MODE_TELLS_SHARERS = 11;
/** A recovered path is enabled and, if it has the highest priority, used. */
export const FAILBACK_MODE_ACTIVE = 0;
/** A recovered path stays disabled until an operator enables it. */
export const FAILBACK_MODE_STANDBY = 1;
/** Policies. */
export const POLICY_STATIC = 0;
export const POLICY_ROUND_ROBIN = 1;
export const POLICY_LEAST_SECTORS = 2;
export const POLICY_ADAPTIVE = 3;
export const POLICY_ROUND_ROBIN_SUBSET = 4;
export const POLICY_LEAST_IN_FLIGHT = 5;
export const POLICY_SERVICE_TIME = 6;
export const POLICY_HISTORICAL_SERVICE_TIME = 7;
export const POLICY_WEIGHTED = 8;
export const POLICY_AFFINITY = 9;
export const POLICY_POWER_OF_TWO = 10;
export const POLICY_COUNT = 11;
/** How an orphan was settled: it completed, a reset ended it, or its path was removed. */
export const SETTLED_COMPLETED = 1;
export const SETTLED_RESET = 2;
export const SETTLED_REMOVED = 3;

// `connectionAdd` flags
/** The client negotiated structured replies. */
export const CONNECTION_STRUCTURED = 1;
/** The export was negotiated read-only. */
export const CONNECTION_READ_ONLY = 2;
/** NBD_FLAG_SEND_FAST_ZERO was advertised. */
export const CONNECTION_FAST_ZERO = 4;
/** NBD_FLAG_SEND_TRIM was advertised. */
export const CONNECTION_TRIM = 8;
/** The client did not request block sizes: its requests may be unaligned. */
export const CONNECTION_UNALIGNED = 16;
/** The client negotiated extended headers (and thus structured replies). */
export const CONNECTION_EXTENDED = 32;
/** The client selected the metadata context base:allocation. */
export const CONNECTION_ALLOCATION = 64;

// Operations and their flags, with NBD's numbers, which the block door uses as well
/** Reads blocks. */
export const OPERATION_READ = 0;
/** Writes blocks. */
export const OPERATION_WRITE = 1;
/** When this is answered, everything answered before is on the medium. Offset and length 0. */
export const OPERATION_FLUSH = 3;
/** A hint: the contents of these blocks are no longer needed. */
export const OPERATION_TRIM = 4;
/** Makes blocks read as zeroes, without data. */
export const OPERATION_WRITE_ZEROES = 6;
/** Answered only when the written data is on the medium. */
export const OPERATION_FLAG_FUA = 1;
/** WRITE_ZEROES: the blocks stay allocated. */
export const OPERATION_FLAG_NO_HOLE = 2;
/** WRITE_ZEROES: fails with ENOTSUP where it would be no faster than writing zeroes. */
export const OPERATION_FLAG_FAST_ZERO = 16;

// Block door: requests without NBD (docs/block-door.md)
/** Largest READ or WRITE of the block door in bytes; its buffer is contiguous. TRIM and WRITE_ZEROES may be longer. */
export const BLOCK_BYTES_MAX = 1048576;
/** Maximum number of clients of the block door (`blockInit`), and of requests in progress, of all clients together. */
export const BLOCK_CLIENTS_MAX = 4096;
export const BLOCK_TAGS_MAX = 65536;
/** `blockOpen` flag: writes fail with EPERM. */
export const BLOCK_READ_ONLY = 1;
/** u8: OPERATION_*, BLOCK_FETCHED or BLOCK_RELEASE. */
export const BLOCK_ENTRY_OPERATION = 0;
/** u8: OPERATION_FLAG_* bits. */
export const BLOCK_ENTRY_FLAGS = 1;
/** u32: identifies the request until it is over, below the `tags` of `blockInit`; all clients share one number space. */
export const BLOCK_ENTRY_TAG = 4;
/** u32: the handle returned by `blockOpen`. */
export const BLOCK_ENTRY_CLIENT = 8;
/** u32: READ, WRITE: address of the data in the embedder's region, a multiple of BUFFER_PAGE_BYTES; 0: the core lends a buffer. */
export const BLOCK_ENTRY_BUFFER = 12;
/** u64: offset in bytes, a multiple of the unit's block size. */
export const BLOCK_ENTRY_OFFSET = 16;
/** u64: length in bytes, a multiple of the unit's block size. */
export const BLOCK_ENTRY_LENGTH = 24;
/** Bytes of an entry. */
export const BLOCK_ENTRY_BYTES = 32;
/** The data of a WRITE is in the buffer lent by BLOCK_FETCH. Only tag and client are used. */
export const BLOCK_FETCHED = 16;
/** Returns a lent buffer: of a READ, its data was taken; of a WRITE that waits for its data, there will be none (ECANCELED). */
export const BLOCK_RELEASE = 17;
/** u32: the tag of the entry. */
export const BLOCK_COMPLETION_TAG = 0;
/** u32: errno; 0: success. */
export const BLOCK_COMPLETION_ERROR = 4;
/** u8: BLOCK_ANSWER, BLOCK_FETCH, BLOCK_RETURNED or BLOCK_REFUSED. */
export const BLOCK_COMPLETION_KIND = 8;
/** u8: BLOCK_LENT and BLOCK_HELD bits. */
export const BLOCK_COMPLETION_FLAGS = 9;
/** u32: address of the data (successful READ), or for it (FETCH). Error: the device's sense, if it is its answer (key, ASC << 8, ASCQ << 16). */
export const BLOCK_COMPLETION_ADDRESS = 12;
/** u32: contiguous bytes at this address; `blockData` gives the location of the rest. */
export const BLOCK_COMPLETION_LENGTH = 16;
/** u32: the client of the entry. */
export const BLOCK_COMPLETION_CLIENT = 20;
/** Bytes of a completion. */
export const BLOCK_COMPLETION_BYTES = 24;
/** The answer to the request, given once. Without BLOCK_LENT and BLOCK_HELD its tag is free. */
export const BLOCK_ANSWER = 1;
/** A WRITE without a buffer of its own: store its data at the address, then submit BLOCK_FETCHED. Its deadline counts from then on. */
export const BLOCK_FETCH = 2;
/** After an answer with BLOCK_HELD: the request's own buffer is no longer accessed. */
export const BLOCK_RETURNED = 3;
/** The entry was invalid and had no effect; a request that uses its tag continues. */
export const BLOCK_REFUSED = 4;
/** The data is in the core's buffer, which stays lent until BLOCK_RELEASE. */
export const BLOCK_LENT = 1;
/** An unanswered command may still read or write the request's own buffer; BLOCK_RETURNED follows. */
export const BLOCK_HELD = 2;

// Errors that exports return (negative numbers; 0 or more is success)
/** The handle is not in use. */
export const ERROR_HANDLE = 1;
/** The value is out of range. */
export const ERROR_RANGE = 2;
/** No room: the table is full. */
export const ERROR_LIMIT = 3;
/** Another path of the unit already has this priority. */
export const ERROR_PRIORITY_IN_USE = 4;
/** Refused while cluster mode is on. */
export const ERROR_CLUSTER_MODE = 5;
/** Unknown property. */
export const ERROR_PROPERTY = 6;
/** The path is not failed. */
export const ERROR_NOT_FAILED = 7;
/** Still in use (by connections, paths or requests). */
export const ERROR_BUSY = 8;
/** The path does not wait for this registration, or not any more. */
export const ERROR_NOT_ASKED = 9;

// Statistics of a path or a unit (PATH_STATISTICS, UNIT_STATISTICS give the address)
/** u64: completed reads. */
export const STATISTICS_READS = 0;
/** u64: completed writes. */
export const STATISTICS_WRITES = 8;
/** u64: bytes read by them. */
export const STATISTICS_BYTES_READ = 16;
/** u64: bytes written by them. */
export const STATISTICS_BYTES_WRITTEN = 24;
/** u64: sum of the reads' latencies, ns. */
export const STATISTICS_LATENCY_SUM_READ_NS = 32;
/** u64: sum of the writes' latencies, ns. */
export const STATISTICS_LATENCY_SUM_WRITE_NS = 40;
/** u64: longest latency of a read, ns. */
export const STATISTICS_LATENCY_MAX_READ_NS = 48;
/** u64: longest latency of a write, ns. */
export const STATISTICS_LATENCY_MAX_WRITE_NS = 56;
/** u64: errors. */
export const STATISTICS_ERRORS = 64;
/** u64: commands sent again on the same path. */
export const STATISTICS_RETRIES = 72;
/** u64: reads sent a second time on another path because the first was late. */
export const STATISTICS_HEDGES = 80;
/** u64: hedges whose second answer came first. */
export const STATISTICS_HEDGES_WON = 88;
/** u64[STATISTICS_BUCKETS]: reads by latency. */
export const STATISTICS_HISTOGRAM_READ = 96;
/** u64[STATISTICS_BUCKETS]: writes by latency. */
export const STATISTICS_HISTOGRAM_WRITE = 1888;
/** Bytes of a statistics record. */
export const STATISTICS_BYTES = 3680;
/** Number of buckets of a histogram. Bucket 0: below 2^STATISTICS_OCTAVE_FIRST ns. The last one: everything longer. */
export const STATISTICS_BUCKETS = 224;
/** Number of buckets, of equal width, between one power of two of ns and the next. */
export const STATISTICS_BUCKETS_PER_OCTAVE = 8;
/** Exponent of the power of two at which bucket 1 begins. */
export const STATISTICS_OCTAVE_FIRST = 10;

// What is counted of units only, behind their statistics (offsets from the same address)
/** u64: requests that did not leave the queue at once: they waited for a path, room, or another request. */
export const STATISTICS_WAITED = 3680;
/** u64: sum of the times they waited, ns. */
export const STATISTICS_WAIT_SUM_NS = 3688;
/** Reads by size class, then writes: of each class a count (u64), the sum of the latencies in ns (u64), u64[STATISTICS_SIZE_BUCKETS]. */
export const STATISTICS_SIZES = 3696;
/** Bytes of a size class. */
export const STATISTICS_SIZE_BYTES = 120;
/** Classes: up to 4 KiB, up to 64 KiB, up to 512 KiB, larger. */
export const STATISTICS_SIZE_CLASSES = 4;
/** Bucket 0: below 2^STATISTICS_SIZE_OCTAVE_FIRST ns; each further one reaches four times as far; the last one: everything longer. */
export const STATISTICS_SIZE_BUCKETS = 13;
/** Exponent of the power of two at which bucket 1 begins. */
export const STATISTICS_SIZE_OCTAVE_FIRST = 14;
/** Bytes of a unit's statistics, all together. */
export const STATISTICS_UNIT_BYTES = 4656;
