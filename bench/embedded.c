/* The block door's load of `bench/dispatch.ts`, for the core as C: requests of 4 KiB at random places, SCSI commands completed at once.
 *
 *   embedded r|w DEPTH OWN ROUNDS IOS      OWN 1: requests have buffers of their own, 0: the core lends them
 *
 * Prints the ns of the core per I/O, a line for each round. Only the core's turns are timed, and what the clock takes is taken off. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core.h"

#define UNIT_BYTES (64u << 20)
#define IO_BYTES 4096u
#define PATHS 4
#define TURN_NS 5000
#define WARM_IOS 60000
#define REFRESH_IOS 500
#define POOL_BYTES (64u << 20)

static struct pm_core *core;
static uint32_t control, client, region, depth, made, unit_record;
static bool writes;

static uint8_t *at(uint32_t address) { return pm_core_memory(core) + address; }

static uint32_t get(uint32_t address) {
  uint32_t value;
  memcpy(&value, at(address), sizeof value);
  return value;
}

static void put(uint32_t address, uint32_t value) { memcpy(at(address), &value, sizeof value); }

static void put64(uint32_t address, uint64_t value) { memcpy(at(address), &value, sizeof value); }

static uint32_t place_of(uint32_t ring, uint32_t position, uint32_t bytes) {
  return get(ring + PM_RING_BASE) + (position & (get(ring + PM_RING_CAPACITY) - 1)) * bytes;
}

static void complete(uint32_t tag) {
  uint32_t ring = control + PM_CONTROL_COMPLETION_QUEUE, tail = get(ring + PM_RING_TAIL);
  uint32_t entry = place_of(ring, tail, PM_COMPLETION_BYTES);
  put(entry + PM_COMPLETION_TAG, tag);
  put(entry + PM_COMPLETION_RESULT, 0);
  memcpy(at(entry + PM_COMPLETION_TIME_NS), at(control + PM_CONTROL_NOW_NS), 8);
  put(ring + PM_RING_TAIL, tail + 1);
}

static void take_commands(void) {
  uint32_t ring = control + PM_CONTROL_NATIVE_QUEUE, head = get(ring + PM_RING_HEAD), tail = get(ring + PM_RING_TAIL);
  for (; head != tail; head++) {
    uint32_t entry = place_of(ring, head, PM_SUBMISSION_BYTES), slot = get(entry + PM_SUBMISSION_ADDRESS);
    *at(slot + PM_COMMAND_STATUS) = 0;
    *at(slot + PM_COMMAND_SENSE_BYTES) = 0;
    put(slot + PM_COMMAND_HOST_STATUS, 0);
    put(slot + PM_COMMAND_RESIDUAL, 0);
    complete(get(entry + PM_SUBMISSION_TAG));
  }
  put(ring + PM_RING_HEAD, head);
}

static void enter(uint8_t operation, uint32_t tag, uint32_t buffer, uint64_t offset, uint64_t bytes) {
  uint32_t ring = control + PM_CONTROL_BLOCK_ENTRIES, tail = get(ring + PM_RING_TAIL);
  uint32_t entry = place_of(ring, tail, PM_BLOCK_ENTRY_BYTES);
  put(entry, operation);
  put(entry + PM_BLOCK_ENTRY_TAG, tag);
  put(entry + PM_BLOCK_ENTRY_CLIENT, client);
  put(entry + PM_BLOCK_ENTRY_BUFFER, buffer);
  put64(entry + PM_BLOCK_ENTRY_OFFSET, offset);
  put64(entry + PM_BLOCK_ENTRY_LENGTH, bytes);
  put(ring + PM_RING_TAIL, tail + 1);
}

static void ask(uint32_t tag) {
  uint32_t place = made++ * 2654435761u % (UNIT_BYTES / IO_BYTES);
  enter(writes ? PM_OPERATION_WRITE : PM_OPERATION_READ, tag, region == 0 ? 0 : region + tag * IO_BYTES,
        (uint64_t)place * IO_BYTES, IO_BYTES);
}

static void take_answers(void) {
  uint32_t ring = control + PM_CONTROL_BLOCK_COMPLETIONS, head = get(ring + PM_RING_HEAD), tail = get(ring + PM_RING_TAIL);
  for (; head != tail; head++) {
    uint32_t entry = place_of(ring, head, PM_BLOCK_COMPLETION_BYTES), tag = get(entry + PM_BLOCK_COMPLETION_TAG);
    if (*at(entry + PM_BLOCK_COMPLETION_KIND) == PM_BLOCK_FETCH) {
      enter(PM_BLOCK_FETCHED, tag, 0, 0, 0);
      continue;
    }
    if (*at(entry + PM_BLOCK_COMPLETION_FLAGS) == PM_BLOCK_LENT) enter(PM_BLOCK_RELEASE, tag, 0, 0, 0);
    ask(tag);
  }
  put(ring + PM_RING_HEAD, head);
}

static uint64_t clock_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static double clock_cost_ns(void) {
  uint64_t least = UINT64_MAX;
  for (int round = 0; round < 100; round++) {
    uint64_t began = clock_ns();
    for (int i = 0; i < 100; i++) (void)clock_ns();
    uint64_t took = clock_ns() - began;
    if (took < least) least = took;
  }
  return (double)least / 101;
}

/* Ns per I/O. */
static double round_of(uint32_t ios, double cost_ns) {
  uint32_t end = get(unit_record + PM_UNIT_ANSWERED) + ios;
  uint64_t spent_ns = 0, turns = 0;
  while ((int32_t)(end - get(unit_record + PM_UNIT_ANSWERED)) > 0) {
    uint64_t began = clock_ns();
    pm_core_run(core);
    spent_ns += clock_ns() - began;
    turns++;
    take_commands();
    while (made < depth) ask(made);
    take_answers();
    uint64_t now_ns;
    memcpy(&now_ns, at(control + PM_CONTROL_NOW_NS), sizeof now_ns);
    put64(control + PM_CONTROL_NOW_NS, now_ns + TURN_NS);
  }
  return ((double)spent_ns - (double)turns * cost_ns) / ios;
}

static int must(int answer) {
  if (answer >= 0) return answer;
  fprintf(stderr, "embedded: the core answers %d\n", answer);
  exit(1);
}

static void prepare(bool own) {
  core = aligned_alloc(64, (pm_core_bytes() + 63) / 64 * 64);
  if (core == NULL || pm_core_start(core, NULL, 0) < 0) exit(1);
  control = pm_core_control_block(core);
  put64(control + PM_CONTROL_SEED, 1);
  put64(control + PM_CONTROL_NOW_NS, 1000000000);
  must(pm_core_init(core, 0, 1024, 1024, POOL_BYTES, 4, 16, 4096, PM_BLOCK_BYTES_MAX));
  must(pm_core_block_init(core, 1, depth, own ? depth * IO_BYTES : 0));
  uint32_t unit = (uint32_t)must(pm_core_unit_add(core));
  must(pm_core_unit_set(core, unit, PM_UNIT_SET_BLOCK_BYTES, 512));
  must(pm_core_unit_set(core, unit, PM_UNIT_SET_BLOCKS, UNIT_BYTES / 512));
  must(pm_core_unit_set(core, unit, PM_UNIT_SET_POLICY, PM_POLICY_ADAPTIVE));
  for (uint32_t path = 0; path < PATHS; path++) must(pm_core_path_add(core, unit, 0, path, path + 1, 1, 64));
  client = (uint32_t)must(pm_core_block_open(core, unit, 0));
  region = own ? pm_core_block_region(core) : 0;
  unit_record = pm_core_unit_table(core) + unit * PM_UNIT_BYTES;
}

int main(int count, char **words) {
  if (count != 6) return 2;
  writes = words[1][0] == 'w';
  depth = (uint32_t)atoi(words[2]);
  prepare(atoi(words[3]) != 0);
  double cost_ns = clock_cost_ns();
  round_of(WARM_IOS, cost_ns);
  for (int round = 0; round < atoi(words[4]); round++) {
    round_of(REFRESH_IOS, cost_ns);
    printf("%.2f\n", round_of((uint32_t)atoi(words[5]), cost_ns));
  }
  return pm_core_failure(core) == NULL ? 0 : 1;
}
