// Tasks are eight heads of one token, and its cache entry.
// SPDX-License-Identifier: Apache-2.0
#define LAYERCOST_SIMD_FILE "kernels/index_rope/index_rope_highway_heads.cpp"
#include "kernels/cpu/simd_frame-inl.h"  // first

#include <algorithm>

#include "index_rope_variants.h"
#include "kernels/contract/dispatch.h"
#include "kernels/core/team.h"
#include "kernels/cpu/rotate-inl.h"
#include "kernels/cpu/simd-inl.h"
#include "kernels/index_rope/index_rope.h"

#ifndef LAYERCOST_INDEX_ROPE_HEADS
#define LAYERCOST_INDEX_ROPE_HEADS
namespace layercost {
namespace {
struct IndexHeads {
  IndexRopeAxes a;
  const void *q, *k;
  const float *norm, *bias, *cos, *sin;
  void *rotated, *cache;
};
// Of one token: heads first .. first + count - 1, or its cache entry, for which `normed` has room (head_dim floats).
using IndexHeadsFunction = void (*)(const IndexHeads&, std::int64_t token, std::int64_t first, std::int64_t count,
                                    float* normed);
}  // namespace
}  // namespace layercost
#endif

HWY_BEFORE_NAMESPACE();
namespace layercost {
namespace HWY_NAMESPACE {
namespace {

template <class Pairs, class X, class Y>
void turned(const IndexHeads& r, std::int64_t token, const X* x, Y* out) {
  const IndexRopeAxes& a = r.a;
  const std::int64_t row = a.position(token) * (a.rope_dim / 2);
  const X* none = nullptr;
  rotate_dims<Pairs>(x, none, hn::Zero(F32()), r.cos + row, r.sin + row, a.rope_dim, out);
  pass(x + a.rope_dim, none, hn::Zero(F32()), a.head_dim - a.rope_dim, out + a.rope_dim);
}

template <class Pairs, class X, class Y>
void rotated(const IndexHeads& r, std::int64_t token, std::int64_t first, std::int64_t count, float*) {
  for (std::int64_t h = first; h < first + count; ++h) {
    const std::int64_t at = (token * r.a.heads + h) * r.a.head_dim;
    turned<Pairs>(r, token, static_cast<const X*>(r.q) + at, static_cast<Y*>(r.rotated) + at);
  }
}

template <class Pairs, class X, class KV>
void entry(const IndexHeads& r, std::int64_t token, std::int64_t, std::int64_t, float* normed) {
  const std::int64_t d = r.a.head_dim;
  const X* x = static_cast<const X*>(r.k) + token * d;
  const auto each = [d](const auto& f) {
    for (std::int64_t i = 0; i < d; i += kLanes) f(i, std::min(kLanes, d - i));
  };
  const auto part = [](const auto* p, std::int64_t n) { return n == kLanes ? load(p) : load_n(p, n); };
  V sum = hn::Zero(F32());
  each([&](std::int64_t i, std::int64_t n) { sum = hn::Add(sum, part(x + i, n)); });
  const V mean = hn::Set(F32(), sum_of_lanes(sum) / static_cast<float>(d));
  V squares = hn::Zero(F32());
  each([&](std::int64_t i, std::int64_t n) {
    V v = hn::Sub(part(x + i, n), mean);
    if (n < kLanes) v = hn::IfThenElseZero(hn::FirstN(F32(), static_cast<std::size_t>(n)), v);
    squares = hn::MulAdd(v, v, squares);
  });
  const V scale = hn::Set(F32(), scale_of_squares(squares, d, r.a.eps));
  each([&](std::int64_t i, std::int64_t n) {
    const V v = hn::MulAdd(hn::Sub(part(x + i, n), mean), hn::Mul(scale, part(r.norm + i, n)), part(r.bias + i, n));
    if (n == kLanes) store(v, normed + i);
    else store_n(v, normed + i, n);
  });
  turned<Pairs>(r, token, normed, static_cast<KV*>(r.cache) + r.a.slot(token));
}

IndexHeadsFunction rotated_function(DType x, DType y, bool interleaved) {
  return dispatch_float(x, [&]<class X>(X*) {
    return dispatch_float(y, [&]<class Y>(Y*) {
      return interleaved ? IndexHeadsFunction(rotated<Neighbours, X, Y>) : IndexHeadsFunction(rotated<Halves, X, Y>);
    });
  });
}

IndexHeadsFunction entry_function(DType x, DType kv, bool interleaved) {
  return dispatch_float(x, [&]<class X>(X*) {
    return dispatch_float(kv, [&]<class KV>(KV*) {
      return interleaved ? IndexHeadsFunction(entry<Neighbours, X, KV>) : IndexHeadsFunction(entry<Halves, X, KV>);
    });
  });
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace layercost
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace layercost {
namespace {

HWY_EXPORT(rotated_function);
HWY_EXPORT(entry_function);

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime&) {
  const IndexRopeAxes a = index_rope_axes(c);
  const auto norm = f32_values(*t.weight("norm")), bias = f32_values(*t.weight("norm_bias"));
  const IndexHeads r{a,
                     t.tensor("q").data,
                     t.tensor("k").data,
                     norm->view().as<float>(),
                     bias->view().as<float>(),
                     t.tensor("cos").as<float>(),
                     t.tensor("sin").as<float>(),
                     t.tensor("rotated").data,
                     t.tensor("index_cache").data};
  const auto rotated = HWY_DYNAMIC_DISPATCH(rotated_function)(c.type("x_type"), c.type("y_type"), a.interleaved);
  const auto entry = HWY_DYNAMIC_DISPATCH(entry_function)(c.type("x_type"), c.type("kv_type"), a.interleaved);
  constexpr std::int64_t kTaskHeads = 8;
  const std::int64_t head_tasks = (a.heads + kTaskHeads - 1) / kTaskHeads, tasks = head_tasks + 1;
  const bool parallel = a.tokens() * (a.heads + 1) * a.head_dim >= kParallelElements;
  const std::int64_t pieces = parallel ? std::min<std::int64_t>(a.tokens() * tasks, 8 * team_threads()) : 1;
  const auto normed = std::make_shared<OwnedTensor>(DType::f32, Shape{team_threads(), a.head_dim});
  return invocation(
      [=, keep = std::pair(norm, bias)] {
        const std::int64_t all = a.tokens() * tasks;
        const auto some = [&](int thread, std::int64_t begin, std::int64_t end) {
          float* mine = normed->view().as<float>() + thread * a.head_dim;
          for (std::int64_t i = begin; i < end; ++i) {
            const std::int64_t token = i / tasks, first = i % tasks * kTaskHeads;
            if (i % tasks < head_tasks) rotated(r, token, first, std::min(kTaskHeads, a.heads - first), mine);
            else entry(r, token, 0, 0, mine);
          }
        };
        if (pieces == 1) return some(0, 0, all);
        each_piece(pieces, [&](int thread, std::int64_t i, std::int64_t) {
          some(thread, all * i / pieces, all * (i + 1) / pieces);
        });
      },
      simd_target());
}

}  // namespace

const Variant index_rope_highway_heads{
    .name = "highway_heads",
    .target = Target::cpu,
    .provider = "layercost",
    .knows = "interleaved x_type=f32|bf16 y_type=f32|bf16 kv_type=f32|bf16 w_type=f32|bf16",
    .make = prepare,
};

}  // namespace layercost
#endif
