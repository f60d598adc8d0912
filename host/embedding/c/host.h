/* Inside of the kit: the host's tables. All of them lie in one block of memory, made by pm_open. */
#ifndef PATHMANAGER_HOST_H
#define PATHMANAGER_HOST_H
#include <string.h>

#include "core.h"
#include "pathmanager.h"

/* What a tag stands for. */
enum { TAG_FREE, TAG_UNDER_WAY, TAG_ANSWERED, TAG_RETURNED };

struct pm_request {
  uint64_t cookie;
  uint8_t *data; /* of the embedder; NULL without */
  uint32_t bytes;
  int error;
  uint8_t state;
  bool own;           /* the data is in the region: devices reach it */
  bool elsewhere;     /* what was read into the region is not in it, but lent */
  uint32_t client;
  bool held, fetched; /* the answer says HELD; it was fetched by pm_poll */
  uint64_t fetch_turn; /* the turn until whose end its data can be fetched from elsewhere */
};

/* A place for a port; its number is what the core calls a port. */
struct pm_place {
  struct pm_port *port;
  uint32_t path;
  bool removing;
};

/* A SCSI command or reset that the port has. Its tag is no other instance's: what comes late from a port that an earlier instance
 * used is not taken for an answer to this one. */
struct pm_under_way {
  uint32_t tag, core_tag, slot; /* slot: address of the command slot; 0: a reset */
};

struct pm_client {
  uint32_t client;
  bool open, closing;
};

struct pm_host {
  struct pm_core *core;
  struct pm_limits limits;
  uint64_t now_ns, turns;
  uint32_t control, paths, units, region;
  bool allocated, wants_turn, in_turn;
  struct pm_request *requests;
  uint32_t *free_tags, free_count;
  uint32_t *answers, answers_first, answers_count; /* tags to be fetched, a ring of 2 x tags */
  struct pm_place *places;
  uint32_t places_used;
  struct pm_client *clients;
  struct pm_under_way *under_way; /* open addressing by tag; a power of two */
  uint32_t under_way_mask, under_way_count;
  uint32_t tag_next, tag_end; /* of the tags that ports see */
  char failure[240];
};

static inline uint8_t *pm_at(struct pm_host *host, uint32_t address) { return pm_core_memory(host->core) + address; }

static inline uint32_t pm_u32(struct pm_host *host, uint32_t address) {
  uint32_t value;
  memcpy(&value, pm_at(host, address), sizeof value);
  return value;
}

static inline uint64_t pm_u64(struct pm_host *host, uint32_t address) {
  uint64_t value;
  memcpy(&value, pm_at(host, address), sizeof value);
  return value;
}

static inline uint16_t pm_u16(struct pm_host *host, uint32_t address) {
  uint16_t value;
  memcpy(&value, pm_at(host, address), sizeof value);
  return value;
}

static inline void pm_put32(struct pm_host *host, uint32_t address, uint32_t value) {
  memcpy(pm_at(host, address), &value, sizeof value);
}

static inline void pm_put64(struct pm_host *host, uint32_t address, uint64_t value) {
  memcpy(pm_at(host, address), &value, sizeof value);
}

/* The oldest entry of a ring, or 0. */
static inline uint32_t pm_ring_first(struct pm_host *host, uint32_t ring, uint32_t entry_bytes) {
  uint32_t at = host->control + ring, head = pm_u32(host, at + PM_RING_HEAD);
  if (head == pm_u32(host, at + PM_RING_TAIL)) return 0;
  return pm_u32(host, at + PM_RING_BASE) + (head & (pm_u32(host, at + PM_RING_CAPACITY) - 1)) * entry_bytes;
}

static inline void pm_ring_taken(struct pm_host *host, uint32_t ring) {
  uint32_t at = host->control + ring + PM_RING_HEAD;
  pm_put32(host, at, pm_u32(host, at) + 1);
}

/* A place for a new entry, zeroed by nobody; 0 when the ring is full. */
static inline uint32_t pm_ring_room(struct pm_host *host, uint32_t ring, uint32_t entry_bytes) {
  uint32_t at = host->control + ring, tail = pm_u32(host, at + PM_RING_TAIL), capacity = pm_u32(host, at + PM_RING_CAPACITY);
  if (tail - pm_u32(host, at + PM_RING_HEAD) >= capacity) return 0;
  return pm_u32(host, at + PM_RING_BASE) + (tail & (capacity - 1)) * entry_bytes;
}

static inline void pm_ring_filled(struct pm_host *host, uint32_t ring) {
  uint32_t at = host->control + ring + PM_RING_TAIL;
  pm_put32(host, at, pm_u32(host, at) + 1);
}

/* PM_E_CORE when the core has ended, else `answer`. */
int pm_checked(struct pm_host *host, int32_t answer);

/* requests.c */
bool pm_take_block_completions(struct pm_host *host);
/* ports.c */
bool pm_take_submissions(struct pm_host *host);
void pm_places_sweep(struct pm_host *host);

#endif
