// Scores: a block for 32 keys of a query, which it keeps as f32 in shared memory; a lane is a key, and the warps share
// the heads. Two reads of shared memory for each product: right rather than fast. Selection: a block for a query. The
// least score that is taken is found digit by digit, 8 bits at a time, from counts of the scores' bits, mapped so that
// they sort as the scores do. Then the keys are passed through once more, 256 at a time and in order; who is taken, and
// behind whom, follows from votes: the result does not depend on the order in which anything is counted.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/dsa_index/dsa_index_cuda_blocks_launch.h"

#include "kernels/simt/simt.h"

namespace layercost {
namespace {

using namespace simt;

constexpr int kTileKeys = 32, kScoreThreads = 128, kScoreWarps = kScoreThreads / 32;
constexpr int kThreads = 256, kWarps = kThreads / 32, kDigits = 256;
constexpr int kPadded = kDsaIndexMostDims + 1;  // neighbouring keys in neighbouring banks

struct Tile {
  Array<float, kTileKeys * kPadded> keys;
  Array<float, kScoreWarps * kDsaIndexMostDims> q;  // of each warp's head
  Array<float, kScoreThreads> sums;
};

SIMT_INLINE std::int64_t visible(const DsaIndexCudaBlocks& p, std::int64_t row) {
  return p.kv_len - p.q_len + row % p.q_len + 1;
}

template <class X, class KV>
__global__ void __launch_bounds__(kScoreThreads) score(DsaIndexCudaBlocks p) {
  Tile& s = shared<Tile>();
  const std::int64_t tiles = (p.kv_len + kTileKeys - 1) / kTileKeys, r = blockIdx.x / tiles, row = p.first + r;
  const std::int64_t n = visible(p, row), begin = blockIdx.x % tiles * kTileKeys;
  if (n <= p.top_k || begin >= n) return;  // the whole block
  const int thread = static_cast<int>(threadIdx.x),
            count = static_cast<int>(n - begin < kTileKeys ? n - begin : kTileKeys);
  const KV* cache = static_cast<const KV*>(p.cache) + (row / p.q_len * p.capacity + begin) * p.head_dim;
  for (int i = thread; i < kTileKeys * p.head_dim; i += kScoreThreads) {
    const int key = i / p.head_dim, d = i % p.head_dim;
    s.keys[key * kPadded + d] = key < count ? to_float(cache[i]) : 0.0f;
  }
  sync_block();
  const X* q = static_cast<const X*>(p.q) + row * p.heads * p.head_dim;
  float sum = 0;
  for (int h = warp(); h < p.heads; h += kScoreWarps) {
    for (int d = lane(); d < p.head_dim; d += 32)
      s.q[warp() * kDsaIndexMostDims + d] = to_float(q[static_cast<std::int64_t>(h) * p.head_dim + d]);
    sync_warp();
    float product = 0;
    for (int d = 0; d < p.head_dim; ++d) product += s.q[warp() * kDsaIndexMostDims + d] * s.keys[lane() * kPadded + d];
    sum += p.weights[row * p.heads + h] * fmaxf(product, 0.0f);
    sync_warp();  // before the next head's query takes its place
  }
  s.sums[thread] = sum;
  sync_block();
  if (thread >= count) return;  // of the first warp
  float all = 0;
  for (int w = 0; w < kScoreWarps; ++w) all += s.sums[32 * w + thread];
  p.scores[r * p.kv_len + begin + thread] = all;
}

struct Choice {
  Array<int, kDigits> counts;
  Array<int, kWarps> equal, taken;
  std::uint32_t least;
  int left;
};

// Unsigned numbers in the order of the floats. None is -0: sums begin with +0.
SIMT_INLINE std::uint32_t sortable(float v) {
  const std::uint32_t bits = as_bits(v);
  return (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
}

SIMT_INLINE std::uint32_t lanes_before() { return (1u << lane()) - 1u; }

// s.least: the least score that is taken. s.left: how many that are equal to it.
SIMT_INLINE void find_least(Choice& s, const float* scores, int n, int top_k) {
  const int thread = static_cast<int>(threadIdx.x);
  if (thread == 0) s.least = 0, s.left = top_k;
  std::uint32_t known = 0;
  for (int shift = 24; shift >= 0; shift -= 8) {
    s.counts[thread] = 0;
    sync_block();
    const std::uint32_t least = s.least;
    for (int j = thread; j < n; j += kThreads) {
      const std::uint32_t v = sortable(scores[j]);
      if ((v & known) == least) atomic_add(&s.counts[static_cast<int>(v >> shift & 255u)], 1);
    }
    sync_block();
    if (thread == 0) {
      int digit = kDigits - 1, left = s.left;
      for (; s.counts[digit] < left; --digit) left -= s.counts[digit];
      s.least = least | static_cast<std::uint32_t>(digit) << shift;
      s.left = left;
    }
    known |= 255u << shift;
    sync_block();
  }
}

__global__ void __launch_bounds__(kThreads) select(DsaIndexCudaBlocks p) {
  Choice& s = shared<Choice>();
  const int thread = static_cast<int>(threadIdx.x);
  const std::int64_t r = blockIdx.x, row = p.first + r;
  const int n = static_cast<int>(visible(p, row));
  const float* scores = p.scores + r * p.kv_len;
  std::int32_t* selection = p.selection + row * p.top_k;
  if (n <= p.top_k) {
    for (int i = thread; i < p.top_k; i += kThreads) selection[i] = i < n ? i : -1;
    return;
  }
  find_least(s, scores, n, p.top_k);
  const std::uint32_t least = s.least;
  const int left = s.left;
  int equal_before = 0, taken_before = 0;  // in the keys that were passed through
  for (int begin = 0; begin < n; begin += kThreads) {
    const int j = begin + thread;
    const std::uint32_t v = j < n ? sortable(scores[j]) : 0u;
    const std::uint32_t equal = ballot(j < n && v == least);
    if (lane() == 0) s.equal[warp()] = count_bits(equal);
    sync_block();
    int rank = equal_before + count_bits(equal & lanes_before());
    for (int w = 0; w < kWarps; ++w) {
      if (w < warp()) rank += s.equal[w];
      equal_before += s.equal[w];
    }
    const bool take = j < n && (v > least || (v == least && rank < left));
    const std::uint32_t taken = ballot(take);
    if (lane() == 0) s.taken[warp()] = count_bits(taken);
    sync_block();
    int to = taken_before + count_bits(taken & lanes_before());
    for (int w = 0; w < kWarps; ++w) {
      if (w < warp()) to += s.taken[w];
      taken_before += s.taken[w];
    }
    if (take) selection[to] = j;
  }
}

}  // namespace

int launch_dsa_index_cuda_scores(const DsaIndexCudaBlocks& p, Stream stream) {
  const std::int64_t tiles = (p.kv_len + kTileKeys - 1) / kTileKeys;
  const Launch l{dim3(static_cast<unsigned>(p.rows * tiles)), dim3(kScoreThreads), sizeof(Tile), stream};
  return with_type(p.x_type, [&](auto* x) {
    return with_type(p.kv_type, [&](auto* kv) {
      return launch("dsa_index_cuda_scores", l,
                    score<std::remove_pointer_t<decltype(x)>, std::remove_pointer_t<decltype(kv)>>, p);
    });
  });
}

int launch_dsa_index_cuda_select(const DsaIndexCudaBlocks& p, Stream stream) {
  const Launch l{dim3(static_cast<unsigned>(p.rows)), dim3(kThreads), sizeof(Choice), stream};
  return launch("dsa_index_cuda_select", l, select, p);
}

}  // namespace layercost
