// What:    the few loops that the references in double share. Plain on purpose: what is checked against must be seen to
//          be right.
// Formula: dot = sum_i a[i] * b[i] in double, in 16 interleaved partial sums (the order does not matter at 2^-53).
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <vector>

#include "kernels/contract/weight.h"
#include "kernels/core/team.h"

namespace layercost {

inline std::vector<double> as_double(const Tensor& t) {
  std::vector<double> out(static_cast<std::size_t>(t.elements()));
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = t.load(static_cast<std::int64_t>(i));
  return out;
}

// Compiled for several instruction sets and chosen at load: a check of one Qwen3-32B layer is half a billion of these.
double dot(const double* a, const double* b, std::int64_t n);
// n elements of a float type as double.
void widen(const Tensor& from, std::int64_t first, std::int64_t n, double* to);

// f(row index, row as double) for rows first .. first + rows - 1 of a weight of rows of k elements, on all threads. The
// weight is read 16 rows at a time: it need not exist as a whole.
template <class F>
void for_rows_of(const Weight& w, std::int64_t rows, std::int64_t k, F&& f, std::int64_t first = 0) {
  constexpr std::int64_t kBlock = 16;
  each_piece((rows + kBlock - 1) / kBlock, [&](int, std::int64_t b, std::int64_t) {
    OwnedTensor raw(w.dtype(), {kBlock, k});
    std::vector<double> row(static_cast<std::size_t>(k));
    const std::int64_t begin = b * kBlock, count = std::min(kBlock, rows - begin);
    w.read((first + begin) * k, count * k, raw.view().data);
    for (std::int64_t j = 0; j < count; ++j) {
      widen(raw.view(), j * k, k, row.data());
      f(begin + j, row.data());
    }
  });
}

// What a cache of this type holds for a value: references round to fp8_e4m3 as variants do, because what follows would
// differ by more than other roundings. Of f32 and bf16, the value.
double as_cached(DType, double);

}  // namespace layercost
