/* What the host library promises about opening, units and paths. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "selftest.h"

static int open_error(struct pm_limits limits) {
  struct pm_host *host = NULL;
  struct pm_options options = {.limits = limits};
  int error = pm_open(&host, &options);
  if (error == 0) pm_close(host);
  else promise(host == NULL, "what could not be opened is NULL");
  return error;
}

/* One write, read back, over one path. */
static bool serves(struct pm_host *host) {
  static struct pm_memory_port port;
  uint8_t written[512], read[512];
  struct pm_answer answer;
  pm_memory_port_init(&port, &disk);
  memset(written, 0xa5, sizeof written);
  int unit = pm_unit_add(host, &unit_config);
  if (unit < 0 || pm_path_add(host, (uint32_t)unit, &port.port, 1, 8) < 0) return false;
  struct pm_io io = {.unit = (uint32_t)unit, .operation = PM_OPERATION_WRITE, .bytes = 512, .data = written};
  for (int i = 0; i < 2; i++) {
    if (pm_submit(host, &io) != 0 || pm_turn(host, 100000) != 0) return false;
    if (pm_poll(host, &answer, 1) != 1 || answer.error != 0) return false;
    io.operation = PM_OPERATION_READ;
    io.data = read;
  }
  return memcmp(written, read, 512) == 0;
}

static void limits(void) {
  struct {
    const char *what;
    size_t at;
    uint32_t below, above;
  } fields[] = {
      {"units", offsetof(struct pm_limits, units), 0, 4097},
      {"paths", offsetof(struct pm_limits, paths), 0, 65537},
      {"requests", offsetof(struct pm_limits, requests), 0, 65537},
      {"commands", offsetof(struct pm_limits, commands), 0, 65537},
      {"events", offsetof(struct pm_limits, events), 0, 65537},
      {"events below 16", offsetof(struct pm_limits, events), 15, 65537},
      {"tags", offsetof(struct pm_limits, tags), 0, 65537},
      {"pool", offsetof(struct pm_limits, pool_bytes), 0, 0x80000001u},
      {"pool below 1 MiB", offsetof(struct pm_limits, pool_bytes), 1048575, 0x80000001u},
      {"region", offsetof(struct pm_limits, region_bytes), 0x80000001u, 0xffffffffu},
  };
  for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
    for (int above = 0; above < 2; above++) {
      struct pm_limits wrong = pm_tiny;
      uint32_t value = above ? fields[i].above : fields[i].below;
      memcpy((uint8_t *)&wrong + fields[i].at, &value, 4);
      promise(open_error(wrong) == PM_E_RANGE, fields[i].what);
    }
  }
  struct pm_limits most = pm_server;
  most.pool_bytes = 1u << 31;
  most.region_bytes = 1u << 31;
  promise(open_error(most) < 0, "more than 32 bits address is refused");
  struct pm_host *host;
  promise(pm_open(NULL, NULL) == PM_E_ARGUMENT && pm_open(&host, NULL) == PM_E_ARGUMENT, "pm_open without options");
  promise(pm_memory_bytes(NULL) == 0 && pm_memory_bytes(&(struct pm_limits){0}) == 0, "no memory for no limits");
  /* Nothing has to be a power of two, or whole pages. */
  struct pm_limits odd = {.units = 3, .paths = 5, .requests = 7, .commands = 9, .events = 17, .tags = 3,
                          .pool_bytes = (1u << 20) + 4097, .region_bytes = 4097};
  host = open_host(odd);
  promise(serves(host), "odd limits serve");
  pm_close(host);
}

static void given_memory(void) {
  size_t bytes = pm_memory_bytes(&pm_tiny);
  uint8_t *block = aligned_alloc(4096, bytes);
  struct pm_host *host;
  struct pm_options options = {.limits = pm_tiny, .memory = block, .memory_bytes = bytes};
  if (block == NULL) exit(1);
  memset(block, 0xee, bytes);
  promise(pm_open(&host, &options) == 0 && serves(host), "pm_memory_bytes is enough, whatever was in it");
  pm_close(host);
  options.memory_bytes = bytes - 65536;
  promise(pm_open(&host, &options) == PM_E_MEMORY, "a page less is not");
  options.memory_bytes = 100;
  promise(pm_open(&host, &options) == PM_E_MEMORY, "nor are 100 bytes");
  options.memory = block + 64;
  options.memory_bytes = bytes - 64;
  promise(pm_open(&host, &options) == PM_E_ARGUMENT, "memory that is not on a page");
  free(block);
}

static void nothing(void) {
  struct pm_answer answer;
  struct pm_event event;
  struct pm_path_info path;
  struct pm_unit_info unit;
  struct pm_result result = {0};
  promise(pm_turn(NULL, 1) == PM_E_ARGUMENT && pm_poll(NULL, &answer, 1) == PM_E_ARGUMENT, "turn and poll without a host");
  promise(pm_unit_add(NULL, NULL) == PM_E_ARGUMENT && pm_submit(NULL, NULL) == PM_E_ARGUMENT, "unit and submit");
  promise(pm_complete(NULL, 1, &result) == PM_E_ARGUMENT && pm_complete_reset(NULL, 1, 0) == PM_E_ARGUMENT, "complete");
  promise(pm_path_info(NULL, 0, &path) == PM_E_ARGUMENT && pm_unit_info(NULL, 0, &unit) == PM_E_ARGUMENT, "infos");
  promise(pm_core_unit_add(NULL) == PM_CORE_FAILED && pm_core_failure(NULL) == NULL, "a core that is not there");
  promise(!pm_next_event(NULL, &event) && pm_next_deadline(NULL) == UINT64_MAX && pm_failure(NULL) == NULL, "the rest");
  promise(pm_close(NULL) == 0, "closing nothing");
}

static void units(void) {
  struct pm_host *host = open_host(pm_tiny);
  static const uint8_t identity[PM_IDENTITY_BYTES_MAX + 1];
  const struct {
    struct pm_unit_config config;
    int error;
    const char *what;
  } wrong[] = {
      {{.block_bytes = 0, .blocks = 8}, PM_E_RANGE, "blocks of no bytes"},
      {{.block_bytes = 513, .blocks = 8}, PM_E_RANGE, "blocks of 513 bytes"},
      {{.block_bytes = 512, .blocks = 0}, PM_E_RANGE, "no blocks"},
      {{.block_bytes = 512, .blocks = UINT64_MAX}, PM_E_RANGE, "more blocks than can be"},
      {{.block_bytes = 512, .blocks = 8, .policy = 99}, PM_E_RANGE, "a policy that is not"},
      {{.block_bytes = 512, .blocks = 8, .identity_bytes = 20}, PM_E_ARGUMENT, "an identity of NULL"},
      {{.block_bytes = 512, .blocks = 8, .identity = identity}, PM_E_RANGE, "an identity of no bytes"},
      {{.block_bytes = 512, .blocks = 8, .identity = identity, .identity_bytes = sizeof identity}, PM_E_RANGE, "too long"},
  };
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
    promise(pm_unit_add(host, &wrong[i].config) == wrong[i].error, wrong[i].what);
  promise(pm_unit_add(host, NULL) == PM_E_ARGUMENT, "a unit of NULL");
  promise(pm_unit_add(host, &unit_config) == 0, "none of them has taken the unit's place");
  pm_close(host);
}

static void ports(void) {
  struct pm_host *host = open_host(pm_tiny);
  struct pm_memory_port port, other, third;
  static const struct pm_port_ops none = {0};
  struct pm_port empty = {.ops = NULL}, useless = {.ops = &none};
  pm_memory_port_init(&port, &disk);
  pm_memory_port_init(&other, &disk);
  pm_memory_port_init(&third, &disk);
  int unit = pm_unit_add(host, &unit_config);
  promise(unit == 0, "a unit");
  promise(pm_unit_add(host, &unit_config) == PM_E_LIMIT, "more units than the limit");
  promise(pm_path_add(host, 0, NULL, 1, 8) == PM_E_PORT, "a NULL port");
  promise(pm_path_add(host, 0, &empty, 1, 8) == PM_E_PORT, "a port without operations");
  promise(pm_path_add(host, 0, &useless, 1, 8) == PM_E_PORT, "a port without submit");
  promise(pm_path_add(host, 9, &port.port, 1, 8) == PM_E_HANDLE, "a path of no unit");
  promise(pm_path_add(host, 0, &port.port, 0, 8) == PM_E_RANGE, "priority 0");
  promise(pm_path_add(host, 0, &port.port, 1, 0) == PM_E_RANGE, "depth 0");
  int path = pm_path_add(host, 0, &port.port, 1, 8);
  promise(path >= 0, "a path");
  promise(pm_path_add(host, 0, &port.port, 2, 8) == PM_E_PORT_IN_USE, "the same port twice");
  promise(pm_path_add(host, 0, &other.port, 1, 8) == PM_E_PRIORITY_IN_USE, "the same priority twice");
  promise(pm_path_add(host, 0, &other.port, 2, 8) >= 0, "another path");
  promise(pm_path_add(host, 0, &third.port, 3, 8) == PM_E_LIMIT, "more paths than the limit");
  promise(pm_path_set(host, (uint32_t)path, 999, 0) == PM_E_PROPERTY, "an unknown property");
  promise(pm_unit_set(host, 5, PM_UNIT_SET_BLOCKS, 1) == PM_E_HANDLE, "a property of no unit");
  promise(pm_unit_remove(host, 0) == PM_E_BUSY && pm_unit_remove(host, 5) == PM_E_HANDLE, "removing units");
  promise(pm_path_remove(host, 77) == PM_E_HANDLE, "removing no path");
  promise(pm_path_remove(host, (uint32_t)path) == 0 && pm_turn(host, 2000) == 0, "removing one");
  promise(pm_path_remove(host, (uint32_t)path) == PM_E_HANDLE, "removing it again");
  promise(pm_path_set(host, (uint32_t)path, PM_PATH_SET_DEPTH, 4) == PM_E_HANDLE, "changing what is gone");
  pm_close(host);
}

void opening(void) {
  limits();
  given_memory();
  nothing();
  units();
  ports();
}
