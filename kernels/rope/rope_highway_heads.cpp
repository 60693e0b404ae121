// Tasks are eight heads of one token: 64 + 2 x 8 heads of 128 dims with q/k norm take 3.4 us on one core with AVX-512,
// plain_loops 17 us. Under one norm of all heads, all q heads of a token are a task, and all k heads.
// SPDX-License-Identifier: Apache-2.0
#define LAYERCOST_SIMD_FILE "kernels/rope/rope_highway_heads.cpp"
#include "kernels/cpu/simd_frame-inl.h"  // first

#include <algorithm>
#include <vector>

#include "kernels/contract/dispatch.h"
#include "kernels/cpu/rotate-inl.h"
#include "kernels/cpu/simd-inl.h"
#include "kernels/rope/rope.h"
#include "rope_variants.h"

#ifndef LAYERCOST_ROPE_HEADS
#define LAYERCOST_ROPE_HEADS
namespace layercost {
namespace {
struct Heads {
  RopeAxes a;
  const void* qkv;
  const float *cos, *sin;
  const void *q_norm, *k_norm;  // null without
  void *q, *k_cache, *v_cache;
};
// Heads first .. first + count - 1 of one token, in the order of qkv.
using HeadsFunction = void (*)(const Heads&, std::int64_t token, std::int64_t first, std::int64_t count);
}  // namespace
}  // namespace layercost
#endif

HWY_BEFORE_NAMESPACE();
namespace layercost {
namespace HWY_NAMESPACE {
namespace {

template <class Pairs, class X, class W, class Y>
void rotate(const RopeAxes& axes, const X* x, const W* norm, V scale, const float* cos, const float* sin, Y* out) {
  rotate_dims<Pairs>(x, norm, scale, cos, sin, axes.rotary_dims, out);
  const std::int64_t r = axes.rotary_dims;
  pass(x + r, norm != nullptr ? norm + r : nullptr, scale, axes.head_dim - r, out + r);
}

// Turned twice, first for the sum of squares: what is turned would have to be kept in f32 somewhere.
template <class Pairs, class X, class W, class Y>
void rotate_then_norm(const RopeAxes& axes, const X* x, const W* norm, const float* cos, const float* sin, Y* out) {
  const std::int64_t d = axes.head_dim, r = axes.rotary_dims, half = r / 2;
  V squares = hn::Zero(F32());
  for (std::int64_t i = 0; i < half; i += kLanes) {
    V a, b;
    turned_lanes<Pairs>(x + i * Pairs::kStride, cos + i, sin + i, half, std::min(kLanes, half - i), a, b);
    squares = hn::MulAdd(a, a, hn::MulAdd(b, b, squares));
  }
  for (std::int64_t i = r; i < d; i += kLanes) {
    const V v = i + kLanes <= d ? load(x + i) : load_n(x + i, d - i);
    squares = hn::MulAdd(v, v, squares);
  }
  const V scale = hn::Set(F32(), scale_of_squares(squares, d, axes.eps));
  for (std::int64_t i = 0; i < half; i += kLanes) {
    const std::int64_t at = i * Pairs::kStride, n = std::min(kLanes, half - i);
    V a, b, norm_a, norm_b;
    turned_lanes<Pairs>(x + at, cos + i, sin + i, half, n, a, b);
    Pairs::load_pairs(norm + at, half, n, norm_a, norm_b);
    Pairs::store_pairs(hn::Mul(a, hn::Mul(scale, norm_a)), hn::Mul(b, hn::Mul(scale, norm_b)), out + at, half, n);
  }
  pass(x + r, norm + r, scale, d - r, out + r);
}

// Heads first .. first + count - 1 of those from x on, which share one kind: all q heads or all k heads of a token.
template <class Pairs, class X, class W, class Slot>
void normed_heads(const RopeAxes& axes, const X* x, std::int64_t all, std::int64_t first, std::int64_t count,
                  const W* norm, const float* cos, const float* sin, const Slot& slot) {
  const std::int64_t d = axes.head_dim;
  const float whole = axes.qk_norm == QkNorm::whole ? rms_scale(x, all * d, axes.eps) : 1.0f;
  for (std::int64_t h = first; h < first + count; ++h) {
    const X* head = x + h * d;
    if (axes.qk_norm == QkNorm::after) {
      rotate_then_norm<Pairs>(axes, head, norm, cos, sin, slot(h));
    } else {
      const float scale = axes.qk_norm == QkNorm::head ? rms_scale(head, d, axes.eps) : whole;
      rotate<Pairs>(axes, head, norm != nullptr ? norm + h * axes.norm_stride() : nullptr, hn::Set(F32(), scale), cos,
                    sin, slot(h));
    }
  }
}

template <class Pairs, class X, class W, class Y, class KV>
void heads(const Heads& r, std::int64_t token, std::int64_t first, std::int64_t count) {
  const RopeAxes& a = r.a;
  const std::int64_t d = a.head_dim;
  const std::int64_t row = a.position(token) * (a.rotary_dims / 2);
  const float *cos = r.cos + row, *sin = r.sin + row;
  const X* x = static_cast<const X*>(r.qkv) + token * (a.heads + 2 * a.kv_heads) * d;
  const std::int64_t end = first + count, first_v = a.heads + a.kv_heads;
  const std::int64_t q_end = std::min(end, a.heads);
  if (first < q_end)
    normed_heads<Pairs>(a, x, a.heads, first, q_end - first, static_cast<const W*>(r.q_norm), cos, sin,
                        [&](std::int64_t h) { return static_cast<Y*>(r.q) + (token * a.heads + h) * d; });
  const std::int64_t k_first = std::max(first, a.heads), k_end = std::min(end, first_v);
  if (k_first < k_end)
    normed_heads<Pairs>(a, x + a.heads * d, a.kv_heads, k_first - a.heads, k_end - k_first,
                        static_cast<const W*>(r.k_norm), cos, sin,
                        [&](std::int64_t h) { return static_cast<KV*>(r.k_cache) + a.slot(token, h); });
  for (std::int64_t h = std::max(first, first_v); h < end; ++h)
    pass(x + h * d, static_cast<const W*>(nullptr), hn::Zero(F32()), d,
         static_cast<KV*>(r.v_cache) + a.slot(token, h - first_v));
}

HeadsFunction heads_function(DType x, DType w, DType y, DType kv, bool interleaved) {
  return dispatch_float(x, [&]<class X>(X*) {
    return dispatch_float(w, [&]<class W>(W*) {
      return dispatch_float(y, [&]<class Y>(Y*) {
        return dispatch_cache(kv, [&]<class KV>(KV*) {
          return interleaved ? HeadsFunction(heads<Neighbours, X, W, Y, KV>)
                             : HeadsFunction(heads<Halves, X, W, Y, KV>);
        });
      });
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

HWY_EXPORT(heads_function);

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime&) {
  const RopeAxes a = rope_axes(c);
  const auto q_norm = a.has_norm() ? row_major(*t.weight("q_norm")) : nullptr;
  const auto k_norm = a.has_norm() ? row_major(*t.weight("k_norm")) : nullptr;
  const Heads r{a,
                t.tensor("qkv").data,
                t.tensor("cos").as<float>(),
                t.tensor("sin").as<float>(),
                a.has_norm() ? q_norm->view().data : nullptr,
                a.has_norm() ? k_norm->view().data : nullptr,
                t.tensor("q").data,
                t.tensor("k_cache").data,
                t.tensor("v_cache").data};
  const HeadsFunction heads = HWY_DYNAMIC_DISPATCH(heads_function)(c.type("x_type"), c.type("w_type"), c.type("y_type"),
                                                                   c.type("kv_type"), a.interleaved);
  // Tasks of one token begin at these heads; the last number ends them.
  std::vector<std::int64_t> begins;
  const std::int64_t all = a.heads + 2 * a.kv_heads;
  if (a.qk_norm == QkNorm::whole) begins = {0, a.heads, a.heads + a.kv_heads};
  else
    for (std::int64_t first = 0; first < all; first += 8) begins.push_back(first);
  const auto tasks = static_cast<std::int64_t>(begins.size());
  begins.push_back(all);
  const bool parallel = a.tokens() * all * a.head_dim >= kSimdParallelElements;
  return invocation(
      [=] {
#pragma omp parallel for schedule(static) collapse(2) if (parallel)
        for (std::int64_t token = 0; token < a.tokens(); ++token)
          for (std::int64_t task = 0; task < tasks; ++task)
            heads(r, token, begins[task], begins[task + 1] - begins[task]);
      },
      simd_target());
}

}  // namespace

const Variant rope_highway_heads{
    .name = "highway_heads",
    .target = Target::cpu,
    .provider = "layercost",
    .knows =
        "rotary_dims interleaved qk_norm=1|whole|after eps x_type=f32|bf16 y_type=f32|bf16 kv_type=f32|bf16|fp8_e4m3 "
        "w_type=f32|bf16",
    .make = prepare,
};

}  // namespace layercost
#endif
