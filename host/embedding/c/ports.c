/* Units, paths and ports: SCSI commands out, their ends in. */
#include "host.h"

#include <errno.h>
#include <stdatomic.h>

/* Instances take tags by the chunk, so that no two have the same. */
#define TAG_CHUNK 4096u
static _Atomic uint32_t tags_taken;

/* ---- Commands under way: a table by tag, open addressing, removal by closing the gap ------------------------------ */

static uint32_t home_of(const struct pm_host *host, uint32_t tag) { return (tag * 2654435761u) >> 7 & host->under_way_mask; }

static uint32_t new_tag(struct pm_host *host) {
  if (host->tag_next == host->tag_end) {
    host->tag_next = atomic_fetch_add(&tags_taken, TAG_CHUNK);
    host->tag_end = host->tag_next + TAG_CHUNK;
  }
  if (host->tag_next == 0) host->tag_next = 1;
  return host->tag_next++;
}

/* Enters a command; answers the tag that its port gets. */
static uint32_t remember(struct pm_host *host, uint32_t core_tag, uint32_t slot) {
  uint32_t tag = new_tag(host);
  uint32_t at = home_of(host, tag);
  while (host->under_way[at].tag != 0) at = (at + 1) & host->under_way_mask;
  host->under_way[at] = (struct pm_under_way){.tag = tag, .core_tag = core_tag, .slot = slot};
  host->under_way_count++;
  return tag;
}

/* Takes an entry out; false when there is none. */
static bool forget(struct pm_host *host, uint32_t tag, bool reset, struct pm_under_way *found) {
  uint32_t mask = host->under_way_mask, at = home_of(host, tag);
  while (host->under_way[at].tag != tag) {
    if (host->under_way[at].tag == 0) return false;
    at = (at + 1) & mask;
  }
  if ((host->under_way[at].slot == 0) != reset) return false;
  *found = host->under_way[at];
  for (uint32_t next = (at + 1) & mask; host->under_way[next].tag != 0; next = (next + 1) & mask) {
    uint32_t home = home_of(host, host->under_way[next].tag);
    if (((next - home) & mask) < ((next - at) & mask)) continue;
    host->under_way[at] = host->under_way[next];
    at = next;
  }
  host->under_way[at].tag = 0;
  host->under_way_count--;
  return true;
}

/* ---- Completions --------------------------------------------------------------------------------------------------- */

static void complete(struct pm_host *host, uint32_t tag, int error) {
  uint32_t at = pm_ring_room(host, PM_CONTROL_COMPLETION_QUEUE, PM_COMPLETION_BYTES);
  /* There is an entry for each submission under way, and this was one. */
  pm_put32(host, at + PM_COMPLETION_TAG, tag);
  pm_put32(host, at + PM_COMPLETION_RESULT, (uint32_t)-error);
  pm_put64(host, at + PM_COMPLETION_TIME_NS, host->now_ns);
  pm_ring_filled(host, PM_CONTROL_COMPLETION_QUEUE);
  host->wants_turn = true;
}

int pm_complete(struct pm_host *host, uint32_t tag, const struct pm_result *result) {
  struct pm_under_way found;
  if (host == NULL || result == NULL || (result->sense_bytes != 0 && result->sense == NULL)) return PM_E_ARGUMENT;
  if (tag == 0 || !forget(host, tag, false, &found)) return PM_E_NOT_ASKED;
  uint8_t *at = pm_at(host, found.slot);
  uint8_t sense = result->sense_bytes < PM_SENSE_BYTES_MAX ? result->sense_bytes : (uint8_t)PM_SENSE_BYTES_MAX;
  at[PM_COMMAND_STATUS] = result->status;
  at[PM_COMMAND_SENSE_BYTES] = sense;
  memcpy(at + PM_COMMAND_HOST_STATUS, &result->host_status, 2);
  memcpy(at + PM_COMMAND_DRIVER_STATUS, &result->driver_status, 2);
  memcpy(at + PM_COMMAND_RESIDUAL, &result->residual, 4);
  if (sense != 0) memcpy(at + PM_COMMAND_SENSE, result->sense, sense);
  complete(host, found.core_tag, result->error);
  return 0;
}

int pm_complete_reset(struct pm_host *host, uint32_t tag, int error) {
  struct pm_under_way found;
  if (host == NULL) return PM_E_ARGUMENT;
  if (tag == 0 || !forget(host, tag, true, &found)) return PM_E_NOT_ASKED;
  complete(host, found.core_tag, error);
  return 0;
}

static void submit_command(struct pm_host *host, struct pm_port *port, uint32_t tag, uint32_t slot) {
  uint8_t *at = pm_at(host, slot);
  uint32_t buffer = pm_u32(host, slot + PM_COMMAND_BUFFER);
  struct pm_command command = {
      .tag = remember(host, tag, slot),
      .cdb = at + PM_COMMAND_CDB,
      .cdb_bytes = at[PM_COMMAND_CDB_BYTES],
      .direction = at[PM_COMMAND_DIRECTION],
      .data = buffer == 0 ? NULL : pm_at(host, buffer),
      .bytes = pm_u32(host, slot + PM_COMMAND_BUFFER_BYTES),
      .timeout_ms = pm_u32(host, slot + PM_COMMAND_TIMEOUT_MS),
  };
  port->ops->submit(port, host, &command);
}

/* Hands the core's submissions to their ports; whether there was one. */
bool pm_take_submissions(struct pm_host *host) {
  bool any = false;
  for (;;) {
    uint32_t at = pm_ring_first(host, PM_CONTROL_NATIVE_QUEUE, PM_SUBMISSION_BYTES);
    if (at == 0) return any;
    any = true;
    uint32_t tag = pm_u32(host, at + PM_SUBMISSION_TAG), number = pm_u32(host, at + PM_SUBMISSION_HANDLE);
    struct pm_port *port = number < host->limits.paths ? host->places[number].port : NULL;
    uint8_t op = *pm_at(host, at + PM_SUBMISSION_OP);
    uint32_t address = pm_u32(host, at + PM_SUBMISSION_ADDRESS), length = pm_u32(host, at + PM_SUBMISSION_LENGTH);
    pm_ring_taken(host, PM_CONTROL_NATIVE_QUEUE);
    if (port == NULL || (op != PM_OP_SCSI && op != PM_OP_RESET)) complete(host, tag, EBADF);
    else if (op == PM_OP_SCSI) submit_command(host, port, tag, address);
    else if (port->ops->reset == NULL) complete(host, tag, EOPNOTSUPP);
    else port->ops->reset(port, host, remember(host, tag, 0), length);
  }
}

/* ---- Paths --------------------------------------------------------------------------------------------------------- */

static bool is_present(struct pm_host *host, uint32_t path) {
  return (pm_u32(host, host->paths + path * PM_PATH_BYTES + PM_PATH_FLAGS) & PM_PATH_FLAG_PRESENT) != 0;
}

/* Places whose removed path is gone become free. */
void pm_places_sweep(struct pm_host *host) {
  for (uint32_t i = 0; i < host->places_used; i++) {
    struct pm_place *place = &host->places[i];
    if (place->removing && !is_present(host, place->path)) *place = (struct pm_place){0};
  }
}

int pm_path_add(struct pm_host *host, uint32_t unit, struct pm_port *port, uint32_t priority, uint32_t depth) {
  if (host == NULL) return PM_E_ARGUMENT;
  if (port == NULL || port->ops == NULL || port->ops->submit == NULL) return PM_E_PORT;
  pm_places_sweep(host);
  uint32_t number = host->limits.paths;
  for (uint32_t i = host->limits.paths; i-- > 0;) {
    if (host->places[i].port == port) return host->places[i].removing ? PM_E_REMOVING : PM_E_PORT_IN_USE;
    if (host->places[i].port == NULL) number = i;
  }
  if (number == host->limits.paths) return PM_E_LIMIT;
  int path = pm_checked(host, pm_core_path_add(host->core, unit, 0, number, priority, 1, depth));
  if (path < 0) return path;
  host->places[number] = (struct pm_place){.port = port, .path = (uint32_t)path};
  if (number >= host->places_used) host->places_used = number + 1;
  host->wants_turn = true;
  return path;
}

int pm_path_set(struct pm_host *host, uint32_t path, uint32_t property, int64_t value) {
  if (host == NULL) return PM_E_ARGUMENT;
  host->wants_turn = true;
  return pm_checked(host, pm_core_path_set(host->core, path, property, value));
}

int pm_path_remove(struct pm_host *host, uint32_t path) {
  if (host == NULL) return PM_E_ARGUMENT;
  int answer = pm_checked(host, pm_core_path_remove(host->core, path));
  if (answer < 0) return answer;
  for (uint32_t i = 0; i < host->places_used; i++) {
    if (host->places[i].port != NULL && host->places[i].path == path) host->places[i].removing = true;
  }
  host->wants_turn = true;
  return 0;
}

bool pm_port_idle(struct pm_host *host, const struct pm_port *port) {
  if (host == NULL || port == NULL) return true;
  pm_places_sweep(host);
  for (uint32_t i = 0; i < host->places_used; i++) {
    if (host->places[i].port == port) return false;
  }
  return true;
}

/* ---- Units --------------------------------------------------------------------------------------------------------- */

static int configure(struct pm_host *host, uint32_t unit, const struct pm_unit_config *c) {
  const struct {
    uint32_t property;
    uint64_t value;
    bool set;
  } settings[] = {
      {PM_UNIT_SET_BLOCK_BYTES, c->block_bytes, true},
      {PM_UNIT_SET_BLOCKS, c->blocks, true},
      {PM_UNIT_SET_CAPABILITIES, c->capabilities, true},
      {PM_UNIT_SET_POLICY, c->policy, true},
      {PM_UNIT_SET_IO_TIMEOUT_MS, c->io_timeout_ms, c->io_timeout_ms != 0},
      {PM_UNIT_SET_NO_PATH_TIMEOUT_MS, c->no_path_timeout_ms, c->no_path_timeout_ms != 0},
      {PM_UNIT_SET_LEFTOVERS, 1, c->inherited},
  };
  for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
    if (!settings[i].set) continue;
    if (settings[i].value > INT64_MAX) return PM_E_RANGE;
    int answer = pm_checked(host, pm_core_unit_set(host->core, unit, settings[i].property, (int64_t)settings[i].value));
    if (answer < 0) return answer;
  }
  if (c->identity == NULL) return 0;
  memcpy(pm_at(host, pm_core_scratch(host->core)), c->identity, c->identity_bytes);
  return pm_checked(host, pm_core_unit_identity(host->core, unit, c->identity_bytes));
}

int pm_unit_add(struct pm_host *host, const struct pm_unit_config *config) {
  if (host == NULL || config == NULL || (config->identity == NULL && config->identity_bytes != 0)) return PM_E_ARGUMENT;
  if (config->blocks == 0) return PM_E_RANGE;
  /* The core takes none for "do not ask": an identity that was forgotten must not open the unit to every device. */
  if (config->identity != NULL && (config->identity_bytes == 0 || config->identity_bytes > PM_IDENTITY_BYTES_MAX))
    return PM_E_RANGE;
  int unit = pm_checked(host, pm_core_unit_add(host->core));
  if (unit < 0) return unit;
  int answer = configure(host, (uint32_t)unit, config);
  if (answer >= 0) {
    uint32_t flags = config->read_only ? PM_BLOCK_READ_ONLY : 0;
    answer = pm_checked(host, pm_core_block_open(host->core, (uint32_t)unit, flags));
  }
  if (answer < 0) {
    pm_core_unit_remove(host->core, (uint32_t)unit);
    return answer;
  }
  host->clients[unit] = (struct pm_client){.client = (uint32_t)answer, .open = true};
  host->wants_turn = true;
  return unit;
}

int pm_unit_set(struct pm_host *host, uint32_t unit, uint32_t property, int64_t value) {
  if (host == NULL) return PM_E_ARGUMENT;
  host->wants_turn = true;
  return pm_checked(host, pm_core_unit_set(host->core, unit, property, value));
}

int pm_unit_remove(struct pm_host *host, uint32_t unit) {
  if (host == NULL) return PM_E_ARGUMENT;
  if (unit >= host->limits.units || !host->clients[unit].open) return PM_E_HANDLE;
  if (pm_u32(host, host->units + unit * PM_UNIT_BYTES + PM_UNIT_PATHS) != 0) return PM_E_BUSY;
  struct pm_client *client = &host->clients[unit];
  if (!client->closing) {
    int answer = pm_checked(host, pm_core_block_close(host->core, client->client));
    if (answer < 0) return answer;
    client->closing = true;
    host->wants_turn = true;
  }
  int answer = pm_checked(host, pm_core_unit_remove(host->core, unit));
  if (answer == 0) *client = (struct pm_client){0};
  return answer;
}
