// One token per task: a pass that adds, stores the sum and squares, and a pass that scales. The second finds the row in
// the cache (5120 bf16 are 10 KB).
// SPDX-License-Identifier: Apache-2.0
#define LAYERCOST_SIMD_FILE "kernels/rms_norm/rms_norm_highway_rows.cpp"
#include "kernels/cpu/simd_frame-inl.h"  // first

#include <cmath>

#include "kernels/contract/dispatch.h"
#include "kernels/core/team.h"
#include "kernels/cpu/simd-inl.h"
#include "kernels/rms_norm/rms_norm.h"
#include "rms_norm_variants.h"

#ifndef LAYERCOST_RMS_NORM_ROWS
#define LAYERCOST_RMS_NORM_ROWS
namespace layercost {
namespace {
struct Rows {
  std::int64_t tokens, hidden;
  float eps;
  const void *x, *residual, *w, *addend;  // residual, addend: null without
  float factor;                           // behind the addend
  void *sum, *y;
  RmsNormFactors times;
};
using RowFunction = void (*)(const Rows&, std::int64_t token);
}  // namespace
}  // namespace layercost
#endif

HWY_BEFORE_NAMESPACE();
namespace layercost {
namespace HWY_NAMESPACE {
namespace {

// One row of x + residual, each times its factor, stored as the sum; or of x alone.
template <class X>
struct Input {
  const X *x, *residual;
  X* sum;
  V x_times, residual_times;
  HWY_INLINE V at(std::int64_t i) const {
    if (residual == nullptr) return load(x + i);
    const V v = hn::MulAdd(load(x + i), x_times, hn::Mul(load(residual + i), residual_times));
    store(v, sum + i);
    return as_stored(v, x);
  }
  HWY_INLINE V at_n(std::int64_t i, std::int64_t n) const {
    if (residual == nullptr) return load_n(x + i, n);
    const V v = hn::MulAdd(load_n(x + i, n), x_times, hn::Mul(load_n(residual + i, n), residual_times));
    store_n(v, sum + i, n);
    return as_stored(v, x);
  }
};

template <class X, class W, class Y>
void row(const Rows& r, std::int64_t token) {
  const std::int64_t n = r.hidden, whole = n - n % kLanes, at = token * n;
  const Input<X> in{static_cast<const X*>(r.x) + at,
                    r.residual != nullptr ? static_cast<const X*>(r.residual) + at : nullptr,
                    r.residual != nullptr ? static_cast<X*>(r.sum) + at : nullptr, hn::Set(F32(), r.times.x),
                    hn::Set(F32(), r.times.residual)};
  const W* w = static_cast<const W*>(r.w);
  Y* y = static_cast<Y*>(r.y) + at;

  V squares[4] = {hn::Zero(F32()), hn::Zero(F32()), hn::Zero(F32()), hn::Zero(F32())};  // four sums in flight
  std::int64_t i = 0;
  for (; i + 4 * kLanes <= n; i += 4 * kLanes)
    for (int j = 0; j < 4; ++j) {
      const V v = in.at(i + j * kLanes);
      squares[j] = hn::MulAdd(v, v, squares[j]);
    }
  for (; i < n; i += kLanes) {
    const V v = i < whole ? in.at(i) : in.at_n(i, n - i);
    squares[0] = hn::MulAdd(v, v, squares[0]);
  }
  const float sum = sum_of_lanes(hn::Add(hn::Add(squares[0], squares[1]), hn::Add(squares[2], squares[3])));
  const V scale = hn::Set(F32(), 1.0f / std::sqrt(sum / static_cast<float>(n) + r.eps));

  const X* s = in.sum != nullptr ? in.sum : in.x;
  if (r.addend != nullptr) {
    const Y* addend = static_cast<const Y*>(r.addend) + at;
    const V factor = hn::Set(F32(), r.factor);
    for (i = 0; i < whole; i += kLanes)
      store(hn::Mul(hn::MulAdd(hn::Mul(load(s + i), scale), load(w + i), load(addend + i)), factor), y + i);
    if (i < n) {
      const V v = hn::MulAdd(hn::Mul(load_n(s + i, n - i), scale), load_n(w + i, n - i), load_n(addend + i, n - i));
      store_n(hn::Mul(v, factor), y + i, n - i);
    }
    return;
  }
  if (r.times.y_of_sum != 0) {
    const V times = hn::Set(F32(), r.times.y_of_sum);
    for (i = 0; i < n; i += kLanes) {
      const bool all = i < whole;
      const V v = hn::Mul(hn::Mul(all ? load(s + i) : load_n(s + i, n - i), scale),
                          all ? load(w + i) : load_n(w + i, n - i));
      if (all) store(v, y + i), store(hn::Mul(v, times), in.sum + i);
      else store_n(v, y + i, n - i), store_n(hn::Mul(v, times), in.sum + i, n - i);
    }
    return;
  }
  for (i = 0; i < whole; i += kLanes) store(hn::Mul(hn::Mul(load(s + i), scale), load(w + i)), y + i);
  if (i < n) store_n(hn::Mul(hn::Mul(load_n(s + i, n - i), scale), load_n(w + i, n - i)), y + i, n - i);
}

RowFunction row_function(DType x, DType w, DType y) {
  return dispatch_float(x, [&]<class X>(X*) {
    return dispatch_float(
        w, [&]<class W>(W*) { return dispatch_float(y, [&]<class Y>(Y*) { return RowFunction(row<X, W, Y>); }); });
  });
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace layercost
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace layercost {
namespace {

HWY_EXPORT(row_function);

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime&) {
  const bool residual = c.flag("residual");
  const Tensor &x = t.tensor("x"), &y = t.tensor("y");
  const auto w = row_major(*t.weight("w"));
  const Rows rows{c.axis("tokens"),
                  c.axis("hidden"),
                  static_cast<float>(c.real("eps")),
                  x.data,
                  residual ? t.tensor("residual").data : nullptr,
                  w->view().data,
                  c.flag("added") ? t.tensor("addend").data : nullptr,
                  c.flag("scaled") ? *row_major(*t.weight("scale"))->view().as<float>() : 1.0f,
                  residual ? t.tensor("sum").data : nullptr,
                  y.data,
                  rms_norm_factors(c)};
  const RowFunction row = HWY_DYNAMIC_DISPATCH(row_function)(x.dtype, w->view().dtype, y.dtype);
  const bool parallel = rows.tokens > 1 && rows.tokens * rows.hidden >= kParallelElements;
  return invocation(
      [rows, w, row, parallel] {
        each_row(rows.tokens, parallel, [&](std::int64_t token) { row(rows, token); });
      },
      simd_target());
}

}  // namespace

const Variant rms_norm_highway_rows{
    .name = "highway_rows",
    .target = Target::cpu,
    .provider = "layercost",
    .knows = "x_type=f32|bf16 w_type=f32|bf16 y_type=f32|bf16 residual added scaled x_times residual_times y_times",
    .make = prepare,
};

}  // namespace layercost
#endif
