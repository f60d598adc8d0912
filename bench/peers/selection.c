/*
 * The policies of assembly/selection in plain C, the peer of `npm run bench -- selection`: the same decisions (the
 * digest of the slots picked is compared), the same accounting and learning, scans written as loops over the slots.
 *
 *   gcc -O2 -o selection selection.c && ./selection POLICY PATHS DEPTH COUNT ROUNDS
 *
 * prints, per round, ns per pick + completion and the digest. Compiled for WebAssembly it has the exports of bench/core/loop.ts, so
 * that the engine's share can be told from the core's: `clang --target=wasm32 -O3 -nostdlib -Wl,--no-entry`.
 *
 * learning.h has what a unit knows about its paths, and how it learns.
 */
#ifdef __wasm__
#define memcpy __builtin_memcpy
#define abort __builtin_trap
#else
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#endif

#include "learning.h"

static void score_history(S *s, u32 slot) {
  s->history_score[slot] = ((float)s->in_flight[slot] + 1) * (s->history[slot] + 1);
}

/* ---- picks ---- */
/* The slot with the smallest score: the score's bits, with the lowest five replaced by the slot's distance from the turn. */
static u32 bits_of(float score) { u32 bits; memcpy(&bits, &score, 4); return bits; }
#define TAKE(BITS)                                                                                                     \
  ({                                                                                                                   \
    u32 least = ~0u;                                                                                                   \
    for (u32 rest = allowed; rest; rest &= rest - 1) {                                                                 \
      u32 slot = __builtin_ctz(rest), key = ((BITS) & ~31u) | ((slot - s->turn) & 31);                                 \
      if (key < least) least = key;                                                                                    \
    }                                                                                                                  \
    u32 taken = (least + s->turn) & 31;                                                                                \
    s->turn = (taken + 1) & 31;                                                                                        \
    taken;                                                                                                             \
  })
static u32 nth_slot(u32 mask, u32 n) {
  while (n--) mask &= mask - 1;
  return __builtin_ctz(mask);
}
static u32 pick_static(S *s, u32 allowed) {
  for (u32 at = 0; at < s->count; at++) if (allowed >> s->order[at] & 1) return s->order[at];
  return __builtin_ctz(allowed);
}
static void take_turn(S *s, u32 at, u32 bytes) {
  u32 next = at + 1 < s->count ? at + 1 : 0;
  if (s->turn_ios_max == 1) { s->turn = next; return; }
  s->turn_ios++;
  s->turn_bytes += bytes;
  if (s->turn_ios >= s->turn_ios_max || s->turn_bytes >= s->turn_bytes_max)
    s->turn = next, s->turn_ios = s->turn_bytes = 0;
}
static u32 pick_next(S *s, u32 allowed, u32 bytes) {
  for (u32 tried = 1, at = s->turn; tried < s->count; tried++) {
    at = at + 1 >= s->count ? 0 : at + 1;
    if (!(allowed >> s->order[at] & 1)) continue;
    s->turn = at, s->turn_ios = s->turn_bytes = 0;
    take_turn(s, at, bytes);
    return s->order[at];
  }
  return __builtin_ctz(allowed);
}
static u32 pick_round_robin(S *s, u32 allowed, u32 bytes) {
  u32 at = s->turn, slot = s->order[at];
  if (!(allowed >> slot & 1)) return pick_next(s, allowed, bytes);
  take_turn(s, at, bytes);
  return slot;
}
static u32 pick_weighted(S *s, u32 allowed) {
  if (s->virtual_time >= 1u << 31) {
    for (u32 o = 0; o < PATHS; o++) s->progress[o] = s->progress[o] > s->virtual_time ? s->progress[o] - s->virtual_time : 0;
    s->virtual_time = 0;
  }
  u32 slot = TAKE(s->progress[slot]), stride = s->stride[slot];
  u32 floor = s->virtual_time - (s->virtual_time < stride ? s->virtual_time : stride);
  u32 progress = s->progress[slot] > floor ? s->progress[slot] : floor;
  if (progress > s->virtual_time) s->virtual_time = progress;
  s->progress[slot] = progress + stride;
  return slot;
}
static u32 pick_affinity(S *s, u32 allowed, u32 affinity) {
  u32 paths = __builtin_popcount(s->present), home = nth_slot(s->present, affinity % paths);
  if (allowed >> home & 1) return home;
  return nth_slot(allowed, (affinity / paths + affinity) % __builtin_popcount(allowed));
}
static u32 random_below(S *s, u32 limit) {
  u64 z = s->random += 0x9e3779b97f4a7c15u;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return (z >> 32) * limit >> 32;
}
static u32 pick_power_of_two(S *s, u32 allowed) {
  u32 count = __builtin_popcount(allowed);
  if (count == 1) return __builtin_ctz(allowed);
  u32 draw = random_below(s, count * (count - 1)), first = draw / (count - 1), other = draw - first * (count - 1);
  u32 a = nth_slot(allowed, first), b = nth_slot(allowed, other >= first ? other + 1 : other);
  return s->in_flight[b] < s->in_flight[a] ? b : a;
}
static u32 soonest(S *s, const float *cost, u32 allowed) {
  return TAKE(({
    float shared = (s->backlog[slot] + cost[slot]) * s->servers_inverse[slot];
    bits_of(shared > cost[slot] ? shared : cost[slot]);
  }));
}
static int is_silent(S *s, u32 slot, u64 now_ns) {
  float silent = (float)(int64_t)(now_ns - s->progress_ns[slot]);
  return silent * (float)(int32_t)s->in_flight[slot] > 8 * s->backlog[slot];
}
static int is_overdue(S *s, u32 slot, u64 now_ns) {
  float silent = (float)(int64_t)(now_ns - s->progress_ns[slot]), largest = 0;
  if (!is_silent(s, slot, now_ns)) return 0;
  for (u32 c = 0; c < CLASSES; c++)
    if (s->class_in_flight[c][slot] > 0 && s->cost[c][slot] > largest) largest = s->cost[c][slot];
  return silent > 8 * largest;
}
static int idle_path(S *s, u32 allowed, u64 now_ns) {
  if ((int32_t)(s->issued - s->retry_next) >= 0) {
    for (u32 rest = allowed; rest; rest &= rest - 1) {
      u32 slot = __builtin_ctz(rest), saved = s->issued - 8192;
      if (s->in_flight[slot] != 0 || now_ns <= s->progress_ns[slot] + 100000000) continue;
      s->retry_next = ((int32_t)(s->retry_next - saved) > 0 ? s->retry_next : saved) + 1024;
      return slot;
    }
  }
  s->retry_at_ns = now_ns + 6250000;
  return -1;
}
static u32 soonest_in_time(S *s, const float *cost, u32 allowed, u64 now_ns) {
  for (u32 open = allowed & ~s->overdue; open;) {
    u32 slot = soonest(s, cost, open);
    if (!is_overdue(s, slot, now_ns)) return slot;
    s->overdue |= 1u << slot;
    open &= ~(1u << slot);
  }
  return soonest(s, cost, allowed);
}
static u32 pick_adaptive(S *s, u32 allowed, u32 bytes, int write, u64 now_ns) {
  const float *cost = s->cost[class_of(bytes, write)];
  if (now_ns >= s->retry_at_ns) {
    int idle = idle_path(s, allowed, now_ns);
    return idle >= 0 ? (u32)idle : soonest_in_time(s, cost, allowed, now_ns);
  }
  if (!(allowed & s->overdue)) {
    u32 slot = soonest(s, cost, allowed);
    if (!is_silent(s, slot, now_ns)) return slot;
  }
  return soonest_in_time(s, cost, allowed, now_ns);
}
static u32 pick(S *s, u32 allowed, u32 bytes, int write, u32 affinity, u64 now_ns) {
  allowed &= s->usable;
  if (allowed == 0) abort();
  switch (s->policy) {
    case STATIC: return pick_static(s, allowed);
    case ROUND_ROBIN:
    case ROUND_ROBIN_SUBSET: return pick_round_robin(s, allowed, bytes);
    case LEAST_SECTORS: return TAKE(s->in_flight_bytes[slot]);
    case LEAST_IN_FLIGHT: return TAKE(s->in_flight[slot] << 5);
    case SERVICE_TIME: return TAKE(bits_of((float)(int32_t)(s->in_flight_bytes[slot] + bytes) * s->weight_inverse[slot]));
    case HISTORICAL: return TAKE(bits_of(s->history_score[slot]));
    case WEIGHTED: return pick_weighted(s, allowed);
    case AFFINITY: return pick_affinity(s, allowed, affinity);
    case POWER_OF_TWO: return pick_power_of_two(s, allowed);
    default: return pick_adaptive(s, allowed, bytes, write, now_ns);
  }
}
static u32 started_more(S *s, u32 slot, u32 ahead, u64 now_ns, u32 note) {
  if (!(s->duties & WEIGHING)) s->issued++;
  next_phase(s, now_ns);
  if (!(s->duties & LEARNING)) return note;
  return note - (255 << 4) + ((ahead < 255 ? ahead : 255) << 4 | (see_path(s, slot, ahead, now_ns)->answers & 0x3fff) << 12);
}
static u32 started(S *s, u32 slot, u32 bytes, int write, u64 now_ns) {
  u32 ahead = s->in_flight[slot]++, note = 255 << 4, duties = s->duties;
  s->in_flight_bytes[slot] += bytes;
  if (duties & WEIGHING) {
    s->issued++;
    u32 c = class_of(bytes, write);
    s->class_in_flight[c][slot]++;
    s->backlog[slot] += s->cost[c][slot];
    note += (1 << 26) + c;
  }
  if (duties & HISTORY) score_history(s, slot);
  if (ahead == 0) {
    if ((int64_t)(now_ns - s->progress_ns[slot]) >= 100000000) age_costs(s, slot);
    s->progress_ns[slot] = now_ns;
  }
  return now_ns >= s->phase_ns ? started_more(s, slot, ahead, now_ns, note) : note;
}
static void finished(S *s, u32 slot, u32 bytes, int write, u64 latency_ns, int good, u64 now_ns, u32 note) {
  u32 until = s->in_flight[slot]--, duties = s->duties, learns = duties & LEARNING;
  if (until == 0) abort();
  s->in_flight_bytes[slot] -= bytes;
  if (note >= 1 << 26) {
    u32 c = note & 15;
    if (s->class_in_flight[c][slot]-- == 0) abort();
    float cost = s->cost[c][slot], backlog = s->backlog[slot], shared = backlog * s->servers_inverse[slot];
    s->backlog[slot] = until == 1 || backlog < cost ? 0 : backlog - cost;
    if (s->overdue) s->overdue &= ~(1u << slot);
    if ((float)(int64_t)latency_ns > 8 * (shared > cost ? shared : cost) && now_ns != s->progress_ns[slot]) learns = LEARNING;
  } else if (duties & HISTORY) {
    u64 apart_ns = now_ns - s->progress_ns[slot];
    if (good) {
      float gap = (float)(int64_t)(latency_ns < apart_ns ? latency_ns : apart_ns), mean = s->history[slot];
      s->history[slot] = mean == 0 ? gap : mean + (gap - mean) * s->history_part;
    }
    score_history(s, slot);
  }
  s->progress_ns[slot] = now_ns;
  if (learns) learn_path(s, slot, class_of(bytes, write), latency_ns, good, now_ns, note, until);
}

/* ---- the loops of bench/core/loop.ts ---- */
static struct command { u32 slot, note, bytes, write; u64 start_ns; } commands[1024];

static u32 send(S *s, struct command *c, u32 i, u64 now_ns) {
  u32 bytes = (i & 15) == 0 ? 65536 : 4096;
  int write = (i & 3) == 0;
  u32 slot = pick(s, 0xffffffff, bytes, write, i & 63, now_ns);
  *c = (struct command){ slot, started(s, slot, bytes, write, now_ns), bytes, write, now_ns };
  return slot;
}
static void receive(S *s, struct command *c, u64 now_ns) {
  finished(s, c->slot, c->bytes, c->write, now_ns - c->start_ns, 1, now_ns, c->note);
}
/* The compiler must not know the unit's address, as with one unit of many. */
#ifdef __wasm__
#define APART __attribute__((noinline))
#else
#define APART __attribute__((noipa))
#endif
APART static u32 run_loop(S *s, struct command *commands, u32 depth, u32 count, u64 now_ns) {
  u32 digest = 0;
  for (u32 i = 0; i < count + depth; i++) {
    struct command *c = &commands[i & (depth - 1)];
    now_ns += 1000;
    if (i >= depth) receive(s, c, now_ns);
    if (i < count) digest = digest * 31 + send(s, c, i, now_ns);
  }
  return digest;
}
/* The same without selection: the cost of the loop itself. */
APART static u32 run_empty(struct command *commands, u32 depth, u32 count, u64 now_ns) {
  u32 digest = 0;
  for (u32 i = 0; i < count + depth; i++) {
    struct command *c = &commands[i & (depth - 1)];
    now_ns += 1000;
    if (i >= depth) digest += c->slot + c->bytes + c->write + (u32)(now_ns - c->start_ns) + c->note;
    if (i < count) {
      *c = (struct command){ digest & 3, i, (i & 15) == 0 ? 65536 : 4096, (i & 3) == 0, now_ns };
      digest = digest * 31 + c->slot;
    }
  }
  return digest;
}
/* A unit with this many paths (weights 1, 2, 3, 1, ...) under a policy. */
static S *prepare(u32 policy, u32 paths) {
  S *s = &unit;
  s->random = 1;
  s->policy = policy;
  s->duties = s->policy == ADAPTIVE ? WEIGHING : s->policy == HISTORICAL ? HISTORY : 0;
  s->turn_ios_max = 1;
  s->turn_bytes_max = ~0u;
  s->history_part = 1 - 95 * 0.01f;
  learn(s);
  unsettle(s);
  s->usable = s->present = s->scope = paths == 32 ? 0xffffffff : (1u << paths) - 1;
  s->count = paths;
  for (u32 slot = 0; slot < PATHS; slot++) {
    u32 weight = slot < paths ? 1 + slot % 3 : 1;
    s->stride[slot] = (1 << 20) / weight;
    s->weight_inverse[slot] = 1.0f / (float)weight;
    s->priority[slot] = slot < paths ? slot + 1 : 0;
    if (slot < paths) s->order[slot] = paths - 1 - slot;
    score_history(s, slot);
    for (u32 c = 0; c < CLASSES; c++) s->cost[c][slot] = 100000;
    s->servers[slot].queue = 1;
    set_servers(s, slot, 8);
  }
  return s;
}

#ifdef __wasm__
#define EXPORT(NAME) __attribute__((export_name(#NAME)))
/* Called first. */
EXPORT(prepare) void prepare_module(void) {}
EXPORT(prepared) S *prepared(u32 policy, u32 paths) { return prepare(policy, paths); }
EXPORT(loop) u32 loop(S *s, void *scratch, u32 depth, u32 count, double start_ns) {
  return run_loop(s, commands, depth, count, (u64)start_ns);
}
EXPORT(empty) u32 empty(void *scratch, u32 depth, u32 count, double start_ns) {
  return run_empty(commands, depth, count, (u64)start_ns);
}
#else
static double seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec + now.tv_nsec * 1e-9;
}

int main(int argc, char **argv) {
  if (argc != 6) return fprintf(stderr, "usage: selection POLICY PATHS DEPTH COUNT ROUNDS\n"), 2;
  S *s = prepare(atoi(argv[1]), atoi(argv[2]));
  u32 depth = atoi(argv[3]), count = atoi(argv[4]), rounds = atoi(argv[5]), ignored = 0;
  for (u32 round = 0; round < rounds; round++) {
    u64 start_ns = 1000000000ull + round * 1000000000ull;
    double from = seconds();
    u32 digest = run_loop(s, commands, depth, count, start_ns);
    double middle = seconds();
    ignored ^= run_empty(commands, depth, count, start_ns);
    double to = seconds();
    printf("%.3f %u %.3f\n", (middle - from) * 1e9 / count, digest, (to - middle) * 1e9 / count);
  }
  return ignored == 1;
}
#endif
