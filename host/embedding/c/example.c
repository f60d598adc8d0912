/* An appliance: one unit over four paths to an emulated disk. Two of the paths die and come back while data is written and
 * read back; not one request may fail, and not one byte may be wrong. Time is virtual: a turn is as long as this says.
 *
 *   example [ios]      (default 20000); ends with status 0 when all is well */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pathmanager.h"
#include "port_memory.h"

#define PATHS 4
#define BLOCK 512u
#define BLOCKS 8192u
#define IO_BLOCKS 8u
#define IO_BYTES (IO_BLOCKS * BLOCK)
#define PLACES (BLOCKS / IO_BLOCKS)
#define DEPTH 32
#define TURN_NS UINT64_C(20000)
#define MS UINT64_C(1000000)

struct io {
  uint8_t data[IO_BYTES];
  uint32_t place;
  bool busy, write;
};

static struct io ios[DEPTH];
static uint32_t versions[PLACES];  /* what the disk has to hold, as the answers said */
static uint8_t in_use[PLACES];     /* one request at a time for each place: so it is known what a read has to show */
static uint8_t disk_data[BLOCKS * BLOCK];
static uint64_t random_state = 88172645463325252u;

static uint32_t draw(uint32_t below) {
  random_state ^= random_state << 13;
  random_state ^= random_state >> 7;
  random_state ^= random_state << 17;
  return (uint32_t)(random_state % below);
}

static void fill(uint8_t *data, uint32_t place, uint32_t version) {
  for (uint32_t at = 0; at < IO_BYTES; at += 8) {
    uint32_t words[2] = {place * 2654435761u + at, version};
    memcpy(data + at, words, sizeof words);
  }
}

static void stop(struct pm_host *host, const char *what, int error) {
  const char *failure = pm_failure(host);
  fprintf(stderr, "example: %s: %s%s%s\n", what, pm_error_text(error), failure ? "; " : "", failure ? failure : "");
  exit(1);
}

static void submit_more(struct pm_host *host, uint32_t unit, uint64_t *submitted, uint64_t wanted) {
  for (int i = 0; i < DEPTH && *submitted < wanted; i++) {
    struct io *io = &ios[i];
    if (io->busy) continue;
    io->place = draw(PLACES);
    if (in_use[io->place]) continue;
    io->write = draw(2) == 0;
    if (io->write) fill(io->data, io->place, versions[io->place] + 1);
    else memset(io->data, 0xee, sizeof io->data);
    struct pm_io request = {
        .unit = unit,
        .operation = io->write ? PM_OPERATION_WRITE : PM_OPERATION_READ,
        .offset = (uint64_t)io->place * IO_BYTES,
        .bytes = IO_BYTES,
        .data = io->data,
        .cookie = (uint64_t)i,
    };
    int error = pm_submit(host, &request);
    if (error == PM_E_FULL) return;
    if (error < 0) stop(host, "pm_submit", error);
    io->busy = true;
    in_use[io->place] = 1;
    ++*submitted;
  }
}

/* Takes answers; answers how many. */
static uint64_t take(struct pm_host *host, uint64_t *wrong) {
  struct pm_answer answers[DEPTH];
  int count = pm_poll(host, answers, DEPTH);
  for (int i = 0; i < count; i++) {
    struct io *io = &ios[answers[i].cookie];
    uint8_t expected[IO_BYTES];
    if (answers[i].error != 0) {
      fprintf(stderr, "example: errno %d at place %u\n", answers[i].error, io->place);
      ++*wrong;
    } else if (io->write) versions[io->place]++;
    else {
      memset(expected, 0, sizeof expected);
      if (versions[io->place] != 0) fill(expected, io->place, versions[io->place]);
      if (memcmp(expected, io->data, IO_BYTES) != 0) {
        fprintf(stderr, "example: wrong data at place %u\n", io->place);
        ++*wrong;
      }
    }
    io->busy = false;
    in_use[io->place] = 0;
  }
  return (uint64_t)count;
}

/* Path 0 dies at once when a fifth is done, path 1 falls silent at two fifths; both are well again at four fifths. */
static void faults(struct pm_memory_port *ports, uint64_t done, uint64_t wanted) {
  ports[0].fault = done > wanted / 5 && done < wanted * 4 / 5 ? PM_MEMORY_DEAD : PM_MEMORY_WELL;
  ports[1].fault = done > wanted * 2 / 5 && done < wanted * 4 / 5 ? PM_MEMORY_SILENT : PM_MEMORY_WELL;
}

int main(int count, char **words) {
  uint64_t wanted = count > 1 ? strtoull(words[1], NULL, 10) : 20000;
  struct pm_options options = {.limits = pm_appliance, .seed = 1, .now_ns = MS};
  struct pm_host *host;
  int error = pm_open(&host, &options);
  if (error < 0) stop(NULL, "pm_open", error);
  struct pm_unit_config config = {.block_bytes = BLOCK, .blocks = BLOCKS, .policy = PM_POLICY_ROUND_ROBIN,
                                  .identity = pm_memory_identity, .identity_bytes = sizeof pm_memory_identity};
  int unit = pm_unit_add(host, &config);
  if (unit < 0) stop(host, "pm_unit_add", unit);
  struct pm_disk disk = {.data = disk_data, .blocks = BLOCKS, .block_bytes = BLOCK};
  static struct pm_memory_port ports[PATHS];
  int paths[PATHS];
  for (int i = 0; i < PATHS; i++) {
    pm_memory_port_init(&ports[i], &disk);
    ports[i].latency_ns = 100000;
    paths[i] = pm_path_add(host, (uint32_t)unit, &ports[i].port, (uint32_t)(PATHS - i), 16);
    if (paths[i] < 0) stop(host, "pm_path_add", paths[i]);
  }
  uint64_t submitted = 0, done = 0, wrong = 0, now_ns = MS, failed = 0, back = 0;
  while (done < wanted) {
    submit_more(host, (uint32_t)unit, &submitted, wanted);
    faults(ports, done, wanted);
    now_ns += TURN_NS;
    error = pm_turn(host, now_ns);
    if (error < 0) stop(host, "pm_turn", error);
    done += take(host, &wrong);
    for (struct pm_event event; pm_next_event(host, &event);) {
      failed += event.kind == PM_EVENT_PATH_STATE && (~event.argument0 & event.argument1 & PM_PATH_FLAG_FAILED) != 0;
      back += event.kind == PM_EVENT_FAILBACK_DONE;
    }
    if (now_ns > 3600u * 1000u * MS) stop(host, "an hour is over", 0);
  }
  /* The paths that were away are taken back by the patrol. */
  for (uint32_t usable = 0; usable != (1u << PATHS) - 1; now_ns += 10 * MS) {
    struct pm_unit_info info;
    if ((error = pm_turn(host, now_ns)) < 0) stop(host, "pm_turn", error);
    pm_unit_info(host, (uint32_t)unit, &info);
    usable = info.usable;
    for (struct pm_event event; pm_next_event(host, &event);) back += event.kind == PM_EVENT_FAILBACK_DONE;
    if (now_ns > 7200u * 1000u * MS) stop(host, "not all paths came back", 0);
  }
  for (int i = 0; i < PATHS; i++) {
    struct pm_path_info info;
    pm_path_info(host, (uint32_t)paths[i], &info);
    printf("path %d: %llu I/Os, %llu errors\n", i, (unsigned long long)info.ios, (unsigned long long)info.errors);
  }
  printf("%llu I/Os, %llu wrong or failed; %llu paths failed, %llu came back; %.1f s of virtual time\n",
         (unsigned long long)done, (unsigned long long)wrong, (unsigned long long)failed, (unsigned long long)back,
         (double)now_ns / 1e9);
  pm_close(host);
  return wrong == 0 && failed >= 2 && back >= 2 ? 0 : 1;
}
