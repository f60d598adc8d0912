/* An emulated disk with as many ports as you like: for first steps, and for tests without a device. */
#ifndef PATHMANAGER_PORT_MEMORY_H
#define PATHMANAGER_PORT_MEMORY_H
#include "pathmanager.h"

/* What all ports lead to. */
struct pm_disk {
  uint8_t *data;
  uint64_t blocks;
  uint32_t block_bytes;
};

enum pm_memory_fault {
  PM_MEMORY_WELL,
  PM_MEMORY_DEAD,   /* every command ends at once with DID_NO_CONNECT */
  PM_MEMORY_SILENT, /* no command is answered before its time is over (DID_TIME_OUT) */
};

#define PM_MEMORY_COMMANDS_MAX 128

struct pm_memory_port {
  struct pm_port port;
  struct pm_disk *disk;
  enum pm_memory_fault fault;
  uint64_t latency_ns; /* how long a command takes; 0: it is answered within submit */
  uint64_t now_ns, commands;
  struct {
    uint32_t tag; /* 0: free */
    uint64_t due_ns;
    struct pm_command command;
  } waiting[PM_MEMORY_COMMANDS_MAX];
};

/* For other languages, which cannot ask for the size of the struct. */
extern const size_t pm_memory_port_bytes;

/* Answers 0, or PM_E_ARGUMENT for a disk that cannot be. Its depth (pm_path_add) is at most PM_MEMORY_COMMANDS_MAX - 1. */
int pm_memory_port_init(struct pm_memory_port *port, struct pm_disk *disk);

/* The identity that it shows (VPD page 0x83), for pm_unit_config. */
extern const uint8_t pm_memory_identity[10];

#endif
