// SPDX-License-Identifier: Apache-2.0
#include "kernels/contract/reference.h"

// Sanitizers run before the resolvers of cloned functions may; they get the plain version.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__)
#define LAYERCOST_CLONES __attribute__((target_clones("arch=skylake-avx512", "arch=haswell", "default")))
#else
#define LAYERCOST_CLONES
#endif

namespace layercost {

LAYERCOST_CLONES double dot(const double* a, const double* b, std::int64_t n) {
  constexpr int kLanes = 16;
  double sum[kLanes] = {};
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    for (int j = 0; j < kLanes; ++j) sum[j] += a[i + j] * b[i + j];
  for (; i < n; ++i) sum[0] += a[i] * b[i];
  for (int half = kLanes / 2; half > 0; half /= 2)
    for (int j = 0; j < half; ++j) sum[j] += sum[j + half];
  return sum[0];
}

namespace {
LAYERCOST_CLONES void widen_bf16(const bf16* from, std::int64_t n, double* to) {
  for (std::int64_t i = 0; i < n; ++i) to[i] = static_cast<double>(to_f32(from[i]));
}
}  // namespace

void widen(const Tensor& from, std::int64_t first, std::int64_t n, double* to) {
  switch (from.dtype) {
    case DType::bf16:
      return widen_bf16(from.as<bf16>() + first, n, to);
    case DType::f32:
    case DType::f64:
    case DType::i32:
    case DType::fp8_e4m3:
      for (std::int64_t i = 0; i < n; ++i) to[i] = from.load(first + i);
      return;
  }
  no_such_type(from.dtype);
}

double as_cached(DType t, double v) {
  return t == DType::fp8_e4m3 ? static_cast<double>(from_e4m3(to_e4m3(static_cast<float>(v)))) : v;
}

}  // namespace layercost
