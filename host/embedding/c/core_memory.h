/* How the C that wasm2c makes reaches the core's memory; included by that text alone. */
#ifndef PATHMANAGER_CORE_MEMORY_H
#define PATHMANAGER_CORE_MEMORY_H
#include "core_instance.h"

#if WASM_RT_MEMCHECK_GUARD_PAGES
/* Where the memory of the instance that was entered begins. Nothing else can point to this variable, so the compiler does not read it
 * again after each store: a tenth of the core's time. */
static _Thread_local uint8_t *core_base;

void pm_core_memory_is(const wasm_rt_memory_t *memory) { core_base = memory->data; }

#define MEM_ADDR(mem, addr, n) &core_base[addr]
#else
#define MEM_ADDR(mem, addr, n) &((mem)->data[addr])
#endif

/* A read whose value nobody uses may be left out: it would only tell of an address outside the memory. */
#define FORCE_READ_INT(var)
#define FORCE_READ_FLOAT(var)
#define SIMD_FORCE_READ(var)

#endif
