/* Generated from assembly/abi.ts by `npm run build:abi`. Do not edit. */
#ifndef PATHMANAGER_CORE_H
#define PATHMANAGER_CORE_H
#include <stdint.h>
/* Version of this interface. The host refuses a core with another version (export `abiVersion`). */
#define PM_ABI_VERSION 1u

/* Limits */
/* Maximum number of paths of a logical unit. Policies keep a set of paths as a 32-bit mask. */
#define PM_PATHS_PER_UNIT_MAX 32u
/* Largest transfer of one SCSI command in bytes, and the largest piece of a request. */
#define PM_PIECE_BYTES_MAX 1048576u
/* Largest value that `init` accepts as the limit of an NBD payload (READ or WRITE), in bytes; requests above that limit get EOVERFLOW or EINVAL. */
#define PM_NBD_PAYLOAD_BYTES_MAX 33554432u
/* Bytes of one page of the buffer pool; every data buffer is aligned to it. */
#define PM_BUFFER_PAGE_BYTES 4096u
/* Bytes of each connection's receive buffer for request headers and small payloads. */
#define PM_CONNECTION_RECEIVE_BYTES 65536u
/* Bytes of the scratch area through which control exchanges bulk data with the core (export `scratch`). */
#define PM_SCRATCH_BYTES 65536u
/* Longest identity (VPD page 0x83 designator as `type byte, code set byte, designator`) that the core stores, in bytes. */
#define PM_IDENTITY_BYTES_MAX 256u
/* Type byte of an identity that is a unit serial number (VPD page 0x80): this byte, 0, then the number as text without padding. */
#define PM_IDENTITY_TYPE_SERIAL 128u
/* From this size in bytes a command, or the rest of a request, counts as large: several clients take turns with it. */
#define PM_LARGE_BYTES 131072u
/* Bytes that a flow of a connection (small, large, zeroing) may send in each of its turns on a unit. */
#define PM_FLOW_QUANTUM_BYTES 262144u
/* Smallest and largest charge for one piece, in bytes: a small piece costs the device more than its bytes. */
#define PM_FLOW_CHARGE_BYTES_MIN 16384u
#define PM_FLOW_CHARGE_BYTES_MAX 16777216u
/* How long after another connection's last request the core still counts as shared, in ms. */
#define PM_PACE_SHARED_MS 5000u
/* Limit of large commands in flight on a unit of a shared core, as estimated device time: at least in us, at most in ms. */
#define PM_PACE_MIN_US 1000u
#define PM_PACE_MAX_MS 50u
/* How often one of them is sent alone, to measure how long one takes, in ms. */
#define PM_PACE_LONE_MS 1000u
/* When none of them has completed for at least this long, another one is sent nonetheless, in ms. */
#define PM_PACE_PATIENCE_MS 100u
/* Maximum number of pieces of zeroings and trims in flight on a unit, and on a unit of a shared core. */
#define PM_ZEROING_PIECES_MAX 16u
#define PM_ZEROING_SHARED_PIECES_MAX 4u
/* A lone client may have more than two of them in flight only up to this much estimated device time, in ms. */
#define PM_ZEROING_LONE_MS 1000u
/* On a shared core: device time that one of them may take, in us; size of the first, the smallest and the largest piece. */
#define PM_ZEROING_PIECE_US 2000u
#define PM_ZEROING_PIECE_BYTES_FIRST 8388608u
#define PM_ZEROING_PIECE_BYTES_MIN 1048576u
#define PM_ZEROING_PIECE_BYTES_MAX 67108864u
/* Sense bytes kept per command (SPC-4 4.5 allows 252; everything needed for classification is in the first 96). */
#define PM_SENSE_BYTES_MAX 96u

/* Control block: the host's entry point (export `controlBlock` gives its address) */
/* u64, host writes: CLOCK_MONOTONIC in ns; the core reads it at the start of every `run`. */
#define PM_CONTROL_NOW_NS 0u
/* u64, core writes: latest time at which `run` has to be called again, in ns; all ones when nothing is due. */
#define PM_CONTROL_DEADLINE_NS 8u
/* u64, host writes: seed of the core's random numbers; set once before `init`. The same seed gives the same decisions. */
#define PM_CONTROL_SEED 16u
/* Ring descriptor of submissions for the native ring (sockets, sg ports). */
#define PM_CONTROL_NATIVE_QUEUE 32u
/* Ring descriptor of SCSI submissions for the emulated array. */
#define PM_CONTROL_ARRAY_QUEUE 48u
/* Ring descriptor of completions from the native ring and the emulated array. */
#define PM_CONTROL_COMPLETION_QUEUE 64u
/* Ring descriptor of events for control. */
#define PM_CONTROL_EVENT_QUEUE 80u
/* u64, core writes: events lost because control did not drain the event ring in time. */
#define PM_CONTROL_EVENTS_LOST 96u
/* u64, host writes (optional): when the host last stopped working and began to wait; until then its work, not a silent device, delayed answers. */
#define PM_CONTROL_WAITING_NS 104u
/* Ring descriptor of the block door's entries (BLOCK_ENTRY_*), filled by the embedder. Capacity 0 until `blockInit`. */
#define PM_CONTROL_BLOCK_ENTRIES 112u
/* Ring descriptor of the block door's completions (BLOCK_COMPLETION_*), emptied by the embedder. */
#define PM_CONTROL_BLOCK_COMPLETIONS 128u
/* u32, core writes: bytes of the pool that belong to no request. */
#define PM_CONTROL_POOL_FREE 144u
/* Bytes of the control block. */
#define PM_CONTROL_BYTES 192u
/* u32, core writes at init: address of the first entry. */
#define PM_RING_BASE 0u
/* u32, core writes at init: number of entries, a power of two. */
#define PM_RING_CAPACITY 4u
/* u32, consumer writes: index of the next entry to take. */
#define PM_RING_HEAD 8u
/* u32, producer writes: index of the next entry to fill. */
#define PM_RING_TAIL 12u

/* Submission entry (native queue and array queue) */
/* u8: one of OP_*. */
#define PM_SUBMISSION_OP 0u
/* u8: SUBMISSION_FLAG_* bits. */
#define PM_SUBMISSION_FLAGS 1u
/* u32: returned in the op's only completion. */
#define PM_SUBMISSION_TAG 4u
/* u32: socket handle (RECV, SEND, CLOSE, WATCH) or port handle (SCSI, RESET). */
#define PM_SUBMISSION_HANDLE 8u
/* u32: RECV: address of the buffer. SEND: address of the table of gather entries. SCSI: address of the command slot. */
#define PM_SUBMISSION_ADDRESS 12u
/* u32: RECV: size of the buffer in bytes. SEND: number of gather entries. RESET: one of RESET_*. */
#define PM_SUBMISSION_LENGTH 16u
/* Bytes of a submission entry. */
#define PM_SUBMISSION_BYTES 32u
/* Receives up to `length` bytes into `address`. Result: bytes, 0 at end of stream, or a negated errno. */
#define PM_OP_RECV 1u
/* Sends every byte of the gather table (never a part: the host continues short writes). Result: bytes or a negated errno. */
#define PM_OP_SEND 2u
/* Executes the SCSI command in the slot. Result: 0 when a status was returned (whatever it is), or a negated errno. */
#define PM_OP_SCSI 3u
/* Shuts down the socket, lets its pending ops complete, then closes it. Result 0; no completion for this handle follows. */
#define PM_OP_CLOSE 4u
/* SG_SCSI_RESET with the scope in `length`. Result: 0 or a negated errno. May take seconds; never blocks the ring. */
#define PM_OP_RESET 5u
/* Result: 0 when the peer of the socket has closed it, even if bytes from it are unread, or at the latest with CLOSE. Or a negated errno. */
#define PM_OP_WATCH 6u
/* RECV: completes only when all `length` bytes have arrived (or the stream ends: then with the bytes received). */
#define PM_SUBMISSION_FLAG_WAIT_ALL 1u
/* SEND: nothing waits for this op's success; the host may report it together with the next completion (saves a turn). */
#define PM_SUBMISSION_FLAG_LAZY 2u
/* Scope of OP_RESET: the logical unit, the target, the host (values of SG_SCSI_RESET_* in <scsi/sg.h>). */
#define PM_RESET_DEVICE 1u
#define PM_RESET_HOST 3u
#define PM_RESET_TARGET 4u
/* Gather entry: u32 address. */
#define PM_GATHER_ADDRESS 0u
/* Gather entry: u32 length in bytes. */
#define PM_GATHER_LENGTH 4u
/* Bytes of a gather entry. */
#define PM_GATHER_BYTES 8u
/* Maximum number of gather entries of one SEND (IOV_MAX of the host is larger). */
#define PM_GATHER_ENTRIES_MAX 128u

/* Completion entry */
/* u32: the tag of the submission. */
#define PM_COMPLETION_TAG 0u
/* i32: result as the op defines it. */
#define PM_COMPLETION_RESULT 4u
/* u64: CLOCK_MONOTONIC in ns when the host noticed the completion. */
#define PM_COMPLETION_TIME_NS 8u
/* Bytes of a completion entry. */
#define PM_COMPLETION_BYTES 16u

/* Command slot: one SCSI command on one path */
/* u8[16]: the command descriptor block. */
#define PM_COMMAND_CDB 0u
/* u8: length of the CDB (6, 10, 12 or 16). */
#define PM_COMMAND_CDB_BYTES 16u
/* u8: DIRECTION_*. */
#define PM_COMMAND_DIRECTION 17u
/* u8, host writes: SCSI status (SAM-5 5.3.1). */
#define PM_COMMAND_STATUS 18u
/* u8, host writes: number of valid sense bytes, at most SENSE_BYTES_MAX. */
#define PM_COMMAND_SENSE_BYTES 19u
/* u16, host writes: host status (DID_* of the Linux SCSI midlayer). */
#define PM_COMMAND_HOST_STATUS 20u
/* u16, host writes: driver status (DRIVER_* of the Linux SCSI midlayer). */
#define PM_COMMAND_DRIVER_STATUS 22u
/* u32: address of the data buffer, a multiple of BUFFER_PAGE_BYTES; 0: no data. */
#define PM_COMMAND_BUFFER 24u
/* u32: bytes to transfer. */
#define PM_COMMAND_BUFFER_BYTES 28u
/* i32, host writes: bytes requested but not transferred (negative: overrun). */
#define PM_COMMAND_RESIDUAL 32u
/* u32: time in ms after which the host may give up the command (it then completes with DID_TIME_OUT). */
#define PM_COMMAND_TIMEOUT_MS 36u
/* u8[SENSE_BYTES_MAX], host writes: sense data in fixed or descriptor format. */
#define PM_COMMAND_SENSE 40u
/* The rest of the slot belongs to the core; the host neither reads nor writes it. */
#define PM_COMMAND_PRIVATE 136u
/* No data phase. */
#define PM_DIRECTION_NONE 0u
/* Data from the device (READ). */
#define PM_DIRECTION_IN 1u
/* Data to the device (WRITE). */
#define PM_DIRECTION_OUT 2u

/* Event entry */
/* u16: one of EVENT_*. */
#define PM_EVENT_KIND 0u
/* u16: reason, one of REASON_*. */
#define PM_EVENT_REASON 2u
/* u32: unit handle; all ones: none. */
#define PM_EVENT_UNIT 4u
/* u32: path handle; all ones: none. */
#define PM_EVENT_PATH 8u
/* u32: meaning depends on the kind. */
#define PM_EVENT_ARG0 12u
/* u32: meaning depends on the kind. */
#define PM_EVENT_ARG1 16u
/* u64: time of the event, CLOCK_MONOTONIC in ns. */
#define PM_EVENT_TIME_NS 24u
/* u8[4]: SCSI status, sense key, ASC, ASCQ of the outcome that caused the event (zero: none). */
#define PM_EVENT_SENSE 32u
/* u16: host status of the outcome that caused the event. */
#define PM_EVENT_HOST_STATUS 36u
/* Bytes of an event entry. */
#define PM_EVENT_BYTES 40u
/* A path's health, enabled state or conditions changed. arg0: flags before, arg1: flags after (PATH_FLAG_*). */
#define PM_EVENT_PATH_STATE 1u
/* A unit leaves its path in use because of a fault (message 257). */
#define PM_EVENT_FAILOVER_STARTED 2u
/* A unit now uses another path (message 258). path: the new one, arg0: the old one. */
#define PM_EVENT_FAILOVER_DONE 3u
/* The unit has no path left (message 259). */
#define PM_EVENT_FAILOVER_FAILED 4u
/* An I/O failed on a path (message 270). */
#define PM_EVENT_PATH_ERROR_IO 5u
/* A check of a path failed (message 271). */
#define PM_EVENT_PATH_ERROR_CHECK 6u
/* A recovery check succeeded; automatic failback of the path begins (message 272). */
#define PM_EVENT_FAILBACK_STARTED 7u
/* Failback of the path is complete (message 273 when automatic, 263 when by hand; see the reason). */
#define PM_EVENT_FAILBACK_DONE 8u
/* Failback of the path failed (message 262). */
#define PM_EVENT_FAILBACK_FAILED 9u
/* The path leads to a logical unit other than its own; it gets no I/O. */
#define PM_EVENT_WRONG_UNIT 10u
/* Requests of the unit wait because no path is usable. arg0: how long they may wait in ms, arg1: 1 while port groups are in transition. */
#define PM_EVENT_NO_PATH_WAITING 11u
/* Requests of the unit failed because no path became usable in time, or by release. arg0: how many. */
#define PM_EVENT_NO_PATH_FAILED 12u
/* The device reported a changed capacity; control reads it again. */
#define PM_EVENT_CAPACITY_CHANGED 13u
/* A path's asymmetric access state changed. arg0: state before, arg1: state after (ALUA_*). */
#define PM_EVENT_ALUA_CHANGED 14u
/* A command got no answer within the stall threshold and was sent again on another path. arg0: threshold in us. */
#define PM_EVENT_STALL 15u
/* An orphan was settled. arg0: how (SETTLED_*), arg1: its age in ms. */
#define PM_EVENT_ORPHAN_SETTLED 16u
/* A connection is closed and its handle free. arg0: connection handle, arg1: negated errno or 0. */
#define PM_EVENT_CONNECTION_CLOSED 17u
/* The device's inventory or parameters changed (unit attention 3F/0E, 2A/01, ...); control scans it again. */
#define PM_EVENT_INQUIRY_CHANGED 18u
/* Intermittent-failure monitoring took a path out of use early, or returned it to use. arg0: 1 out, 0 back; arg1: clean period in s. */
#define PM_EVENT_MARGINAL 19u
/* A path that shares a component with a failed one is suspected until a probe is answered. arg0: 1 suspected, 0 cleared. */
#define PM_EVENT_SUSPECT 20u
/* Explicit ALUA: SET TARGET PORT GROUPS was sent. arg0: group, arg1: 1 accepted, 0 refused. */
#define PM_EVENT_ALUA_SET 21u
/* The device lost data that it had acknowledged. arg0: 1 reported by a deferred error, 0 by its answer to a flush. */
#define PM_EVENT_DATA_LOST 22u
/* The device rejects a command or flag that it was assumed to support; the core does without. Reported once. arg0: one of LACKS_*. */
#define PM_EVENT_LACKS 23u
/* A thin unit has reached its soft threshold: its array is running out of space (unit attention 38/07, reported to each path once). */
#define PM_EVENT_THIN_THRESHOLD 24u
/* A client of the block door is gone: it has nothing in progress and no lent buffers any more. arg0: its handle. */
#define PM_EVENT_BLOCK_CLOSED 25u
/* A fault that other cores may share (MODE_TELLS_SHARERS; the arguments of `sharedFault`). Reason: silent; arg0: initiator port, arg1: target port, in the place of sense data: controller. */
#define PM_EVENT_SHARED_FAULT 26u
/* A suspect of a nexus has answered, for the same cores (`sharedAnswer`). arg0: initiator port, arg1: target port. */
#define PM_EVENT_SHARED_ANSWER 27u
/* A path waits for its registration (UNIT_SET_REGISTRATION), once its identity is known. arg0: why (REGISTRATION_*), arg1: the number that PATH_SET_REGISTERED gives back. */
#define PM_EVENT_REGISTRATION_ASKED 28u
/* The device refused a command for another host's reservation; no path is blamed. At most ten a second for each path. arg0: how many since the last one. */
#define PM_EVENT_RESERVATION_CONFLICT 29u
/* Why a path waits for its registration: it was added, has recovered, leads to its unit again. */
#define PM_REGISTRATION_ADDED 1u
#define PM_REGISTRATION_BACK 2u
#define PM_REGISTRATION_IDENTITY 3u
/* It reported a reset, a power-on or a lost nexus (29/xx); reservations or registrations preempted or released (2A/03, 2A/04, 2A/05). */
#define PM_REGISTRATION_RESET 4u
#define PM_REGISTRATION_PREEMPTED 5u
/* By control: UNIT_SET_REGISTRATION 2, PATH_SET_REGISTERED 0, or the end of UNIT_SET_PREEMPTED. */
#define PM_REGISTRATION_CONTROL 6u
/* SYNCHRONIZE CACHE: the device reported nothing about a cache, so it has none. */
#define PM_LACKS_SYNCHRONIZE_CACHE 1u
/* Force unit access in WRITE: a flush follows instead if there is a cache. */
#define PM_LACKS_FUA 2u
/* By an operator's command. */
#define PM_REASON_OPERATOR 1u
/* By an I/O's outcome. */
#define PM_REASON_IO 2u
/* By a health check or recovery check. */
#define PM_REASON_PATROL 3u
/* By an ALUA state. */
#define PM_REASON_ALUA 4u
/* By a missing answer. */
#define PM_REASON_TIMEOUT 5u
/* By the identity check. */
#define PM_REASON_IDENTITY 6u
/* By the fault of a shared component (the same initiator port, target port or controller). */
#define PM_REASON_SHARED_COMPONENT 7u
/* By intermittent-failure monitoring. */
#define PM_REASON_MARGINAL 8u
/* By a reservation: the path waits for its registration, or the unit was preempted. */
#define PM_REASON_RESERVATION 9u

/* Path record (export `pathTable` + handle * PATH_BYTES): what a display needs */
/* u32: PATH_FLAG_* bits. */
#define PM_PATH_FLAGS 0u
/* u32: handle of its unit. */
#define PM_PATH_UNIT 4u
/* u16: priority 1..254. */
#define PM_PATH_PRIORITY 8u
/* u8: ALUA_* state. */
#define PM_PATH_ALUA 10u
/* u8: slot within its unit, 0..31. */
#define PM_PATH_SLOT 11u
/* u32: commands in flight now. */
#define PM_PATH_IN_FLIGHT 12u
/* u32: maximum number of commands in flight; lowered by BUSY / TASK SET FULL. */
#define PM_PATH_DEPTH 16u
/* u32: weight for the policies that use one (service time, weighted). */
#define PM_PATH_WEIGHT 20u
/* u64: I/O commands that succeeded. */
#define PM_PATH_IOS 24u
/* u64: bytes read by them. */
#define PM_PATH_BYTES_READ 32u
/* u64: bytes written by them. */
#define PM_PATH_BYTES_WRITTEN 40u
/* u64: I/O commands that failed because of the path. */
#define PM_PATH_ERRORS 48u
/* u64: I/O commands that were sent again on the same path. */
#define PM_PATH_RETRIES 56u
/* u64: checks (TUR or READ) made by patrol. */
#define PM_PATH_CHECKS 64u
/* u64: when a command last completed on the path, ns; 0: never. */
#define PM_PATH_LAST_ANSWER_NS 72u
/* u64: when the health last changed, ns. */
#define PM_PATH_SINCE_NS 80u
/* u32: learned service time in ns (0 until learned). */
#define PM_PATH_SERVICE_NS 88u
/* u32: unsettled orphans (commands whose request went on elsewhere). */
#define PM_PATH_ORPHANS 92u
/* u8[4]: status, sense key, ASC, ASCQ of the last outcome that counted against the path. */
#define PM_PATH_LAST_SENSE 96u
/* u16: host status of that outcome. */
#define PM_PATH_LAST_HOST_STATUS 100u
/* u32: seconds of clean service that a marginal path still has to show; 0: it waits for an operator. */
#define PM_PATH_MARGINAL_SECONDS 104u
/* u32: address of this path's statistics (STATISTICS_*); 0: none. */
#define PM_PATH_STATISTICS 108u
/* Bytes between path records; everything after the fields above belongs to the core. */
#define PM_PATH_BYTES 512u
/* The record is in use. */
#define PM_PATH_FLAG_PRESENT 1u
/* Enabled (an operator's `-avail`). */
#define PM_PATH_FLAG_ENABLED 2u
/* Failed: unusable because of a fault. */
#define PM_PATH_FLAG_FAILED 4u
/* In use: currently selected by the policy; displayed as `>`. */
#define PM_PATH_FLAG_IN_USE 8u
/* Leads to another logical unit. */
#define PM_PATH_FLAG_WRONG_UNIT 16u
/* Suspected because of a shared component. */
#define PM_PATH_FLAG_SUSPECT 32u
/* Marginal: used only as a last resort, until an operator clears it or it has shown a clean period. */
#define PM_PATH_FLAG_MARGINAL 64u
/* Stalled: a command has been unanswered for longer than the stall threshold. */
#define PM_PATH_FLAG_STALLED 128u
/* Being removed: gets no new commands; the handle is free when the last one has completed. */
#define PM_PATH_FLAG_REMOVING 256u
/* Its identity has not been checked yet; it gets no I/O until then. */
#define PM_PATH_FLAG_UNVERIFIED 512u
/* It has to be registered before it carries I/O (UNIT_SET_REGISTRATION); checks go on. */
#define PM_PATH_FLAG_UNREGISTERED 1024u
/* ALUA access states (SPC-4 table 307). */
#define PM_ALUA_OPTIMIZED 0u
#define PM_ALUA_NON_OPTIMIZED 1u
#define PM_ALUA_STANDBY 2u
#define PM_ALUA_UNAVAILABLE 3u
#define PM_ALUA_OFFLINE 14u
#define PM_ALUA_TRANSITIONING 15u
/* Not reported yet: the path takes I/O when no path is known to be optimized. */
#define PM_ALUA_UNKNOWN 16u

/* Unit record (export `unitTable` + handle * UNIT_BYTES) */
/* u32: UNIT_FLAG_* bits. */
#define PM_UNIT_FLAGS 0u
/* u32: mask of the path slots in use. */
#define PM_UNIT_PATHS 4u
/* u32: mask of the path slots that may get I/O now. */
#define PM_UNIT_USABLE 8u
/* u32: POLICY_*. */
#define PM_UNIT_POLICY 12u
/* u64: number of blocks. */
#define PM_UNIT_BLOCKS 16u
/* u32: block size in bytes. */
#define PM_UNIT_BLOCK_BYTES 24u
/* u32: requests accepted and not yet answered. */
#define PM_UNIT_REQUESTS 28u
/* u32: pieces that wait because no path is usable. */
#define PM_UNIT_WAITING 32u
/* u32: unsettled orphans. */
#define PM_UNIT_ORPHANS 36u
/* u64: requests answered without error. */
#define PM_UNIT_ANSWERED 40u
/* u64: requests answered with an error. */
#define PM_UNIT_FAILED 48u
/* u64: longest time from a request's acceptance to its answer, ns, since the last reset of the statistics. */
#define PM_UNIT_LATENCY_NS_MAX 56u
/* u64: current stall threshold, ns. */
#define PM_UNIT_STALL_NS 64u
/* u32: open connections. */
#define PM_UNIT_CONNECTIONS 72u
/* u32: address of this unit's statistics; 0: none. */
#define PM_UNIT_STATISTICS 76u
/* u32[32]: path handle in each slot; all ones: none. */
#define PM_UNIT_SLOTS 80u
/* Bytes between unit records; everything after the fields above belongs to the core. */
#define PM_UNIT_BYTES 2048u
/* The record is in use. */
#define PM_UNIT_FLAG_PRESENT 1u
/* Released: requests fail at once until a path is usable. */
#define PM_UNIT_FLAG_RELEASED 4u
/* Preempted (UNIT_SET_PREEMPTED): requests fail with EPERM, and no I/O is sent. */
#define PM_UNIT_FLAG_PREEMPTED 8u
/* Block size in bytes: 512 or 4096. */
#define PM_UNIT_SET_BLOCK_BYTES 1u
/* Number of blocks. */
#define PM_UNIT_SET_BLOCKS 2u
/* Largest transfer in blocks (VPD B0, sg limits); 0: limited by PIECE_BYTES_MAX only. */
#define PM_UNIT_SET_TRANSFER_BLOCKS_MAX 3u
/* UNIT_CAN_* bits: capabilities of the device. */
#define PM_UNIT_SET_CAPABILITIES 4u
/* Largest UNMAP in blocks (VPD B0); 0: the device reports no limit. */
#define PM_UNIT_SET_UNMAP_BLOCKS_MAX 5u
/* Largest WRITE SAME in blocks (VPD B0); 0: the device reports no limit. */
#define PM_UNIT_SET_WRITE_SAME_BLOCKS_MAX 6u
/* POLICY_*. Takes effect with the next I/O. */
#define PM_UNIT_SET_POLICY 7u
/* Parameter of the current policy (its meaning depends on the policy: n of "every n I/Os", a percentage, a mask). */
#define PM_UNIT_SET_POLICY_PARAMETER 8u
/* Deadline of one I/O in ms, counted from its acceptance. */
#define PM_UNIT_SET_IO_TIMEOUT_MS 9u
/* How long requests wait while no path is usable, in ms; 0 fails them at once. */
#define PM_UNIT_SET_NO_PATH_TIMEOUT_MS 10u
/* Lower and upper bound of the learned stall threshold, in ms; upper 0 turns the stall rule off. */
#define PM_UNIT_SET_STALL_MIN_MS 11u
#define PM_UNIT_SET_STALL_MAX_MS 12u
/* Time in ms after which an orphan is settled by a reset, whatever the state of its path; 0: never for that reason. */
#define PM_UNIT_SET_ORPHAN_RESET_MS 13u
/* 1: explicit ALUA (SET TARGET PORT GROUPS) allowed. */
#define PM_UNIT_SET_ALUA_EXPLICIT 14u
/* Hedged reads: budget in hundredths of a percent of the reads; 0: off. */
#define PM_UNIT_SET_HEDGE_BUDGET 15u
/* 1: waiting requests fail now, and new ones until a path is usable again (`pathctl unit release`). */
#define PM_UNIT_SET_RELEASED 16u
/* Second parameter of the current policy. */
#define PM_UNIT_SET_POLICY_PARAMETER_2 17u
/* 1: patrol checks with a READ of the first block instead of TEST UNIT READY. */
#define PM_UNIT_SET_PATROL_READ 18u
/* Any value: resets UNIT_LATENCY_NS_MAX and the histograms. */
#define PM_UNIT_SET_STATISTICS_RESET 19u
/* Time in ms, and 20 x p99.9, after which a lost command that I/O waits for is settled by LOGICAL UNIT RESET; 0: never. */
#define PM_UNIT_SET_LOST_RESET_MS 20u
/* Time in ms after which the host ends an unanswered READ or WRITE (Linux: ABORT TASK); 0: at its request's deadline. */
#define PM_UNIT_SET_COMMAND_TIMEOUT_MS 21u
/* 1: commands of an earlier daemon are in flight and may still change the medium: whatever writes waits. 0: no longer. */
#define PM_UNIT_SET_LEFTOVERS 22u
/* Paths must be registered before they carry I/O. 0: no. 1: those that are added or recover from now on, or report a reset or a preemption. 2: the present ones, too. */
#define PM_UNIT_SET_REGISTRATION 23u
/* 1: another host has preempted this one's registration: requests fail with EPERM, those in flight too, and nothing more is sent. 0: paths ask for their registration anew. */
#define PM_UNIT_SET_PREEMPTED 24u
/* 1: other hosts are registered on the unit, too: LOGICAL UNIT RESET, which ends their commands as well, waits four times as long. */
#define PM_UNIT_SET_SHARED 25u
/* 1: the unit's reservation is for registrants, and this host is one: cluster mode lets it balance. Ends by itself, with its policy (static), when a device reports a conflict, a reset or a preemption. */
#define PM_UNIT_SET_REGISTRANTS 26u
/* The unit refuses writes (write-protected medium). */
#define PM_UNIT_CAN_NOT_WRITE 1u
/* UNMAP (VPD B2 LBPU). */
#define PM_UNIT_CAN_UNMAP 2u
/* WRITE SAME(16) with zeroes. */
#define PM_UNIT_CAN_WRITE_SAME 4u
/* WRITE SAME(16) with the UNMAP bit (VPD B2 LBPWS) and unmapped blocks read as zeroes (LBPRZ). */
#define PM_UNIT_CAN_WRITE_SAME_UNMAP 8u
/* FUA bit in WRITE (MODE SENSE DPOFUA). */
#define PM_UNIT_CAN_FUA 16u
/* A volatile write cache (mode page 08h WCE); without one a flush needs no command. */
#define PM_UNIT_CAN_CACHE_WRITES 32u
/* ALUA: REPORT TARGET PORT GROUPS (INQUIRY TPGS implicit or explicit). */
#define PM_UNIT_CAN_ALUA 64u
/* GET LBA STATUS is useful: the unit is thin, and unmapped blocks read as zeroes (LBPME, LBPRZ). */
#define PM_UNIT_CAN_LBA_STATUS 128u
/* With UNIT_CAN_CACHE_WRITES: the device reports nothing about a cache; it has none if it does not support SYNCHRONIZE CACHE either. */
#define PM_UNIT_CAN_ASSUMED_CACHE 256u
/* Priority 1..254, unique in the unit. */
#define PM_PATH_SET_PRIORITY 1u
/* 1 enabled, 0 disabled. */
#define PM_PATH_SET_ENABLED 2u
/* Maximum number of commands in flight. */
#define PM_PATH_SET_DEPTH 3u
/* Weight for policies. */
#define PM_PATH_SET_WEIGHT 4u
/* ALUA state as read by control (the core tracks it from then on). */
#define PM_PATH_SET_ALUA 5u
/* Target port group of the path (SPC-4 6.37); its relative target port identifier in the high half. */
#define PM_PATH_SET_TARGET_PORT_GROUP 6u
/* Handles of the components that the path uses, equal where they are shared: initiator port, target port, controller. */
#define PM_PATH_SET_INITIATOR_PORT 7u
#define PM_PATH_SET_TARGET_PORT 8u
#define PM_PATH_SET_CONTROLLER 9u
/* 1: failed by control (its device is gone), 0: failback after the checks (`-failback`). */
#define PM_PATH_SET_FAILED 10u
/* 1: an operator clears a marginal path; it is used like any other. */
#define PM_PATH_SET_CLEAR_MARGINAL 11u
/* Number of faults, at most 16, known to control from before the path was added (its device was present earlier and disappeared). */
#define PM_PATH_SET_FAULTS 12u
/* 1: control received a unit attention after which the path may lead to another unit; its identity is checked before its next I/O. */
#define PM_PATH_SET_UNVERIFIED 13u
/* arg1 of the path's last EVENT_REGISTRATION_ASKED: it is registered now, and carries I/O once a check finds that the device has no unit attention left to tell; ERROR_NOT_ASKED if it was asked anew meanwhile. 0: its registration may be gone. */
#define PM_PATH_SET_REGISTERED 14u
/* FAILBACK_MODE_*. */
#define PM_MODE_FAILBACK 1u
/* Cluster mode ("MSCS"), 0 or 1. On: static policies only, but where UNIT_SET_REGISTRANTS holds; a command that changes the medium is not sent again while the first one may still be executed. */
#define PM_MODE_CLUSTER 2u
/* Path patrol: 0 none, 1 health, 2 recovery, 3 both. */
#define PM_MODE_PATROL 3u
/* Path patrol: request interval, threshold, timeout in ms. */
#define PM_MODE_PATROL_INTERVAL_MS 4u
#define PM_MODE_PATROL_THRESHOLD_MS 5u
#define PM_MODE_PATROL_TIMEOUT_MS 6u
/* Intermittent-failure monitoring: 1 on, 0 off. */
#define PM_MODE_MARGINAL 7u
/* A path is taken out after this many counts (retries that helped, and failures) ... */
#define PM_MODE_MARGINAL_COUNT 8u
/* ... within this many seconds. */
#define PM_MODE_MARGINAL_WINDOW_S 9u
/* First clean period in seconds, which doubles each time; 0: a marginal path waits for an operator. */
#define PM_MODE_MARGINAL_CLEAN_S 10u
/* Whether the host is told of faults and answers that concern other cores: 0 or 1, 0 at first. */
#define PM_MODE_TELLS_SHARERS 11u
/* A recovered path is enabled and, if it has the highest priority, used. */
#define PM_FAILBACK_MODE_ACTIVE 0u
/* A recovered path stays disabled until an operator enables it. */
#define PM_FAILBACK_MODE_STANDBY 1u
/* Policies. */
#define PM_POLICY_STATIC 0u
#define PM_POLICY_ROUND_ROBIN 1u
#define PM_POLICY_LEAST_SECTORS 2u
#define PM_POLICY_ADAPTIVE 3u
#define PM_POLICY_ROUND_ROBIN_SUBSET 4u
#define PM_POLICY_LEAST_IN_FLIGHT 5u
#define PM_POLICY_SERVICE_TIME 6u
#define PM_POLICY_HISTORICAL_SERVICE_TIME 7u
#define PM_POLICY_WEIGHTED 8u
#define PM_POLICY_AFFINITY 9u
#define PM_POLICY_POWER_OF_TWO 10u
#define PM_POLICY_COUNT 11u
/* How an orphan was settled: it completed, a reset ended it, or its path was removed. */
#define PM_SETTLED_COMPLETED 1u
#define PM_SETTLED_RESET 2u
#define PM_SETTLED_REMOVED 3u

/* `connectionAdd` flags */
/* The client negotiated structured replies. */
#define PM_CONNECTION_STRUCTURED 1u
/* The export was negotiated read-only. */
#define PM_CONNECTION_READ_ONLY 2u
/* NBD_FLAG_SEND_FAST_ZERO was advertised. */
#define PM_CONNECTION_FAST_ZERO 4u
/* NBD_FLAG_SEND_TRIM was advertised. */
#define PM_CONNECTION_TRIM 8u
/* The client did not request block sizes: its requests may be unaligned. */
#define PM_CONNECTION_UNALIGNED 16u
/* The client negotiated extended headers (and thus structured replies). */
#define PM_CONNECTION_EXTENDED 32u
/* The client selected the metadata context base:allocation. */
#define PM_CONNECTION_ALLOCATION 64u

/* Operations and their flags, with NBD's numbers, which the block door uses as well */
/* Reads blocks. */
#define PM_OPERATION_READ 0u
/* Writes blocks. */
#define PM_OPERATION_WRITE 1u
/* When this is answered, everything answered before is on the medium. Offset and length 0. */
#define PM_OPERATION_FLUSH 3u
/* A hint: the contents of these blocks are no longer needed. */
#define PM_OPERATION_TRIM 4u
/* Makes blocks read as zeroes, without data. */
#define PM_OPERATION_WRITE_ZEROES 6u
/* Answered only when the written data is on the medium. */
#define PM_OPERATION_FLAG_FUA 1u
/* WRITE_ZEROES: the blocks stay allocated. */
#define PM_OPERATION_FLAG_NO_HOLE 2u
/* WRITE_ZEROES: fails with ENOTSUP where it would be no faster than writing zeroes. */
#define PM_OPERATION_FLAG_FAST_ZERO 16u

/* Block door: requests without NBD (docs/block-door.md) */
/* Largest READ or WRITE of the block door in bytes; its buffer is contiguous. TRIM and WRITE_ZEROES may be longer. */
#define PM_BLOCK_BYTES_MAX 1048576u
/* Maximum number of clients of the block door (`blockInit`), and of requests in progress, of all clients together. */
#define PM_BLOCK_CLIENTS_MAX 4096u
#define PM_BLOCK_TAGS_MAX 65536u
/* `blockOpen` flag: writes fail with EPERM. */
#define PM_BLOCK_READ_ONLY 1u
/* u8: OPERATION_*, BLOCK_FETCHED or BLOCK_RELEASE. */
#define PM_BLOCK_ENTRY_OPERATION 0u
/* u8: OPERATION_FLAG_* bits. */
#define PM_BLOCK_ENTRY_FLAGS 1u
/* u32: identifies the request until it is over, below the `tags` of `blockInit`; all clients share one number space. */
#define PM_BLOCK_ENTRY_TAG 4u
/* u32: the handle returned by `blockOpen`. */
#define PM_BLOCK_ENTRY_CLIENT 8u
/* u32: READ, WRITE: address of the data in the embedder's region, a multiple of BUFFER_PAGE_BYTES; 0: the core lends a buffer. */
#define PM_BLOCK_ENTRY_BUFFER 12u
/* u64: offset in bytes, a multiple of the unit's block size. */
#define PM_BLOCK_ENTRY_OFFSET 16u
/* u64: length in bytes, a multiple of the unit's block size. */
#define PM_BLOCK_ENTRY_LENGTH 24u
/* Bytes of an entry. */
#define PM_BLOCK_ENTRY_BYTES 32u
/* The data of a WRITE is in the buffer lent by BLOCK_FETCH. Only tag and client are used. */
#define PM_BLOCK_FETCHED 16u
/* Returns a lent buffer: of a READ, its data was taken; of a WRITE that waits for its data, there will be none (ECANCELED). */
#define PM_BLOCK_RELEASE 17u
/* u32: the tag of the entry. */
#define PM_BLOCK_COMPLETION_TAG 0u
/* u32: errno; 0: success. */
#define PM_BLOCK_COMPLETION_ERROR 4u
/* u8: BLOCK_ANSWER, BLOCK_FETCH, BLOCK_RETURNED or BLOCK_REFUSED. */
#define PM_BLOCK_COMPLETION_KIND 8u
/* u8: BLOCK_LENT and BLOCK_HELD bits. */
#define PM_BLOCK_COMPLETION_FLAGS 9u
/* u32: address of the data (successful READ), or for it (FETCH). Error: the device's sense, if it is its answer (key, ASC << 8, ASCQ << 16). */
#define PM_BLOCK_COMPLETION_ADDRESS 12u
/* u32: contiguous bytes at this address; `blockData` gives the location of the rest. */
#define PM_BLOCK_COMPLETION_LENGTH 16u
/* u32: the client of the entry. */
#define PM_BLOCK_COMPLETION_CLIENT 20u
/* Bytes of a completion. */
#define PM_BLOCK_COMPLETION_BYTES 24u
/* The answer to the request, given once. Without BLOCK_LENT and BLOCK_HELD its tag is free. */
#define PM_BLOCK_ANSWER 1u
/* A WRITE without a buffer of its own: store its data at the address, then submit BLOCK_FETCHED. Its deadline counts from then on. */
#define PM_BLOCK_FETCH 2u
/* After an answer with BLOCK_HELD: the request's own buffer is no longer accessed. */
#define PM_BLOCK_RETURNED 3u
/* The entry was invalid and had no effect; a request that uses its tag continues. */
#define PM_BLOCK_REFUSED 4u
/* The data is in the core's buffer, which stays lent until BLOCK_RELEASE. */
#define PM_BLOCK_LENT 1u
/* An unanswered command may still read or write the request's own buffer; BLOCK_RETURNED follows. */
#define PM_BLOCK_HELD 2u

/* Errors that exports return (negative numbers; 0 or more is success) */
/* The handle is not in use. */
#define PM_ERROR_HANDLE 1u
/* The value is out of range. */
#define PM_ERROR_RANGE 2u
/* No room: the table is full. */
#define PM_ERROR_LIMIT 3u
/* Another path of the unit already has this priority. */
#define PM_ERROR_PRIORITY_IN_USE 4u
/* Refused while cluster mode is on. */
#define PM_ERROR_CLUSTER_MODE 5u
/* Unknown property. */
#define PM_ERROR_PROPERTY 6u
/* The path is not failed. */
#define PM_ERROR_NOT_FAILED 7u
/* Still in use (by connections, paths or requests). */
#define PM_ERROR_BUSY 8u
/* The path does not wait for this registration, or not any more. */
#define PM_ERROR_NOT_ASKED 9u

/* Statistics of a path or a unit (PATH_STATISTICS, UNIT_STATISTICS give the address) */
/* u64: completed reads. */
#define PM_STATISTICS_READS 0u
/* u64: completed writes. */
#define PM_STATISTICS_WRITES 8u
/* u64: bytes read by them. */
#define PM_STATISTICS_BYTES_READ 16u
/* u64: bytes written by them. */
#define PM_STATISTICS_BYTES_WRITTEN 24u
/* u64: sum of the reads' latencies, ns. */
#define PM_STATISTICS_LATENCY_SUM_READ_NS 32u
/* u64: sum of the writes' latencies, ns. */
#define PM_STATISTICS_LATENCY_SUM_WRITE_NS 40u
/* u64: longest latency of a read, ns. */
#define PM_STATISTICS_LATENCY_MAX_READ_NS 48u
/* u64: longest latency of a write, ns. */
#define PM_STATISTICS_LATENCY_MAX_WRITE_NS 56u
/* u64: errors. */
#define PM_STATISTICS_ERRORS 64u
/* u64: commands sent again on the same path. */
#define PM_STATISTICS_RETRIES 72u
/* u64: reads sent a second time on another path because the first was late. */
#define PM_STATISTICS_HEDGES 80u
/* u64: hedges whose second answer came first. */
#define PM_STATISTICS_HEDGES_WON 88u
/* u64[STATISTICS_BUCKETS]: reads by latency. */
#define PM_STATISTICS_HISTOGRAM_READ 96u
/* u64[STATISTICS_BUCKETS]: writes by latency. */
#define PM_STATISTICS_HISTOGRAM_WRITE 1888u
/* Bytes of a statistics record. */
#define PM_STATISTICS_BYTES 3680u
/* Number of buckets of a histogram. Bucket 0: below 2^STATISTICS_OCTAVE_FIRST ns. The last one: everything longer. */
#define PM_STATISTICS_BUCKETS 224u
/* Number of buckets, of equal width, between one power of two of ns and the next. */
#define PM_STATISTICS_BUCKETS_PER_OCTAVE 8u
/* Exponent of the power of two at which bucket 1 begins. */
#define PM_STATISTICS_OCTAVE_FIRST 10u

/* What is counted of units only, behind their statistics (offsets from the same address) */
/* u64: requests that did not leave the queue at once: they waited for a path, room, or another request. */
#define PM_STATISTICS_WAITED 3680u
/* u64: sum of the times they waited, ns. */
#define PM_STATISTICS_WAIT_SUM_NS 3688u
/* Reads by size class, then writes: of each class a count (u64), the sum of the latencies in ns (u64), u64[STATISTICS_SIZE_BUCKETS]. */
#define PM_STATISTICS_SIZES 3696u
/* Bytes of a size class. */
#define PM_STATISTICS_SIZE_BYTES 120u
/* Classes: up to 4 KiB, up to 64 KiB, up to 512 KiB, larger. */
#define PM_STATISTICS_SIZE_CLASSES 4u
/* Bucket 0: below 2^STATISTICS_SIZE_OCTAVE_FIRST ns; each further one reaches four times as far; the last one: everything longer. */
#define PM_STATISTICS_SIZE_BUCKETS 13u
/* Exponent of the power of two at which bucket 1 begins. */
#define PM_STATISTICS_SIZE_OCTAVE_FIRST 14u
/* Bytes of a unit's statistics, all together. */
#define PM_STATISTICS_UNIT_BYTES 4656u

/* The core's exports, when it is compiled to C (docs/embedding.md). An instance is made by `pm_core_start`; calls come from one
 * thread at a time. What answers int32_t answers 0 or more for success, a negated PM_ERROR_* otherwise, and PM_CORE_FAILED
 * when an assertion of the core has ended it: then it answers nothing else any more. */
#define PM_CORE_FAILED INT32_MIN
struct pm_core;

/* Free resources: 0 request slots, 1 command slots, 2 bytes of the pool, 4 pages for checks; 3: completions that matched nothing. */
uint32_t pm_core_inspect(struct pm_core *core, uint32_t what);

/* Version of the interface this core speaks. */
uint32_t pm_core_abi_version(struct pm_core *core);

/* Address of the control block. */
uint32_t pm_core_control_block(struct pm_core *core);

/* Lays out the memory; once. connections 0..4096 (NBD), requests and commands 1..65536, poolBytes 1 MiB..2 GiB, units 1..8192,
 * paths 1..65536, events 16..65536 (rounded up to a power of two), payloadBytes 4 KiB..32 MiB and no more than the pool. ERROR_RANGE: a limit
 * does not fit, or there is not enough memory. ERROR_BUSY: it was laid out before. */
int32_t pm_core_init(struct pm_core *core,
                     uint32_t connections,
                     uint32_t requests,
                     uint32_t commands,
                     uint32_t pool_bytes,
                     uint32_t units,
                     uint32_t paths,
                     uint32_t events,
                     uint32_t payload_bytes);

/* One turn: takes completions and entries, lets timers fire, submits what can go. Time and rings are in the control block. */
void pm_core_run(struct pm_core *core);

/* Address of the scratch area (SCRATCH_BYTES); valid after `init`. */
uint32_t pm_core_scratch(struct pm_core *core);

/* Address of the path records: PATH_* at handle * PATH_BYTES. */
uint32_t pm_core_path_table(struct pm_core *core);

/* Address of the unit records: UNIT_* at handle * UNIT_BYTES. */
uint32_t pm_core_unit_table(struct pm_core *core);

/* Takes over an NBD connection that has negotiated; returns its handle. flags: CONNECTION_* bits. preloaded: number of bytes already
 * received, in scratch. ERROR_HANDLE: no such unit. ERROR_RANGE: unknown flags, or more bytes than scratch has. ERROR_LIMIT: no connection is free. */
int32_t pm_core_connection_add(struct pm_core *core,
                               uint32_t socket,
                               uint32_t handle,
                               uint32_t flags,
                               uint32_t preloaded);

/* The row of the outcome table for a status, with `senseBytes` of sense data in scratch (OUTCOME_* of scsi/outcome.ts). */
uint32_t pm_core_outcome(struct pm_core *core,
                         uint32_t host_status,
                         uint32_t driver_status,
                         uint32_t status,
                         uint32_t sense_bytes);

/* Adds a unit, without paths; returns its handle. ERROR_LIMIT: none is free. */
int32_t pm_core_unit_add(struct pm_core *core);

/* Sets a property of a unit (UNIT_SET_*, with units and ranges). ERROR_HANDLE, ERROR_PROPERTY, ERROR_RANGE, ERROR_CLUSTER_MODE, ERROR_BUSY. */
int32_t pm_core_unit_set(struct pm_core *core, uint32_t handle, uint32_t property, int64_t value);

/* Removes a unit. ERROR_HANDLE. ERROR_BUSY: it has paths, connections, clients or requests. */
int32_t pm_core_unit_remove(struct pm_core *core, uint32_t handle);

/* Sets the identity of a unit: `bytes` of scratch, 3..IDENTITY_BYTES_MAX; 0: none, so paths are not asked. ERROR_HANDLE, ERROR_RANGE. */
int32_t pm_core_unit_identity(struct pm_core *core, uint32_t handle, uint32_t bytes);

/* Adds a path; returns its handle. arrayPort: 0 for the native queue, 1 for the array's. port: what its submissions name. priority 1..254, unique in the
 * unit. enabled 0 or 1. depth: most commands in flight, 1 or more. ERROR_HANDLE, ERROR_RANGE, ERROR_LIMIT, ERROR_PRIORITY_IN_USE. */
int32_t pm_core_path_add(struct pm_core *core,
                         uint32_t handle,
                         uint32_t array_port,
                         uint32_t port,
                         uint32_t priority,
                         uint32_t enabled,
                         uint32_t depth);

/* Sets a property of a path (PATH_SET_*). ERROR_HANDLE, ERROR_PROPERTY, ERROR_RANGE, ERROR_PRIORITY_IN_USE, ERROR_NOT_FAILED. */
int32_t pm_core_path_set(struct pm_core *core, uint32_t handle, uint32_t property, int64_t value);

/* Removes a path: its I/O goes elsewhere; its record is free (no PATH_FLAG_PRESENT) when its last command has ended. ERROR_HANDLE. */
int32_t pm_core_path_remove(struct pm_core *core, uint32_t handle);

/* Exchanges the priorities of two paths of one unit. ERROR_HANDLE, ERROR_RANGE. */
int32_t pm_core_path_swap(struct pm_core *core, uint32_t a, uint32_t b);

/* Sets a system-wide mode (MODE_*, with units and ranges). ERROR_PROPERTY, ERROR_RANGE. */
int32_t pm_core_mode_set(struct pm_core *core, uint32_t which, int64_t value);

/* Another core of this machine has told of a fault (EVENT_SHARED_FAULT): paths over one of these components (0xffffffff: unknown) become
 * suspects. silent: 1 when the path did not answer at all. probesMax: how many of them may be probed. ERROR_RANGE. */
int32_t pm_core_shared_fault(struct pm_core *core,
                             uint32_t initiator_port,
                             uint32_t target_port,
                             uint32_t controller,
                             uint32_t silent,
                             uint32_t probes_max);

/* Another core has told that a suspect of this nexus has answered (EVENT_SHARED_ANSWER): ours are cleared. */
int32_t pm_core_shared_answer(struct pm_core *core, uint32_t initiator_port, uint32_t target_port);

/* Lays the block door out; once, after `init`. clients 1..4096, tags 1..65536, regionBytes 0..2 GiB. ERROR_RANGE, ERROR_BUSY. */
int32_t pm_core_block_init(struct pm_core *core, uint32_t clients, uint32_t tags, uint32_t region_bytes);

/* Address of the embedder's region, on a page; 0 when it has none. */
uint32_t pm_core_block_region(struct pm_core *core);

/* Adds a client to a unit; returns its handle. flags: BLOCK_READ_ONLY. ERROR_HANDLE, ERROR_RANGE (or a unit without a block size), ERROR_LIMIT. */
int32_t pm_core_block_open(struct pm_core *core, uint32_t handle, uint32_t flags);

/* Ends a client: its requests are answered ECANCELED. ERROR_HANDLE: it is not open. */
int32_t pm_core_block_close(struct pm_core *core, uint32_t client);

/* Address of byte `at` of a lent READ, and in the high half how many bytes are contiguous there; 0: that tag lends nothing. */
uint64_t pm_core_block_data(struct pm_core *core, uint32_t tag, uint32_t at);

/* Closes a connection: its requests are given up. ERROR_HANDLE. */
int32_t pm_core_connection_close(struct pm_core *core, uint32_t connection);

#endif
