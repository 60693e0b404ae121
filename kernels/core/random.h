// What:    random numbers that are the same bytes on every machine, for any part of a tensor in any order.
// Formula: hash(seed, i) = two rounds of multiply-xorshift on seed + i * 0x9E3779B97F4A7C15 (the splitmix64 finaliser).
//          Normal values: each 64-bit hash gives eight bytes, each an index into the 256 quantiles of N(0, 1) at
//          (i + 1/2) / 256, rescaled to variance 1: |value| <= 2.91. A table, because a normal generator by formula
//          (logarithms, cosines) is some thirty times slower, and differs in the last bit between libraries.
// Units:   fill_normal: standard deviation `sigma`.
// Source:  Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>

#include "kernels/core/tensor.h"

namespace layercost {

inline std::uint64_t hash64(std::uint64_t seed, std::uint64_t i) {
  std::uint64_t z = seed + (i + 1) * 0x9E3779B97F4A7C15u;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

// A seed of its own for a named thing: the same everywhere, and independent of the order in which things are made.
std::uint64_t seed_for(std::uint64_t seed, std::string_view name, std::uint64_t index = 0);

// An integer in [0, below), below < 2^32: the upper half of hash * below (bias < 2^-32).
inline std::uint64_t uniform_below(std::uint64_t hash, std::uint64_t below) {
  return static_cast<std::uint64_t>((static_cast<unsigned __int128>(hash) * below) >> 64);
}

// Elements first .. first + count - 1 of the infinite stream `seed`, times sigma, plus mean; f32 or bf16 (rounded).
void fill_normal(std::uint64_t seed, std::int64_t first, std::int64_t count, float mean, float sigma, DType, void* out);

// The same for a whole tensor, on all threads.
void fill_normal(const Tensor&, std::uint64_t seed, float mean = 0.0f, float sigma = 1.0f);

}  // namespace layercost
