// Two pieces of y per thread, 256 threads apart: four 16-byte loads of bf16 are in flight before the first is used. The
// pieces of all rows are numbered through, so that no row length leaves threads idle. exp(-g) = 2^(-g log2 e) is one
// instruction behind a multiplication.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/glu/glu_cuda_rows_launch.h"

#include "kernels/simt/elements.h"

namespace layercost {
namespace {

using namespace simt;

constexpr int kThreads = 256, kPieces = 2;

constexpr float kLog2E = 1.4426950408889634f, kAlpha = 1.702f;

SIMT_INLINE float silu(float g) { return divide_fast(g, 1.0f + exp2_fast(-kLog2E * g)); }

SIMT_INLINE float clamped(float g, float u, float limit) {
  g = fminf(g, limit);
  return divide_fast(g, 1.0f + exp2_fast(-kAlpha * kLog2E * g)) * (fminf(fmaxf(u, -limit), limit) + 1.0f);
}

// 2 sqrt(2/pi) log2 e, and its product with 0.044715.
SIMT_INLINE float gelu_tanh(float g) {
  constexpr float kSlope = 2.3022082f, kCubic = 0.10294324f;
  return divide_fast(g, 1.0f + exp2_fast(-g * (kSlope + kCubic * g * g)));
}

template <GluCudaRows::Act kAct>
SIMT_INLINE float activate(float g, float u, float limit) {
  if (kAct == GluCudaRows::clamped) return clamped(g, u, limit);
  return u * (kAct == GluCudaRows::gelu_tanh ? gelu_tanh(g) : silu(g));
}

template <int kWidth, GluCudaRows::Act kAct, class X, class Y>
__global__ void __launch_bounds__(kThreads) rows(GluCudaRows p) {
  grid_launch_dependents();
  grid_wait();
  // 2^32 pieces of eight would not fit into the memory of any device, and a 64-bit division is a hundred instructions.
  using Index = std::conditional_t<kWidth == 8, std::uint32_t, std::uint64_t>;
  const auto per_row = static_cast<Index>(p.ffn_hidden / kWidth), pieces = static_cast<Index>(p.tokens) * per_row;
  const Index first = static_cast<Index>(blockIdx.x) * (kThreads * kPieces) + threadIdx.x;
  Elements<X, kWidth> gates[kPieces], ups[kPieces];
#pragma unroll
  for (int u = 0; u < kPieces; ++u) {
    const Index piece = first + u * kThreads;
    if (piece >= pieces) continue;
    // Of row t: t rows of 2 ffn_hidden lie before the gate, one more half row before the up.
    const X* gate = static_cast<const X*>(p.x) + (std::uint64_t{piece} + piece / per_row * per_row) * kWidth;
    gates[u] = load_elements<kWidth>(gate);
    ups[u] = load_elements<kWidth>(gate + p.ffn_hidden);
  }
#pragma unroll
  for (int u = 0; u < kPieces; ++u) {
    const Index piece = first + u * kThreads;
    if (piece >= pieces) continue;
    float g[kWidth], v[kWidth];
    to_floats(gates[u], g);
    to_floats(ups[u], v);
#pragma unroll
    for (int j = 0; j < kWidth; ++j) v[j] = activate<kAct>(g[j], v[j], p.limit);
    store_elements(static_cast<Y*>(p.y) + std::uint64_t{piece} * kWidth, v);
  }
}

}  // namespace

int launch_glu_cuda_rows(const GluCudaRows& p, Stream stream) {
  const bool vectors = p.ffn_hidden % 8 == 0;
  const std::int64_t pieces = p.tokens * p.ffn_hidden / (vectors ? 8 : 1), per_block = kThreads * kPieces;
  const Launch l{dim3(static_cast<unsigned>((pieces + per_block - 1) / per_block)), dim3(kThreads), 0, stream,
                 kOverlap};
  return with_type(p.x_type, [&](auto* x) {
    return with_type(p.y_type, [&](auto* y) {
      using X = std::remove_pointer_t<decltype(x)>;
      using Y = std::remove_pointer_t<decltype(y)>;
      const auto kernel = [&](auto eight, auto one) { return launch("glu_cuda_rows", l, vectors ? eight : one, p); };
      switch (p.act) {
        case GluCudaRows::clamped:
          return kernel(rows<8, GluCudaRows::clamped, X, Y>, rows<1, GluCudaRows::clamped, X, Y>);
        case GluCudaRows::gelu_tanh:
          return kernel(rows<8, GluCudaRows::gelu_tanh, X, Y>, rows<1, GluCudaRows::gelu_tanh, X, Y>);
        case GluCudaRows::silu:
          return kernel(rows<8, GluCudaRows::silu, X, Y>, rows<1, GluCudaRows::silu, X, Y>);
      }
      SIMT_NEVER();
    });
  });
}

}  // namespace layercost
