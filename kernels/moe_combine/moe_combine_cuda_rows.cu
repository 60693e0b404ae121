// A thread per eight columns of a token (or per column). It asks for up to eight rows of bf16, or four of f32, at once,
// 128 bytes in flight per thread, and adds them in the order of j: no atomics, the same sum in every run. The columns
// of all tokens are numbered through, so that no length of hidden leaves threads idle.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/moe_combine/moe_combine_cuda_rows_launch.h"

#include "kernels/simt/elements.h"

namespace layercost {
namespace {

using namespace simt;

constexpr int kThreads = 128;

template <int kWidth, class X>
__global__ void __launch_bounds__(kThreads) rows(MoeCombineCudaRows p) {
  grid_launch_dependents();
  grid_wait();
  constexpr int kInFlight = sizeof(X) == 2 ? 8 : 4;
  // 2^32 pieces of eight would not fit into the memory of any device, and a 64-bit division is a hundred instructions.
  using Index = std::conditional_t<kWidth == 8, std::uint32_t, std::uint64_t>;
  const auto per_row = static_cast<Index>(p.hidden / kWidth);
  const Index piece = static_cast<Index>(blockIdx.x) * kThreads + threadIdx.x;
  if (piece >= static_cast<Index>(p.tokens) * per_row) return;
  const std::int64_t token = static_cast<std::int64_t>(piece / per_row);
  const std::int64_t column = static_cast<std::int64_t>(piece % per_row) * kWidth, at = token * p.hidden + column;
  const std::int32_t* slots = p.slots + token * p.top_k;
  const float* weights = p.weights + token * p.top_k;

  float residual[kWidth] = {};
  if (p.residual != nullptr) load_typed(p.y_type, p.residual, at, residual);
  float sum[kWidth] = {};
  for (int first = 0; first < p.top_k; first += kInFlight) {
    Elements<X, kWidth> in[kInFlight];
    float weight[kInFlight];
#pragma unroll
    for (int j = 0; j < kInFlight; ++j) {
      if (first + j >= p.top_k) continue;
      weight[j] = weights[first + j];
      in[j] = load_elements<kWidth>(static_cast<const X*>(p.x) + slots[first + j] * p.hidden + column);
    }
#pragma unroll
    for (int j = 0; j < kInFlight; ++j) {
      if (first + j >= p.top_k) continue;
      float v[kWidth];
      to_floats(in[j], v);
#pragma unroll
      for (int i = 0; i < kWidth; ++i) sum[i] += weight[j] * v[i];
    }
  }
#pragma unroll
  for (int i = 0; i < kWidth; ++i) sum[i] += residual[i];
  store_typed(p.y_type, p.y, at, sum);
}

}  // namespace

int launch_moe_combine_cuda_rows(const MoeCombineCudaRows& p, Stream stream) {
  const bool vectors = p.hidden % 8 == 0;
  const std::int64_t pieces = p.tokens * p.hidden / (vectors ? 8 : 1);
  const Launch l{dim3(static_cast<unsigned>((pieces + kThreads - 1) / kThreads)), dim3(kThreads), 0, stream, kOverlap};
  return with_type(p.x_type, [&](auto* x) {
    using X = std::remove_pointer_t<decltype(x)>;
    return launch("moe_combine_cuda_rows", l, vectors ? rows<8, X> : rows<1, X>, p);
  });
}

}  // namespace layercost
