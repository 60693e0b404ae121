// Scores are a product of all heads with all keys, and that is what takes the time: 8192 multiply-adds for 256 bytes of
// a key. Lanes are heads, two vectors of them; a query's heads are put side by side once, and of six keys at a time an
// element each is broadcast: twelve sums, two loads and six broadcasts a step. A part of the keys (24, 12 KB as f32)
// and of the heads (8 KB) fit the first-level cache.
//
// The choice: the least score that is taken is found digit by digit (11, 11 and 10 bits) from counts of the scores'
// bits, mapped so that they sort as the scores do; then one pass takes what is larger and as many of the equal ones as
// are left, in ascending order of positions. Nothing is sorted.
//
// Many queries: a piece is a query. Few: pieces are parts of a query's keys, and the choices come behind them.
// SPDX-License-Identifier: Apache-2.0
#define LAYERCOST_SIMD_FILE "kernels/dsa_index/dsa_index_highway_heads.cpp"
#include "kernels/cpu/simd_frame-inl.h"  // first

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "dsa_index_variants.h"
#include "kernels/contract/dispatch.h"
#include "kernels/core/team.h"
#include "kernels/cpu/simd-inl.h"
#include "kernels/dsa_index/dsa_index.h"

#ifndef LAYERCOST_DSA_INDEX_HEADS
#define LAYERCOST_DSA_INDEX_HEADS
namespace layercost {
namespace {

constexpr std::int64_t kKeysAtOnce = 6, kKeysOfBlock = 24;

struct IndexScores {
  DsaIndexAxes a;
  const void* q;
  const float* weights;
  const void* cache;
  std::int64_t most_heads = 0;  // a multiple of the heads that are side by side, whatever the instruction set

  std::int64_t scratch_floats() const { return most_heads * (a.head_dim + 1) + kKeysOfBlock * (a.head_dim + 64); }
};
// The scores of keys first .. first + count - 1 of query `row` to `out`. scratch: scratch_floats(), 64-byte aligned.
using IndexScoresFunction = void (*)(const IndexScores&, std::int64_t row, std::int64_t first, std::int64_t count,
                                     float* scratch, float* out);

}  // namespace
}  // namespace layercost
#endif

HWY_BEFORE_NAMESPACE();
namespace layercost {
namespace HWY_NAMESPACE {
namespace {

constexpr std::int64_t kHeadsAtOnce = 2 * kLanes;

// sums[i] += of kCount keys of f32, `dim` elements each, weight * max(0, product), lane by lane of the heads.
template <std::int64_t kCount>
HWY_INLINE void add_heads(const float* q, const float* weights, const float* keys, std::int64_t dim, float* sums) {
  V a[kCount], b[kCount];
  for (std::int64_t i = 0; i < kCount; ++i) a[i] = b[i] = hn::Zero(F32());
  for (std::int64_t d = 0; d < dim; ++d) {
    const V q0 = load(q + d * kHeadsAtOnce), q1 = load(q + d * kHeadsAtOnce + kLanes);
    for (std::int64_t i = 0; i < kCount; ++i) {
      const V k = hn::Set(F32(), keys[i * dim + d]);
      a[i] = hn::MulAdd(q0, k, a[i]);
      b[i] = hn::MulAdd(q1, k, b[i]);
    }
  }
  const V none = hn::Zero(F32()), w0 = load(weights), w1 = load(weights + kLanes);
  for (std::int64_t i = 0; i < kCount; ++i) {
    V sum = load(sums + i * kLanes);
    sum = hn::MulAdd(w0, hn::Max(a[i], none), sum);
    sum = hn::MulAdd(w1, hn::Max(b[i], none), sum);
    store(sum, sums + i * kLanes);
  }
}

// Heads side by side, kHeadsAtOnce of them for each dimension, behind them zeros.
template <class X>
void lay_out(const IndexScores& s, std::int64_t row, float* q, float* weights) {
  const std::int64_t heads = s.a.heads, dim = s.a.head_dim;
  const X* x = static_cast<const X*>(s.q) + row * heads * dim;
  for (std::int64_t h = 0; h < (heads + kHeadsAtOnce - 1) / kHeadsAtOnce * kHeadsAtOnce; ++h) {
    float* to = q + h / kHeadsAtOnce * kHeadsAtOnce * dim + h % kHeadsAtOnce;
    for (std::int64_t d = 0; d < dim; ++d) to[d * kHeadsAtOnce] = h < heads ? load_f32(x + h * dim + d) : 0.0f;
    weights[h] = h < heads ? s.weights[row * heads + h] : 0.0f;
  }
}

template <class X, class KV>
void scores(const IndexScores& s, std::int64_t row, std::int64_t first, std::int64_t count, float* scratch,
            float* out) {
  const std::int64_t dim = s.a.head_dim;
  float *q = scratch, *weights = q + s.most_heads * dim, *sums = weights + s.most_heads,
        *keys = sums + kKeysOfBlock * 64;
  lay_out<X>(s, row, q, weights);
  const KV* k = static_cast<const KV*>(s.cache) + (s.a.first_slot(row) + first) * dim;
  for (std::int64_t begin = 0; begin < count; begin += kKeysOfBlock) {
    const std::int64_t n = std::min(kKeysOfBlock, count - begin), elements = n * dim;
    for (std::int64_t i = 0; i < elements; i += kLanes) {
      const std::int64_t lanes = std::min(kLanes, elements - i);
      if (lanes == kLanes) store(load(k + begin * dim + i), keys + i);
      else store_n(load_n(k + begin * dim + i, lanes), keys + i, lanes);
    }
    std::fill_n(sums, n * kLanes, 0.0f);
    for (std::int64_t h = 0; h < s.a.heads; h += kHeadsAtOnce) {
      std::int64_t j = 0;
      for (; j + kKeysAtOnce <= n; j += kKeysAtOnce)
        add_heads<kKeysAtOnce>(q + h * dim, weights + h, keys + j * dim, dim, sums + j * kLanes);
      for (; j < n; ++j) add_heads<1>(q + h * dim, weights + h, keys + j * dim, dim, sums + j * kLanes);
    }
    for (std::int64_t j = 0; j < n; ++j) out[begin + j] = sum_of_lanes(load(sums + j * kLanes));
  }
}

IndexScoresFunction scores_function(DType x, DType kv) {
  return dispatch_float(x, [&]<class X>(X*) {
    return dispatch_float(kv, [&]<class KV>(KV*) { return IndexScoresFunction(scores<X, KV>); });
  });
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace layercost
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace layercost {
namespace {

HWY_EXPORT(scores_function);

constexpr std::int64_t kBins = 2048;

// Unsigned numbers in the order of the floats; -0 becomes +0.
std::uint32_t sortable(float v) {
  v += 0.0f;
  std::uint32_t bits = 0;
  std::memcpy(&bits, &v, sizeof bits);
  return (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
}

// Of n > k scores: the positions of the k largest, ascending, of equals the first. counts: kBins.
void choose(const float* scores, std::int64_t n, std::int64_t k, std::uint32_t* counts, std::int32_t* out) {
  std::uint32_t least = 0, known = 0;  // digits of the least score that is taken, and which of its bits they are
  std::int64_t left = k;               // to be taken among those that have these digits
  for (const auto& [shift, bits] : {std::pair(21, 11), std::pair(10, 11), std::pair(0, 10)}) {
    const std::uint32_t digits = (1u << bits) - 1;
    std::fill_n(counts, digits + 1, 0u);
    for (std::int64_t j = 0; j < n; ++j) {
      const std::uint32_t v = sortable(scores[j]);
      if ((v & known) == least) ++counts[v >> shift & digits];
    }
    std::uint32_t digit = digits;
    for (; counts[digit] < left; --digit) left -= counts[digit];
    least |= digit << shift;
    known |= digits << shift;
  }
  for (std::int64_t j = 0, taken = 0; taken < k; ++j) {
    const std::uint32_t v = sortable(scores[j]);
    if (v < least || (v == least && left-- <= 0)) continue;
    out[taken++] = static_cast<std::int32_t>(j);
  }
}

struct Plan {
  IndexScores s;
  IndexScoresFunction scores = nullptr;
  std::int64_t parts = 1, part_keys = 0;  // of a query's keys
  std::int32_t* selection = nullptr;

  // With all scores of a query in `scores`, or where it takes all of them.
  void choose_row(std::int64_t row, const float* of_row, std::uint32_t* counts) const {
    const std::int64_t n = s.a.visible(row), k = std::min(n, s.a.top_k);
    std::int32_t* to = selection + row * s.a.top_k;
    if (k == n) {
      for (std::int64_t j = 0; j < n; ++j) to[j] = static_cast<std::int32_t>(j);
    } else {
      choose(of_row, n, k, counts, to);
    }
    std::fill(to + k, to + s.a.top_k, -1);
  }
};

struct Memory {
  OwnedTensor scratch, scores, counts;
};

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime&) {
  const DsaIndexAxes a = dsa_index_axes(c);
  const std::int64_t threads = team_threads();
  constexpr std::int64_t kMostHeadsAtOnce = 128, kLeastKeys = 256;
  Plan p{.s = {a, t.tensor("q").data, t.tensor("weights").as<float>(), t.tensor("index_cache").data},
         .scores = HWY_DYNAMIC_DISPATCH(scores_function)(c.type("x_type"), c.type("kv_type")),
         .selection = t.tensor("selection").as<std::int32_t>()};
  p.s.most_heads = (a.heads + kMostHeadsAtOnce - 1) / kMostHeadsAtOnce * kMostHeadsAtOnce;
  // Four pieces per thread even out unequal threads; a part repeats the layout of the query's heads.
  if (a.rows() < 4 * threads)
    p.parts = std::clamp<std::int64_t>((4 * threads + a.rows() - 1) / a.rows(), 1,
                                       std::max<std::int64_t>(1, a.kv_len / kLeastKeys));
  p.part_keys = (a.kv_len + p.parts - 1) / p.parts;
  const auto m = std::make_shared<Memory>();
  m->scratch = OwnedTensor(DType::f32, {threads, p.s.scratch_floats()});
  m->scores = OwnedTensor(DType::f32, {p.parts > 1 ? a.rows() : threads, a.kv_len});
  m->counts = OwnedTensor(DType::i32, {threads, kBins});
  const auto scratch = [m](int i) { return m->scratch.view().as<float>() + i * m->scratch.view().dim(1); };
  const auto scores = [m](std::int64_t i) { return m->scores.view().as<float>() + i * m->scores.view().dim(1); };
  const auto counts = [m](int i) { return m->counts.view().as<std::uint32_t>() + i * kBins; };
  if (p.parts == 1)
    return invocation(
        [=] {
          each_piece(a.rows(), [&](int thread, std::int64_t row, std::int64_t) {
            const std::int64_t n = a.visible(row);
            if (n > a.top_k) p.scores(p.s, row, 0, n, scratch(thread), scores(thread));
            p.choose_row(row, scores(thread), counts(thread));
          });
        },
        fmt::format("{}, a query a piece", simd_target()));
  return invocation(
      [=] {
        each_piece(a.rows() * p.parts, [&](int thread, std::int64_t i, std::int64_t) {
          const std::int64_t row = i / p.parts, first = i % p.parts * p.part_keys, n = a.visible(row);
          if (n > a.top_k && first < n)
            p.scores(p.s, row, first, std::min(p.part_keys, n - first), scratch(thread), scores(row) + first);
        });
        each_piece(a.rows(),
                   [&](int thread, std::int64_t row, std::int64_t) { p.choose_row(row, scores(row), counts(thread)); });
      },
      fmt::format("{}, {} parts of {} keys", simd_target(), p.parts, p.part_keys));
}

}  // namespace

const Variant dsa_index_highway_heads{
    .name = "highway_heads",
    .target = Target::cpu,
    .provider = "layercost",
    .knows = "x_type=f32|bf16 kv_type=f32|bf16",
    .make = prepare,
};

}  // namespace layercost
#endif
