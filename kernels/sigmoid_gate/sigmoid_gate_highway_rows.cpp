// Tasks are pieces of a row. Gates that several neighbours share are worked out one by one, others in vectors.
// SPDX-License-Identifier: Apache-2.0
#define LAYERCOST_SIMD_FILE "kernels/sigmoid_gate/sigmoid_gate_highway_rows.cpp"
#include "kernels/cpu/simd_frame-inl.h"  // first

#include <algorithm>
#include <cmath>

#include "kernels/contract/dispatch.h"
#include "kernels/core/team.h"
#include "kernels/cpu/sigmoid-inl.h"
#include "kernels/cpu/simd-inl.h"
#include "kernels/sigmoid_gate/sigmoid_gate.h"
#include "sigmoid_gate_variants.h"

#ifndef LAYERCOST_SIGMOID_GATE_PIECES
#define LAYERCOST_SIGMOID_GATE_PIECES
namespace layercost {
namespace {
// y[0 .. n) = x * sigmoid(gate), a gate for each, or `one` for all.
using PieceFunction = void (*)(const void* x, const void* gate, bool one, std::int64_t n, void* y);
}  // namespace
}  // namespace layercost
#endif

HWY_BEFORE_NAMESPACE();
namespace layercost {
namespace HWY_NAMESPACE {
namespace {

template <class X, class G, class Y>
void piece(const void* x_data, const void* gate_data, bool one, std::int64_t n, void* y_data) {
  const X* x = static_cast<const X*>(x_data);
  const G* gate = static_cast<const G*>(gate_data);
  Y* y = static_cast<Y*>(y_data);
  std::int64_t i = 0;
  if (one) {
    const V factor = hn::Set(F32(), 1.0f / (1.0f + std::exp(-load_f32(gate))));
    for (; i + kLanes <= n; i += kLanes) store(hn::Mul(load(x + i), factor), y + i);
    if (i < n) store_n(hn::Mul(load_n(x + i, n - i), factor), y + i, n - i);
    return;
  }
  for (; i + kLanes <= n; i += kLanes) store(times_sigmoid(load(x + i), load(gate + i)), y + i);
  if (i < n) store_n(times_sigmoid(load_n(x + i, n - i), load_n(gate + i, n - i)), y + i, n - i);
}

PieceFunction piece_function(DType x, DType g, DType y) {
  return dispatch_float(x, [&]<class X>(X*) {
    return dispatch_float(
        g, [&]<class G>(G*) { return dispatch_float(y, [&]<class Y>(Y*) { return PieceFunction(piece<X, G, Y>); }); });
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
  const SigmoidGateAxes a = sigmoid_gate_axes(c);
  const Tensor x = t.tensor("x"), gate = t.tensor("gate"), y = t.tensor("y");
  const PieceFunction piece = HWY_DYNAMIC_DISPATCH(piece_function)(x.dtype, gate.dtype, y.dtype);
  const bool one = a.group() > 1, parallel = a.tokens * a.width >= kParallelElements;
  const std::int64_t length = one ? a.group() : std::min<std::int64_t>(a.width, 2048);
  const std::int64_t pieces = (a.width + length - 1) / length;
  return invocation(
      [=] {
        each_row_and_column(a.tokens, pieces, parallel, [&](std::int64_t token, std::int64_t i) {
          const std::int64_t begin = i * length, at = token * a.width + begin;
          piece(x.as<std::byte>() + at * size_of(x.dtype),
                gate.as<std::byte>() + (token * a.gates + begin / a.group()) * size_of(gate.dtype), one,
                std::min(length, a.width - begin), y.as<std::byte>() + at * size_of(y.dtype));
        });
      },
      simd_target());
}

}  // namespace

const Variant sigmoid_gate_highway_rows{
    .name = "highway_rows",
    .target = Target::cpu,
    .provider = "layercost",
    .knows = "x_type=f32|bf16 gate_type=f32|bf16 y_type=f32|bf16",
    .make = prepare,
};

}  // namespace layercost
#endif
