// What:    device code of the last step: y[t] = sum_j weights[t, j] * results[t, j] + residual[t], j in order.
// Shapes:  results [tokens * top_k, hidden]; hidden % 8 == 0, rows 16-byte aligned.
// Grid:    (tokens, 8 columns per thread of kThreads).
// Included by .cu files only.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/simt/simt.h"

namespace layercost {
namespace moe_combination {

using namespace simt;

constexpr int kThreads = 128;

struct Arguments {
  std::int64_t tokens, hidden, top_k;
  const void* results;
  const float* weights;
  const void* residual;  // null without
  void* y;
};

struct Eight {
  float v[8];
};

SIMT_INLINE Eight load_eight(const bf16* p) {
  const Vec16 bits = *reinterpret_cast<const Vec16*>(p);
  Eight e;
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const Pair two = unpack(bits.word[i]);
    e.v[2 * i] = two.lo;
    e.v[2 * i + 1] = two.hi;
  }
  return e;
}

SIMT_INLINE Eight load_eight(const float* p) {
  Eight e;
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const Vec16 bits = reinterpret_cast<const Vec16*>(p)[half];
#pragma unroll
    for (int i = 0; i < 4; ++i) e.v[4 * half + i] = as_float(bits.word[i]);
  }
  return e;
}

SIMT_INLINE void store_eight(bf16* p, const Eight& e) {
  *reinterpret_cast<Vec16*>(p) = {
      {pack(e.v[0], e.v[1]), pack(e.v[2], e.v[3]), pack(e.v[4], e.v[5]), pack(e.v[6], e.v[7])}};
}

SIMT_INLINE void store_eight(float* p, const Eight& e) {
#pragma unroll
  for (int half = 0; half < 2; ++half)
    reinterpret_cast<Vec16*>(p)[half] = {
        {as_bits(e.v[4 * half]), as_bits(e.v[4 * half + 1]), as_bits(e.v[4 * half + 2]), as_bits(e.v[4 * half + 3])}};
}

template <class Result, class Y>
__global__ void __launch_bounds__(kThreads) combine(Arguments p) {
  grid_launch_dependents();
  grid_wait();
  const std::int64_t token = blockIdx.x, n = (blockIdx.y * kThreads + threadIdx.x) * std::int64_t{8};
  if (n >= p.hidden) return;
  const Result* results = static_cast<const Result*>(p.results) + token * p.top_k * p.hidden + n;
  const float* weights = p.weights + token * p.top_k;
  Eight sum = {};
#pragma unroll 4
  for (int j = 0; j < static_cast<int>(p.top_k); ++j) {
    const Eight v = load_eight(results + j * p.hidden);
    const float weight = weights[j];
#pragma unroll
    for (int i = 0; i < 8; ++i) sum.v[i] += weight * v.v[i];
  }
  const std::int64_t at = token * p.hidden + n;
  if (p.residual != nullptr) {
    const Eight residual = load_eight(static_cast<const Y*>(p.residual) + at);
#pragma unroll
    for (int i = 0; i < 8; ++i) sum.v[i] += residual.v[i];
  }
  store_eight(static_cast<Y*>(p.y) + at, sum);
}

template <class Result>
int launch_combine(const char* name, const Arguments& p, Type y_type, Stream stream) {
  const Launch l{dim3(static_cast<unsigned>(p.tokens), static_cast<unsigned>((p.hidden / 8 + kThreads - 1) / kThreads)),
                 dim3(kThreads), 0, stream, kOverlap};
  return with_type(y_type,
                   [&](auto* y) { return launch(name, l, combine<Result, std::remove_pointer_t<decltype(y)>>, p); });
}

}  // namespace moe_combination
}  // namespace layercost
