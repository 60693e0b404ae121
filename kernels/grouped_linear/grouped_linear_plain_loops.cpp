// Dot products over row-major weights: each step is one expert and eight of its rows, which stay in the first-level
// cache over the expert's rows of x. Steps are shared out as threads become free, because experts have unequal numbers
// of rows.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "grouped_linear_variants.h"
#include "kernels/contract/dispatch.h"
#include "kernels/cpu/plain_dot.h"

namespace layercost {
namespace {

template <class X, class W, class Y>
void product(std::int64_t experts, std::int64_t n, std::int64_t k, const X* x, const std::int32_t* offsets, const W* w,
             Y* y) {
  constexpr std::int64_t kRows = 8;
#pragma omp parallel for collapse(2) schedule(dynamic, 4)
  for (std::int64_t e = 0; e < experts; ++e)
    for (std::int64_t block = 0; block < (n + kRows - 1) / kRows; ++block)
      for (std::int64_t r = offsets[e]; r < offsets[e + 1]; ++r)
        for (std::int64_t j = block * kRows; j < std::min(n, (block + 1) * kRows); ++j)
          store_f32(y + r * n + j, plain_dot(x + r * k, w + (e * n + j) * k, k));
}

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime&) {
  const std::int64_t experts = c.axis("experts"), n = c.axis("n"), k = c.axis("k");
  const Tensor x = t.tensor("x"), offsets = t.tensor("offsets"), y = t.tensor("y");
  const auto w = row_major(*t.weight("w"));
  return dispatch_float(x.dtype, [&]<class X>(X*) {
    return dispatch_float(w->view().dtype, [&]<class W>(W*) {
      return dispatch_float(y.dtype, [&]<class Y>(Y*) {
        return invocation(
            [=] { product(experts, n, k, x.as<X>(), offsets.as<std::int32_t>(), w->view().as<W>(), y.as<Y>()); });
      });
    });
  });
}

}  // namespace

const Variant grouped_linear_plain_loops{
    .name = "plain_loops",
    .target = Target::cpu,
    .provider = "layercost",
    .knows = "x_type=f32|bf16 w_type=f32|bf16 y_type=f32|bf16",
    .plain = true,
    .make = prepare,
};

}  // namespace layercost
