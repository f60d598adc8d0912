/* The core as C: an instance in memory that the embedder gives, or that malloc gives while it is started, and never later. */
#ifndef PATHMANAGER_EMBEDDED_CORE_H
#define PATHMANAGER_EMBEDDED_CORE_H
#include <stddef.h>
#include <stdint.h>

#include "pathmanager_core.h"

/* Why an instance has ended: the assertion, where it stands in assembly/, or a trap (then the line is 0). */
struct pm_failure {
  char text[160];
  uint32_t line, column;
};

/* Bytes that an instance takes besides the core's own memory. */
size_t pm_core_bytes(void);

/* Makes an instance at `core` (pm_core_bytes() bytes, aligned as malloc aligns). `memory`: where the core's own memory is to be, a
 * multiple of 64 KiB in size and zeroed, or NULL: the system gives it (mmap on Linux, else malloc). Answers 0, or -1 when there is
 * not enough of it. */
int pm_core_start(struct pm_core *core, void *memory, size_t bytes);

/* Gives back what the system gave. */
void pm_core_stop(struct pm_core *core);

/* The core's memory: every address the core tells is an offset in it. It moves while `pm_core_init` and `pm_core_block_init` run
 * and at no other time. */
uint8_t *pm_core_memory(struct pm_core *core);
size_t pm_core_memory_bytes(const struct pm_core *core);

/* Bytes that the core's memory would have needed when it had no room to grow; 0 when it had. */
size_t pm_core_memory_wanted(const struct pm_core *core);

/* NULL while the instance is well, and without one. */
const struct pm_failure *pm_core_failure(const struct pm_core *core);

#endif
