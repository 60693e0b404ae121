// Many queries on compute capability 9.0: TMA brings 128 queries of a head and tiles of 128 keys and values, two warp
// groups multiply 64 queries each with wgmma; a third one only brings.
//
// The exponentials of a tile take 128 x 128 / 16 = 1024 cycles of a multiprocessor, its products 2048: they have to
// overlap. A group issues the scores of the next tile and then the weighted sum of this one, and turns scores to
// weights while the sum is still computed. Weights stay in registers: scores have the layout that the left operand
// wants.
//
// Blocks stay on their multiprocessors and take one tile of queries after the other, those that see most keys first;
// heads are neighbours, so that those of one kv head meet in the L2 cache. The keys of the next tile of queries are on
// their way while this one's results are written. Tiles outside of what the queries see are skipped; only tiles at an
// edge are masked. What lies behind kv_len in the cache is not read: TMA brings zeros.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/attention/attention_cuda_wgmma_launch.h"

#include <cmath>

#include "kernels/cuda/wgmma_tile.h"

namespace layercost {
namespace {

using namespace simt;
using wgmma_tile::each_eight;

constexpr int kQueries = 128, kKeys = 128, kStages = 2, kGroupQueries = 64;
constexpr int kConsumerWarps = 8, kThreads = 32 * kConsumerWarps + 128;
constexpr int kHalfBytes = 128 * 64 * 2;

// Index of the group of 128 threads; 0 is the producer.
SIMT_INLINE int group_of_thread() { return static_cast<int>(threadIdx.x) / 128; }

struct alignas(1024) Half {  // 128 rows of 64 columns
  Array<Vec16, 128 * 8> pieces;
};
template <int kDim>
struct Shared {
  using Rows = Array<Half, kDim / 64>;
  Rows q;
  Array<Rows, kStages> k, v;
  Mbarrier q_full, q_empty;
  Array<Mbarrier, kStages> k_full, k_empty, v_full, v_empty;
};

struct Work {
  int first_query, batch, head;
  int begin, tiles;  // keys from `begin` on, in tiles of kKeys
  int diagonal;      // the first query sees keys up to this one
};
SIMT_INLINE Work work_of(const AttentionCudaWgmma& p, int index) {
  const int heads = p.batch * p.heads;
  Work w;
  w.first_query = ((p.q_len + kQueries - 1) / kQueries - 1 - index / heads) * kQueries;
  w.batch = index % heads / p.heads;
  w.head = index % p.heads;
  w.diagonal = p.kv_len - p.q_len + w.first_query;
  const int left = p.q_len - w.first_query, end = w.diagonal + (left < kQueries ? left : kQueries);
  w.begin = w.diagonal + 1 > p.window ? w.diagonal + 1 - p.window : 0;
  w.tiles = (end - w.begin + kKeys - 1) / kKeys;
  return w;
}

// One thread: the tiles in the order in which they are used.
template <int kDim>
SIMT_INLINE void bring(const AttentionCudaWgmma& p, Shared<kDim>& s, int all) {
  const auto bring_rows = [&](typename Shared<kDim>::Rows& to, const TensorMap& map, Mbarrier& full, int x, int y,
                              int z) {
    mbarrier_arrive_expect(full, kDim / 64 * kHalfBytes);
    for (int i = 0; i < kDim / 64; ++i) tma_load(&to[i].pieces[0], map, full, x + 64 * i, y, z);
  };
  int tile = 0, queries = 0;
  for (int index = static_cast<int>(blockIdx.x); index < all; index += static_cast<int>(gridDim.x), ++queries) {
    const Work w = work_of(p, index);
    mbarrier_wait(s.q_empty, queries % 2 ^ 1);
    bring_rows(s.q, p.q, s.q_full, w.head * kDim, w.batch * p.q_len + w.first_query, 0);
    const int slice = w.batch * p.kv_heads + w.head / (p.heads / p.kv_heads);
    for (int t = 0; t < w.tiles; ++t, ++tile) {
      const int stage = tile % kStages, parity = tile / kStages % 2;
      mbarrier_wait(s.k_empty[stage], parity ^ 1);
      bring_rows(s.k[stage], p.k, s.k_full[stage], 0, w.begin + t * kKeys, slice);
      mbarrier_wait(s.v_empty[stage], parity ^ 1);
      bring_rows(s.v[stage], p.v, s.v_full[stage], 0, w.begin + t * kKeys, slice);
    }
  }
}

// Of a thread's two rows.
struct Softmax {
  float max[2], sum[2];
};

// Scores to weights exp2(scale (score - max)); returns what sums of earlier keys are to be multiplied with.
SIMT_INLINE Pair soften(float (&scores)[kKeys / 2], float scale, Softmax& softmax) {
  float keep[2];
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    float max = softmax.max[h];
#pragma unroll
    for (int i = 0; i < kKeys / 8; ++i) max = fmaxf(max, fmaxf(scores[4 * i + 2 * h], scores[4 * i + 2 * h + 1]));
    max = fmaxf(max, shuffle_xor(max, 1));
    max = fmaxf(max, shuffle_xor(max, 2));
    const float base = max == -INFINITY ? 0 : max * scale;  // a row that has seen no key yet
    keep[h] = exp2_fast(softmax.max[h] * scale - base);
    softmax.max[h] = max;
    float sum = 0;
#pragma unroll
    for (int i = 0; i < kKeys / 8; ++i)
#pragma unroll
      for (int j = 4 * i + 2 * h; j < 4 * i + 2 * h + 2; ++j) {
        scores[j] = exp2_fast(scores[j] * scale - base);
        sum += scores[j];
      }
    softmax.sum[h] = softmax.sum[h] * keep[h] + sum;
  }
  return {keep[0], keep[1]};
}

template <int kDim>
__global__ void __launch_bounds__(kThreads, 1) attention_wgmma(const __grid_constant__ AttentionCudaWgmma p, int all) {
  Shared<kDim>& s = shared<Shared<kDim>>();
  if (threadIdx.x == 0) {
    mbarrier_init(s.q_full, 1);
    mbarrier_init(s.q_empty, kConsumerWarps);
    for (int i = 0; i < kStages; ++i) {
      mbarrier_init(s.k_full[i], 1);
      mbarrier_init(s.v_full[i], 1);
      mbarrier_init(s.k_empty[i], kConsumerWarps);
      mbarrier_init(s.v_empty[i], kConsumerWarps);
    }
    mbarrier_init_fence();
  }
  sync_block();
  if (group_of_thread() == 0) {
    registers_fewer<24>();
    if (threadIdx.x == 0) bring<kDim>(p, s, all);
    return;
  }
  registers_more<240>();
  const int group_row = (group_of_thread() - 1) * kGroupQueries;
  const int my_row = group_row + warp() % 4 * 16 + lane() / 4;  // and + 8
  const auto done_with = [&](Mbarrier& b) {
    if (lane() == 0) mbarrier_arrive(b);
  };

  int tile = 0, queries = 0;
  for (int index = static_cast<int>(blockIdx.x); index < all; index += static_cast<int>(gridDim.x), ++queries) {
    const Work w = work_of(p, index);
    float sums[kDim / 2], scores[kKeys / 2];
    std::uint32_t weights[kKeys / 16][4];
    Softmax softmax = {{-INFINITY, -INFINITY}, {0, 0}};

    const auto issue_scores = [&](int t) {
      const int stage = t % kStages;
      mbarrier_wait(s.k_full[stage], t / kStages % 2);
      wgmma_fence();
#pragma unroll
      for (int step = 0; step < kDim / 16; ++step)
        wgmma_bf16<kKeys>(scores, swizzled_128(&s.q[step / 4].pieces[group_row * 8], 1024) + 2 * (step % 4),
                          swizzled_128(&s.k[stage][step / 4].pieces[0], 1024) + 2 * (step % 4), step > 0);
      wgmma_commit();
    };
    const auto issue_sums = [&](int t, bool add) {
      const int stage = t % kStages;
      mbarrier_wait(s.v_full[stage], t / kStages % 2);
      wgmma_fence();
      // 64 dims further: the other half. 16 keys further: 2048 bytes.
      const std::uint64_t v = swizzled_128(&s.v[stage][0].pieces[0], 1024, kHalfBytes);
#pragma unroll
      for (int step = 0; step < kKeys / 16; ++step)
        wgmma_bf16<kDim, true>(sums, weights[step], v + step * (2048 >> 4), add || step > 0);
      wgmma_commit();
    };
    const auto mask = [&](int first_key) {
      const int diagonal = w.diagonal + group_row;
      if (first_key + kKeys <= diagonal + 1 && first_key + p.window >= diagonal + kGroupQueries) return;
      const int position = w.diagonal + my_row;
#pragma unroll
      for (int i = 0; i < kKeys / 8; ++i)
#pragma unroll
        for (int j = 0; j < 4; ++j) {
          const int key = first_key + 8 * i + lane() % 4 * 2 + j % 2;
          // One comparison: a negative distance is a large unsigned number.
          if (static_cast<unsigned>(position + 8 * (j / 2) - key) >= static_cast<unsigned>(p.window))
            scores[4 * i + j] = -INFINITY;
        }
    };
    const auto to_weights = [&] {
#pragma unroll
      for (int i = 0; i < kKeys / 16; ++i)
#pragma unroll
        for (int j = 0; j < 4; ++j) weights[i][j] = pack(scores[8 * i + 2 * j], scores[8 * i + 2 * j + 1]);
    };

    mbarrier_wait(s.q_full, queries % 2);
    issue_scores(tile);
    wgmma_wait<0>();
    wgmma_arrived(scores);
    done_with(s.k_empty[tile % kStages]);
    mask(w.begin);
    soften(scores, p.scale, softmax);
    to_weights();
    for (int t = 1; t < w.tiles; ++t) {
      issue_scores(tile + t);
      issue_sums(tile + t - 1, t > 1);
      wgmma_wait<1>();
      wgmma_arrived(scores);
      done_with(s.k_empty[(tile + t) % kStages]);
      mask(w.begin + t * kKeys);
      const Pair keep = soften(scores, p.scale, softmax);
      wgmma_wait<0>();
      wgmma_arrived(sums);
      done_with(s.v_empty[(tile + t - 1) % kStages]);
#pragma unroll
      for (int i = 0; i < kDim / 8; ++i) {
        sums[4 * i] *= keep.lo;
        sums[4 * i + 1] *= keep.lo;
        sums[4 * i + 2] *= keep.hi;
        sums[4 * i + 3] *= keep.hi;
      }
      to_weights();
    }
    done_with(s.q_empty);
    tile += w.tiles;
    issue_sums(tile - 1, w.tiles > 1);
    wgmma_wait<0>();
    wgmma_arrived(sums);
    done_with(s.v_empty[(tile - 1) % kStages]);

    float factor[2];
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      float sum = softmax.sum[h];
      sum += shuffle_xor(sum, 1);
      sum += shuffle_xor(sum, 2);
      factor[h] = 1.0f / sum;
    }
    each_eight<kDim / 8>(
        group_row,
        [&](int i, int h) { return pack(sums[4 * i + 2 * h] * factor[h], sums[4 * i + 2 * h + 1] * factor[h]); },
        [&](int row, int column, const Vec16& eight) {
          const int query = w.first_query + row;
          if (query >= p.q_len) return;
          store16(static_cast<bf16*>(p.y) +
                      ((static_cast<std::int64_t>(w.batch) * p.q_len + query) * p.heads + w.head) * kDim + column,
                  eight);
        });
  }
}

template <int kDim>
int launch_dim(const AttentionCudaWgmma& p, Stream stream) {
  const int all = (p.q_len + kQueries - 1) / kQueries * p.batch * p.heads;
  const Launch l{dim3(static_cast<unsigned>(all < p.blocks ? all : p.blocks)), dim3(kThreads), sizeof(Shared<kDim>),
                 stream};
  return launch("attention_cuda_wgmma", l, attention_wgmma<kDim>, p, all);
}

}  // namespace

int launch_attention_cuda_wgmma(const AttentionCudaWgmma& p, Stream stream) {
  return p.dim == 64 ? launch_dim<64>(p, stream) : launch_dim<128>(p, stream);
}

}  // namespace layercost
