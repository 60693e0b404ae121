// What:    the inner loop of the plain matrix products. bf16 is widened element by element, which compilers vectorise.
// Formula: sum_i x[i] * w[i] in f32, in 16 interleaved partial sums: they keep 16 multiply-adds in flight and bound the
//          rounding error.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/core/dtype.h"

namespace layercost {

template <class X, class W>
float plain_dot(const X* x, const W* w, std::int64_t k) {
  constexpr int kLanes = 16;
  float sum[kLanes] = {};
  std::int64_t i = 0;
  for (; i + kLanes <= k; i += kLanes)
    for (int j = 0; j < kLanes; ++j) sum[j] += load_f32(x + i + j) * load_f32(w + i + j);
  for (; i < k; ++i) sum[i % kLanes] += load_f32(x + i) * load_f32(w + i);
  for (int half = kLanes / 2; half > 0; half /= 2)
    for (int j = 0; j < half; ++j) sum[j] += sum[j + half];
  return sum[0];
}

}  // namespace layercost
