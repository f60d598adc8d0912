/* PathManager in firmware: several SCSI paths to a logical unit become one block device, without a thread, a clock or an
 * allocation of its own after pm_open. Guide: docs/embedding.md (README.md in the tarball).
 *
 * One thread calls all of it. What returns int returns 0 or more for success and a negative PM_E_* otherwise
 * (pm_error_text says what to do). Times are CLOCK_MONOTONIC or any other clock that does not go back, in ns. */
#ifndef PATHMANAGER_H
#define PATHMANAGER_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pathmanager_core.h"

enum pm_error {
  /* What the core refuses: PM_ERROR_* of pathmanager_core.h, negated. */
  PM_E_HANDLE = -1,
  PM_E_RANGE = -2,
  PM_E_LIMIT = -3,
  PM_E_PRIORITY_IN_USE = -4,
  PM_E_CLUSTER_MODE = -5,
  PM_E_PROPERTY = -6,
  PM_E_NOT_FAILED = -7,
  PM_E_BUSY = -8,
  /* What the host library refuses. */
  PM_E_ARGUMENT = -64,
  PM_E_MEMORY = -65,
  PM_E_VERSION = -66,
  PM_E_FULL = -67,
  PM_E_PORT = -68,
  PM_E_PORT_IN_USE = -69,
  PM_E_REMOVING = -70,
  PM_E_NOT_ASKED = -71,
  PM_E_CLOCK = -72,
  PM_E_CORE = -73,
  PM_E_IN_TURN = -74,
};

/* One sentence: what is wrong and what to do. Never NULL. */
const char *pm_error_text(int error);

/* ---- Limits: everything is laid out for them once ---------------------------------------------------------------- */

struct pm_limits {
  uint32_t units;        /* 1..4096 */
  uint32_t paths;        /* 1..65536, of all units together; 32 per unit */
  uint32_t requests;     /* 1..65536: accepted by the core and not answered */
  uint32_t commands;     /* 1..65536: SCSI commands in flight */
  uint32_t events;       /* 16..65536, rounded up to a power of two */
  uint32_t tags;         /* 1..65536: submitted by pm_submit and not fetched by pm_poll */
  uint32_t pool_bytes;   /* 1 MiB..2 GiB: data buffers of the core */
  uint32_t region_bytes; /* 0..2 GiB: buffers of your own that devices read and write without a copy (pm_region) */
};

/* 1 unit x 2 paths x 16; 8 x 4 x 64; 64 x 8 x 1024 requests: see the table of sizes in the guide. */
extern const struct pm_limits pm_tiny, pm_appliance, pm_server;

struct pm_host;

struct pm_options {
  struct pm_limits limits;
  uint64_t seed;       /* of the core's random numbers: the same seed, the same decisions */
  uint64_t now_ns;     /* the time of pm_open */
  void *memory;        /* at a multiple of 4096, pm_memory_bytes() long; NULL: from the system, in pm_open only */
  size_t memory_bytes;
};

/* Bytes of memory that these limits take, or 0 when they do not fit; pm_open says which PM_E_*. Allocates for a moment. */
size_t pm_memory_bytes(const struct pm_limits *limits);

int pm_open(struct pm_host **host, const struct pm_options *options);

/* Gives back the memory. PM_E_BUSY while ports have commands, because their data is there: call pm_turn and try again, also
 * after PM_E_CORE ("Starting again" in the guide). */
int pm_close(struct pm_host *host);

/* The same at once, when nothing of its ports touches that memory any more, though their commands may still change the medium: after
 * pm_sg_close, because Linux copies a command's data when it is written and read. */
void pm_abandon(struct pm_host *host);

/* What ended the core (PM_E_CORE), with its place in assembly/, or NULL. */
const char *pm_failure(struct pm_host *host);

/* ---- Ports: how a SCSI command reaches a device ------------------------------------------------------------------ */

struct pm_command {
  uint32_t tag;
  const uint8_t *cdb;
  uint8_t cdb_bytes;
  uint8_t direction; /* PM_DIRECTION_* */
  void *data;        /* PM_DIRECTION_IN: to be filled, PM_DIRECTION_OUT: to be sent; yours until pm_complete */
  uint32_t bytes;
  uint32_t timeout_ms; /* after which you may give it up: complete it with host status 3 (DID_TIME_OUT) */
};

struct pm_result {
  uint8_t status; /* SCSI status */
  uint8_t sense_bytes;
  uint16_t host_status, driver_status; /* DID_*, DRIVER_* of Linux; 0: the device has answered */
  int32_t residual;
  const uint8_t *sense;
  int error; /* an errno: the command was not delivered at all; the rest does not count */
};

struct pm_port;

struct pm_port_ops {
  /* Begins a command. It is completed by pm_complete, once, now or later. */
  void (*submit)(struct pm_port *port, struct pm_host *host, const struct pm_command *command);
  /* Begins a reset, PM_RESET_*; completed by pm_complete_reset. NULL: there is none (the core learns EOPNOTSUPP). */
  void (*reset)(struct pm_port *port, struct pm_host *host, uint32_t tag, uint32_t scope);
  /* Called in each turn: completes what has ended. It must not wait. NULL: nothing to look at. */
  void (*poll)(struct pm_port *port, struct pm_host *host, uint64_t now_ns);
  /* When it wants to be polled at the latest; UINT64_MAX: at no time. NULL: at no time. */
  uint64_t (*deadline)(const struct pm_port *port);
};

/* The first member of your own port. */
struct pm_port {
  const struct pm_port_ops *ops;
};

/* Within submit or poll, or between turns. PM_E_NOT_ASKED: no such command is under way (never asked for, or told before);
 * nothing has changed. */
int pm_complete(struct pm_host *host, uint32_t tag, const struct pm_result *result);
int pm_complete_reset(struct pm_host *host, uint32_t tag, int error);

/* ---- Units and paths ---------------------------------------------------------------------------------------------- */

struct pm_unit_config {
  uint32_t block_bytes;  /* 512 or 4096 */
  uint64_t blocks;
  uint32_t capabilities; /* PM_UNIT_CAN_* */
  uint32_t policy;       /* PM_POLICY_* */
  const uint8_t *identity; /* what every path has to show; NULL: paths are not asked */
  uint32_t identity_bytes; /* 3..PM_IDENTITY_BYTES_MAX; 0 when it is NULL */
  uint32_t io_timeout_ms;      /* 0: the core's default */
  uint32_t no_path_timeout_ms; /* 0: the core's default */
  bool read_only;
  bool inherited; /* commands of an instance before this one may still be under way: writes wait until you set it to 0 */
};

/* Answers the unit's handle. */
int pm_unit_add(struct pm_host *host, const struct pm_unit_config *config);
/* PM_UNIT_SET_*. */
int pm_unit_set(struct pm_host *host, uint32_t unit, uint32_t property, int64_t value);
/* PM_E_BUSY while it has paths, or requests that are not over: call again after later turns. Requests end with ECANCELED. */
int pm_unit_remove(struct pm_host *host, uint32_t unit);

/* Answers the path's handle. PM_E_REMOVING while the same port's last path is not gone, PM_E_PORT_IN_USE while it has one. */
int pm_path_add(struct pm_host *host, uint32_t unit, struct pm_port *port, uint32_t priority, uint32_t depth);
/* PM_PATH_SET_*. */
int pm_path_set(struct pm_host *host, uint32_t path, uint32_t property, int64_t value);
/* Its I/O goes elsewhere. The port is yours again when pm_port_idle says so. */
int pm_path_remove(struct pm_host *host, uint32_t path);
bool pm_port_idle(struct pm_host *host, const struct pm_port *port);

/* ---- I/O ---------------------------------------------------------------------------------------------------------- */

struct pm_io {
  uint32_t unit;
  uint32_t operation; /* PM_OPERATION_READ, WRITE, FLUSH, TRIM, WRITE_ZEROES */
  uint32_t flags;     /* PM_OPERATION_FLAG_* */
  uint64_t offset, bytes; /* multiples of the block; READ and WRITE at most PM_BLOCK_BYTES_MAX */
  void *data;      /* READ, WRITE: yours, left alone by you until the answer. In pm_region: not copied. */
  uint64_t cookie; /* comes back in the answer */
};

struct pm_answer {
  uint64_t cookie;
  int error; /* errno, 0: good */
  bool held; /* data in pm_region: a command nobody heard of may still touch it, until pm_poll answers `returned` */
  bool returned;
  bool elsewhere; /* what was read into pm_region is not there, as the first command may still write there: pm_fetch_elsewhere */
  uint32_t tag;
};

/* PM_E_FULL: as many as `tags` are submitted and not fetched. The request goes out with the next turn. */
int pm_submit(struct pm_host *host, const struct pm_io *io);

/* Fetches up to `count` answers; answers how many. */
int pm_poll(struct pm_host *host, struct pm_answer *answers, int count);

/* Copies the data of an answer with `elsewhere`, before the next turn. */
int pm_fetch_elsewhere(struct pm_host *host, const struct pm_answer *answer, void *to, uint32_t bytes);

/* Your own part of the core's memory, at a multiple of PM_BUFFER_PAGE_BYTES; NULL without one. */
void *pm_region(struct pm_host *host);

/* ---- The turn ----------------------------------------------------------------------------------------------------- */

/* Does everything that can be done now. PM_E_CLOCK when the time goes back, PM_E_IN_TURN when a port calls it: nothing was done.
 * PM_E_CORE: ports were polled, so that what they have can end. */
int pm_turn(struct pm_host *host, uint64_t now_ns);

/* When the next turn is due at the latest; UINT64_MAX: when something comes (a command ends, a request is submitted). */
uint64_t pm_next_deadline(struct pm_host *host);

struct pm_event {
  uint32_t kind, reason; /* PM_EVENT_*, PM_REASON_* */
  uint32_t unit, path;   /* UINT32_MAX: none */
  uint32_t argument0, argument1;
  uint64_t time_ns;
  uint8_t sense[4]; /* SCSI status, sense key, ASC, ASCQ */
  uint16_t host_status;
};

/* Fetches the oldest event; false when there is none. What is not fetched in time is lost, and counted. */
bool pm_next_event(struct pm_host *host, struct pm_event *event);
uint64_t pm_events_lost(struct pm_host *host);

/* ---- What is to be seen ------------------------------------------------------------------------------------------- */

struct pm_path_info {
  uint32_t flags; /* PM_PATH_FLAG_* */
  uint32_t unit, priority, in_flight, orphans;
  uint64_t ios, bytes_read, bytes_written, errors, retries;
};

struct pm_unit_info {
  uint32_t flags, paths, usable; /* the last two: masks of path slots */
  uint32_t requests, waiting, orphans;
  uint64_t answered, failed, latency_ns_max;
};

int pm_path_info(struct pm_host *host, uint32_t path, struct pm_path_info *info);
int pm_unit_info(struct pm_host *host, uint32_t unit, struct pm_unit_info *info);

/* The instance of the core: for what this header does not offer. */
struct pm_core *pm_core_of(struct pm_host *host);

#endif
