/* A path through Linux's SCSI generic driver (/dev/sgN, version 3 of its interface). Needs no thread: commands are written
 * and read without waiting. */
#ifndef PATHMANAGER_PORT_SG_H
#define PATHMANAGER_PORT_SG_H
#include <sys/types.h>

#include "pathmanager.h"

#define PM_SG_DEPTH_MAX 128
/* The driver takes no more than 16 requests on one descriptor. */
#define PM_SG_PER_DESCRIPTOR 16

struct pm_sg_port {
  struct pm_port port;
  char device[64];
  int descriptors[PM_SG_DEPTH_MAX / PM_SG_PER_DESCRIPTOR];
  int open, busy[PM_SG_DEPTH_MAX / PM_SG_PER_DESCRIPTOR];
  struct {
    uint32_t tag; /* 0: free */
    uint8_t sense[96];
  } waiting[PM_SG_DEPTH_MAX];
  /* A reset may take seconds and cannot be polled: a process of its own carries it out. */
  pid_t resetting;
  uint32_t reset_tag;
};

/* For other languages, which cannot ask for the size of the struct. */
extern const size_t pm_sg_port_bytes;

/* Opens a device for up to `depth` commands (1..128; pm_path_add gets one less: a check needs a place too).
 * Answers 0, or a negated errno. */
int pm_sg_open(struct pm_sg_port *port, const char *device, uint32_t depth);

/* Not before pm_port_idle: closing ends nothing that is under way. */
void pm_sg_close(struct pm_sg_port *port);

/* Waits until a command of these ports ends, or until `deadline_ns` of CLOCK_MONOTONIC. */
void pm_sg_wait(struct pm_sg_port *const *ports, int count, uint64_t deadline_ns);

/* CLOCK_MONOTONIC, ns. */
uint64_t pm_clock_ns(void);

#endif
