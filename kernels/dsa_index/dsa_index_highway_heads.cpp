// Scores are a product of all heads with all keys, and that is what takes the time: 8192 multiply-adds for 256 bytes of
// a key. Lanes are heads, two vectors of them; a query's heads are put side by side once, and of six keys at a time an
// element each is broadcast: twelve sums, two loads and six broadcasts a step. A part of the keys (24, 12 KB as f32)
// and of the heads (8 KB) fit the first-level cache.
// SPDX-License-Identifier: Apache-2.0
#define LAYERCOST_SIMD_FILE "kernels/dsa_index/dsa_index_highway_heads.cpp"
#include "kernels/cpu/simd_frame-inl.h"  // first

#include <algorithm>

#include "dsa_index_variants.h"
#include "kernels/contract/dispatch.h"
#include "kernels/core/team.h"
#include "kernels/cpu/simd-inl.h"
#include "kernels/dsa_index/dsa_index_rows.h"

#ifndef LAYERCOST_DSA_INDEX_HEADS
#define LAYERCOST_DSA_INDEX_HEADS
namespace layercost {
namespace {

constexpr std::int64_t kKeysAtOnce = 6, kKeysOfBlock = 24;

struct IndexHeads {
  DsaIndexAxes a;
  const void* q;
  const float* weights;
  const void* cache;
  std::int64_t most_heads = 0;  // a multiple of the heads that are side by side, whatever the instruction set

  std::int64_t scratch_floats() const { return most_heads * (a.head_dim + 1) + kKeysOfBlock * (a.head_dim + 64); }
};
// The scores of keys first .. first + count - 1 of query `row` to `out`. scratch: scratch_floats(), 64-byte aligned.
using HeadScores = void (*)(const IndexHeads&, std::int64_t row, std::int64_t first, std::int64_t count, float* scratch,
                            float* out);

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
void lay_out(const IndexHeads& s, std::int64_t row, float* q, float* weights) {
  const std::int64_t heads = s.a.heads, dim = s.a.head_dim;
  const X* x = static_cast<const X*>(s.q) + row * heads * dim;
  for (std::int64_t h = 0; h < (heads + kHeadsAtOnce - 1) / kHeadsAtOnce * kHeadsAtOnce; ++h) {
    float* to = q + h / kHeadsAtOnce * kHeadsAtOnce * dim + h % kHeadsAtOnce;
    for (std::int64_t d = 0; d < dim; ++d) to[d * kHeadsAtOnce] = h < heads ? load_f32(x + h * dim + d) : 0.0f;
    weights[h] = h < heads ? s.weights[row * heads + h] : 0.0f;
  }
}

template <class X, class KV>
void scores(const IndexHeads& s, std::int64_t row, std::int64_t first, std::int64_t count, float* scratch, float* out) {
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

HeadScores scores_function(DType x, DType kv) {
  return dispatch_float(
      x, [&]<class X>(X*) { return dispatch_float(kv, [&]<class KV>(KV*) { return HeadScores(scores<X, KV>); }); });
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace layercost
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace layercost {
namespace {

HWY_EXPORT(scores_function);

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime&) {
  constexpr std::int64_t kMostHeadsAtOnce = 128;
  const DsaIndexAxes a = dsa_index_axes(c);
  const IndexHeads s{a, t.tensor("q").data, t.tensor("weights").as<float>(), t.tensor("index_cache").data,
                     (a.heads + kMostHeadsAtOnce - 1) / kMostHeadsAtOnce * kMostHeadsAtOnce};
  const HeadScores scores = HWY_DYNAMIC_DISPATCH(scores_function)(c.type("x_type"), c.type("kv_type"));
  const auto scratch = std::make_shared<OwnedTensor>(DType::f32, Shape{team_threads(), s.scratch_floats()});
  return index_invocation(
      a, t,
      [=](int thread, std::int64_t row, std::int64_t first, std::int64_t count, float* out) {
        scores(s, row, first, count, scratch->view().as<float>() + thread * s.scratch_floats(), out);
      },
      simd_target());
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
