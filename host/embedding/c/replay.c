/* Plays a recording of the core's calls to the core as it is compiled here, and compares everything it answers: proof that this
 * build does what the tested bytes do.
 *
 *   replay FILE     status 0: all alike; 1: not, and at which call; 2: no recording of this core
 *
 * The file: "PMREPLAY", u32 version, u32 exports (as many as this core has), then records, little-endian:
 *   I                                     a new instance
 *   C u8 export, arguments (u64 each), u32 writes, {u32 address, u32 bytes, u32 period,
 *     data of one period}..., u64 answer, u32 digest
 *   X like C, but the core ends in an assertion: u32 line, u32 column instead of answer and digest
 *   F u32 digest                          of all records of units and paths (after every 64th call)
 *   E u32 digest                          the same; the instance is over */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core.h"
#include "replay_exports.h"

#define VERSION 1u
#define STACK_PAINTED 65536
#define PAINT 0xa5

static FILE *file;
static unsigned long long instances, calls;

static _Noreturn void fail(int status, const char *what) {
  fprintf(stderr, "replay: %s (instance %llu, call %llu)\n", what, instances, calls);
  exit(status);
}

static void take(void *to, size_t bytes) {
  if (fread(to, 1, bytes, file) != bytes) fail(2, "the recording ends in the middle");
}

static uint32_t take32(void) {
  uint8_t b[4];
  take(b, 4);
  return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

static uint64_t take64(void) {
  uint64_t low = take32();
  return low | (uint64_t)take32() << 32;
}

/* ---- The digest: of words, as the recorder makes it ------------------------------------------------------------------ */

static uint32_t sum;

static void add(uint32_t word) {
  sum = (sum ^ word) * 0x9e3779b1u;
  sum ^= sum >> 15;
}

static void add_bytes(struct pm_core *core, uint32_t address, uint32_t bytes) {
  size_t memory = pm_core_memory_bytes(core);
  if (address > memory || bytes > memory - address) return add(0xffffffffu);
  const uint8_t *at = pm_core_memory(core) + address;
  uint32_t word, i = 0;
  for (; i + 4 <= bytes; i += 4) {
    memcpy(&word, at + i, 4);
    add(word);
  }
  for (; i < bytes; i++) add(at[i]);
}

static uint32_t word_at(struct pm_core *core, uint32_t address) {
  uint32_t word;
  if (address > pm_core_memory_bytes(core) - 4) return 0;
  memcpy(&word, pm_core_memory(core) + address, 4);
  return word;
}

/* ---- What the host may read after a call ------------------------------------------------------------------------------ */

struct seen {
  uint32_t native, array, events, blocks; /* tails of the rings as they were last seen */
};

static void add_submission(struct pm_core *core, uint32_t at) {
  uint32_t op = word_at(core, at) & 0xff, address = word_at(core, at + PM_SUBMISSION_ADDRESS);
  uint32_t length = word_at(core, at + PM_SUBMISSION_LENGTH);
  add_bytes(core, at, PM_SUBMISSION_BYTES);
  if (op == PM_OP_SCSI) {
    uint32_t buffer = word_at(core, address + PM_COMMAND_BUFFER), bytes = word_at(core, address + PM_COMMAND_BUFFER_BYTES);
    add_bytes(core, address, 18);
    add(buffer);
    add(bytes);
    add(word_at(core, address + PM_COMMAND_TIMEOUT_MS));
    if ((word_at(core, address + 16) >> 8 & 0xff) == PM_DIRECTION_OUT) add_bytes(core, buffer, bytes);
  } else if (op == PM_OP_SEND) {
    for (uint32_t i = 0; i < length; i++) {
      uint32_t gather = address + i * PM_GATHER_BYTES;
      add_bytes(core, gather, PM_GATHER_BYTES);
      add_bytes(core, word_at(core, gather + PM_GATHER_ADDRESS), word_at(core, gather + PM_GATHER_LENGTH));
    }
  }
}

static void add_block_completion(struct pm_core *core, uint32_t at) {
  uint32_t kind = word_at(core, at + PM_BLOCK_COMPLETION_KIND) & 0xff;
  add_bytes(core, at, PM_BLOCK_COMPLETION_BYTES);
  if (kind != PM_BLOCK_ANSWER) return;
  add_bytes(core, word_at(core, at + PM_BLOCK_COMPLETION_ADDRESS), word_at(core, at + PM_BLOCK_COMPLETION_LENGTH));
}

static void add_event(struct pm_core *core, uint32_t at) { add_bytes(core, at, PM_EVENT_BYTES); }

static void add_ring(struct pm_core *core, uint32_t ring, uint32_t bytes, uint32_t *seen,
                     void (*entry)(struct pm_core *, uint32_t)) {
  uint32_t tail = word_at(core, ring + PM_RING_TAIL), mask = word_at(core, ring + PM_RING_CAPACITY) - 1;
  for (; *seen != tail; ++*seen) entry(core, word_at(core, ring + PM_RING_BASE) + (*seen & mask) * bytes);
}

static uint32_t digest(struct pm_core *core, struct seen *seen) {
  uint32_t control = pm_core_control_block(core);
  sum = 0;
  add_bytes(core, control, PM_CONTROL_BYTES);
  add_ring(core, control + PM_CONTROL_NATIVE_QUEUE, PM_SUBMISSION_BYTES, &seen->native, add_submission);
  add_ring(core, control + PM_CONTROL_ARRAY_QUEUE, PM_SUBMISSION_BYTES, &seen->array, add_submission);
  add_ring(core, control + PM_CONTROL_EVENT_QUEUE, PM_EVENT_BYTES, &seen->events, add_event);
  add_ring(core, control + PM_CONTROL_BLOCK_COMPLETIONS, PM_BLOCK_COMPLETION_BYTES, &seen->blocks, add_block_completion);
  return sum;
}

static uint32_t tables(struct pm_core *core, uint32_t units, uint32_t paths) {
  sum = 0;
  if (units == 0) return 0;
  add_bytes(core, pm_core_unit_table(core), units * PM_UNIT_BYTES);
  add_bytes(core, pm_core_path_table(core), paths * PM_PATH_BYTES);
  return sum;
}

/* ---- How deep the stack goes: painted once below here, looked at in the end ------------------------------------------------ */

static uintptr_t painted;

static __attribute__((noinline)) void paint(void) {
  volatile uint8_t below[STACK_PAINTED];
  for (size_t i = 0; i < sizeof below; i++) below[i] = PAINT;
  painted = (uintptr_t)below;
}

static __attribute__((noinline)) size_t stack_used(void) {
  size_t clean = 0;
  /* The address is of a frame that is gone: it is what the calls since then have written there that is looked at. */
  const volatile uint8_t *below = (const volatile uint8_t *)painted;
  while (clean < STACK_PAINTED && below[clean] == PAINT) clean++;
  return STACK_PAINTED - clean;
}

/* ---- Playing ------------------------------------------------------------------------------------------------------------------ */

static void write_all(struct pm_core *core) {
  for (uint32_t writes = take32(); writes > 0; writes--) {
    uint32_t address = take32(), bytes = take32(), period = take32();
    size_t memory = pm_core_memory_bytes(core);
    if (address > memory || bytes > memory - address) fail(1, "the host wrote where this core has no memory");
    if (period == 0 || period > bytes) fail(2, "the recording is damaged");
    uint8_t *at = pm_core_memory(core) + address;
    take(at, period);
    for (uint32_t i = period; i < bytes; i++) at[i] = at[i - period];
  }
}

static __attribute__((noinline)) uint64_t enter(struct pm_core *core, unsigned number, const uint64_t *arguments) {
  return replay_call(core, number, arguments);
}

static void play_call(struct pm_core *core, struct seen *seen, uint32_t *units, uint32_t *paths, int ends) {
  uint8_t number;
  uint64_t arguments[16];
  char what[200];
  take(&number, 1);
  if (number >= REPLAY_EXPORTS) fail(2, "it is a recording of another core");
  for (int i = 0; i < replay_arguments[number]; i++) arguments[i] = take64();
  write_all(core);
  calls++;
  uint64_t answer = enter(core, number, arguments);
  const struct pm_failure *failure = pm_core_failure(core);
  if (ends) {
    uint32_t line = take32(), column = take32();
    if (failure != NULL && failure->line == line && failure->column == column) return;
    snprintf(what, sizeof what, "%s: it ended at %u:%u when it was recorded", replay_names[number], line, column);
    fail(1, what);
  }
  if (failure != NULL) {
    snprintf(what, sizeof what, "%s: %.100s:%u:%u", replay_names[number], failure->text, failure->line, failure->column);
    fail(1, what);
  }
  /* Also when it is refused: then it has no tables, and their digest is one of nothing. */
  if (strcmp(replay_names[number], "init") == 0) {
    *units = (uint32_t)arguments[4];
    *paths = (uint32_t)arguments[5];
  }
  uint64_t expected = take64();
  uint32_t expected_digest = take32(), found = digest(core, seen);
  if (answer == expected && found == expected_digest) return;
  snprintf(what, sizeof what, "%s answers %llx, digest %08x; recorded were %llx, %08x", replay_names[number],
           (unsigned long long)answer, found, (unsigned long long)expected, expected_digest);
  fail(1, what);
}

static void play_instance(struct pm_core *core) {
  struct seen seen = {0, 0, 0, 0};
  uint32_t units = 0, paths = 0;
  if (pm_core_start(core, NULL, 0) != 0) fail(1, "there is no memory for the core");
  instances++;
  for (int kind = getc(file); kind != 'E'; kind = getc(file)) {
    if (kind == 'C' || kind == 'X') play_call(core, &seen, &units, &paths, kind == 'X');
    else if (kind == 'F') {
      if (tables(core, units, paths) != take32()) fail(1, "the records of units and paths differ since the last look");
    } else fail(2, "the recording is damaged");
  }
  uint32_t expected = take32();
  if (pm_core_failure(core) == NULL && tables(core, units, paths) != expected) fail(1, "the records differ at the end");
  pm_core_stop(core);
}

int main(int count, char **words) {
  char magic[8];
  if (count != 2 || (file = strcmp(words[1], "-") == 0 ? stdin : fopen(words[1], "rb")) == NULL) {
    fprintf(stderr, "replay: no file to read; usage: replay FILE\n");
    return 2;
  }
  take(magic, 8);
  if (memcmp(magic, "PMREPLAY", 8) != 0 || take32() != VERSION || take32() != REPLAY_EXPORTS) {
    fail(2, "it is no recording of this core");
  }
  struct pm_core *core = malloc(pm_core_bytes());
  if (core == NULL) fail(2, "there is no memory");
  paint();
  for (int kind = getc(file); kind != EOF; kind = getc(file)) {
    if (kind != 'I') fail(2, "the recording is damaged");
    play_instance(core);
  }
  printf("%llu instances, %llu calls, all alike; stack of the core at most %zu bytes\n", instances, calls, stack_used());
  free(core);
  return 0;
}
