// Tasks are pieces of a row, so that one token of a wide layer still occupies all threads.
// SPDX-License-Identifier: Apache-2.0
#define LAYERCOST_SIMD_FILE "kernels/glu/glu_highway_rows.cpp"
#include "kernels/cpu/simd_frame-inl.h"  // first

#include <algorithm>

#include "glu_variants.h"
#include "kernels/contract/dispatch.h"
#include "kernels/contract/glu_act.h"
#include "kernels/core/team.h"
#include "kernels/cpu/sigmoid-inl.h"
#include "kernels/cpu/simd-inl.h"

#ifndef LAYERCOST_GLU_PIECES
#define LAYERCOST_GLU_PIECES
namespace layercost {
namespace {
// y[0 .. n) = act(gate, up); limit: of clamped.
using PieceFunction = void (*)(const void* gate, const void* up, std::int64_t n, float limit, void* y);
}  // namespace
}  // namespace layercost
#endif

HWY_BEFORE_NAMESPACE();
namespace layercost {
namespace HWY_NAMESPACE {
namespace {

template <GluKind kKind>
HWY_INLINE V activate(V gate, V up, V limit) {
  const F32 d;
  V exponent;
  if constexpr (kKind == GluKind::clamped) {
    gate = hn::Min(gate, limit);
    up = hn::Add(hn::Max(hn::Min(up, limit), hn::Neg(limit)), hn::Set(d, 1.0f));
    exponent = hn::Mul(gate, hn::Set(d, static_cast<float>(-kClampedAlpha)));
  } else if constexpr (kKind == GluKind::gelu_tanh) {
    const V cubed = hn::Mul(hn::Mul(gate, gate), gate);
    exponent = hn::Mul(hn::MulAdd(hn::Set(d, static_cast<float>(kGeluCubic)), cubed, gate),
                       hn::Set(d, static_cast<float>(-kGeluSlope)));
  } else {
    exponent = hn::Neg(gate);
  }
  return hn::Mul(over_one_plus_exp(gate, exponent), up);
}

template <GluKind kKind, class X, class Y>
void piece(const void* gate_data, const void* up_data, std::int64_t n, float limit_value, void* y_data) {
  const V limit = hn::Set(F32(), limit_value);
  const X *gate = static_cast<const X*>(gate_data), *up = static_cast<const X*>(up_data);
  Y* y = static_cast<Y*>(y_data);
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) store(activate<kKind>(load(gate + i), load(up + i), limit), y + i);
  if (i < n) store_n(activate<kKind>(load_n(gate + i, n - i), load_n(up + i, n - i), limit), y + i, n - i);
}

PieceFunction piece_function(DType x, DType y, GluKind kind) {
  return dispatch_float(x, [&]<class X>(X*) {
    return dispatch_float(y, [&]<class Y>(Y*) {
      return kind == GluKind::clamped     ? PieceFunction(piece<GluKind::clamped, X, Y>)
             : kind == GluKind::gelu_tanh ? PieceFunction(piece<GluKind::gelu_tanh, X, Y>)
                                          : PieceFunction(piece<GluKind::silu, X, Y>);
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

HWY_EXPORT(piece_function);

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime&) {
  constexpr std::int64_t kPiece = 2048;
  const std::int64_t tokens = c.axis("tokens"), n = c.axis("ffn_hidden");
  const GluAct act = glu_act(c);
  const auto limit = static_cast<float>(act.limit);
  const Tensor x = t.tensor("x"), y = t.tensor("y");
  const PieceFunction piece = HWY_DYNAMIC_DISPATCH(piece_function)(x.dtype, y.dtype, act.kind);
  const bool parallel = tokens * n >= kParallelElements;
  return invocation(
      [=] {
        each_row_and_column(tokens, (n + kPiece - 1) / kPiece, parallel, [&](std::int64_t token, std::int64_t i) {
          const std::int64_t begin = i * kPiece;
          const std::byte* gate = x.as<std::byte>() + (token * 2 * n + begin) * size_of(x.dtype);
          piece(gate, gate + n * size_of(x.dtype), std::min(kPiece, n - begin), limit,
                y.as<std::byte>() + (token * n + begin) * size_of(y.dtype));
        });
      },
      simd_target());
}

}  // namespace

const Variant glu_highway_rows{
    .name = "highway_rows",
    .target = Target::cpu,
    .provider = "layercost",
    .knows = "act=silu|clamped|gelu_tanh limit x_type=f32|bf16 y_type=f32|bf16",
    .make = prepare,
};

}  // namespace layercost
#endif
