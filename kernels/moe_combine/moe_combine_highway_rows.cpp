// Two vectors of sums at a time stay in registers over the top_k rows. Tasks are pieces of a row, so that one token of
// a wide layer still occupies all threads.
// SPDX-License-Identifier: Apache-2.0
#define LAYERCOST_SIMD_FILE "kernels/moe_combine/moe_combine_highway_rows.cpp"
#include "kernels/cpu/simd_frame-inl.h"  // first

#include <algorithm>

#include "kernels/contract/dispatch.h"
#include "kernels/core/team.h"
#include "kernels/cpu/simd-inl.h"
#include "moe_combine_variants.h"

#ifndef LAYERCOST_MOE_COMBINE_PIECE
#define LAYERCOST_MOE_COMBINE_PIECE
namespace layercost {
namespace {
struct Combine {
  std::int64_t hidden, top_k;
  const void *x, *residual;  // residual: null without
  const std::int32_t* slots;
  const float* weights;
  void* y;
};
// Elements begin .. end - 1 of one token.
using PieceFunction = void (*)(const Combine&, std::int64_t token, std::int64_t begin, std::int64_t end);
}  // namespace
}  // namespace layercost
#endif

HWY_BEFORE_NAMESPACE();
namespace layercost {
namespace HWY_NAMESPACE {
namespace {

template <class X, class Y>
void piece(const Combine& c, std::int64_t token, std::int64_t begin, std::int64_t end) {
  const F32 d;
  const X* x = static_cast<const X*>(c.x);
  const Y* residual = c.residual != nullptr ? static_cast<const Y*>(c.residual) + token * c.hidden : nullptr;
  Y* y = static_cast<Y*>(c.y) + token * c.hidden;
  const std::int32_t* slots = c.slots + token * c.top_k;
  const float* weights = c.weights + token * c.top_k;
  std::int64_t i = begin;
  for (; i + 2 * kLanes <= end; i += 2 * kLanes) {
    V a = hn::Zero(d), b = hn::Zero(d);
    for (std::int64_t j = 0; j < c.top_k; ++j) {
      const X* row = x + slots[j] * c.hidden + i;
      const V w = hn::Set(d, weights[j]);
      a = hn::MulAdd(w, load(row), a);
      b = hn::MulAdd(w, load(row + kLanes), b);
    }
    if (residual != nullptr) {
      a = hn::Add(a, load(residual + i));
      b = hn::Add(b, load(residual + i + kLanes));
    }
    store(a, y + i);
    store(b, y + i + kLanes);
  }
  for (; i < end; i += kLanes) {
    const std::int64_t n = std::min<std::int64_t>(kLanes, end - i);
    V a = hn::Zero(d);
    for (std::int64_t j = 0; j < c.top_k; ++j)
      a = hn::MulAdd(hn::Set(d, weights[j]), load_n(x + slots[j] * c.hidden + i, n), a);
    if (residual != nullptr) a = hn::Add(a, load_n(residual + i, n));
    store_n(a, y + i, n);
  }
}

PieceFunction piece_function(DType x, DType y) {
  return dispatch_float(
      x, [&]<class X>(X*) { return dispatch_float(y, [&]<class Y>(Y*) { return PieceFunction(piece<X, Y>); }); });
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace layercost
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace layercost {
namespace {

HWY_EXPORT(piece_function);

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime&) {
  constexpr std::int64_t kPiece = 1024;
  const std::int64_t tokens = c.axis("tokens"), hidden = c.axis("hidden"), top_k = c.axis("top_k");
  const Tensor x = t.tensor("x"), y = t.tensor("y");
  const Combine combine{hidden,
                        top_k,
                        x.data,
                        c.flag("residual") ? t.tensor("residual").data : nullptr,
                        t.tensor("slots").as<std::int32_t>(),
                        t.tensor("weights").as<float>(),
                        y.data};
  const PieceFunction piece = HWY_DYNAMIC_DISPATCH(piece_function)(x.dtype, y.dtype);
  const bool parallel = tokens * top_k * hidden >= 4 * kParallelElements;  // an element of x is one multiply-add
  return invocation(
      [=] {
        each_row_and_column(tokens, (hidden + kPiece - 1) / kPiece, parallel, [&](std::int64_t token, std::int64_t i) {
          piece(combine, token, i * kPiece, std::min(hidden, (i + 1) * kPiece));
        });
      },
      simd_target());
}

}  // namespace

const Variant moe_combine_highway_rows{
    .name = "highway_rows",
    .target = Target::cpu,
    .provider = "layercost",
    .knows = "x_type=f32|bf16 y_type=f32|bf16 residual",
    .make = prepare,
};

}  // namespace layercost
#endif
