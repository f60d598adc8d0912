/* What the C that wasm2c makes of the core asks of its runtime: only what the core uses of it. core_runtime.c is behind it. */
#ifndef PATHMANAGER_WASM_RT_H
#define PATHMANAGER_WASM_RT_H
#include <float.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the core's memory is little-endian; this kit has not been tried on a big-endian machine"
#endif
#if FLT_EVAL_METHOD != 0
#error "this compiler keeps more digits of a float than the core's tests did; for i686 give it -msse2 -mfpmath=sse"
#endif
#if defined(__FAST_MATH__)
#error "the core needs IEEE 754; leave -ffast-math and -Ofast out"
#endif
#if WASM_RT_MEMCHECK_GUARD_PAGES && UINTPTR_MAX <= UINT32_MAX
#error "guard pages need 64-bit addresses; use CHECKS=bounds"
#endif

/* The core's recursion is one bounded group (README.md), so calls are not counted. */
#define WASM_RT_STACK_DEPTH_COUNT 0

#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)
#define wasm_rt_memcpy __builtin_memcpy

typedef enum {
  WASM_RT_TRAP_NONE,
  WASM_RT_TRAP_OOB,
  WASM_RT_TRAP_INT_OVERFLOW,
  WASM_RT_TRAP_DIV_BY_ZERO,
  WASM_RT_TRAP_INVALID_CONVERSION,
  WASM_RT_TRAP_UNREACHABLE,
  WASM_RT_TRAP_CALL_INDIRECT,
} wasm_rt_trap_t;

typedef enum { WASM_RT_I32, WASM_RT_I64, WASM_RT_F32, WASM_RT_F64, WASM_RT_V128 } wasm_rt_type_t;

/* Named by the generated text, never used: the core has no tables and no tail calls. */
typedef const char *wasm_rt_func_type_t;
typedef void (*wasm_rt_function_ptr_t)(void);
typedef struct wasm_rt_tailcallee {
  void (*fn)(void **instance, void *stack, struct wasm_rt_tailcallee *next);
} wasm_rt_tailcallee_t;
typedef struct {
  wasm_rt_func_type_t func_type;
  wasm_rt_function_ptr_t func;
  wasm_rt_tailcallee_t func_tailcallee;
  void *module_instance;
} wasm_rt_funcref_t;
#define wasm_rt_funcref_null_value ((wasm_rt_funcref_t){NULL, NULL, {NULL}, NULL})
#define wasm_rt_externref_null_value NULL
typedef struct {
  wasm_rt_funcref_t *data;
  uint32_t max_size, size;
} wasm_rt_funcref_table_t;
typedef void *wasm_rt_externref_t;
typedef struct {
  wasm_rt_externref_t *data;
  uint32_t max_size, size;
} wasm_rt_externref_table_t;

typedef struct {
  uint8_t *data, *data_end; /* data_end: where the bytes end */
  uint64_t pages, max_pages, size;
} wasm_rt_memory_t;

bool wasm_rt_is_initialized(void);
_Noreturn void wasm_rt_trap(wasm_rt_trap_t trap);
void wasm_rt_allocate_memory(wasm_rt_memory_t *memory, uint64_t pages, uint64_t pages_max, bool is64, uint32_t page);
/* Answers the pages before, or UINT32_MAX when there is no room. */
uint64_t wasm_rt_grow_memory(wasm_rt_memory_t *memory, uint64_t delta);
void wasm_rt_free_memory(wasm_rt_memory_t *memory);

#endif
