// What:    the tables of cosines and sines that ops which turn pairs of elements read, as their tests fill them, and
//          the turn itself as their references do it.
// Formula: table[p, i] = cos or sin of p / 10000^(i / half). A pair (u, v) becomes (u cos - v sin, v cos + u sin); pair
//          i is elements i and i + half, or with `interleaved` 2i and 2i + 1.
// Shapes:  tables [positions, half]
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <cstdint>
#include <string>

#include "kernels/contract/op.h"

namespace layercost {

// Whatever the seed: the two tables belong together.
template <double (*kFunction)(double)>
void fill_rotary_table(const Tensor& t, std::uint64_t) {
  const std::int64_t half = t.dim(1);
  for (std::int64_t p = 0; p < t.dim(0); ++p)
    for (std::int64_t i = 0; i < half; ++i)
      t.store(p * half + i, kFunction(static_cast<double>(p) /
                                      std::pow(10000.0, static_cast<double>(i) / static_cast<double>(half))));
}

inline TensorSpec cos_table(std::int64_t positions, std::int64_t half) {
  return {"cos", Role::input, DType::f32, {positions, half}, 1, 0, fill_rotary_table<std::cos>};
}
inline TensorSpec sin_table(std::int64_t positions, std::int64_t half) {
  return {"sin", Role::input, DType::f32, {positions, half}, 1, 0, fill_rotary_table<std::sin>};
}

// x(i) is element i before the turn, put(i, value) takes it after; both elements of a pair are read before one is put.
template <class X, class Put>
void turn_pairs(const Tensor& cos, const Tensor& sin, std::int64_t position, bool interleaved, const X& x,
                const Put& put) {
  const std::int64_t half = cos.dim(1);
  for (std::int64_t i = 0; i < half; ++i) {
    const double co = cos.load(position * half + i), si = sin.load(position * half + i);
    const std::int64_t one = interleaved ? 2 * i : i, other = interleaved ? 2 * i + 1 : i + half;
    const double u = x(one), v = x(other);
    put(one, u * co - v * si);
    put(other, v * co + u * si);
  }
}

}  // namespace layercost
