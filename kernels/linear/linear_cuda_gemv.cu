// A few rows of x: reading w is all of the cost, so this is a copy of w that happens to multiply.
// Does:    a warp takes 1 or 2 rows of w; its lanes stand side by side along k, 16 bytes each (512 bytes of a row per
//          load), and have 8 loads on their way before the first is used: 4 KB per warp, 96 to 128 KB with the 24 to 32
//          warps that the registers of a multiprocessor let live, 64 KB with 16 where there are more than 2 rows of x.
//          Where the rows are too few for that many warps, several warps of a block share the rows of one, and their
//          sums are added in a fixed order through shared memory.
//          The first loads are on their way before the launch before has ended: weights do not depend on it.
//          x is read through the L1 cache: the weights leave it alone (load_streaming), and all warps want the same x.
// Limit:   per weight 1 instruction to widen it, 1 per row of x to multiply and 1 / rows to widen x. With 2 rows of w
//          and 4 of x that is 7, with 8 of x 13: at 9 weights per clock (4 TB/s over 132 multiprocessors at 1.7 GHz) 63
//          and 117 of 128 lanes.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/linear/linear_cuda_gemv_launch.h"

#include "kernels/simt/simt.h"

namespace layercost {
namespace {

using namespace simt;

constexpr int kWarps = kLinearCudaGemvWarps, kThreads = 32 * kWarps;

template <int kTokens, int kRows>
struct Shared {
  Array<Array<float, kTokens * kRows>, kWarps> sums;
};

template <class Y>
SIMT_INLINE void write(const LinearCudaGemv& p, int token, int row, float v) {
  const std::int64_t at = static_cast<std::int64_t>(token) * p.n + row;
  if (p.bias != nullptr) v += to_float(static_cast<const bf16*>(p.bias)[row]);
  if (p.residual != nullptr) v += to_float(static_cast<const Y*>(p.residual)[at]);
  store(static_cast<Y*>(p.y) + at, v);
}

// Blocks per multiprocessor: 80 registers a thread for 3, 128 for 2.
template <int kTokens, int kRows>
__global__ void __launch_bounds__(kThreads, kTokens <= 2 ? 3 : 2) gemv(LinearCudaGemv p) {
  grid_launch_dependents();
  constexpr int kAhead = kLinearCudaGemvLoads / kRows;
  Shared<kTokens, kRows>& s = shared<Shared<kTokens, kRows>>();
  const int chunks = p.k / 8, groups = kWarps / p.split;
  const int first_row = (static_cast<int>(blockIdx.x) * groups + warp() / p.split) * kRows;

  // Rows beyond the last one read it again: their sums are not written.
  const int last = p.n - 1;
  const std::int64_t row_of_w = first_row < last ? first_row : last;
  const Vec16* w = static_cast<const Vec16*>(p.w) + row_of_w * chunks;
  const Vec16* x = static_cast<const Vec16*>(p.x);
  const int next_row = first_row < last ? chunks : 0;
  int token[kTokens];
#pragma unroll
  for (int t = 0; t < kTokens; ++t) token[t] = (t < p.m ? t : p.m - 1) * chunks;

  float sums[kTokens][kRows] = {};
  const int stride = 32 * p.split, first = warp() % p.split * 32 + lane();
  Vec16 weights[kAhead][kRows];
  const auto load = [&](int c) {
#pragma unroll
    for (int u = 0; u < kAhead; ++u)
#pragma unroll
      for (int r = 0; r < kRows; ++r)
        if (c + u * stride < chunks) weights[u][r] = load_streaming(w + r * next_row + c + u * stride);
  };
  load(first);
  grid_wait();
  for (int c = first; c < chunks; c += kAhead * stride) {
    if (c != first) load(c);
#pragma unroll
    for (int u = 0; u < kAhead; ++u) {
      if (c + u * stride >= chunks) break;
      Vec16 values[kTokens];
#pragma unroll
      for (int t = 0; t < kTokens; ++t) values[t] = x[token[t] + c + u * stride];
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        Pair weight[kRows];
#pragma unroll
        for (int r = 0; r < kRows; ++r) weight[r] = unpack(weights[u][r].word[i]);
#pragma unroll
        for (int t = 0; t < kTokens; ++t) {
          const Pair v = unpack(values[t].word[i]);
#pragma unroll
          for (int r = 0; r < kRows; ++r) {
            sums[t][r] += v.lo * weight[r].lo;
            sums[t][r] += v.hi * weight[r].hi;
          }
        }
      }
    }
  }

#pragma unroll
  for (int t = 0; t < kTokens; ++t)
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      const float sum = warp_sum(sums[t][r]);
      if (lane() == 0) s.sums[warp()][t * kRows + r] = sum;
    }
  sync_block();
  const int i = static_cast<int>(threadIdx.x);
  if (i >= groups * kTokens * kRows) return;
  const int group = i / (kTokens * kRows), of_group = i % (kTokens * kRows), t = of_group / kRows, r = i % kRows;
  const int row = (static_cast<int>(blockIdx.x) * groups + group) * kRows + r;
  if (row >= p.n || t >= p.m) return;
  float sum = 0;
  for (int part = 0; part < p.split; ++part) sum += s.sums[group * p.split + part][of_group];
  switch (p.y_type) {
    case Type::f32: write<float>(p, t, row, sum); break;
    case Type::bf16: write<bf16>(p, t, row, sum); break;
  }
}

template <int kTokens, int kRows>
int launch_for(const LinearCudaGemv& p, Stream stream) {
  const int rows_of_block = kWarps / p.split * kRows;
  const Launch l{dim3(static_cast<unsigned>((p.n + rows_of_block - 1) / rows_of_block)), dim3(kThreads),
                 sizeof(Shared<kTokens, kRows>), stream, kOverlap};
  return launch("linear_cuda_gemv", l, gemv<kTokens, kRows>, p);
}

template <int kTokens>
int launch_rows(const LinearCudaGemv& p, Stream stream) {
  return p.rows == 1 ? launch_for<kTokens, 1>(p, stream) : launch_for<kTokens, 2>(p, stream);
}

}  // namespace

int launch_linear_cuda_gemv(const LinearCudaGemv& p, Stream stream) {
  if (p.m == 1) return launch_rows<1>(p, stream);
  if (p.m == 2) return launch_rows<2>(p, stream);
  if (p.m <= 4) return launch_rows<4>(p, stream);
  return launch_rows<8>(p, stream);
}

}  // namespace layercost
