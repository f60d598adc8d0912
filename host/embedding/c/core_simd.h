/* WebAssembly's vectors of 128 bits for the C that wasm2c makes of the core, in GCC's and clang's own vectors: whatever the machine
 * has, they are compiled to. Only what the core uses is here, by the names wasm2c writes: a compiler that misses one names it. */
#ifndef PATHMANAGER_CORE_SIMD_H
#define PATHMANAGER_CORE_SIMD_H
#include <stdint.h>
#include <string.h>

typedef uint8_t simd_u8x16 __attribute__((vector_size(16)));
typedef uint32_t simd_u32x4 __attribute__((vector_size(16)));
typedef int32_t simd_i32x4 __attribute__((vector_size(16)));
typedef uint64_t simd_u64x2 __attribute__((vector_size(16)));
typedef float simd_f32x4 __attribute__((vector_size(16)));

/* A vector of one kind taken as another has the same bits. */
typedef simd_i32x4 simde_v128_t;
#define SIMD static inline __attribute__((always_inline))

SIMD simde_v128_t simde_wasm_v128_load(const void *from) {
  simde_v128_t value;
  memcpy(&value, from, sizeof value);
  return value;
}

SIMD void simde_wasm_v128_store(void *to, simde_v128_t value) { memcpy(to, &value, sizeof value); }

SIMD simde_v128_t simde_wasm_v128_load32_zero(const void *from) {
  int32_t value;
  memcpy(&value, from, sizeof value);
  return (simde_v128_t){value, 0, 0, 0};
}

SIMD simde_v128_t simde_wasm_v128_load32_lane(const void *from, simde_v128_t vector, int lane) {
  memcpy((uint8_t *)&vector + 4 * lane, from, 4);
  return vector;
}

#define simde_wasm_i8x16_const(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p) \
  ((simde_v128_t)(simd_u8x16){a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p})
#define simde_wasm_i32x4_extract_lane(vector, lane) ((uint32_t)(vector)[lane])

#ifdef __clang__
#define simde_wasm_i8x16_shuffle(one, other, ...) \
  ((simde_v128_t)__builtin_shufflevector((simd_u8x16)(one), (simd_u8x16)(other), __VA_ARGS__))
#else
#define simde_wasm_i8x16_shuffle(one, other, ...) \
  ((simde_v128_t)__builtin_shuffle((simd_u8x16)(one), (simd_u8x16)(other), (simd_u8x16){__VA_ARGS__}))
#endif

SIMD simde_v128_t simde_wasm_i32x4_splat(uint32_t value) {
  return (simde_v128_t)(simd_u32x4){value, value, value, value};
}

SIMD simde_v128_t simde_wasm_i64x2_make(uint64_t low, uint64_t high) { return (simde_v128_t)(simd_u64x2){low, high}; }

SIMD simde_v128_t simde_wasm_v128_and(simde_v128_t a, simde_v128_t b) { return a & b; }
SIMD simde_v128_t simde_wasm_v128_or(simde_v128_t a, simde_v128_t b) { return a | b; }

SIMD uint32_t simde_wasm_v128_any_true(simde_v128_t a) {
  simd_u64x2 halves = (simd_u64x2)a;
  return (halves[0] | halves[1]) != 0;
}

/* Unsigned, so that a sum that wraps is defined. */
SIMD simde_v128_t simde_wasm_i32x4_add(simde_v128_t a, simde_v128_t b) {
  return (simde_v128_t)((simd_u32x4)a + (simd_u32x4)b);
}

SIMD simde_v128_t simde_wasm_i32x4_shl(simde_v128_t a, uint32_t bits) {
  return (simde_v128_t)((simd_u32x4)a << (bits & 31));
}

SIMD simde_v128_t simde_wasm_i32x4_eq(simde_v128_t a, simde_v128_t b) { return a == b; }

SIMD simde_v128_t simde_wasm_u32x4_min(simde_v128_t a, simde_v128_t b) {
  simde_v128_t less = (simd_u32x4)a < (simd_u32x4)b;
  return (a & less) | (b & ~less);
}

SIMD simde_v128_t simde_wasm_u32x4_max(simde_v128_t a, simde_v128_t b) {
  simde_v128_t more = (simd_u32x4)a > (simd_u32x4)b;
  return (a & more) | (b & ~more);
}

SIMD simde_v128_t simde_wasm_f32x4_add(simde_v128_t a, simde_v128_t b) {
  return (simde_v128_t)((simd_f32x4)a + (simd_f32x4)b);
}

SIMD simde_v128_t simde_wasm_f32x4_mul(simde_v128_t a, simde_v128_t b) {
  return (simde_v128_t)((simd_f32x4)a * (simd_f32x4)b);
}

SIMD simde_v128_t simde_wasm_f32x4_convert_i32x4(simde_v128_t a) {
  return (simde_v128_t)__builtin_convertvector(a, simd_f32x4);
}

#undef SIMD
#endif
