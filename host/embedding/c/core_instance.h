/* Inside of the kit: what the generated functions (core_exports.c) and the runtime (core_runtime.c) share. */
#ifndef PATHMANAGER_CORE_INSTANCE_H
#define PATHMANAGER_CORE_INSTANCE_H
#include <setjmp.h>
#include <stdbool.h>

#include "core.h"
#include "core_generated.h"

struct pm_core {
  w2c_core instance;
  struct pm_failure failure;
  bool failed, given;
  uint8_t *memory;
  size_t capacity, wanted;
  jmp_buf out;
};

/* The instance that is being called; a trap knows no other way to it. */
extern _Thread_local struct pm_core *pm_core_entered;

/* Says where the instance's memory is: to be called when it is entered, and when the memory has moved. */
#if WASM_RT_MEMCHECK_GUARD_PAGES
void pm_core_memory_is(const wasm_rt_memory_t *memory);
#else
static inline void pm_core_memory_is(const wasm_rt_memory_t *memory) { (void)memory; }
#endif

/* How a call begins: not at all when there is no instance or it has failed; and where it goes on when it fails now. A macro, because the
 * function that calls setjmp must not return before longjmp. */
#define PM_CORE_ENTER(core, answer)                       \
  do {                                                     \
    if ((core) == NULL || (core)->failed) return answer;   \
    pm_core_entered = (core);                              \
    pm_core_memory_is(&(core)->instance.w2c_memory);       \
    if (setjmp((core)->out)) return answer;                \
  } while (0)

#endif
