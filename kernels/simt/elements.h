// What:    N consecutive elements of a row as one thread moves them: eight, in 16-byte accesses (bf16 one, f32 two), or
//          one, where rows are not a multiple of eight long. A kernel is written once for both.
//            Elements<T, N>               as stored: as many registers as bytes / 4
//            load_elements<N>(p)          p + N elements must exist; 16-byte aligned for N = 8
//            to_floats(e, v), store_elements(p, v)          v: float[N]
//            load_typed<N>(type, p, i, v), store_typed(type, p, i, v), store_cached(type, p, i, v)
//                                         the type is a value of the launch: for what is read or written once per
//                                         thread, where a template argument would only double the number of kernels
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/simt/simt.h"

namespace layercost {
namespace simt {

SIMT_INLINE Vec16 load16(const void* p) {
#if defined(__CUDACC__)
  return *static_cast<const Vec16*>(p);
#else
  if (reinterpret_cast<std::uintptr_t>(p) % 16 != 0) executor::fault("a 16-byte load of a misaligned address");
  Vec16 v;
  std::memcpy(&v, p, 16);
  return v;
#endif
}

SIMT_INLINE void store16(void* p, const Vec16& v) {
#if defined(__CUDACC__)
  *static_cast<Vec16*>(p) = v;
#else
  if (reinterpret_cast<std::uintptr_t>(p) % 16 != 0) executor::fault("a 16-byte store to a misaligned address");
  std::memcpy(p, &v, 16);
#endif
}

template <class T, int N>
struct Elements;
template <class T>
struct Elements<T, 8> {
  Vec16 part[sizeof(T) / 2];
};
template <class T>
struct Elements<T, 1> {
  T value;
};

template <int N, class T>
SIMT_INLINE Elements<T, N> load_elements(const T* p) {
  Elements<T, N> e;
  if constexpr (N == 1) {
    e.value = *p;
  } else {
#pragma unroll
    for (int i = 0; i < static_cast<int>(sizeof(T)) / 2; ++i)
      e.part[i] = load16(reinterpret_cast<const unsigned char*>(p) + 16 * i);
  }
  return e;
}

template <class T>
SIMT_INLINE void to_floats(const Elements<T, 1>& e, float (&v)[1]) {
  v[0] = to_float(e.value);
}
SIMT_INLINE void to_floats(const Elements<float, 8>& e, float (&v)[8]) {
#pragma unroll
  for (int i = 0; i < 8; ++i) v[i] = as_float(e.part[i / 4].word[i % 4]);
}
SIMT_INLINE void to_floats(const Elements<bf16, 8>& e, float (&v)[8]) {
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const Pair two = unpack(e.part[0].word[i]);
    v[2 * i] = two.lo;
    v[2 * i + 1] = two.hi;
  }
}

template <class T>
SIMT_INLINE void store_elements(T* p, const float (&v)[1]) {
  store(p, v[0]);
}
SIMT_INLINE void store_elements(float* p, const float (&v)[8]) {
  store16(p, {as_bits(v[0]), as_bits(v[1]), as_bits(v[2]), as_bits(v[3])});
  store16(p + 4, {as_bits(v[4]), as_bits(v[5]), as_bits(v[6]), as_bits(v[7])});
}
SIMT_INLINE void store_elements(bf16* p, const float (&v)[8]) {
  store16(p, {pack(v[0], v[1]), pack(v[2], v[3]), pack(v[4], v[5]), pack(v[6], v[7])});
}

template <int N>
SIMT_INLINE void load_typed(Type t, const void* p, std::int64_t i, float (&v)[N]) {
  switch (t) {
    case Type::f32:
      return to_floats(load_elements<N>(static_cast<const float*>(p) + i), v);
    case Type::bf16:
      return to_floats(load_elements<N>(static_cast<const bf16*>(p) + i), v);
  }
  SIMT_NEVER();
}
template <int N>
SIMT_INLINE void store_typed(Type t, void* p, std::int64_t i, const float (&v)[N]) {
  switch (t) {
    case Type::f32:
      return store_elements(static_cast<float*>(p) + i, v);
    case Type::bf16:
      return store_elements(static_cast<bf16*>(p) + i, v);
  }
  SIMT_NEVER();
}

// Of fp8 one byte after the other: a step writes one token of a cache.
template <int N>
SIMT_INLINE void store_cached(CacheType t, void* p, std::int64_t i, const float (&v)[N]) {
  switch (t) {
    case CacheType::f32:
      return store_typed(Type::f32, p, i, v);
    case CacheType::bf16:
      return store_typed(Type::bf16, p, i, v);
    case CacheType::fp8_e4m3:
#pragma unroll
      for (int j = 0; j < N; ++j) store(static_cast<fp8_e4m3*>(p) + i + j, v[j]);
      return;
  }
  SIMT_NEVER();
}

}  // namespace simt
}  // namespace layercost
