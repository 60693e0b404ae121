// A team of threads per token: one warp (then four tokens share a block) or a block of up to 512 threads.
//
// `once`: every thread holds two 16-byte vectors of its row: w is asked for before the launch before has ended, x and
// residual before the first of them is used, and nothing is read again: 512 threads x 2 x 8 = rows of 8192 elements.
// `twice`: any length; a pass that adds, stores the sum and squares, and a pass that scales. The second reads what the
// same thread read or wrote in the first, from the caches.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/rms_norm/rms_norm_cuda_rows_launch.h"

#include "kernels/simt/elements.h"

namespace layercost {
namespace {

using namespace simt;

constexpr int kTokensPerBlock = 4;  // of teams of one warp

struct Shared {
  Array<float, kRmsNormMostThreads / 32> partial;
};

// 1 / rms of the row, from each thread's sum of squares. Every thread adds the warps' sums in the same order.
SIMT_INLINE float scale_of(const RmsNormCudaRows& p, float squares) {
  squares = warp_sum(squares);
  if (p.team > 32) {
    Shared& s = shared<Shared>();
    if (lane() == 0) s.partial[warp()] = squares;
    sync_block();
    squares = 0;
    for (int i = 0; i < p.team / 32; ++i) squares += s.partial[i];
  }
  return reciprocal_sqrt(squares / static_cast<float>(p.hidden) + p.eps);
}

// v behind the norm, to y; i counts from the row's first element, which is number `at`.
template <int kWidth, class Y>
SIMT_INLINE void put(const RmsNormCudaRows& p, std::int64_t at, std::int64_t i, float (&v)[kWidth]) {
  if (p.addend != nullptr) {
    float more[kWidth];
    to_floats(load_elements<kWidth>(static_cast<const Y*>(p.addend) + at + i), more);
    const float factor = p.factor != nullptr ? *p.factor : 1.0f;
#pragma unroll
    for (int j = 0; j < kWidth; ++j) v[j] = (v[j] + more[j]) * factor;
  }
  store_elements(static_cast<Y*>(p.y) + at + i, v);
}
// The stream that goes on from the norm, where the launch says so: v as put() got it.
template <int kWidth, class X>
SIMT_INLINE void put_stream(const RmsNormCudaRows& p, std::int64_t at, std::int64_t i, const float (&v)[kWidth]) {
  if (p.y_times == 0) return;
  float out[kWidth];
#pragma unroll
  for (int j = 0; j < kWidth; ++j) out[j] = p.y_times * v[j];
  store_elements(static_cast<X*>(p.sum) + at + i, out);
}

template <class X, class Y>
__global__ void __launch_bounds__(kRmsNormMostThreads) once(RmsNormCudaRows p) {
  grid_launch_dependents();
  const int teams = static_cast<int>(blockDim.x) / p.team, rank = static_cast<int>(threadIdx.x) % p.team;
  const std::int64_t token = static_cast<std::int64_t>(blockIdx.x) * teams + static_cast<int>(threadIdx.x) / p.team;
  const int vectors = static_cast<int>(p.hidden / 8);
  const std::int64_t at = token * p.hidden;
  const X* x = static_cast<const X*>(p.x) + at;
  const X* residual = p.residual != nullptr ? static_cast<const X*>(p.residual) + at : nullptr;

  Elements<X, 8> in[kRmsNormVectors], more[kRmsNormVectors];
  float w[kRmsNormVectors][8], v[kRmsNormVectors][8];
#pragma unroll
  for (int u = 0; u < kRmsNormVectors; ++u)
    if (rank + u * p.team < vectors) load_typed(p.w_type, p.w, 8 * (rank + u * p.team), w[u]);
  grid_wait();
  if (token >= p.tokens) return;  // whole warps, and only where no barrier follows
#pragma unroll
  for (int u = 0; u < kRmsNormVectors; ++u) {
    const int i = rank + u * p.team;
    if (i >= vectors) continue;
    in[u] = load_elements<8>(x + 8 * i);
    if (residual != nullptr) more[u] = load_elements<8>(residual + 8 * i);
  }
  float squares = 0;
#pragma unroll
  for (int u = 0; u < kRmsNormVectors; ++u) {
    const int i = rank + u * p.team;
    if (i >= vectors) continue;
    to_floats(in[u], v[u]);
    if (residual != nullptr) {
      float r[8];
      to_floats(more[u], r);
#pragma unroll
      for (int j = 0; j < 8; ++j) v[u][j] = rounded_to<X>(p.x_times * v[u][j] + p.residual_times * r[j]);
      if (p.y_times == 0) store_elements(static_cast<X*>(p.sum) + at + 8 * i, v[u]);
    }
#pragma unroll
    for (int j = 0; j < 8; ++j) squares += v[u][j] * v[u][j];
  }
  const float scale = scale_of(p, squares);
#pragma unroll
  for (int u = 0; u < kRmsNormVectors; ++u) {
    const int i = rank + u * p.team;
    if (i >= vectors) continue;
#pragma unroll
    for (int j = 0; j < 8; ++j) v[u][j] *= scale * w[u][j];
    put_stream<8, X>(p, at, 8 * i, v[u]);
    put<8, Y>(p, at, 8 * i, v[u]);
  }
}

template <int kWidth, class X, class Y>
__global__ void __launch_bounds__(kRmsNormMostThreads) twice(RmsNormCudaRows p) {
  grid_launch_dependents();
  grid_wait();
  const std::int64_t at = static_cast<std::int64_t>(blockIdx.x) * p.hidden;
  const std::int64_t first = static_cast<std::int64_t>(threadIdx.x) * kWidth, step = std::int64_t{kWidth} * p.team;
  const X* x = static_cast<const X*>(p.x) + at;
  const X* residual = p.residual != nullptr ? static_cast<const X*>(p.residual) + at : nullptr;
  X* sum = residual != nullptr ? static_cast<X*>(p.sum) + at : nullptr;

  float squares = 0;
#pragma unroll 2
  for (std::int64_t i = first; i < p.hidden; i += step) {
    float v[kWidth];
    to_floats(load_elements<kWidth>(x + i), v);
    if (residual != nullptr) {
      float r[kWidth];
      to_floats(load_elements<kWidth>(residual + i), r);
#pragma unroll
      for (int j = 0; j < kWidth; ++j) v[j] = rounded_to<X>(p.x_times * v[j] + p.residual_times * r[j]);
      store_elements(sum + i, v);
    }
#pragma unroll
    for (int j = 0; j < kWidth; ++j) squares += v[j] * v[j];
  }
  const float scale = scale_of(p, squares);
  const X* from = residual != nullptr ? sum : x;
#pragma unroll 2
  for (std::int64_t i = first; i < p.hidden; i += step) {
    float v[kWidth], w[kWidth];
    to_floats(load_elements<kWidth>(from + i), v);
    load_typed(p.w_type, p.w, i, w);
#pragma unroll
    for (int j = 0; j < kWidth; ++j) v[j] *= scale * w[j];
    put_stream<kWidth, X>(p, at, i, v);
    put<kWidth, Y>(p, at, i, v);
  }
}

}  // namespace

int launch_rms_norm_cuda_rows(const RmsNormCudaRows& p, Stream stream) {
  const int teams = p.in_registers && p.team == 32 ? kTokensPerBlock : 1;
  const Launch l{dim3(static_cast<unsigned>((p.tokens + teams - 1) / teams)),
                 dim3(static_cast<unsigned>(teams * p.team)), sizeof(Shared), stream, kOverlap};
  return with_type(p.x_type, [&](auto* x) {
    return with_type(p.y_type, [&](auto* y) {
      using X = std::remove_pointer_t<decltype(x)>;
      using Y = std::remove_pointer_t<decltype(y)>;
      const auto kernel = p.in_registers ? once<X, Y> : p.width == 8 ? twice<8, X, Y> : twice<1, X, Y>;
      return launch("rms_norm_cuda_rows", l, kernel, p);
    });
  });
}

}  // namespace layercost
