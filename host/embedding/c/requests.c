/* Requests: through the core's block door, and back. */
#include "host.h"

#include <errno.h>

static void entry(struct pm_host *host, uint8_t operation, uint32_t tag, uint32_t client) {
  /* Room for twice the tags: a request, and the one entry that gives its buffer back. */
  uint32_t at = pm_ring_room(host, PM_CONTROL_BLOCK_ENTRIES, PM_BLOCK_ENTRY_BYTES);
  memset(pm_at(host, at), 0, PM_BLOCK_ENTRY_BYTES);
  *pm_at(host, at + PM_BLOCK_ENTRY_OPERATION) = operation;
  pm_put32(host, at + PM_BLOCK_ENTRY_TAG, tag);
  pm_put32(host, at + PM_BLOCK_ENTRY_CLIENT, client);
  pm_ring_filled(host, PM_CONTROL_BLOCK_ENTRIES);
  host->wants_turn = true;
}

static bool in_region(struct pm_host *host, const struct pm_io *io, uint32_t *address) {
  const uint8_t *region = pm_region(host), *data = io->data;
  if (region == NULL || data < region || data >= region + host->limits.region_bytes) return false;
  *address = host->region + (uint32_t)(data - region);
  return true;
}

int pm_submit(struct pm_host *host, const struct pm_io *io) {
  if (host == NULL || io == NULL) return PM_E_ARGUMENT;
  if (pm_core_failure(host->core) != NULL) return PM_E_CORE;
  if (io->unit >= host->limits.units || !host->clients[io->unit].open) return PM_E_HANDLE;
  bool moves = io->operation == PM_OPERATION_READ || io->operation == PM_OPERATION_WRITE;
  if (moves && io->data == NULL) return PM_E_ARGUMENT;
  if (io->operation > 15 || io->flags > 255 || (moves && io->bytes > PM_BLOCK_BYTES_MAX)) return PM_E_RANGE;
  if (host->free_count == 0) return PM_E_FULL;
  uint32_t room = pm_ring_room(host, PM_CONTROL_BLOCK_ENTRIES, PM_BLOCK_ENTRY_BYTES);
  if (room == 0) return PM_E_FULL;
  uint32_t tag = host->free_tags[--host->free_count], address = 0;
  bool copied = moves && !in_region(host, io, &address);
  host->requests[tag] = (struct pm_request){
      .cookie = io->cookie,
      .data = moves ? io->data : NULL,
      .own = moves && !copied,
      .bytes = (uint32_t)io->bytes,
      .client = host->clients[io->unit].client,
      .state = TAG_UNDER_WAY,
  };
  entry(host, (uint8_t)io->operation, tag, host->clients[io->unit].client);
  *pm_at(host, room + PM_BLOCK_ENTRY_FLAGS) = (uint8_t)io->flags;
  pm_put32(host, room + PM_BLOCK_ENTRY_BUFFER, moves ? address : 0);
  pm_put64(host, room + PM_BLOCK_ENTRY_OFFSET, io->offset);
  pm_put64(host, room + PM_BLOCK_ENTRY_LENGTH, io->bytes);
  return 0;
}

static void to_be_fetched(struct pm_host *host, uint32_t tag) {
  uint32_t room = 2 * host->limits.tags;
  host->answers[(host->answers_first + host->answers_count++) % room] = tag;
}

/* Copies a read's data out of the core's buffers; where they are not the embedder's own. */
static void copy_out(struct pm_host *host, uint32_t tag, uint8_t *to, uint32_t bytes) {
  for (uint32_t at = 0; at < bytes;) {
    uint64_t where = pm_core_block_data(host->core, tag, at);
    uint32_t piece = (uint32_t)(where >> 32);
    if (piece == 0) return;
    if (piece > bytes - at) piece = bytes - at;
    memcpy(to + at, pm_at(host, (uint32_t)where), piece);
    at += piece;
  }
}

static void answered(struct pm_host *host, uint32_t tag, uint32_t client, uint32_t error, uint8_t flags) {
  struct pm_request *r = &host->requests[tag];
  bool lent = (flags & PM_BLOCK_LENT) != 0;
  r->error = (int)error;
  r->held = (flags & PM_BLOCK_HELD) != 0;
  /* The data came by a second command, and the first may still write where it is wanted: the embedder takes it from elsewhere. */
  r->elsewhere = lent && r->held;
  r->state = TAG_ANSWERED;
  if (lent && !r->elsewhere) {
    if (error == 0) copy_out(host, tag, r->data, r->bytes);
    entry(host, PM_BLOCK_RELEASE, tag, client);
  }
  to_be_fetched(host, tag);
}

static void free_tag(struct pm_host *host, uint32_t tag) {
  host->requests[tag].state = TAG_FREE;
  host->free_tags[host->free_count++] = tag;
}

/* The buffer is the embedder's again: he hears of it if he had heard that it was held. */
static void returned(struct pm_host *host, uint32_t tag) {
  struct pm_request *r = &host->requests[tag];
  r->held = false;
  if (r->fetched) {
    r->state = TAG_RETURNED;
    to_be_fetched(host, tag);
  } else r->state = TAG_ANSWERED;
}

bool pm_take_block_completions(struct pm_host *host) {
  bool any = false;
  for (;;) {
    uint32_t at = pm_ring_first(host, PM_CONTROL_BLOCK_COMPLETIONS, PM_BLOCK_COMPLETION_BYTES);
    if (at == 0) return any;
    uint32_t tag = pm_u32(host, at + PM_BLOCK_COMPLETION_TAG), client = pm_u32(host, at + PM_BLOCK_COMPLETION_CLIENT);
    uint32_t error = pm_u32(host, at + PM_BLOCK_COMPLETION_ERROR);
    uint32_t address = pm_u32(host, at + PM_BLOCK_COMPLETION_ADDRESS);
    uint8_t kind = *pm_at(host, at + PM_BLOCK_COMPLETION_KIND), flags = *pm_at(host, at + PM_BLOCK_COMPLETION_FLAGS);
    pm_ring_taken(host, PM_CONTROL_BLOCK_COMPLETIONS);
    any = true;
    if (tag >= host->limits.tags || host->requests[tag].state == TAG_FREE) continue;
    if (kind == PM_BLOCK_ANSWER || kind == PM_BLOCK_REFUSED) answered(host, tag, client, error, flags);
    else if (kind == PM_BLOCK_RETURNED) returned(host, tag);
    else if (kind == PM_BLOCK_FETCH) {
      memcpy(pm_at(host, address), host->requests[tag].data, host->requests[tag].bytes);
      entry(host, PM_BLOCK_FETCHED, tag, client);
    }
  }
}

int pm_poll(struct pm_host *host, struct pm_answer *answers, int count) {
  if (host == NULL || count < 0 || (answers == NULL && count > 0)) return PM_E_ARGUMENT;
  int given = 0;
  while (given < count && host->answers_count > 0) {
    uint32_t tag = host->answers[host->answers_first];
    struct pm_request *r = &host->requests[tag];
    host->answers_first = (host->answers_first + 1) % (2 * host->limits.tags);
    host->answers_count--;
    answers[given++] = (struct pm_answer){
        .cookie = r->cookie, .error = r->error, .held = r->held, .returned = r->state == TAG_RETURNED, .tag = tag,
        .elsewhere = r->elsewhere};
    r->fetched = true;
    /* Taken with the next turn: until then the data can be fetched. */
    if (r->elsewhere) {
      entry(host, PM_BLOCK_RELEASE, tag, r->client);
      r->fetch_turn = host->turns;
    }
    r->elsewhere = false;
    if (!r->held) free_tag(host, tag);
  }
  return given;
}

int pm_fetch_elsewhere(struct pm_host *host, const struct pm_answer *answer, void *to, uint32_t bytes) {
  if (host == NULL || answer == NULL || to == NULL) return PM_E_ARGUMENT;
  if (!answer->elsewhere || answer->tag >= host->limits.tags) return PM_E_NOT_ASKED;
  const struct pm_request *r = &host->requests[answer->tag];
  if (r->fetch_turn == 0 || r->fetch_turn != host->turns) return PM_E_NOT_ASKED;
  if (bytes > r->bytes) return PM_E_RANGE;
  copy_out(host, answer->tag, to, bytes);
  return 0;
}

void *pm_region(struct pm_host *host) {
  return host == NULL || host->region == 0 || host->limits.region_bytes == 0 ? NULL : pm_at(host, host->region);
}
