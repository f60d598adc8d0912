/* The emulated disk: what a SCSI disk has to know for PathManager, no more. */
#include "port_memory.h"

#include <string.h>

#define DID_NO_CONNECT 1
#define DID_TIME_OUT 3
#define GOOD 0
#define CHECK_CONDITION 2
#define ILLEGAL_REQUEST 5

/* NAA 6, as `designator type, code set, designator` without its length. */
const uint8_t pm_memory_identity[10] = {3, 1, 0x52, 0x00, 0x70, 0x61, 0x74, 0x68, 0x6d, 0x01};

static uint64_t big(const uint8_t *bytes, int count) {
  uint64_t value = 0;
  for (int i = 0; i < count; i++) value = value << 8 | bytes[i];
  return value;
}

static void put_big(uint8_t *bytes, uint64_t value, int count) {
  for (int i = count; i-- > 0; value >>= 8) bytes[i] = (uint8_t)value;
}

struct answer {
  uint8_t sense[18];
  struct pm_result result;
};

static void refuse(struct answer *a, uint8_t asc) {
  memset(a->sense, 0, sizeof a->sense);
  a->sense[0] = 0x70;
  a->sense[2] = ILLEGAL_REQUEST;
  a->sense[7] = 10;
  a->sense[12] = asc;
  a->result = (struct pm_result){.status = CHECK_CONDITION, .sense_bytes = sizeof a->sense, .sense = a->sense};
}

/* Gives the host what it has room for. */
static void give(struct answer *a, const struct pm_command *c, const uint8_t *page, uint32_t bytes) {
  uint32_t given = bytes < c->bytes ? bytes : c->bytes;
  if (given != 0) memcpy(c->data, page, given);
  a->result.residual = (int32_t)(c->bytes - given);
}

static void inquiry(struct answer *a, const struct pm_command *c) {
  uint8_t page[96] = {0};
  if ((c->cdb[1] & 1) == 0) {
    page[2] = 6;
    page[4] = 91;
    memcpy(page + 8, "PATHMGR EMBEDDED DISK   0001", 28);
    return give(a, c, page, 96);
  }
  page[1] = c->cdb[2];
  if (c->cdb[2] == 0x83) {
    page[3] = 12;
    page[4] = pm_memory_identity[1];
    page[5] = pm_memory_identity[0];
    page[7] = 8;
    memcpy(page + 8, pm_memory_identity + 2, 8);
    return give(a, c, page, 16);
  }
  if (c->cdb[2] == 0x80) {
    page[3] = 4;
    memcpy(page + 4, "0001", 4);
    return give(a, c, page, 8);
  }
  refuse(a, 0x24);
}

/* READ, WRITE, WRITE SAME (16) and (10). */
static void move(struct answer *a, const struct pm_disk *disk, const struct pm_command *c) {
  bool is_long = c->cdb[0] >= 0x80;
  uint64_t block = is_long ? big(c->cdb + 2, 8) : big(c->cdb + 2, 4);
  uint64_t count = is_long ? big(c->cdb + 10, 4) : big(c->cdb + 7, 2);
  if (block > disk->blocks || count > disk->blocks - block) return refuse(a, 0x21);
  uint8_t *at = disk->data + block * disk->block_bytes;
  uint64_t bytes = count * disk->block_bytes;
  bool same = c->cdb[0] == 0x93;
  if (c->bytes < (same ? disk->block_bytes : bytes)) return refuse(a, 0x24);
  if (same) {
    for (uint64_t i = 0; i < count; i++) memcpy(at + i * disk->block_bytes, c->data, disk->block_bytes);
  } else if (bytes == 0) return;
  else if (c->direction == PM_DIRECTION_IN) memcpy(c->data, at, bytes);
  else memcpy(at, c->data, bytes);
}

static void capacity(struct answer *a, const struct pm_disk *disk, const struct pm_command *c) {
  uint8_t page[32] = {0};
  if ((c->cdb[1] & 31) != 0x10) return refuse(a, 0x24);
  put_big(page, disk->blocks - 1, 8);
  put_big(page + 8, disk->block_bytes, 4);
  give(a, c, page, sizeof page);
}

static void carry_out(struct answer *a, const struct pm_disk *disk, const struct pm_command *c) {
  memset(&a->result, 0, sizeof a->result);
  switch (c->cdb[0]) {
    case 0x00: case 0x35: case 0x91: return; /* TEST UNIT READY, SYNCHRONIZE CACHE (10), (16) */
    case 0x12: return inquiry(a, c);
    case 0x28: case 0x2a: case 0x88: case 0x8a: case 0x93: return move(a, disk, c);
    case 0x9e: return capacity(a, disk, c);
    default: return refuse(a, 0x20);
  }
}

static void answer(struct pm_memory_port *p, struct pm_host *host, const struct pm_command *c) {
  struct answer a;
  if (p->fault == PM_MEMORY_DEAD) a.result = (struct pm_result){.host_status = DID_NO_CONNECT, .residual = (int32_t)c->bytes};
  else carry_out(&a, p->disk, c);
  pm_complete(host, c->tag, &a.result);
}

static void submit(struct pm_port *port, struct pm_host *host, const struct pm_command *c) {
  struct pm_memory_port *p = (struct pm_memory_port *)port;
  p->commands++;
  if (p->fault == PM_MEMORY_DEAD || (p->fault == PM_MEMORY_WELL && p->latency_ns == 0)) return answer(p, host, c);
  uint64_t due_ns = p->fault == PM_MEMORY_SILENT ? UINT64_MAX : p->now_ns + p->latency_ns;
  for (int i = 0; i < PM_MEMORY_COMMANDS_MAX; i++) {
    if (p->waiting[i].tag != 0) continue;
    p->waiting[i].tag = c->tag;
    p->waiting[i].command = *c;
    p->waiting[i].due_ns = due_ns == UINT64_MAX ? p->now_ns + c->timeout_ms * UINT64_C(1000000) : due_ns;
    return;
  }
  pm_complete(host, c->tag, &(struct pm_result){.status = 0x28}); /* TASK SET FULL */
}

static void poll(struct pm_port *port, struct pm_host *host, uint64_t now_ns) {
  struct pm_memory_port *p = (struct pm_memory_port *)port;
  p->now_ns = now_ns;
  for (int i = 0; i < PM_MEMORY_COMMANDS_MAX; i++) {
    if (p->waiting[i].tag == 0 || (p->waiting[i].due_ns > now_ns && p->fault != PM_MEMORY_DEAD)) continue;
    struct pm_command c = p->waiting[i].command;
    p->waiting[i].tag = 0;
    if (p->fault == PM_MEMORY_SILENT) {
      pm_complete(host, c.tag, &(struct pm_result){.host_status = DID_TIME_OUT, .residual = (int32_t)c.bytes});
    } else answer(p, host, &c);
  }
}

/* A reset ends what waits. */
static void reset(struct pm_port *port, struct pm_host *host, uint32_t tag, uint32_t scope) {
  struct pm_memory_port *p = (struct pm_memory_port *)port;
  (void)scope;
  for (int i = 0; i < PM_MEMORY_COMMANDS_MAX; i++) {
    if (p->waiting[i].tag == 0) continue;
    pm_complete(host, p->waiting[i].tag, &(struct pm_result){.host_status = 8}); /* DID_RESET */
    p->waiting[i].tag = 0;
  }
  pm_complete_reset(host, tag, 0);
}

static uint64_t deadline(const struct pm_port *port) {
  const struct pm_memory_port *p = (const struct pm_memory_port *)port;
  uint64_t due_ns = UINT64_MAX;
  for (int i = 0; i < PM_MEMORY_COMMANDS_MAX; i++) {
    if (p->waiting[i].tag != 0 && p->waiting[i].due_ns < due_ns) due_ns = p->waiting[i].due_ns;
  }
  return due_ns;
}

static const struct pm_port_ops operations = {.submit = submit, .reset = reset, .poll = poll, .deadline = deadline};

const size_t pm_memory_port_bytes = sizeof(struct pm_memory_port);

int pm_memory_port_init(struct pm_memory_port *port, struct pm_disk *disk) {
  if (port == NULL || disk == NULL || disk->data == NULL || disk->blocks == 0) return PM_E_ARGUMENT;
  if (disk->block_bytes != 512 && disk->block_bytes != 4096) return PM_E_ARGUMENT;
  memset(port, 0, sizeof *port);
  port->port.ops = &operations;
  port->disk = disk;
  return 0;
}
