// Tasks are heads of a token: a pass that squares, and one that scales and gates, from the cache.
// SPDX-License-Identifier: Apache-2.0
#define LAYERCOST_SIMD_FILE "kernels/gated_norm/gated_norm_highway_rows.cpp"
#include "kernels/cpu/simd_frame-inl.h"  // first

#include <cmath>

#include "gated_norm_variants.h"
#include "kernels/contract/dispatch.h"
#include "kernels/core/team.h"
#include "kernels/cpu/sigmoid-inl.h"
#include "kernels/cpu/simd-inl.h"
#include "kernels/gated_norm/gated_norm.h"

#ifndef LAYERCOST_GATED_NORM_ROWS
#define LAYERCOST_GATED_NORM_ROWS
namespace layercost {
namespace {
struct GatedNormTensors {
  const void *x, *z, *w;
  void* y;
};
using HeadFunction = void (*)(const GatedNormAxes&, const GatedNormTensors&, std::int64_t token, std::int64_t head);
}  // namespace
}  // namespace layercost
#endif

HWY_BEFORE_NAMESPACE();
namespace layercost {
namespace HWY_NAMESPACE {
namespace {

template <class X, class W, class Y>
void head(const GatedNormAxes& a, const GatedNormTensors& t, std::int64_t token, std::int64_t h) {
  const std::int64_t n = a.dim, whole = n - n % kLanes;
  const X* x = static_cast<const X*>(t.x) + token * a.width() + h * n;
  const X* z = static_cast<const X*>(t.z) + (token + 1) * a.z_width - a.width() + h * n;
  const W* w = static_cast<const W*>(t.w);
  Y* y = static_cast<Y*>(t.y) + token * a.width() + h * n;
  V squares = hn::Zero(F32());
  for (std::int64_t i = 0; i < n; i += kLanes) {
    const V v = i < whole ? load(x + i) : load_n(x + i, n - i);
    squares = hn::MulAdd(v, v, squares);
  }
  const float mean = sum_of_lanes(squares) / static_cast<float>(n);
  const V scale = hn::Set(F32(), 1.0f / std::sqrt(mean + static_cast<float>(a.eps)));
  std::int64_t i = 0;
  for (; i < whole; i += kLanes)
    store(hn::Mul(hn::Mul(hn::Mul(load(x + i), scale), load(w + i)), silu(load(z + i))), y + i);
  if (i < n) {
    const V v = hn::Mul(hn::Mul(load_n(x + i, n - i), scale), load_n(w + i, n - i));
    store_n(hn::Mul(v, silu(load_n(z + i, n - i))), y + i, n - i);
  }
}

HeadFunction head_function(DType x, DType w, DType y) {
  return dispatch_float(x, [&]<class X>(X*) {
    return dispatch_float(
        w, [&]<class W>(W*) { return dispatch_float(y, [&]<class Y>(Y*) { return HeadFunction(head<X, W, Y>); }); });
  });
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace layercost
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace layercost {
namespace {

HWY_EXPORT(head_function);

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime&) {
  const GatedNormAxes a = gated_norm_axes(c);
  const auto w = row_major(*t.weight("w"));
  const GatedNormTensors tensors{t.tensor("x").data, t.tensor("z").data, w->view().data, t.tensor("y").data};
  const HeadFunction head = HWY_DYNAMIC_DISPATCH(head_function)(c.type("x_type"), w->view().dtype, c.type("y_type"));
  const bool parallel = a.tokens * a.width() >= kParallelElements;
  return invocation(
      [=] {
        (void)w;  // kept
        each_row_and_column(a.tokens, a.heads, parallel,
                            [&](std::int64_t token, std::int64_t h) { head(a, tensors, token, h); });
      },
      simd_target());
}

}  // namespace

const Variant gated_norm_highway_rows{
    .name = "highway_rows",
    .target = Target::cpu,
    .provider = "layercost",
    .knows = "x_type=f32|bf16 w_type=f32|bf16 y_type=f32|bf16 z_width",
    .make = prepare,
};

}  // namespace layercost
#endif
