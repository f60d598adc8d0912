/* What the generated C needs to run (wasm-rt.h): memory that grows once, and a way out for assertions and traps. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef __linux__
#include <sys/mman.h>
#endif

#include "core_instance.h"

#define PAGE_BYTES 65536u

_Thread_local struct pm_core *pm_core_entered;

static struct pm_core *core_of(const wasm_rt_memory_t *memory) {
  return (struct pm_core *)((uintptr_t)memory - offsetof(struct pm_core, instance.w2c_memory));
}

static _Noreturn void leave(struct pm_core *core) {
  core->failed = true;
  longjmp(core->out, 1);
}

#if WASM_RT_MEMCHECK_GUARD_PAGES
/* What a 32-bit address and a 32-bit offset reach: an access beyond the core's memory ends the process by SIGSEGV. */
#define RESERVED_BYTES 0x200000000ull

static uint8_t *reserve(size_t bytes) {
  void *at = mmap(NULL, RESERVED_BYTES, PROT_NONE, MAP_ANONYMOUS | MAP_PRIVATE | MAP_NORESERVE, -1, 0);
  if (at == MAP_FAILED) return NULL;
  if (mprotect(at, bytes, PROT_READ | PROT_WRITE) == 0) return at;
  munmap(at, RESERVED_BYTES);
  return NULL;
}

static uint8_t *enlarge(uint8_t *at, size_t before, size_t bytes) {
  (void)before;
  return mprotect(at, bytes, PROT_READ | PROT_WRITE) == 0 ? at : NULL;
}

static void release(uint8_t *at, size_t bytes) {
  (void)bytes;
  munmap(at, RESERVED_BYTES);
}
#elif defined(__linux__) && !defined(__SANITIZE_ADDRESS__)
/* What the kernel gives is zero, takes no memory before it is touched, and grows without a copy. */
static uint8_t *reserve(size_t bytes) {
  void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE, -1, 0);
  return at == MAP_FAILED ? NULL : at;
}

static uint8_t *enlarge(uint8_t *at, size_t before, size_t bytes) {
  void *larger = mremap(at, before, bytes, MREMAP_MAYMOVE);
  return larger == MAP_FAILED ? NULL : larger;
}

static void release(uint8_t *at, size_t bytes) { munmap(at, bytes); }
#else
static uint8_t *reserve(size_t bytes) { return calloc(1, bytes); }

static uint8_t *enlarge(uint8_t *at, size_t before, size_t bytes) {
  /* Not realloc: what is added has to be zero. */
  uint8_t *larger = calloc(1, bytes);
  if (larger == NULL) return NULL;
  memcpy(larger, at, before);
  free(at);
  return larger;
}

static void release(uint8_t *at, size_t bytes) {
  (void)bytes;
  free(at);
}
#endif

void wasm_rt_allocate_memory(wasm_rt_memory_t *memory, uint64_t pages, uint64_t pages_max, bool is64, uint32_t page) {
  struct pm_core *core = core_of(memory);
  size_t bytes = (size_t)pages * PAGE_BYTES;
  memory->pages = pages;
  memory->max_pages = pages_max;
  (void)is64, (void)page;
  memory->size = bytes;
  if (!core->given) core->memory = reserve(bytes);
  else if (core->capacity < bytes) core->memory = NULL;
  if (core->memory == NULL) {
    core->wanted = bytes;
    leave(core);
  }
  memory->data = core->memory;
  memory->data_end = core->memory + bytes;
  pm_core_memory_is(memory);
}

uint64_t wasm_rt_grow_memory(wasm_rt_memory_t *memory, uint64_t delta) {
  struct pm_core *core = core_of(memory);
  uint64_t before = memory->pages, after = before + delta;
  uint64_t bytes = after * PAGE_BYTES;
  if (after > memory->max_pages || bytes > SIZE_MAX) return (uint32_t)-1;
  uint8_t *data = core->memory;
  if (core->given ? bytes > core->capacity : (data = enlarge(data, memory->size, (size_t)bytes)) == NULL) {
    core->wanted = (size_t)bytes;
    return (uint32_t)-1;
  }
  core->memory = data;
  memory->data = data;
  memory->data_end = data + bytes;
  memory->pages = after;
  memory->size = bytes;
  pm_core_memory_is(memory);
  return before;
}

void wasm_rt_free_memory(wasm_rt_memory_t *memory) {
  struct pm_core *core = core_of(memory);
  if (!core->given && core->memory != NULL) release(core->memory, (size_t)memory->size);
  core->memory = NULL;
}

bool wasm_rt_is_initialized(void) { return true; }

void wasm_rt_trap(wasm_rt_trap_t trap) {
  static const char *const words[] = {
      [WASM_RT_TRAP_OOB] = "an address outside its memory",
      [WASM_RT_TRAP_INT_OVERFLOW] = "an integer overflow",
      [WASM_RT_TRAP_DIV_BY_ZERO] = "a division by zero",
      [WASM_RT_TRAP_UNREACHABLE] = "what cannot be reached",
  };
  struct pm_core *core = pm_core_entered;
  const char *word = (size_t)trap < sizeof words / sizeof *words ? words[trap] : NULL;
  snprintf(core->failure.text, sizeof core->failure.text, "trap: %s", word == NULL ? "invalid" : word);
  leave(core);
}

/* Appends a string of AssemblyScript: UTF-16, its length in bytes 4 bytes before it. */
static size_t append(struct pm_core *core, size_t length, uint32_t address) {
  const wasm_rt_memory_t *memory = &core->instance.w2c_memory;
  uint32_t bytes = 0;
  if (address < 4 || address > memory->size) return length;
  memcpy(&bytes, memory->data + address - 4, 4);
  for (uint32_t at = 0; at + 1 < bytes && address + at + 1 < memory->size; at += 2) {
    uint8_t unit = memory->data[address + at];
    if (length + 1 >= sizeof core->failure.text) break;
    core->failure.text[length++] = unit >= 0x20 && unit < 0x7f ? (char)unit : '?';
  }
  core->failure.text[length] = 0;
  return length;
}

/* The core's only import: an assertion does not hold. */
void w2c_env_abort(struct w2c_env *env, uint32_t message, uint32_t file, uint32_t line, uint32_t column) {
  struct pm_core *core = (struct pm_core *)(void *)env;
  size_t length = append(core, 0, message);
  if (length != 0 && length + 5 < sizeof core->failure.text) {
    memcpy(core->failure.text + length, " at ", 5);
    length += 4;
  }
  append(core, length, file);
  core->failure.line = line;
  core->failure.column = column;
  leave(core);
}

size_t pm_core_bytes(void) { return sizeof(struct pm_core); }

int pm_core_start(struct pm_core *core, void *memory, size_t bytes) {
  memset(core, 0, sizeof *core);
  core->given = memory != NULL;
  core->memory = memory;
  core->capacity = bytes;
  pm_core_entered = core;
  if (setjmp(core->out)) return -1;
  wasm2c_core_instantiate(&core->instance, (struct w2c_env *)(void *)core);
  w2c_core_start(&core->instance);
  return 0;
}

void pm_core_stop(struct pm_core *core) {
  if (core->memory != NULL) wasm2c_core_free(&core->instance);
}

uint8_t *pm_core_memory(struct pm_core *core) { return core->memory; }

size_t pm_core_memory_bytes(const struct pm_core *core) { return (size_t)core->instance.w2c_memory.size; }

size_t pm_core_memory_wanted(const struct pm_core *core) { return core->wanted; }

const struct pm_failure *pm_core_failure(const struct pm_core *core) {
  return core != NULL && core->failed ? &core->failure : NULL;
}
