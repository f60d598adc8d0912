/* What the host library promises when it is handled wrongly: each mistake has a named error, or ends in the core's assertion
 * with its place. Prints one line for each promise; ends with status 1 when one is broken. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "selftest.h"

static int promises, broken;

void promise(bool holds, const char *what) {
  promises++;
  if (holds) return;
  broken++;
  fprintf(stderr, "broken: %s\n", what);
}

static uint8_t disk_data[512 * 1024];
struct pm_disk disk = {.data = disk_data, .blocks = 1024, .block_bytes = 512};
const struct pm_unit_config unit_config = {.block_bytes = 512, .blocks = 1024};

struct pm_host *open_host(struct pm_limits limits) {
  struct pm_host *host;
  struct pm_options options = {.limits = limits, .seed = 7, .now_ns = 1000};
  int error = pm_open(&host, &options);
  if (error == 0) return host;
  fprintf(stderr, "pm_open: %s\n", pm_error_text(error));
  exit(1);
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
  promise(pm_poll(host, answers, -1) == PM_E_ARGUMENT, "less than no answers");
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
  io.bytes = 8192;
  io.data = mine + 4096;
  promise(pm_submit(host, &io) == 0 && pm_turn(host, 5000) == 0 && pm_poll(host, &answer, 1) == 1, "beyond its end");
  promise(answer.error == 14, "is EFAULT");
  answer.elsewhere = true;
  promise(pm_fetch_elsewhere(host, &answer, mine, 512) == PM_E_NOT_ASKED, "what is not elsewhere");
  answer.tag = 4000000000u;
  promise(pm_fetch_elsewhere(host, &answer, mine, 512) == PM_E_NOT_ASKED, "or of no request");
  pm_close(host);
  host = open_host(pm_tiny);
  promise(pm_region(host) == NULL, "no region, when none was wanted");
  pm_close(host);
}

static void spoil(struct pm_host *host) {
  struct pm_core *core = pm_core_of(host);
  uint32_t far = 0x7fffffff;
  memcpy(pm_core_memory(core) + pm_core_control_block(core) + PM_CONTROL_BLOCK_ENTRIES + PM_RING_TAIL, &far, 4);
}

/* An embedder that breaks the core's memory ends the instance, with a place, and the next instance is well. */
static void assertion(void) {
  struct pm_host *host = open_host(pm_tiny);
  spoil(host);
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

/* A port's own functions are called in a turn, which is no place for another. */
static int in_turn;

static void turning_submit(struct pm_port *port, struct pm_host *host, const struct pm_command *c) {
  (void)port;
  in_turn = pm_turn(host, 9000);
  pm_complete(host, c->tag, &(struct pm_result){0});
}

static const struct pm_port_ops turning_ops = {.submit = turning_submit};

static void turn_in_turn(void) {
  struct pm_host *host = open_host(pm_tiny);
  struct pm_port port = {.ops = &turning_ops};
  pm_unit_add(host, &unit_config);
  pm_path_add(host, 0, &port, 1, 8);
  uint8_t data[512];
  struct pm_io io = {.unit = 0, .operation = PM_OPERATION_READ, .bytes = 512, .data = data};
  promise(pm_submit(host, &io) == 0 && pm_turn(host, 2000) == 0 && in_turn == PM_E_IN_TURN, "a turn within a turn");
  promise(pm_turn(host, 3000) == 0, "and after it");
  pm_close(host);
}

/* What ports still have of an instance keeps it open, and is nothing to the next one. */
static void instances(void) {
  struct pm_host *host = open_host(pm_tiny), *next;
  struct mute m = {.port.ops = &mute_ops};
  struct pm_result good = {0};
  struct pm_answer answer;
  uint8_t data[512] = {0};
  struct pm_io io = {.unit = 0, .operation = PM_OPERATION_WRITE, .bytes = 512, .data = data};
  pm_unit_add(host, &unit_config);
  pm_path_add(host, 0, &m.port, 1, 8);
  promise(pm_submit(host, &io) == 0 && pm_turn(host, 2000) == 0 && m.count == 1, "the port has a write");
  promise(pm_close(host) == PM_E_BUSY, "its data is memory of this instance");
  /* The instance ends by an assertion; the write can end all the same. */
  spoil(host);
  promise(pm_turn(host, 3000) == PM_E_CORE && pm_close(host) == PM_E_BUSY, "also when the core has ended");
  next = open_host(pm_tiny);
  pm_unit_add(next, &unit_config);
  pm_path_add(next, 0, &m.port, 1, 8);
  promise(pm_submit(next, &io) == 0 && pm_turn(next, 2000) == 0 && m.count == 2, "a write of the next instance");
  promise(pm_complete(next, m.tags[0], &good) == PM_E_NOT_ASKED, "the old write is not the next instance's");
  promise(pm_turn(next, 3000) == 0 && pm_poll(next, &answer, 1) == 0, "nor taken for its own");
  promise(pm_complete(host, m.tags[0], &good) == 0 && pm_close(host) == 0, "it ends, and the old instance with it");
  promise(pm_complete(next, m.tags[1], &good) == 0 && pm_turn(next, 4000) == 0, "the new write");
  promise(pm_poll(next, &answer, 1) == 1 && answer.error == 0 && pm_close(next) == 0, "is answered");
  host = open_host(pm_tiny);
  pm_unit_add(host, &unit_config);
  pm_path_add(host, 0, &m.port, 1, 8);
  promise(pm_submit(host, &io) == 0 && pm_turn(host, 2000) == 0 && pm_close(host) == PM_E_BUSY, "one more");
  pm_abandon(host);
}

static void texts(void) {
  for (int error = -1; error >= -8; error--) promise(strcmp(pm_error_text(error), "unknown error") != 0, "a text for each");
  for (int error = -64; error >= -74; error--) promise(strcmp(pm_error_text(error), "unknown error") != 0, "a text for each");
}

int main(void) {
  opening();
  removal();
  completions();
  clock_back();
  requests();
  region();
  assertion();
  turn_in_turn();
  instances();
  texts();
  printf("%d promises, %d broken\n", promises, broken);
  return broken == 0 ? 0 : 1;
}
