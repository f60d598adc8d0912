/*
 * The policies of assembly/selection in plain C, the peer of `npm run bench -- selection`: the same decisions (the
 * digest of the slots picked is compared), the same accounting and learning, scans written as loops over the slots.
 *
 *   gcc -O2 -o selection selection.c && ./selection POLICY PATHS DEPTH COUNT ROUNDS
 *
 * prints, per round, ns per pick + completion and the digest.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PATHS 32
#define CLASSES 11
typedef uint32_t u32;
typedef uint64_t u64;

enum {
  STATIC, ROUND_ROBIN, LEAST_SECTORS, ADAPTIVE, ROUND_ROBIN_SUBSET, LEAST_IN_FLIGHT, SERVICE_TIME,
  HISTORICAL, WEIGHTED, AFFINITY, POWER_OF_TWO
};

struct learning { float recent; u32 samples; };
struct servers {
  u64 event_ns;
  float busy_ns, count, expected_ns, recent_ns, recent_expected_ns, alone_ns, alone_expected_ns, overtaking, queue;
  u32 answers, samples, alone_samples;
  u64 spare;
};
static struct selection {
  u32 policy, usable, turn, overdue, issued, duties, learn_end, count;
  u64 rest_end_ns, retry_at_ns;
  u32 parameter, parameter2, present, scope, seen, answered, settle_end, retry_next;
  u64 random;
  u32 turn_ios, turn_bytes, virtual_time, turn_ios_max, turn_bytes_max;
  float history_part;
  uint8_t order[PATHS], priority[PATHS];
  u32 in_flight[PATHS], in_flight_bytes[PATHS], stride[PATHS], progress[PATHS];
  float weight_inverse[PATHS], history[PATHS], history_score[PATHS], backlog[PATHS], servers_inverse[PATHS];
  u64 progress_ns[PATHS];
  float cost[CLASSES][PATHS];
  u32 class_in_flight[CLASSES][PATHS];
  struct learning learning[PATHS][CLASSES];
  struct servers servers[PATHS];
} unit;
typedef struct selection S;

static u32 class_of(u32 bytes, int write) {
  if (bytes < 512) return CLASSES - 1;
  u32 pages = (bytes - 1) >> 12, doublings = pages ? 32 - __builtin_clz(pages) : 0;
  u32 size = doublings >= 8 ? 4 : doublings >> 1;
  return write ? size + 5 : size;
}

/* ---- phases ---- */
enum { LEARNING = 1, WEIGHING = 2, HISTORY = 4, AGING = 8 };

static u32 phase_commands(S *s) {
  u32 in_flight = 0;
  for (u32 rest = s->present; rest; rest &= rest - 1) in_flight += s->in_flight[__builtin_ctz(rest)];
  return 64 + 8 * in_flight;
}
static int settled(S *s) {
  if ((int32_t)(s->issued - s->settle_end) >= 0) return 1;
  for (u32 rest = s->answered; rest; rest &= rest - 1) if (s->servers[__builtin_ctz(rest)].samples < 512) return 0;
  return 1;
}
static void learn(S *s) {
  s->duties |= LEARNING;
  s->seen = s->answered = 0;
  s->learn_end = s->issued + phase_commands(s);
  s->rest_end_ns = ~0ull;
}
static void next_phase(S *s, u64 now_ns) {
  if (!(s->duties & LEARNING)) {
    if (now_ns >= s->rest_end_ns) learn(s);
  } else if ((int32_t)(s->issued - s->learn_end) >= 0) {
    if (!settled(s)) { s->learn_end = s->issued + phase_commands(s); return; }
    s->duties &= ~LEARNING;
    s->rest_end_ns = now_ns + 10000000;
  }
}
static void unsettle(S *s) { s->settle_end = s->issued + 16384; }

/* ---- learning ---- */
static void changed(S *s, u32 slot, float factor);

static void add_to_cost(S *s, u32 slot, u32 c, float more) {
  float before = s->cost[c][slot], cost = before + more < 1 ? 1 : before + more;
  u32 in_flight = s->class_in_flight[c][slot];
  s->cost[c][slot] = cost;
  if (in_flight == 0) return;
  float value = s->backlog[slot] + (float)in_flight * (cost - before);
  s->backlog[slot] = value < 0 ? 0 : value;
}
static void set_cost(S *s, u32 slot, u32 c, float cost) { add_to_cost(s, slot, c, cost - s->cost[c][slot]); }
static float seed_cost(S *s, u32 slot, u32 c) {
  float least = 3.402823466e+38f;
  for (u32 o = 0; o < PATHS; o++)
    if (o != slot && s->learning[o][c].samples > 0 && s->cost[c][o] < least) least = s->cost[c][o];
  return least == 3.402823466e+38f ? 100000 : least;
}
static void first_sample(S *s, u32 slot, u32 c, float sample) {
  struct learning *known = &s->learning[slot][c];
  int first = 1;
  for (u32 o = 0; o < PATHS; o++) if (s->learning[o][c].samples > 0) first = 0;
  float cost = first ? sample : 0.5f * (sample + s->cost[c][slot]);
  known->samples = first ? 1 : 2;
  known->recent = cost;
  set_cost(s, slot, c, cost);
  for (u32 o = 0; o < PATHS; o++) if (s->learning[o][c].samples == 0) set_cost(s, o, c, seed_cost(s, o, c));
}
static void learn_cost(S *s, u32 slot, u32 c, float sample) {
  struct learning *known = &s->learning[slot][c];
  float cost = s->cost[c][slot];
  u32 samples = known->samples;
  if (samples == 0) { first_sample(s, slot, c, sample); return; }
  float most = 8 * cost, off = (sample > most ? most : sample) - cost;
  float recent = known->recent + (off + cost - known->recent) * 0.125f;
  known->recent = recent;
  if (samples >= 8 && (recent > 2.5f * cost || recent < 0.35f * cost)) { changed(s, slot, recent / cost); return; }
  if (samples >= 256) { add_to_cost(s, slot, c, off * (1.0f / 256)); return; }
  known->samples = samples + 1;
  add_to_cost(s, slot, c, off / (float)(samples + 1));
}
static void changed(S *s, u32 slot, float factor) {
  unsettle(s);
  for (u32 c = 0; c < CLASSES; c++) {
    struct learning *known = &s->learning[slot][c];
    float cost = s->cost[c][slot] * factor;
    if (known->samples > 8) known->samples = 8;
    known->recent = cost;
    set_cost(s, slot, c, cost);
  }
}
static void age_costs(S *s, u32 slot) {
  if (!(s->duties & LEARNING)) learn(s);
  for (u32 c = 0; c < CLASSES; c++) if (s->learning[slot][c].samples > 2) s->learning[slot][c].samples = 2;
}

/* ---- servers ---- */
static void set_servers(S *s, u32 slot, float count) {
  s->servers[slot].count = count;
  s->servers_inverse[slot] = 1 / count;
}
static void forget_sums(struct servers *v) {
  v->expected_ns = v->recent_ns = v->recent_expected_ns = v->alone_ns = v->alone_expected_ns = 0;
  v->samples = v->alone_samples = 0;
}
static float part_of(u32 samples, float least, u32 enough) { return samples >= enough ? least : 1.0f / (float)samples; }
static void pass_time(struct servers *v, u32 in_flight, u64 now_ns) {
  if (now_ns <= v->event_ns) return;
  float busy = (float)in_flight < v->count ? (float)in_flight : v->count;
  v->busy_ns += (float)(int64_t)(now_ns - v->event_ns) * busy;
  v->event_ns = now_ns;
}
static struct servers *see_path(S *s, u32 slot, u32 in_flight, u64 now_ns) {
  struct servers *v = &s->servers[slot];
  if (s->seen >> slot & 1) { pass_time(v, in_flight, now_ns); return v; }
  s->seen |= 1u << slot;
  if (in_flight == 0) s->answered |= 1u << slot;
  v->event_ns = now_ns;
  v->busy_ns = 0;
  v->answers += 255;
  return v;
}
static void overtaken(struct servers *v, u32 ahead, u32 answers) {
  if (ahead > answers) {
    float over = (float)(ahead - answers);
    v->overtaking += (over - v->overtaking) * (over > v->overtaking ? 0.25f : 1.0f / 256);
  } else if (v->overtaking > 0.001f) v->overtaking -= v->overtaking * (1.0f / 256);
}
static void served(S *s, u32 slot, struct servers *v, float busy_ns, float expected_ns) {
  u32 samples = v->samples + 1;
  float recent = v->recent_ns + (busy_ns - v->recent_ns) * (1.0f / 32);
  float expected = v->recent_expected_ns + (expected_ns - v->recent_expected_ns) * (1.0f / 32);
  v->recent_ns = recent;
  v->recent_expected_ns = expected;
  v->expected_ns += (expected_ns - v->expected_ns) * part_of(samples, 1.0f / 64, 64);
  if (samples >= 48 && (recent > 2.5f * expected || recent < 0.35f * expected)) {
    forget_sums(v);
    changed(s, slot, recent / expected);
    return;
  }
  float step = part_of(samples, 1.0f / 128, 128), crowding = v->queue < 2 ? v->queue - 1 : 1;
  float off = ((busy_ns - expected_ns) / v->expected_ns) * crowding * (step < 0.125f ? step : 0.125f);
  float count = v->count * (1 - (off < 0.5f ? off : 0.5f));
  if (count < 1.2f) { set_servers(s, slot, 1); unsettle(s); forget_sums(v); return; }
  float most = 2 * v->queue > 64 ? 64 : 2 * v->queue;
  if (most < 8) most = 8;
  set_servers(s, slot, count < most ? count : most);
}
static void compare(S *s, u32 slot, struct servers *v) {
  int single = v->count == 1;
  if (v->overtaking + 1 > v->count * 1.3f) {
    float count = v->overtaking + 1 < 64 ? v->overtaking + 1 : 64;
    float factor = v->alone_samples > 0 ? v->alone_ns / v->alone_expected_ns : count;
    set_servers(s, slot, count);
    forget_sums(v);
    unsettle(s);
    if (single) changed(s, slot, factor);
  } else if (single && v->alone_samples >= 48 && v->alone_ns > v->alone_expected_ns * 2.5f) {
    float factor = v->alone_ns / v->alone_expected_ns;
    set_servers(s, slot, factor < 64 ? factor : 64);
    forget_sums(v);
    changed(s, slot, factor);
  }
}
static void learn_path(S *s, u32 slot, u32 c, u64 took, int good, u64 now_ns, u32 note, u32 in_flight) {
  if (!(s->duties & LEARNING)) learn(s);
  struct servers *v = see_path(s, slot, in_flight, now_ns);
  float latency_ns = (float)(int64_t)took, cost = s->cost[c][slot], most = 8 * cost;
  if (!good && latency_ns <= cost) return;
  u32 ahead = note >> 4 & 255, known = ahead != 255, whole = s->answered >> slot & 1;
  if (known) overtaken(v, ahead, (v->answers - (note >> 12)) & 0x3fff);
  v->answers++;
  s->answered |= 1u << slot;
  float busy_ns = v->busy_ns;
  v->busy_ns = 0;
  if (v->count == 1) {
    if (known && ahead == 0) {
      v->alone_ns += ((latency_ns > most ? most : latency_ns) - v->alone_ns) * (1.0f / 64);
      v->alone_expected_ns += (cost - v->alone_expected_ns) * (1.0f / 64);
      v->alone_samples++;
    }
    if (whole) learn_cost(s, slot, c, busy_ns);
  } else {
    int is_free = ahead == 0 || ((float)ahead <= v->overtaking && (float)ahead + 1 <= v->count);
    if (known && is_free) learn_cost(s, slot, c, latency_ns);
    v->queue += ((float)in_flight - v->queue) * (1.0f / 64);
    if (whole) served(s, slot, v, busy_ns < most ? busy_ns : most, cost);
  }
  u32 samples = v->samples + 1;
  if (samples < 1000) v->samples = samples;
  if (samples == 48)
    for (u32 o = 0; o < PATHS; o++) if (s->servers[o].samples < 48) set_servers(s, o, v->count);
  if (samples > 48) compare(s, slot, v);
}
static void score_history(S *s, u32 slot) {
  s->history_score[slot] = ((float)s->in_flight[slot] + 1) * (s->history[slot] + 1);
}

/* ---- picks ---- */
/* The slot with the smallest score: its bits, of which the lowest five give way to how far the slot is from the turn. */
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
  s->turn_ios++;
  s->turn_bytes += bytes;
  if (s->turn_ios >= s->turn_ios_max || s->turn_bytes >= s->turn_bytes_max)
    s->turn = at + 1 >= s->count ? 0 : at + 1, s->turn_ios = s->turn_bytes = 0;
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
  u32 slot = TAKE(s->progress[slot]), stride = s->stride[slot];
  u32 floor = s->virtual_time - (s->virtual_time < stride ? s->virtual_time : stride);
  u32 progress = s->progress[slot] > floor ? s->progress[slot] : floor;
  if (progress > s->virtual_time) s->virtual_time = progress;
  s->progress[slot] = progress + stride;
  if (progress >= 1u << 31) {
    for (u32 o = 0; o < PATHS; o++) s->progress[o] = s->progress[o] > s->virtual_time ? s->progress[o] - s->virtual_time : 0;
    s->virtual_time = 0;
  }
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
static u32 started_more(S *s, u32 slot, u32 ahead, u64 now_ns, u32 todo, u32 note) {
  if (!(todo & WEIGHING)) s->issued++;
  if (todo & AGING) age_costs(s, slot);
  next_phase(s, now_ns);
  if (!(s->duties & LEARNING)) return note;
  return note - (255 << 4) + ((ahead < 255 ? ahead : 255) << 4 | (see_path(s, slot, ahead, now_ns)->answers & 0x3fff) << 12);
}
static u32 started(S *s, u32 slot, u32 bytes, int write, u64 now_ns) {
  u32 ahead = s->in_flight[slot]++, note = 255 << 4, todo = s->duties;
  s->in_flight_bytes[slot] += bytes;
  if (todo & WEIGHING) {
    s->issued++;
    u32 c = class_of(bytes, write);
    s->class_in_flight[c][slot]++;
    s->backlog[slot] += s->cost[c][slot];
    note += (1 << 26) + c;
  }
  if (ahead == 0) {
    if ((int64_t)(now_ns - s->progress_ns[slot]) >= 100000000) todo |= AGING;
    s->progress_ns[slot] = now_ns;
  }
  if (todo & HISTORY) score_history(s, slot);
  if (todo & (LEARNING | AGING) || now_ns >= s->rest_end_ns) return started_more(s, slot, ahead, now_ns, todo, note);
  return note;
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
    if ((float)(int64_t)latency_ns > 8 * (shared > cost ? shared : cost)) learns = LEARNING;
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
/* noipa: the unit is behind a pointer that is not known, as a unit of many is. */
__attribute__((noipa)) static u32 loop(S *s, struct command *commands, u32 depth, u32 count, u64 now_ns) {
  u32 digest = 0;
  for (u32 i = 0; i < count + depth; i++) {
    struct command *c = &commands[i & (depth - 1)];
    now_ns += 1000;
    if (i >= depth) receive(s, c, now_ns);
    if (i < count) digest = digest * 31 + send(s, c, i, now_ns);
  }
  return digest;
}
/* The same without selection: what the loop itself costs. */
__attribute__((noipa)) static u32 empty(struct command *commands, u32 depth, u32 count, u64 now_ns) {
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
static double seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec + now.tv_nsec * 1e-9;
}

int main(int argc, char **argv) {
  if (argc != 6) return fprintf(stderr, "usage: selection POLICY PATHS DEPTH COUNT ROUNDS\n"), 2;
  S *s = &unit;
  u32 paths = atoi(argv[2]), depth = atoi(argv[3]), count = atoi(argv[4]), rounds = atoi(argv[5]), ignored = 0;
  s->random = 1;
  s->policy = atoi(argv[1]);
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
  for (u32 round = 0; round < rounds; round++) {
    u64 start_ns = 1000000000ull + round * 1000000000ull;
    double from = seconds();
    u32 digest = loop(s, commands, depth, count, start_ns);
    double middle = seconds();
    ignored ^= empty(commands, depth, count, start_ns);
    double to = seconds();
    printf("%.3f %u %.3f\n", (middle - from) * 1e9 / count, digest, (to - middle) * 1e9 / count);
  }
  return ignored == 1;
}
