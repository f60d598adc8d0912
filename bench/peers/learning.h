/*
 * The record of a unit and what it learns about its paths: phases, costs, servers. Part of selection.c, which alone
 * includes it.
 */
#include <stdint.h>

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
  u32 answer_ns;
  uint16_t together, together_expected;
};
static struct selection {
  u32 policy, usable, turn, overdue, issued, duties, learn_end, count;
  u64 phase_ns, retry_at_ns;
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
enum { LEARNING = 1, WEIGHING = 2, HISTORY = 4 };

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
  s->phase_ns = 0;
}
static void next_phase(S *s, u64 now_ns) {
  if (!(s->duties & LEARNING)) {
    if (now_ns >= s->phase_ns) learn(s);
  } else if ((int32_t)(s->issued - s->learn_end) >= 0) {
    if (!settled(s)) { s->learn_end = s->issued + phase_commands(s); return; }
    s->duties &= ~LEARNING;
    s->phase_ns = now_ns + 10000000;
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
/* Answers that come at one time share the server time since the last ones. */
static u32 is_whole(S *s, u32 slot, struct servers *v, u64 now_ns) {
  if (!(s->answered >> slot & 1)) {
    v->answer_ns = (u32)now_ns;
    v->together_expected = v->together = 0;
    v->busy_ns = 0;
  } else if (v->answer_ns != (u32)now_ns) {
    v->answer_ns = (u32)now_ns;
    v->together_expected = v->together > 1 ? v->together : 1;
    v->together = 0;
  }
  return v->together_expected != 0;
}
static float take_share(struct servers *v) {
  u32 left = v->together_expected > v->together ? v->together_expected - v->together : 1;
  if (v->together < 65535) v->together++;
  float part = left == 1 ? v->busy_ns : v->busy_ns / (float)left;
  v->busy_ns -= part;
  return part;
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
  u32 ahead = note >> 4 & 255, known = ahead != 255;
  if (known) overtaken(v, ahead, (v->answers - (note >> 12)) & 0x3fff);
  v->answers++;
  u32 whole = is_whole(s, slot, v, now_ns);
  s->answered |= 1u << slot;
  float busy_ns = take_share(v);
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
