// A warp per token; lane l holds experts l, l + 32, ..., up to 32 of them, in registers. The choice is top_k times the
// largest key of the warp. Keys are integers in the order of the floats, so that what is taken or must not be taken
// differs from minus infinity; of equal keys the lower index wins, so that ties come out the same in every run. A step
// is two reduce instructions, some 50 cycles; by shuffles of key and index it would be ten, some 300.
//
// Counts: integer additions, which give the same sum in any order. Each block keeps a histogram in shared memory. The
// only block of a launch writes it; of many blocks each adds its non-zero counts to sums in memory, and the one that
// arrives last moves the sums to the counts and leaves zeros for the next launch.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/moe_route/moe_route_cuda_warps_launch.h"

#include "kernels/simt/simt.h"

namespace layercost {
namespace {

using namespace simt;

constexpr int kTaken = -2147483647 - 1;
constexpr float kLowest = -3.4028234663852886e38f;

struct Shared {
  Array<std::int32_t, kMoeRouteMostExperts> counts;
  int last;
};

// -0 becomes +0.
SIMT_INLINE int to_key(float v) {
  const int bits = static_cast<int>(as_bits(v + 0.0f));
  return bits < 0 ? bits ^ 0x7fffffff : bits;
}

struct Best {
  int key, index;
};

SIMT_INLINE Best warp_best(Best mine) {
  const int key = reduce_max(mine.key);
  return {key, reduce_min(mine.key == key ? mine.index : kMoeRouteMostExperts)};
}

SIMT_INLINE float sigmoid(float v) { return divide_fast(1.0f, 1.0f + exp_fast(-v)); }

// The bits of the groups that may be chosen from. Lane g ends up with the score of group g.
template <int kPerLane>
SIMT_INLINE std::uint32_t choose_groups(const MoeRouteCudaWarps& p, const float (&choice)[kPerLane]) {
  const int size = p.experts / p.groups;
  Best mine = {kTaken, lane()};
  for (int g = 0; g < p.groups; ++g) {
    float first = kLowest, second = kLowest;
#pragma unroll
    for (int i = 0; i < kPerLane; ++i) {
      const int e = 32 * i + lane();
      if (e < g * size || e >= (g + 1) * size) continue;
      second = fmaxf(second, fminf(first, choice[i]));
      first = fmaxf(first, choice[i]);
    }
#pragma unroll
    for (int mask = 16; mask > 0; mask /= 2) {
      const float other = shuffle_xor(first, mask), other_second = shuffle_xor(second, mask);
      second = fmaxf(fmaxf(second, other_second), fminf(first, other));
      first = fmaxf(first, other);
    }
    if (lane() == g) mine.key = to_key(size > 1 && !p.group_by_best ? first + second : first);
  }
  std::uint32_t chosen = 0;
  for (int j = 0; j < p.top_groups; ++j) {
    const Best best = warp_best(mine);
    chosen |= 1u << best.index;
    if (best.index == lane()) mine.key = kTaken;
  }
  return chosen;
}

// Of the token whose logits these are: this lane's choice, number lane() of top_k.
template <int kPerLane>
SIMT_INLINE int choose_experts(const MoeRouteCudaWarps& p, const float (&logit)[kPerLane], float max, float all) {
  int key[kPerLane];
  if (p.bias == nullptr && p.groups == 1) {
#pragma unroll
    for (int i = 0; i < kPerLane; ++i) key[i] = to_key(logit[i]);
  } else {
    float choice[kPerLane];
#pragma unroll
    for (int i = 0; i < kPerLane; ++i) {
      const int e = 32 * i + lane();
      const float score = p.sigmoid ? sigmoid(logit[i]) : divide_fast(exp_fast(logit[i] - max), all);
      choice[i] = p.bias != nullptr && e < p.experts ? score + p.bias[e] : score;
    }
    const std::uint32_t groups = p.groups > 1 ? choose_groups(p, choice) : 1u;
    const int size = p.experts / p.groups;
#pragma unroll
    for (int i = 0; i < kPerLane; ++i) {
      const bool can = p.groups == 1 || (groups >> ((32 * i + lane()) / size % 32) & 1u) != 0;
      key[i] = can ? to_key(p.bias != nullptr ? choice[i] : logit[i]) : kTaken;
    }
  }
#pragma unroll
  for (int i = 0; i < kPerLane; ++i)
    if (32 * i + lane() >= p.experts) key[i] = kTaken;

  int chosen = 0;
  for (int j = 0; j < p.top_k; ++j) {
    Best best = {kTaken, kMoeRouteMostExperts};
#pragma unroll
    for (int i = 0; i < kPerLane; ++i)
      if (key[i] > best.key) best = {key[i], 32 * i + lane()};
    best = warp_best(best);
#pragma unroll
    for (int i = 0; i < kPerLane; ++i)
      if (32 * i + lane() == best.index) key[i] = kTaken;
    if (lane() == j) chosen = best.index;
  }
  return chosen;
}

template <int kPerLane, class X>
__global__ void __launch_bounds__(kMoeRouteWarps * 32, kPerLane <= 8 ? kMoeRouteBlocks : 2) route(MoeRouteCudaWarps p) {
  grid_launch_dependents();
  Shared& s = shared<Shared>();
  const int threads = static_cast<int>(blockDim.x), warps = threads / 32;
  for (int e = static_cast<int>(threadIdx.x); e < p.experts; e += threads) s.counts[e] = 0;
  sync_block();
  grid_wait();
  const std::int64_t step = static_cast<std::int64_t>(p.blocks) * warps;
  for (std::int64_t token = static_cast<std::int64_t>(blockIdx.x) * warps + warp(); token < p.tokens; token += step) {
    const X* logits = static_cast<const X*>(p.logits) + token * p.experts;
    float logit[kPerLane], max = kLowest, all = 0;
#pragma unroll
    for (int i = 0; i < kPerLane; ++i)
      logit[i] = 32 * i + lane() < p.experts ? to_float(logits[32 * i + lane()]) : kLowest;
    if (!p.sigmoid) {
#pragma unroll
      for (int i = 0; i < kPerLane; ++i) max = fmaxf(max, logit[i]);
      max = warp_max(max);
#pragma unroll
      for (int i = 0; i < kPerLane; ++i) all += exp_fast(logit[i] - max);  // 0 where there is no expert
      all = warp_sum(all);
    }
    int id = choose_experts(p, logit, max, all);
    float weight = 0;
    if (lane() < p.top_k) {
      const std::int64_t at = token * p.top_k + lane();
      // The choice is never negative, which the compiler cannot know: with forced ids it must be made all the same.
      if (p.forced_ids != nullptr && id >= 0) id = p.forced_ids[at];
      p.ids[at] = id;
      const float v = to_float(logits[id]);
      weight = p.sigmoid ? sigmoid(v) : exp_fast(v - max);
      atomic_add(&s.counts[id], 1);
    }
    const float chosen = warp_sum(weight) + (p.sigmoid ? 1e-20f : 0.0f);
    const float divisor = p.renormalise ? chosen : p.sigmoid ? 1.0f : all;
    if (lane() < p.top_k) {
      if (p.expert_scale != nullptr) weight *= p.expert_scale[id];
      p.weights[token * p.top_k + lane()] = weight / divisor * p.scaling;
    }
  }
  sync_block();
  for (int e = static_cast<int>(threadIdx.x); e < p.experts; e += threads) {
    if (p.blocks == 1) p.counts[e] = s.counts[e];
    else if (s.counts[e] != 0) atomic_add(p.sums + e, s.counts[e]);
  }
  if (p.blocks == 1) return;
  sync_block();
  if (threadIdx.x == 0) {
    fence();  // the block's additions before its arrival
    s.last = atomic_add(p.arrived, 1) == p.blocks - 1;
    fence();  // the arrivals before what the others added
  }
  sync_block();
  if (s.last == 0) return;
  for (int e = static_cast<int>(threadIdx.x); e < p.experts; e += threads) p.counts[e] = atomic_exchange(p.sums + e, 0);
  if (threadIdx.x == 0) atomic_exchange(p.arrived, 0);
}

}  // namespace

int launch_moe_route_cuda_warps(const MoeRouteCudaWarps& p, Stream stream) {
  const int warps = p.tokens < kMoeRouteWarps ? static_cast<int>(p.tokens) : kMoeRouteWarps;
  const Launch l{dim3(static_cast<unsigned>(p.blocks)), dim3(static_cast<unsigned>(32 * warps)), sizeof(Shared), stream,
                 kOverlap};
  return with_type(p.x_type, [&](auto* x) {
    using X = std::remove_pointer_t<decltype(x)>;
    const auto kernel = p.experts <= 128   ? route<4, X>
                        : p.experts <= 256 ? route<8, X>
                        : p.experts <= 512 ? route<16, X>
                                           : route<32, X>;
    return launch("moe_route_cuda_warps", l, kernel, p);
  });
}

}  // namespace layercost
