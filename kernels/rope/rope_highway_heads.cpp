// Tasks are eight heads of one token and kind: 64 + 2 x 8 heads of 128 dims with q/k norm take 3.4 us on one core with
// AVX-512, plain_loops 17 us. Under one norm of all heads, all q heads of a token are a task, and all k heads.
// SPDX-License-Identifier: Apache-2.0
#define LAYERCOST_SIMD_FILE "kernels/rope/rope_highway_heads.cpp"
#include "kernels/cpu/simd_frame-inl.h"  // first

#include <algorithm>
#include <vector>

#include "kernels/contract/dispatch.h"
#include "kernels/core/team.h"
#include "kernels/cpu/rotate-inl.h"
#include "kernels/cpu/simd-inl.h"
#include "kernels/rope/rope.h"
#include "rope_variants.h"

#ifndef LAYERCOST_ROPE_HEADS
#define LAYERCOST_ROPE_HEADS
namespace layercost {
namespace {
// Heads first .. first + count - 1 of one token and one kind (q, k or v): x is head 0 of the kind, `all` the heads that
// the kind has, y where head 0 goes, and head h goes stride elements x h further.
struct Heads {
  const void* x;
  std::int64_t all, first, count;
  const float* norm;  // null without
  const float *cos, *sin;
  void* y;
  std::int64_t stride;
  float factor;  // of all, at last
};
using HeadsFunction = void (*)(const RopeAxes&, const Heads&);
}  // namespace
}  // namespace layercost
#endif

HWY_BEFORE_NAMESPACE();
namespace layercost {
namespace HWY_NAMESPACE {
namespace {

template <class Pairs, class X, class Y>
void rotate(const RopeAxes& axes, const X* x, const float* norm, V scale, const float* cos, const float* sin, Y* out) {
  rotate_dims<Pairs>(x, norm, scale, cos, sin, axes.rotary_dims, out);
  const std::int64_t r = axes.rotary_dims;
  pass(x + r, norm != nullptr ? norm + r : nullptr, scale, axes.head_dim - r, out + r);
}

// x times scale, without weights.
template <class X, class Y>
void pass_scaled(const X* x, V scale, std::int64_t n, Y* out) {
  for (std::int64_t i = 0; i < n; i += kLanes) {
    const std::int64_t lanes = std::min(kLanes, n - i);
    const V v = hn::Mul(scale, lanes == kLanes ? load(x + i) : load_n(x + i, lanes));
    if (lanes == kLanes) store(v, out + i);
    else store_n(v, out + i, lanes);
  }
}

// Turned, then multiplied by `scale` and the norm's weights, if there are any.
template <class Pairs, class X, class Y>
void rotate_then_scale(const RopeAxes& axes, const X* x, const float* norm, V scale, const float* cos, const float* sin,
                       Y* out) {
  const std::int64_t r = axes.rotary_dims, half = r / 2;
  for (std::int64_t i = 0; i < half; i += kLanes) {
    const std::int64_t at = i * Pairs::kStride, n = std::min(kLanes, half - i);
    V a, b, norm_a = scale, norm_b = scale;
    turned_lanes<Pairs>(x + at, cos + i, sin + i, half, n, a, b);
    if (norm != nullptr) {
      Pairs::load_pairs(norm + at, half, n, norm_a, norm_b);
      norm_a = hn::Mul(scale, norm_a), norm_b = hn::Mul(scale, norm_b);
    }
    Pairs::store_pairs(hn::Mul(a, norm_a), hn::Mul(b, norm_b), out + at, half, n);
  }
  if (norm != nullptr) pass(x + r, norm + r, scale, axes.head_dim - r, out + r);
  else pass_scaled(x + r, scale, axes.head_dim - r, out + r);
}

// Turned twice, first for the sum of squares: what is turned would have to be kept in f32 somewhere.
template <class Pairs, class X>
float turned_rms_scale(const RopeAxes& axes, const X* x, const float* cos, const float* sin) {
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
  return scale_of_squares(squares, d, axes.eps);
}

template <class Pairs, class X, class Y>
void rotated(const RopeAxes& axes, const Heads& r) {
  const std::int64_t d = axes.head_dim;
  const X* x = static_cast<const X*>(r.x);
  const float whole = axes.qk_norm == QkNorm::whole ? rms_scale(x, r.all * d, axes.eps) : 1.0f;
  for (std::int64_t h = r.first; h < r.first + r.count; ++h) {
    const X* head = x + h * d;
    Y* out = static_cast<Y*>(r.y) + h * r.stride;
    if (axes.norms_turned() || (r.norm == nullptr && r.factor != 1)) {
      const float scale = axes.norms_turned() ? turned_rms_scale<Pairs>(axes, head, r.cos, r.sin) : 1.0f;
      rotate_then_scale<Pairs>(axes, head, r.norm, hn::Set(F32(), scale * r.factor), r.cos, r.sin, out);
    } else {
      const float scale = axes.qk_norm == QkNorm::head ? rms_scale(head, d, axes.eps) : whole;
      rotate<Pairs>(axes, head, r.norm != nullptr ? r.norm + h * axes.norm_stride() : nullptr,
                    hn::Set(F32(), scale * r.factor), r.cos, r.sin, out);
    }
  }
}

template <class X, class Y>
void passed(const RopeAxes& axes, const Heads& r) {
  const std::int64_t d = axes.head_dim;
  for (std::int64_t h = r.first; h < r.first + r.count; ++h) {
    const X* v = static_cast<const X*>(r.x) + h * d;
    Y* out = static_cast<Y*>(r.y) + h * r.stride;
    if (axes.v_norm) pass_scaled(v, hn::Set(F32(), rms_scale(v, d, axes.eps)), d, out);
    else pass(v, static_cast<const X*>(nullptr), hn::Zero(F32()), d, out);
  }
}

// For one kind of heads alone: q, k and v in one function would be one for every pair of types of q and of the cache.
HeadsFunction rotated_function(DType x, DType y, bool interleaved) {
  return dispatch_float(x, [&]<class X>(X*) {
    return dispatch_cache(y, [&]<class Y>(Y*) {
      return interleaved ? HeadsFunction(rotated<Neighbours, X, Y>) : HeadsFunction(rotated<Halves, X, Y>);
    });
  });
}

HeadsFunction passed_function(DType x, DType y) {
  return dispatch_float(
      x, [&]<class X>(X*) { return dispatch_cache(y, [&]<class Y>(Y*) { return HeadsFunction(passed<X, Y>); }); });
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace layercost
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace layercost {
namespace {

HWY_EXPORT(rotated_function);
HWY_EXPORT(passed_function);

struct Kind {  // q, k or v
  HeadsFunction run;
  const std::byte* x;  // head 0 of token 0
  std::int64_t heads;
  const float* norm;
  std::byte* y;
  std::size_t y_size;
  bool cached;
};
struct Task {
  int kind;
  std::int64_t first, count;
};

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime&) {
  const RopeAxes a = rope_axes(c);
  const DType x_type = c.type("x_type"), y_type = c.type("y_type"), kv_type = c.type("kv_type");
  const auto q_norm = a.has_norm_weights() ? f32_values(*t.weight("q_norm")) : nullptr;
  const auto k_norm = a.has_norm_weights() ? f32_values(*t.weight("k_norm")) : nullptr;
  const auto* x = static_cast<const std::byte*>(t.tensor("qkv").data);
  const auto at_head = [&](std::int64_t h) { return x + static_cast<std::size_t>(h * a.head_dim) * size_of(x_type); };
  const auto out = [&](const char* name) { return static_cast<std::byte*>(t.tensor(name).data); };
  const auto rotated = HWY_DYNAMIC_DISPATCH(rotated_function);
  const std::vector<Kind> kinds = {
      {rotated(x_type, y_type, a.interleaved), x, a.heads, q_norm ? q_norm->view().as<float>() : nullptr, out("q"),
       size_of(y_type), false},
      {rotated(x_type, kv_type, a.interleaved), at_head(a.heads), a.kv_heads,
       k_norm ? k_norm->view().as<float>() : nullptr, out("k_cache"), size_of(kv_type), true},
      {HWY_DYNAMIC_DISPATCH(passed_function)(x_type, kv_type), at_head(a.v_source(0)), a.kv_heads, nullptr,
       out("v_cache"), size_of(kv_type), true}};
  std::vector<Task> tasks;  // of one token
  for (int kind = 0; kind < 3; ++kind) {
    const std::int64_t heads = kinds[kind].heads, step = a.qk_norm == QkNorm::whole ? heads : 8;
    for (std::int64_t first = 0; first < heads; first += step)
      tasks.push_back({kind, first, std::min(step, heads - first)});
  }
  const auto *cos = t.tensor("cos").as<float>(), *sin = t.tensor("sin").as<float>();
  const float* q_scale = a.q_scale ? t.tensor("q_scale").as<float>() : nullptr;
  const std::int64_t all = a.heads + 2 * a.kv_heads, count = static_cast<std::int64_t>(tasks.size());
  const std::size_t x_row = static_cast<std::size_t>(a.row_heads() * a.head_dim) * size_of(x_type);
  const bool parallel = a.tokens() * all * a.head_dim >= kParallelElements;
  return invocation(
      [=, keep = std::pair(q_norm, k_norm)] {
        each_row_and_column(a.tokens(), count, parallel, [&](std::int64_t token, std::int64_t i) {
          const Task& task = tasks[i];
          const Kind& kind = kinds[task.kind];
          const std::int64_t row = a.position(token) * (a.rotary_dims / 2);
          const std::int64_t to = kind.cached ? a.slot(token, 0) : token * a.heads * a.head_dim;
          kind.run(a, {kind.x + token * x_row, kind.heads, task.first, task.count, kind.norm, cos + row, sin + row,
                       kind.y + to * kind.y_size, kind.cached ? a.capacity * a.head_dim : a.head_dim,
                       kind.cached || q_scale == nullptr ? 1.0f : q_scale[a.position(token)]});
        });
      },
      simd_target());
}

}  // namespace

const Variant rope_highway_heads{
    .name = "highway_heads",
    .target = Target::cpu,
    .provider = "layercost",
    .knows =
        "rotary_dims interleaved qk_norm=1|whole|after|bare eps v_norm v_from_k q_scale x_type=f32|bf16 "
        "y_type=f32|bf16 kv_type=f32|bf16|fp8_e4m3 "
        "w_type=f32|bf16",
    .make = prepare,
};

}  // namespace layercost
#endif
