#include "port_sg.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <scsi/sg.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef SG_SCSI_RESET_TARGET
#define SG_SCSI_RESET_TARGET 4
#endif
/* Missing in <scsi/sg.h>: requests go behind those that wait already. */
#define FLAG_Q_AT_TAIL 0x10
#define DESCRIPTORS_WAITED_FOR 512
/* How long it waits when it cannot look at all of them. */
#define SOME_WAIT_MS 1

uint64_t pm_clock_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

static void not_delivered(struct pm_host *host, uint32_t tag, int error) {
  pm_complete(host, tag, &(struct pm_result){.error = error});
}

static int free_place(const struct pm_sg_port *p) {
  for (int i = 0; i < PM_SG_DEPTH_MAX; i++) {
    if (p->waiting[i].tag == 0) return i;
  }
  return -1;
}

static void submit(struct pm_port *port, struct pm_host *host, const struct pm_command *c) {
  struct pm_sg_port *p = (struct pm_sg_port *)port;
  int at = 0, place = free_place(p);
  while (at < p->open && p->busy[at] >= PM_SG_PER_DESCRIPTOR) at++;
  if (at == p->open || place < 0) return not_delivered(host, c->tag, EAGAIN);
  static const int directions[] = {[PM_DIRECTION_NONE] = SG_DXFER_NONE, [PM_DIRECTION_IN] = SG_DXFER_FROM_DEV,
                                   [PM_DIRECTION_OUT] = SG_DXFER_TO_DEV};
  uint8_t cdb[16];
  memcpy(cdb, c->cdb, sizeof cdb);
  sg_io_hdr_t header = {
      .interface_id = 'S',
      .dxfer_direction = directions[c->direction],
      .cmd_len = c->cdb_bytes,
      .mx_sb_len = sizeof p->waiting[place].sense,
      .dxfer_len = c->bytes,
      .dxferp = c->data,
      .cmdp = cdb,
      .sbp = p->waiting[place].sense,
      .timeout = c->timeout_ms,
      .flags = FLAG_Q_AT_TAIL,
      .pack_id = place | at << 8,
  };
  p->waiting[place].tag = c->tag;
  if (write(p->descriptors[at], &header, sizeof header) == (ssize_t)sizeof header) {
    p->busy[at]++;
    return;
  }
  p->waiting[place].tag = 0;
  not_delivered(host, c->tag, errno);
}

static void ended(struct pm_sg_port *p, struct pm_host *host, const sg_io_hdr_t *header) {
  int place = header->pack_id & 0xff, at = header->pack_id >> 8;
  uint32_t tag = p->waiting[place].tag;
  p->busy[at]--;
  p->waiting[place].tag = 0;
  pm_complete(host, tag, &(struct pm_result){
                             .status = header->status,
                             .sense_bytes = header->sb_len_wr,
                             .host_status = header->host_status,
                             .driver_status = header->driver_status,
                             .residual = header->resid,
                             .sense = p->waiting[place].sense,
                         });
}

/* The device is gone: the driver will not tell what has become of the commands. */
static void lost(struct pm_sg_port *p, struct pm_host *host) {
  for (int i = 0; i < PM_SG_DEPTH_MAX; i++) {
    if (p->waiting[i].tag == 0) continue;
    pm_complete(host, p->waiting[i].tag, &(struct pm_result){.host_status = 1});
    p->waiting[i].tag = 0;
  }
  memset(p->busy, 0, sizeof p->busy);
}

static void poll_port(struct pm_port *port, struct pm_host *host, uint64_t now_ns) {
  struct pm_sg_port *p = (struct pm_sg_port *)port;
  (void)now_ns;
  for (int at = 0; at < p->open; at++) {
    while (p->busy[at] > 0) {
      sg_io_hdr_t header = {.interface_id = 'S', .pack_id = -1};
      if (read(p->descriptors[at], &header, sizeof header) == (ssize_t)sizeof header) ended(p, host, &header);
      else if (errno == ENODEV || errno == ENXIO) return lost(p, host);
      else break;
    }
  }
  if (p->resetting == 0) return;
  int status = 0;
  pid_t child = waitpid(p->resetting, &status, WNOHANG);
  if (child == 0) return;
  /* Where SIGCHLD is ignored, nobody knows how it ended. */
  int error = child < 0 || !WIFEXITED(status) ? EIO : WEXITSTATUS(status);
  p->resetting = 0;
  pm_complete_reset(host, p->reset_tag, error);
}

static void reset(struct pm_port *port, struct pm_host *host, uint32_t tag, uint32_t scope) {
  struct pm_sg_port *p = (struct pm_sg_port *)port;
  if (p->resetting != 0) {
    pm_complete_reset(host, tag, EBUSY);
    return;
  }
  pid_t child = fork();
  if (child == 0) {
    int how = (int)scope;
    _exit(ioctl(p->descriptors[0], SG_SCSI_RESET, &how) == 0 ? 0 : errno);
  }
  if (child < 0) {
    pm_complete_reset(host, tag, errno);
    return;
  }
  p->resetting = child;
  p->reset_tag = tag;
}

/* There is no descriptor for the end of a reset: one is looked for every 10 ms. */
static uint64_t deadline(const struct pm_port *port) {
  const struct pm_sg_port *p = (const struct pm_sg_port *)port;
  return p->resetting == 0 ? UINT64_MAX : pm_clock_ns() + UINT64_C(10000000);
}

static const struct pm_port_ops operations = {.submit = submit, .reset = reset, .poll = poll_port, .deadline = deadline};

const size_t pm_sg_port_bytes = sizeof(struct pm_sg_port);

int pm_sg_open(struct pm_sg_port *port, const char *device, uint32_t depth) {
  if (port == NULL || device == NULL || depth == 0 || depth > PM_SG_DEPTH_MAX) return -EINVAL;
  if (strlen(device) >= sizeof port->device) return -ENAMETOOLONG;
  memset(port, 0, sizeof *port);
  memcpy(port->device, device, strlen(device) + 1);
  port->port.ops = &operations;
  int wanted = (int)(depth + PM_SG_PER_DESCRIPTOR - 1) / PM_SG_PER_DESCRIPTOR;
  for (; port->open < wanted; port->open++) {
    /* O_NONBLOCK: opening a device in error recovery must not wait for its end. */
    int descriptor = open(device, O_RDWR | O_NONBLOCK | O_CLOEXEC), version = 0, error = 0;
    if (descriptor < 0) error = errno;
    else if (ioctl(descriptor, SG_GET_VERSION_NUM, &version) < 0 || version < 30000) error = ENOTTY;
    if (error == 0) {
      port->descriptors[port->open] = descriptor;
      continue;
    }
    if (descriptor >= 0) close(descriptor);
    pm_sg_close(port);
    return -error;
  }
  return 0;
}

void pm_sg_close(struct pm_sg_port *port) {
  if (port == NULL) return;
  while (port->open > 0) close(port->descriptors[--port->open]);
}

void pm_sg_wait(struct pm_sg_port *const *ports, int count, uint64_t deadline_ns) {
  struct pollfd wanted[DESCRIPTORS_WAITED_FOR];
  nfds_t used = 0;
  int longest_ms = 60000;
  for (int i = 0; i < count; i++) {
    for (int at = 0; at < ports[i]->open; at++) {
      if (ports[i]->busy[at] == 0) continue;
      if (used == DESCRIPTORS_WAITED_FOR) longest_ms = SOME_WAIT_MS;
      else wanted[used++] = (struct pollfd){.fd = ports[i]->descriptors[at], .events = POLLIN};
    }
  }
  uint64_t now_ns = pm_clock_ns();
  uint64_t ms = deadline_ns <= now_ns ? 0 : (deadline_ns - now_ns + 999999) / 1000000;
  poll(wanted, used, ms > (uint64_t)longest_ms ? longest_ms : (int)ms);
}
