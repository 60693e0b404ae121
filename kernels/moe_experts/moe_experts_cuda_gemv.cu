// The experts of few tokens as products of matrix and vector, bound by the bandwidth that the weights are read with.
//
// gate_up: h[pair, f] = silu(gate f . x) * (up f . x). A pair is (token, j), numbered token * top_k + j. One block of 4
//   warps per 8 neurons of one pair: 2 neurons, so 4 weight rows, per warp. Where both tokens chose the same expert,
//   the block of the first of these pairs does both with one reading of the weights, and the other leaves. Which these
//   are, each warp finds in the ids by two ballots.
// down: y[t, n] = sum_j weights[t, j] * (row n of w_down[ids[t, j]] . h[t, j]) + residual. One warp per output neuron n
//   of all tokens: it reads row n of each distinct expert once, in the order of the experts' first pairs, and sums in
//   that order: the result does not depend on which block runs when.
//
// Bytes in flight. Little's law at 4.8 TB/s and about 700 ns from a load to its data asks for 3.3 MB in flight, 25 KB
// in each of 132 multiprocessors. Each lane issues 8 independent 16-byte loads before it uses the first: 4 KB per warp,
// so 7 warps suffice when none of them computes, and with half of the time spent on computing, 14. Both kernels are
// held to 80 registers, room for 6 blocks = 24 warps. For hidden = 2048, ffn = 768, top_k = 8 and one token, where 8
// experts weigh 75 MB, gate_up has 96 x 8 = 768 blocks, 5.8 per multiprocessor, and down 512, 3.9 per multiprocessor:
// one wave each, with 23 and 15 warps per multiprocessor.
//
// x and h are read through the L1 cache, which weights do not enter: a row is 4 KB (1.5 KB), all warps of a
// multiprocessor read the same few, and a copy in shared memory would add a barrier before the first product and limit
// the length of a row.
//
// down starts while the last blocks of gate_up run: it lists the experts and issues its first loads of weights before
// it waits for h. ids and weights are older than gate_up, which lets it start only when it has waited for them itself.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/moe_experts/moe_experts_cuda_gemv_launch.h"

#include "kernels/simt/simt.h"

namespace layercost {
namespace {

using namespace simt;

constexpr int kThreads = 128;
constexpr int kWarps = kThreads / 32;
constexpr int kLoads = 8;           // in flight per lane
constexpr int kStep = 32 * 8;       // columns that a warp reads at once, 8 bf16 per lane
constexpr int kNeuronsPerWarp = 2;  // of gate_up
constexpr int kMostPairs = kMoeGemvMostPairs;
constexpr int kMostTokens = kMoeGemvMostTokens;
static_assert(kMostPairs == 64, "two ids per lane");

SIMT_INLINE Vec16 load(const bf16* p) { return *reinterpret_cast<const Vec16*>(p); }
SIMT_INLINE Vec16 zeros() { return {{0, 0, 0, 0}}; }

SIMT_INLINE void multiply_add(float& sum, std::uint32_t a, std::uint32_t b) {
  const Pair x = unpack(a), y = unpack(b);
  sum += x.lo * y.lo;
  sum += x.hi * y.hi;
}

SIMT_INLINE int lowest_bit(std::uint64_t mask) {
  const auto low = static_cast<std::uint32_t>(mask);
  const std::uint32_t half = low != 0 ? low : static_cast<std::uint32_t>(mask >> 32);
  return count_bits((half & (0u - half)) - 1) + (low != 0 ? 0 : 32);
}

// h of the warp's neurons from `neuron` on, for the kRows pairs in `pairs`.
template <int kRows>
SIMT_INLINE void neurons_of(const MoeExpertsCudaGemv& p, const bf16* weights, std::int64_t neuron,
                            std::uint64_t pairs) {
  constexpr int kWeights = 2 * kNeuronsPerWarp;  // rows: gate, up, gate, up
  constexpr int kSteps = kLoads / kWeights;
  const int hidden = static_cast<int>(p.hidden), top_k = static_cast<int>(p.top_k);
  int x_at[kRows];
  std::uint64_t left = pairs;
#pragma unroll
  for (int r = 0; r < kRows; ++r, left &= left - 1) x_at[r] = lowest_bit(left) / top_k * hidden;
  const bf16* gate = weights + neuron * p.hidden;
  const bf16* up = gate + p.ffn * p.hidden;

  float sum[kWeights][kRows] = {};
  for (int begin = 0; begin < hidden; begin += kSteps * kStep) {
    Vec16 w[kSteps][kWeights];
#pragma unroll
    for (int s = 0; s < kSteps; ++s)
#pragma unroll
      for (int i = 0; i < kWeights; ++i) {
        const int k = begin + s * kStep + lane() * 8;
        w[s][i] = k < hidden ? load_streaming((i % 2 == 0 ? gate : up) + i / 2 * hidden + k) : zeros();
      }
#pragma unroll
    for (int s = 0; s < kSteps; ++s) {
      const int k = begin + s * kStep + lane() * 8;
      Vec16 v[kRows];
#pragma unroll
      for (int r = 0; r < kRows; ++r) v[r] = k < hidden ? load(static_cast<const bf16*>(p.x) + x_at[r] + k) : zeros();
#pragma unroll
      for (int word = 0; word < 4; ++word)
#pragma unroll
        for (int i = 0; i < kWeights; ++i)
#pragma unroll
          for (int r = 0; r < kRows; ++r) multiply_add(sum[i][r], w[s][i].word[word], v[r].word[word]);
    }
  }
#pragma unroll
  for (int r = 0; r < kRows; ++r, pairs &= pairs - 1)
#pragma unroll
    for (int i = 0; i < kNeuronsPerWarp; ++i) {
      const float g = warp_sum(sum[2 * i][r]), u = warp_sum(sum[2 * i + 1][r]);
      if (lane() == 0)
        store(static_cast<bf16*>(p.h) + lowest_bit(pairs) * p.ffn + neuron + i, divide_fast(g, 1 + exp_fast(-g)) * u);
    }
}

template <int kTokens>  // p.tokens
__global__ void __launch_bounds__(kThreads, 6) gate_up(MoeExpertsCudaGemv p) {
  grid_wait();
  grid_launch_dependents();  // not before: down reads ids and weights without waiting
  const int pairs = static_cast<int>(p.tokens * p.top_k), mine = static_cast<int>(blockIdx.y);
  const std::int32_t expert = p.ids[mine];
  const bool low = lane() < pairs && p.ids[lane()] == expert;
  const bool high = lane() + 32 < pairs && p.ids[lane() + 32] == expert;
  const std::uint64_t same = static_cast<std::uint64_t>(ballot(high)) << 32 | ballot(low);
  if (lowest_bit(same) != mine) return;

  const bf16* weights = static_cast<const bf16*>(p.w_gate_up) + expert * 2 * p.ffn * p.hidden;
  const std::int64_t neuron = (blockIdx.x * kWarps + static_cast<unsigned>(warp())) * kNeuronsPerWarp;
  const int rows = count_bits(static_cast<std::uint32_t>(same)) + count_bits(static_cast<std::uint32_t>(same >> 32));
  if (rows == 1) return neurons_of<1>(p, weights, neuron, same);
  if constexpr (kTokens > 1) neurons_of<2>(p, weights, neuron, same);
}

struct Shared {
  Array<int, kMostPairs> id;
  Array<std::uint32_t, kMostPairs / 32> is_first;
  // Of each distinct expert, in the order of first pairs: its id, and for each token the pair that chose it (-1: none)
  // and that pair's weight.
  Array<int, kMostPairs> expert;
  Array<Array<int, kMostTokens>, kMostPairs> pair;
  Array<Array<float, kMostTokens>, kMostPairs> weight;
};

// Fills the lists of `s`; returns the number of distinct experts.
SIMT_INLINE int list_experts(const MoeExpertsCudaGemv& p, Shared& s) {
  const int pairs = static_cast<int>(p.tokens * p.top_k), i = static_cast<int>(threadIdx.x);
  if (i < kMostPairs) {
    s.id[i] = i < pairs ? static_cast<int>(load_word_l2(p.ids + i)) : -1;
    for (int t = 0; t < kMostTokens; ++t) s.pair[i][t] = -1;
  }
  sync_block();
  int first = 0;
  if (i < kMostPairs) {
#pragma unroll 16
    for (int other = kMostPairs - 1; other >= 0; --other)
      if (s.id[other] == s.id[i]) first = other;
    const std::uint32_t firsts = ballot(i < pairs && first == i);
    if (lane() == 0) s.is_first[warp()] = firsts;
  }
  sync_block();
  if (i < pairs) {
    int at = count_bits(s.is_first[first / 32] & ((1u << first % 32) - 1));
    if (first >= 32) at += count_bits(s.is_first[0]);
    const int token = i / static_cast<int>(p.top_k);
    s.pair[at][token] = i;
    s.weight[at][token] = as_float(load_word_l2(p.weights + i));
    if (first == i) s.expert[at] = s.id[i];
  }
  sync_block();
  return count_bits(s.is_first[0]) + count_bits(s.is_first[1]);
}

template <int kTokens, class Y>
__global__ void __launch_bounds__(kThreads, 6) down(MoeExpertsCudaGemv p) {
  grid_launch_dependents();
  Shared& s = shared<Shared>();
  const int experts = list_experts(p, s);
  const std::int64_t neuron = blockIdx.x * kWarps + static_cast<unsigned>(warp());
  const bf16* row = static_cast<const bf16*>(p.w_down) + neuron * p.ffn;
  const bf16* h = static_cast<const bf16*>(p.h);
  const std::int64_t per_expert = p.hidden * p.ffn;

  // The parts of kStep columns, expert after expert, in groups of kLoads. A lane may be behind the end of a row.
  struct Part {
    int expert, column;
  };
  const int ffn = static_cast<int>(p.ffn);
  const auto next = [&](Part& at) {
    at.column += kStep;
    if (at.column >= ffn) at = {at.expert + 1, 0};
  };
  const auto load_group = [&](Part at, Vec16(&w)[kLoads]) {
#pragma unroll
    for (int i = 0; i < kLoads; ++i, next(at)) {
      const int k = at.column + lane() * 8;
      w[i] = at.expert < experts && k < ffn ? load_streaming(row + s.expert[at.expert] * per_expert + k) : zeros();
    }
  };

  Vec16 w[kLoads];
  Part at{0, 0};
  load_group(at, w);
  grid_wait();
  float sum[kTokens] = {};
  while (at.expert < experts) {
#pragma unroll
    for (int i = 0; i < kLoads; ++i, next(at)) {
      if (at.expert >= experts) continue;
      const int k = at.column + lane() * 8;
#pragma unroll
      for (int t = 0; t < kTokens; ++t) {
        const int pair = s.pair[at.expert][t];
        if (pair < 0) continue;
        const Vec16 v = k < ffn ? load(h + pair * p.ffn + k) : zeros();
        float part = 0;
#pragma unroll
        for (int word = 0; word < 4; ++word) multiply_add(part, w[i].word[word], v.word[word]);
        sum[t] += s.weight[at.expert][t] * part;
      }
    }
    load_group(at, w);
  }

  float mine = 0;
#pragma unroll
  for (int t = 0; t < kTokens; ++t) {
    const float total = warp_sum(sum[t]);
    if (lane() == t) mine = total;
  }
  if (lane() < p.tokens) {
    const std::int64_t to = lane() * p.hidden + neuron;
    if (p.residual != nullptr) mine += to_float(static_cast<const Y*>(p.residual)[to]);
    store(static_cast<Y*>(p.y) + to, mine);
  }
}

template <int kTokens>
int launch_both(const MoeExpertsCudaGemv& p, Stream stream) {
  constexpr int kNeuronsPerBlock = kWarps * kNeuronsPerWarp;
  const auto pairs = static_cast<unsigned>(p.tokens * p.top_k);
  const Launch first{dim3(static_cast<unsigned>(p.ffn / kNeuronsPerBlock), pairs), dim3(kThreads), 0, stream, kOverlap};
  if (const int error = launch("moe_experts_cuda_gemv gate_up", first, gate_up<kTokens>, p); error != 0) return error;
  const Launch second{dim3(static_cast<unsigned>(p.hidden / kWarps)), dim3(kThreads), sizeof(Shared), stream, kOverlap};
  return with_type(p.y_type, [&](auto* y) {
    return launch("moe_experts_cuda_gemv down", second, down<kTokens, std::remove_pointer_t<decltype(y)>>, p);
  });
}

}  // namespace

int launch_moe_experts_cuda_gemv(const MoeExpertsCudaGemv& p, Stream stream) {
  return p.tokens == 1 ? launch_both<1>(p, stream) : launch_both<2>(p, stream);
}

}  // namespace layercost
