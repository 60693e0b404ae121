// Tasks are pieces of a token's row: of every channel the kernel's rows of x, which later tokens find in the cache. The
// weights are packed tap by tap.
// SPDX-License-Identifier: Apache-2.0
#define LAYERCOST_SIMD_FILE "kernels/causal_conv/causal_conv_highway_rows.cpp"
#include "kernels/cpu/simd_frame-inl.h"  // first

#include <algorithm>
#include <cstring>

#include "causal_conv_variants.h"
#include "kernels/causal_conv/causal_conv.h"
#include "kernels/contract/dispatch.h"
#include "kernels/core/team.h"
#include "kernels/cpu/sigmoid-inl.h"
#include "kernels/cpu/simd-inl.h"

#ifndef LAYERCOST_CAUSAL_CONV_ROWS
#define LAYERCOST_CAUSAL_CONV_ROWS
namespace layercost {
namespace {
// y[0 .. n) of one token. rows: of x at the first channel, one per tap, null: zeros; w: likewise, taps `stride` apart.
using PieceFunction = void (*)(const void* const* rows, std::int64_t taps, const float* w, std::int64_t stride,
                               std::int64_t n, void* y);
constexpr std::int64_t kMostTaps = 64;
}  // namespace
}  // namespace layercost
#endif

HWY_BEFORE_NAMESPACE();
namespace layercost {
namespace HWY_NAMESPACE {
namespace {

template <class X, class Y>
void piece(const void* const* rows, std::int64_t taps, const float* w, std::int64_t stride, std::int64_t n,
           void* y_data) {
  Y* y = static_cast<Y*>(y_data);
  for (std::int64_t i = 0; i < n; i += kLanes) {
    const bool whole = i + kLanes <= n;
    V sum = hn::Zero(F32());
    for (std::int64_t j = 0; j < taps; ++j) {
      if (rows[j] == nullptr) continue;
      const X* x = static_cast<const X*>(rows[j]) + i;
      const float* factor = w + j * stride + i;
      sum = whole ? hn::MulAdd(load(x), load(factor), sum) : hn::MulAdd(load_n(x, n - i), load_n(factor, n - i), sum);
    }
    if (whole) store(silu(sum), y + i);
    else store_n(silu(sum), y + i, n - i);
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

// [kernel, channels]
std::shared_ptr<const OwnedTensor> by_tap(const Weight& w, const CausalConvAxes& a) {
  return w.packed<OwnedTensor>("f32_by_column", [&] {
    const OwnedTensor all = w.whole();
    auto out = std::make_shared<OwnedTensor>(DType::f32, Shape{a.kernel, a.channels});
    for (std::int64_t c = 0; c < a.channels; ++c)
      for (std::int64_t j = 0; j < a.kernel; ++j)
        out->view().store(j * a.channels + c, all.view().load(c * a.kernel + j));
    return out;
  });
}

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime&) {
  constexpr std::int64_t kPiece = 1024;
  const CausalConvAxes a = causal_conv_axes(c);
  const Tensor x = t.tensor("x"), y = t.tensor("y"), next = t.tensor("next_state");
  const Tensor state = a.continued ? t.tensor("state") : Tensor{};
  const auto w = by_tap(*t.weight("w"), a);
  const PieceFunction piece = HWY_DYNAMIC_DISPATCH(piece_function)(x.dtype, y.dtype);
  const std::size_t x_bytes = size_of(x.dtype), y_bytes = size_of(y.dtype);
  const bool parallel = a.tokens() * a.channels >= kParallelElements;
  // Row `token` of sequence b; null: zeros.
  const auto row = [=](std::int64_t b, std::int64_t token) -> const std::byte* {
    const std::int64_t before = a.kernel - 1;
    if (token >= 0) return x.as<std::byte>() + (b * a.q_len + token) * a.x_width * x_bytes;
    return a.continued ? state.as<std::byte>() + (b * before + token + before) * a.channels * x_bytes : nullptr;
  };
  return invocation(
      [=] {
        each_row_and_column(a.tokens(), (a.channels + kPiece - 1) / kPiece, parallel,
                            [&](std::int64_t i, std::int64_t part) {
                              const std::int64_t begin = part * kPiece;
                              const void* rows[kMostTaps];
                              for (std::int64_t j = 0; j < a.kernel; ++j) {
                                const std::byte* from = row(i / a.q_len, i % a.q_len - a.kernel + 1 + j);
                                rows[j] = from == nullptr ? nullptr : from + begin * x_bytes;
                              }
                              piece(rows, a.kernel, w->view().as<float>() + begin, a.channels,
                                    std::min(kPiece, a.channels - begin),
                                    y.as<std::byte>() + (i * a.channels + begin) * y_bytes);
                            });
        const std::size_t row_bytes = a.channels * x_bytes;
        for (std::int64_t b = 0; b < a.batch; ++b)
          for (std::int64_t j = 0; j < a.kernel - 1; ++j) {
            const std::byte* from = row(b, a.q_len - a.kernel + 1 + j);
            std::byte* to = next.as<std::byte>() + (b * (a.kernel - 1) + j) * row_bytes;
            if (from != nullptr) std::memcpy(to, from, row_bytes);
            else std::memset(to, 0, row_bytes);
          }
      },
      simd_target());
}

}  // namespace

const Variant causal_conv_highway_rows{
    .name = "highway_rows",
    .target = Target::cpu,
    .provider = "layercost",
    .knows = "x_type=f32|bf16 w_type=f32|bf16 y_type=f32|bf16 x_width continued",
    .make = prepare,
};

}  // namespace layercost
#endif
