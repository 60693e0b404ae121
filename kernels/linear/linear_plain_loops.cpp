// Dot products over row-major weights, rows of w shared out among the threads. The fallback for machines and types that
// no library serves (oneDNN 2.6 refuses bf16 below AVX-512).
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "kernels/contract/dispatch.h"
#include "kernels/cpu/plain_dot.h"
#include "linear_variants.h"

namespace layercost {
namespace {

template <class X, class W, class Y>
void product(std::int64_t m, std::int64_t n, std::int64_t k, const X* x, const W* w, const W* bias, const Y* residual,
             Y* y) {
  constexpr std::int64_t kRows = 8;  // rows of w per step: they stay in the first-level cache over the m rows of x
#pragma omp parallel for schedule(static)
  for (std::int64_t block = 0; block < (n + kRows - 1) / kRows; ++block)
    for (std::int64_t i = 0; i < m; ++i)
      for (std::int64_t j = block * kRows; j < std::min(n, (block + 1) * kRows); ++j) {
        float v = plain_dot(x + i * k, w + j * k, k);
        if (bias != nullptr) v += load_f32(bias + j);
        if (residual != nullptr) v += load_f32(residual + i * n + j);
        store_f32(y + i * n + j, v);
      }
}

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime&) {
  const std::int64_t m = c.axis("m"), n = c.axis("n"), k = c.axis("k");
  const Tensor x = t.tensor("x"), y = t.tensor("y");
  const Tensor residual = c.flag("residual") ? t.tensor("residual") : Tensor{};
  const auto w = row_major(*t.weight("w"));
  const auto bias = c.flag("bias") ? row_major(*t.weight("bias")) : nullptr;
  return dispatch_float(x.dtype, [&]<class X>(X*) {
    return dispatch_float(w->view().dtype, [&]<class W>(W*) {
      return dispatch_float(y.dtype, [&]<class Y>(Y*) {
        return invocation([=] {
          product(m, n, k, x.as<X>(), w->view().as<W>(), bias ? bias->view().as<W>() : nullptr, residual.as<Y>(),
                  y.as<Y>());
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
    .knows = "x_type=f32|bf16 w_type=f32|bf16 y_type=f32|bf16 bias residual",
    .plain = true,
    .make = prepare,
};

}  // namespace layercost
