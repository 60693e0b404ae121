// Dot products over row-major weights, rows of w shared out among the threads. The fallback for machines and types that
// no library serves (oneDNN 2.6 refuses bf16 below AVX-512).
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <vector>

#include "kernels/contract/dispatch.h"
#include "kernels/core/team.h"
#include "kernels/cpu/plain_dot.h"
#include "kernels/linear/linear.h"
#include "linear_variants.h"

namespace layercost {
namespace {

// Rows begin .. end - 1 of w, of which `w` is the first.
template <class X, class W, class B, class Y>
void rows_of(std::int64_t begin, std::int64_t end, std::int64_t m, std::int64_t y_stride, std::int64_t k, const X* x,
             const W* w, const B* bias, const Y* residual, Y* y) {
  for (std::int64_t i = 0; i < m; ++i)
    for (std::int64_t j = begin; j < end; ++j) {
      float v = plain_dot(x + i * k, w + (j - begin) * k, k);
      if (bias != nullptr) v += load_f32(bias + j);
      if (residual != nullptr) v += load_f32(residual + i * y_stride + j);
      store_f32(y + i * y_stride + j, v);
    }
}

constexpr std::int64_t kRows = 8;  // rows of w per step: they stay in the first-level cache over the m rows of x

template <class X, class W, class B, class Y>
void product(std::int64_t m, std::int64_t n, std::int64_t k, std::int64_t y_stride, const X* x, const W* w,
             const B* bias, const Y* residual, Y* y) {
  each_row((n + kRows - 1) / kRows, true, [&](std::int64_t i) {
    const std::int64_t begin = i * kRows;
    rows_of(begin, std::min(n, begin + kRows), m, y_stride, k, x, w + begin * k, bias, residual, y);
  });
}

// w's rows are decoded as they are needed: what is read is the codes.
template <class X, class B, class Y>
void product(std::int64_t m, std::int64_t n, std::int64_t k, std::int64_t y_stride, const X* x, const CodedWeight& w,
             const B* bias, const Y* residual, Y* y) {
  each_row((n + kRows - 1) / kRows, true, [&](std::int64_t i) {
    thread_local std::vector<float> rows;
    rows.resize(static_cast<std::size_t>(kRows * k));
    const std::int64_t begin = i * kRows, end = std::min(n, begin + kRows);
    for (std::int64_t j = begin; j < end; ++j) w.decode(j, 0, k, rows.data() + (j - begin) * k);
    rows_of(begin, end, m, y_stride, k, x, rows.data(), bias, residual, y);
  });
}

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime&) {
  const std::int64_t m = c.axis("m"), n = c.axis("n"), k = c.axis("k");
  const Tensor x = t.tensor("x"), y = t.tensor("y");
  const LinearOutput out = linear_output(c, y);
  const Tensor residual = c.flag("residual") ? t.tensor("residual") : Tensor{};
  const std::shared_ptr<const Weight> weight = t.weight("w");
  const auto bias = c.flag("bias") ? row_major(*t.weight("bias")) : nullptr;
  return dispatch_float(x.dtype, [&]<class X>(X*) {
    return dispatch_float(bias ? bias->view().dtype : DType::f32, [&]<class B>(B*) {
      return dispatch_float(y.dtype, [&]<class Y>(Y*) -> std::unique_ptr<Invocation> {
        const auto run = [=](const auto& w) {
          product(m, n, k, out.stride, x.as<X>(), w, bias ? bias->view().as<B>() : nullptr, residual.as<Y>(),
                  static_cast<Y*>(out.data));
        };
        if (!weight->format().is_plain()) {
          weight->coded();  // made here, not when it is timed
          return invocation([=] { run(weight->coded()); });
        }
        const auto w = row_major(*weight);
        return dispatch_float(w->view().dtype, [&]<class W>(W*) {
          return invocation([=] { run(static_cast<const W*>(w->view().template as<W>())); });
        });
      });
    });
  });
}

}  // namespace

const Variant linear_plain_loops{
    .name = "plain_loops",
    .target = Target::cpu,
    .provider = "layercost",
    .knows = "x_type=f32|bf16 w_type=* y_type=f32|bf16 bias bias_type=f32|bf16 residual y_width y_first",
    .plain = true,
    .make = prepare,
};

}  // namespace layercost
