/* What the host library promises when it is handled wrongly: each mistake has a named error, or ends in the core's assertion
 * with its place. Prints one line for each promise; ends with status 1 when one is broken. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core.h"
#include "pathmanager.h"
#include "port_memory.h"

static int promises, broken;

static void promise(bool holds, const char *what) {
  promises++;
  if (holds) return;
  broken++;
  fprintf(stderr, "broken: %s\n", what);
}

static uint8_t disk_data[512 * 1024];
static struct pm_disk disk = {.data = disk_data, .blocks = 1024, .block_bytes = 512};
static const struct pm_unit_config unit_config = {.block_bytes = 512, .blocks = 1024};

static struct pm_host *open_host(struct pm_limits limits) {
  struct pm_host *host;
  struct pm_options options = {.limits = limits, .seed = 7, .now_ns = 1000};
  int error = pm_open(&host, &options);
  if (error == 0) return host;
  fprintf(stderr, "pm_open: %s\n", pm_error_text(error));
  exit(1);
}

static int open_error(struct pm_limits limits) {
  struct pm_host *host = NULL;
  struct pm_options options = {.limits = limits};
  int error = pm_open(&host, &options);
  if (error == 0) pm_close(host);
  else promise(host == NULL, "what could not be opened is NULL");
  return error;
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
}

static void given_memory(void) {
  size_t bytes = pm_memory_bytes(&pm_tiny);
  uint8_t *block = aligned_alloc(4096, bytes);
  struct pm_host *host;
  struct pm_options options = {.limits = pm_tiny, .memory = block, .memory_bytes = bytes};
  if (block == NULL) exit(1);
  memset(block, 0, bytes);
  promise(pm_open(&host, &options) == 0, "pm_memory_bytes is enough");
  pm_close(host);
  memset(block, 0, bytes);
  options.memory_bytes = bytes - 65536;
  promise(pm_open(&host, &options) == PM_E_MEMORY, "a page less is not");
  memset(block, 0, bytes);
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
  promise(!pm_next_event(NULL, &event) && pm_next_deadline(NULL) == UINT64_MAX && pm_failure(NULL) == NULL, "the rest");
  pm_close(NULL);
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
  pm_close(host);
}

/* A path is removed while a command of it is under way; its port may not come back before that has ended. */
static void removal(void) {
  struct pm_host *host = open_host(pm_tiny);
  struct pm_memory_port port;
  uint8_t data[512];
  pm_memory_port_init(&port, &disk);
  port.latency_ns = 1000000;
  pm_unit_add(host, &unit_config);
  int path = pm_path_add(host, 0, &port.port, 1, 8);
  pm_turn(host, 2000);
  struct pm_io io = {.unit = 0, .operation = PM_OPERATION_READ, .bytes = 512, .data = data};
  promise(pm_submit(host, &io) == 0 && pm_turn(host, 3000) == 0, "a read");
  promise(pm_path_remove(host, (uint32_t)path) == 0 && !pm_port_idle(host, &port.port), "removed while it works");
  promise(pm_path_add(host, 0, &port.port, 1, 8) == PM_E_REMOVING, "a path whose removal is under way");
  promise(pm_turn(host, 5000000) == 0 && pm_turn(host, 5000001) == 0 && pm_port_idle(host, &port.port), "it has ended");
  promise(pm_path_add(host, 0, &port.port, 1, 8) >= 0, "then it comes back");
  pm_close(host);
}

/* A port that only remembers. */
struct mute {
  struct pm_port port;
  uint32_t tags[64], count, resets;
};

static void mute_submit(struct pm_port *port, struct pm_host *host, const struct pm_command *c) {
  struct mute *m = (struct mute *)port;
  (void)host;
  if (m->count < 64) m->tags[m->count++] = c->tag;
}

static const struct pm_port_ops mute_ops = {.submit = mute_submit};

static void completions(void) {
  struct pm_host *host = open_host(pm_tiny);
  struct mute m = {.port.ops = &mute_ops};
  struct pm_result good = {0};
  struct pm_answer answer;
  uint8_t data[512] = {0};
  pm_unit_add(host, &unit_config);
  pm_path_add(host, 0, &m.port, 1, 8);
  struct pm_io io = {.unit = 0, .operation = PM_OPERATION_WRITE, .bytes = 512, .data = data, .cookie = 99};
  pm_turn(host, 2000);
  promise(pm_complete(host, 12345, &good) == PM_E_NOT_ASKED, "a completion nobody asked for");
  promise(pm_complete(host, 0, &good) == PM_E_NOT_ASKED, "tag 0");
  promise(pm_complete_reset(host, 12345, 0) == PM_E_NOT_ASKED, "a reset nobody asked for");
  promise(pm_submit(host, &io) == 0 && pm_turn(host, 3000) == 0, "a write");
  promise(m.count > 0, "the port has it");
  promise(pm_poll(host, &answer, 1) == 0, "and nobody else");
  promise(pm_complete(host, m.tags[m.count - 1], NULL) == PM_E_ARGUMENT, "a completion without a result");
  promise(pm_complete_reset(host, m.tags[m.count - 1], 0) == PM_E_NOT_ASKED, "a command is no reset");
  promise(pm_complete(host, m.tags[m.count - 1], &good) == 0, "its completion");
  promise(pm_complete(host, m.tags[m.count - 1], &good) == PM_E_NOT_ASKED, "the same again");
  promise(pm_turn(host, 4000) == 0, "a turn");
  promise(pm_complete(host, m.tags[m.count - 1], &good) == PM_E_NOT_ASKED, "and once more");
  promise(pm_poll(host, &answer, 1) == 1 && answer.cookie == 99 && answer.error == 0, "one answer");
  promise(pm_poll(host, &answer, 1) == 0, "and no other");
  promise(pm_core_inspect(pm_core_of(host), 3) == 0, "the core has not seen any of it");
  pm_close(host);
}

static void clock_back(void) {
  struct pm_host *host = open_host(pm_tiny);
  promise(pm_turn(host, 5000) == 0 && pm_turn(host, 5000) == 0, "time that stands still");
  promise(pm_turn(host, 4999) == PM_E_CLOCK, "time that goes back");
  promise(pm_turn(host, 5001) == 0, "and on");
  pm_close(host);
}

static void requests(void) {
  struct pm_host *host = open_host(pm_tiny);
  struct pm_memory_port port;
  uint8_t data[1024];
  struct pm_answer answers[32];
  pm_memory_port_init(&port, &disk);
  pm_unit_add(host, &unit_config);
  pm_path_add(host, 0, &port.port, 1, 8);
  struct pm_io io = {.unit = 0, .operation = PM_OPERATION_READ, .bytes = 512, .data = data};
  struct pm_io wrong = io;
  wrong.unit = 3;
  promise(pm_submit(host, &wrong) == PM_E_HANDLE, "a request to no unit");
  wrong = io;
  wrong.data = NULL;
  promise(pm_submit(host, &wrong) == PM_E_ARGUMENT, "a read to nowhere");
  wrong = io;
  wrong.bytes = PM_BLOCK_BYTES_MAX + 512;
  promise(pm_submit(host, &wrong) == PM_E_RANGE, "a read that is too large");
  wrong = io;
  wrong.bytes = 511;
  promise(pm_submit(host, &wrong) == 0 && pm_turn(host, 2000) == 0, "half a block is the core's to judge");
  promise(pm_poll(host, answers, 32) == 1 && answers[0].error == 22, "and EINVAL");
  wrong = io;
  wrong.offset = 1024 * 512;
  promise(pm_submit(host, &wrong) == 0 && pm_turn(host, 2001) == 0, "beyond the end too");
  promise(pm_poll(host, answers, 32) == 1 && answers[0].error == 22, "also EINVAL");
  for (int i = 0; i < 16; i++) promise(pm_submit(host, &io) == 0, "as many as there are tags");
  promise(pm_submit(host, &io) == PM_E_FULL, "one more");
  promise(pm_turn(host, 3000) == 0 && pm_submit(host, &io) == PM_E_FULL, "answered, but not fetched");
  promise(pm_poll(host, answers, 32) == 16 && pm_submit(host, &io) == 0, "fetched");
  pm_close(host);
}

static void region(void) {
  struct pm_limits limits = pm_tiny;
  limits.region_bytes = 8192;
  struct pm_host *host = open_host(limits);
  struct pm_memory_port port;
  struct pm_answer answer;
  pm_memory_port_init(&port, &disk);
  pm_unit_add(host, &unit_config);
  pm_path_add(host, 0, &port.port, 1, 8);
  uint8_t *mine = pm_region(host);
  promise(mine != NULL, "a region");
  memset(mine, 0x5a, 512);
  struct pm_io io = {.unit = 0, .operation = PM_OPERATION_WRITE, .bytes = 512, .offset = 5120, .data = mine};
  promise(pm_submit(host, &io) == 0 && pm_turn(host, 2000) == 0, "a write out of it");
  promise(pm_poll(host, &answer, 1) == 1 && answer.error == 0 && disk_data[5120] == 0x5a, "is on the disk");
  io.operation = PM_OPERATION_READ;
  io.data = mine + 4096;
  promise(pm_submit(host, &io) == 0 && pm_turn(host, 3000) == 0 && pm_poll(host, &answer, 1) == 1, "a read into it");
  promise(answer.error == 0 && !answer.held && memcmp(mine, mine + 4096, 512) == 0, "is there");
  io.data = mine + 512;
  promise(pm_submit(host, &io) == 0 && pm_turn(host, 4000) == 0 && pm_poll(host, &answer, 1) == 1, "not on a page");
  promise(answer.error == 22, "is EINVAL");
  pm_close(host);
  host = open_host(pm_tiny);
  promise(pm_region(host) == NULL, "no region, when none was wanted");
  pm_close(host);
}

/* An embedder that breaks the core's memory ends the instance, with a place, and the next instance is well. */
static void assertion(void) {
  struct pm_host *host = open_host(pm_tiny);
  struct pm_core *core = pm_core_of(host);
  uint32_t far = 0x7fffffff;
  memcpy(pm_core_memory(core) + pm_core_control_block(core) + PM_CONTROL_BLOCK_ENTRIES + PM_RING_TAIL, &far, 4);
  promise(pm_turn(host, 2000) == PM_E_CORE, "a ring that cannot be ends the core");
  const char *failure = pm_failure(host);
  promise(failure != NULL && strstr(failure, "assembly/") != NULL && strstr(failure, ".ts:") != NULL, "with its place");
  promise(pm_turn(host, 3000) == PM_E_CORE && pm_unit_add(host, &unit_config) == PM_E_CORE, "from then on it does nothing");
  struct pm_io io = {.unit = 0, .operation = PM_OPERATION_FLUSH};
  promise(pm_submit(host, &io) == PM_E_CORE && pm_next_deadline(host) == UINT64_MAX, "and takes nothing");
  pm_close(host);
  host = open_host(pm_tiny);
  promise(pm_turn(host, 4000) == 0 && pm_failure(host) == NULL, "the next one is well");
  pm_close(host);
}

static void texts(void) {
  for (int error = -1; error >= -8; error--) promise(strcmp(pm_error_text(error), "unknown error") != 0, "a text for each");
  for (int error = -64; error >= -73; error--) promise(strcmp(pm_error_text(error), "unknown error") != 0, "a text for each");
}

int main(void) {
  limits();
  given_memory();
  nothing();
  ports();
  removal();
  completions();
  clock_back();
  requests();
  region();
  assertion();
  texts();
  printf("%d promises, %d broken\n", promises, broken);
  return broken == 0 ? 0 : 1;
}
