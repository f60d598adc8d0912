/* Opening and closing, the turn, events, and what is to be seen. */
#include "host.h"

#include <stdio.h>
#include <stdlib.h>

const struct pm_limits pm_tiny = {.units = 1, .paths = 2, .requests = 16, .commands = 32, .events = 64, .tags = 16,
                                  .pool_bytes = 1u << 20, .region_bytes = 0};
const struct pm_limits pm_appliance = {.units = 8, .paths = 32, .requests = 64, .commands = 128, .events = 256, .tags = 64,
                                       .pool_bytes = 8u << 20, .region_bytes = 0};
const struct pm_limits pm_server = {.units = 64, .paths = 512, .requests = 1024, .commands = 2048, .events = 4096,
                                    .tags = 1024, .pool_bytes = 64u << 20, .region_bytes = 0};

/* A turn ends when there is nothing left to do, or after so many rounds: ports that answer at once must not keep it for ever. */
#define ROUNDS_MAX 64
#define PAGE 4096u
#define WASM_PAGE 65536u

static size_t round_up(size_t bytes, size_t to) { return (bytes + to - 1) / to * to; }

static uint32_t power_of_two(uint32_t least) {
  uint32_t power = 1;
  while (power < least) power *= 2;
  return power;
}

/* Where everything lies in the host's block of memory; bytes of all of it. */
static size_t lay_out(struct pm_host *host, const struct pm_limits *l, uint8_t *base) {
  uint32_t under_way = power_of_two(2 * (l->commands + 2 * l->paths));
  size_t end = round_up(sizeof *host, 64);
  struct {
    void **at;
    size_t bytes;
  } parts[] = {
      {(void **)&host->core, pm_core_bytes()},
      {(void **)&host->requests, (size_t)l->tags * sizeof *host->requests},
      {(void **)&host->free_tags, (size_t)l->tags * sizeof *host->free_tags},
      {(void **)&host->answers, (size_t)l->tags * 2 * sizeof *host->answers},
      {(void **)&host->places, (size_t)l->paths * sizeof *host->places},
      {(void **)&host->clients, (size_t)l->units * sizeof *host->clients},
      {(void **)&host->under_way, (size_t)under_way * sizeof *host->under_way},
  };
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
    if (base != NULL) *parts[i].at = base + end;
    end = round_up(end + parts[i].bytes, 64);
  }
  host->under_way_mask = under_way - 1;
  return round_up(end, PAGE);
}

int pm_checked(struct pm_host *host, int32_t answer) { return pm_core_failure(host->core) == NULL ? answer : PM_E_CORE; }

/* The limits that the core does not check itself; it has the last word on all others. */
static int check_limits(const struct pm_limits *l) {
  bool fits = l->units >= 1 && l->units <= PM_BLOCK_CLIENTS_MAX && l->paths >= 1 && l->paths <= 65536 && l->requests >= 1 &&
              l->commands >= 1 && l->commands <= 65536 && l->tags >= 1 && l->tags <= PM_BLOCK_TAGS_MAX &&
              l->region_bytes <= 1u << 31;
  return fits ? 0 : PM_E_RANGE;
}

static int start(struct pm_host *host, const struct pm_options *o) {
  const struct pm_limits *l = &o->limits;
  struct pm_core *core = host->core;
  if (pm_core_abi_version(core) != PM_ABI_VERSION) return PM_E_VERSION;
  host->control = pm_core_control_block(core);
  host->now_ns = o->now_ns;
  pm_put64(host, host->control + PM_CONTROL_SEED, o->seed);
  pm_put64(host, host->control + PM_CONTROL_NOW_NS, o->now_ns);
  uint32_t payload = l->pool_bytes < PM_BLOCK_BYTES_MAX ? l->pool_bytes : PM_BLOCK_BYTES_MAX;
  int32_t answer = pm_core_init(core, 0, l->requests, l->commands, l->pool_bytes, l->units, l->paths, l->events, payload);
  if (answer == 0) answer = pm_core_block_init(core, l->units, l->tags, l->region_bytes);
  if (answer < 0) return pm_core_memory_wanted(core) != 0 ? PM_E_MEMORY : pm_checked(host, answer);
  host->paths = pm_core_path_table(core);
  host->units = pm_core_unit_table(core);
  host->region = pm_core_block_region(core);
  host->free_count = l->tags;
  for (uint32_t i = 0; i < l->tags; i++) host->free_tags[i] = l->tags - 1 - i;
  return 0;
}

int pm_open(struct pm_host **opened, const struct pm_options *options) {
  if (opened == NULL || options == NULL) return PM_E_ARGUMENT;
  *opened = NULL;
  int error = check_limits(&options->limits);
  if (error < 0) return error;
  struct pm_host layout = {0}, *host;
  size_t bytes = lay_out(&layout, &options->limits, NULL);
  uint8_t *block = options->memory, *rest = NULL;
  size_t rest_bytes = 0;
  if (block == NULL) {
    block = calloc(1, bytes);
    if (block == NULL) return PM_E_MEMORY;
  } else {
    if ((uintptr_t)block % PAGE != 0) return PM_E_ARGUMENT;
    if (options->memory_bytes < bytes + WASM_PAGE) return PM_E_MEMORY;
    memset(block, 0, options->memory_bytes);
    rest = block + bytes;
    rest_bytes = (options->memory_bytes - bytes) / WASM_PAGE * WASM_PAGE;
  }
  host = (struct pm_host *)(void *)block;
  host->limits = options->limits;
  host->allocated = options->memory == NULL;
  lay_out(host, &options->limits, block);
  error = pm_core_start(host->core, rest, rest_bytes) == 0 ? start(host, options) : PM_E_MEMORY;
  if (error < 0) {
    pm_close(host);
    return error;
  }
  *opened = host;
  return 0;
}

int pm_close(struct pm_host *host) {
  if (host == NULL) return 0;
  if (host->in_turn) return PM_E_IN_TURN;
  if (host->under_way_count != 0) return PM_E_BUSY;
  pm_abandon(host);
  return 0;
}

void pm_abandon(struct pm_host *host) {
  if (host == NULL) return;
  pm_core_stop(host->core);
  if (host->allocated) free(host);
}

size_t pm_memory_bytes(const struct pm_limits *limits) {
  struct pm_host *host;
  struct pm_options options = {.limits = {0}};
  if (limits == NULL) return 0;
  options.limits = *limits;
  if (pm_open(&host, &options) < 0) return 0;
  struct pm_host layout = {0};
  size_t bytes = lay_out(&layout, limits, NULL) + pm_core_memory_bytes(host->core);
  pm_close(host);
  return bytes;
}

const char *pm_failure(struct pm_host *host) {
  const struct pm_failure *failure = host == NULL ? NULL : pm_core_failure(host->core);
  if (failure == NULL) return NULL;
  snprintf(host->failure, sizeof host->failure, "%s:%u:%u", failure->text, failure->line, failure->column);
  return host->failure;
}

static void poll_ports(struct pm_host *host) {
  for (uint32_t i = 0; i < host->places_used; i++) {
    struct pm_port *port = host->places[i].port;
    if (port != NULL && port->ops->poll != NULL) port->ops->poll(port, host, host->now_ns);
  }
}

/* Answers whether there is more to do. */
static bool one_round(struct pm_host *host) {
  poll_ports(host);
  pm_put64(host, host->control + PM_CONTROL_NOW_NS, host->now_ns);
  pm_core_run(host->core);
  if (pm_core_failure(host->core) != NULL) return false;
  bool more = pm_take_submissions(host);
  more = pm_take_block_completions(host) || more;
  pm_places_sweep(host);
  return more || pm_ring_first(host, PM_CONTROL_COMPLETION_QUEUE, PM_COMPLETION_BYTES) != 0;
}

int pm_turn(struct pm_host *host, uint64_t now_ns) {
  if (host == NULL) return PM_E_ARGUMENT;
  if (host->in_turn) return PM_E_IN_TURN;
  if (now_ns < host->now_ns) return PM_E_CLOCK;
  host->now_ns = now_ns;
  host->turns++;
  host->in_turn = host->wants_turn = true;
  for (int round = 0; host->wants_turn && round < ROUNDS_MAX; round++) host->wants_turn = one_round(host);
  host->in_turn = false;
  return pm_core_failure(host->core) == NULL ? 0 : PM_E_CORE;
}

uint64_t pm_next_deadline(struct pm_host *host) {
  if (host == NULL) return UINT64_MAX;
  bool well = pm_core_failure(host->core) == NULL;
  if (well && host->wants_turn) return host->now_ns;
  /* When the core has ended, ports still have something to end. */
  uint64_t due_ns = well ? pm_u64(host, host->control + PM_CONTROL_DEADLINE_NS) : UINT64_MAX;
  for (uint32_t i = 0; i < host->places_used; i++) {
    struct pm_port *port = host->places[i].port;
    if (port == NULL || port->ops->deadline == NULL) continue;
    uint64_t port_ns = port->ops->deadline(port);
    if (port_ns < due_ns) due_ns = port_ns;
  }
  return due_ns;
}

bool pm_next_event(struct pm_host *host, struct pm_event *event) {
  if (host == NULL || event == NULL) return false;
  uint32_t at = pm_ring_first(host, PM_CONTROL_EVENT_QUEUE, PM_EVENT_BYTES);
  if (at == 0) return false;
  *event = (struct pm_event){
      .kind = pm_u16(host, at + PM_EVENT_KIND),
      .reason = pm_u16(host, at + PM_EVENT_REASON),
      .unit = pm_u32(host, at + PM_EVENT_UNIT),
      .path = pm_u32(host, at + PM_EVENT_PATH),
      .argument0 = pm_u32(host, at + PM_EVENT_ARG0),
      .argument1 = pm_u32(host, at + PM_EVENT_ARG1),
      .time_ns = pm_u64(host, at + PM_EVENT_TIME_NS),
      .host_status = pm_u16(host, at + PM_EVENT_HOST_STATUS),
  };
  memcpy(event->sense, pm_at(host, at + PM_EVENT_SENSE), 4);
  pm_ring_taken(host, PM_CONTROL_EVENT_QUEUE);
  return true;
}

uint64_t pm_events_lost(struct pm_host *host) {
  return host == NULL ? 0 : pm_u64(host, host->control + PM_CONTROL_EVENTS_LOST);
}

int pm_path_info(struct pm_host *host, uint32_t path, struct pm_path_info *info) {
  if (host == NULL || info == NULL) return PM_E_ARGUMENT;
  if (path >= host->limits.paths) return PM_E_HANDLE;
  uint32_t at = host->paths + path * PM_PATH_BYTES;
  if ((pm_u32(host, at + PM_PATH_FLAGS) & PM_PATH_FLAG_PRESENT) == 0) return PM_E_HANDLE;
  *info = (struct pm_path_info){
      .flags = pm_u32(host, at + PM_PATH_FLAGS),
      .unit = pm_u32(host, at + PM_PATH_UNIT),
      .priority = pm_u16(host, at + PM_PATH_PRIORITY),
      .in_flight = pm_u32(host, at + PM_PATH_IN_FLIGHT),
      .orphans = pm_u32(host, at + PM_PATH_ORPHANS),
      .ios = pm_u64(host, at + PM_PATH_IOS),
      .bytes_read = pm_u64(host, at + PM_PATH_BYTES_READ),
      .bytes_written = pm_u64(host, at + PM_PATH_BYTES_WRITTEN),
      .errors = pm_u64(host, at + PM_PATH_ERRORS),
      .retries = pm_u64(host, at + PM_PATH_RETRIES),
  };
  return 0;
}

int pm_unit_info(struct pm_host *host, uint32_t unit, struct pm_unit_info *info) {
  if (host == NULL || info == NULL) return PM_E_ARGUMENT;
  if (unit >= host->limits.units) return PM_E_HANDLE;
  uint32_t at = host->units + unit * PM_UNIT_BYTES;
  if ((pm_u32(host, at + PM_UNIT_FLAGS) & PM_UNIT_FLAG_PRESENT) == 0) return PM_E_HANDLE;
  *info = (struct pm_unit_info){
      .flags = pm_u32(host, at + PM_UNIT_FLAGS),
      .paths = pm_u32(host, at + PM_UNIT_PATHS),
      .usable = pm_u32(host, at + PM_UNIT_USABLE),
      .requests = pm_u32(host, at + PM_UNIT_REQUESTS),
      .waiting = pm_u32(host, at + PM_UNIT_WAITING),
      .orphans = pm_u32(host, at + PM_UNIT_ORPHANS),
      .answered = pm_u64(host, at + PM_UNIT_ANSWERED),
      .failed = pm_u64(host, at + PM_UNIT_FAILED),
      .latency_ns_max = pm_u64(host, at + PM_UNIT_LATENCY_NS_MAX),
  };
  return 0;
}

struct pm_core *pm_core_of(struct pm_host *host) { return host == NULL ? NULL : host->core; }

const char *pm_error_text(int error) {
  switch (error) {
    case PM_E_HANDLE: return "there is no unit, path or client with this handle";
    case PM_E_RANGE: return "a value or limit is outside its range (pathmanager.h names them)";
    case PM_E_LIMIT: return "a table is full: open with larger limits, or remove something";
    case PM_E_PRIORITY_IN_USE: return "another path of the unit has this priority";
    case PM_E_CLUSTER_MODE: return "cluster mode allows static policies only";
    case PM_E_PROPERTY: return "there is no such property";
    case PM_E_NOT_FAILED: return "the path is not failed";
    case PM_E_BUSY: return "it is in use: give later turns the time to end what is under way (a unit: after its paths are removed)";
    case PM_E_ARGUMENT: return "an argument is NULL or misaligned";
    case PM_E_MEMORY: return "there is not enough memory: pm_memory_bytes() says how much these limits take";
    case PM_E_VERSION: return "core and header are of different versions: build both from one tarball";
    case PM_E_FULL: return "every tag is in use: fetch answers with pm_poll";
    case PM_E_PORT: return "the port has no `submit`";
    case PM_E_PORT_IN_USE: return "the port belongs to a path already";
    case PM_E_REMOVING: return "the port's last path is not gone yet: wait until pm_port_idle";
    case PM_E_NOT_ASKED: return "no command with this tag is under way: it was never asked for, or completed before";
    case PM_E_CLOCK: return "the time went back: give one that does not (CLOCK_MONOTONIC)";
    case PM_E_IN_TURN: return "a port's function has called what only its embedder may, between turns";
    case PM_E_CORE: return "an assertion of the core has ended it (pm_failure): close, open again, add everything anew";
    default: return error >= 0 ? "success" : "unknown error";
  }
}
