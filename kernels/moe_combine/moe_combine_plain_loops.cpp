// Blocks of 64 columns, whose sums stay in registers over the top_k rows.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "kernels/contract/dispatch.h"
#include "kernels/core/team.h"
#include "moe_combine_variants.h"

namespace layercost {
namespace {

template <class X, class Y>
void combine(std::int64_t tokens, std::int64_t hidden, std::int64_t top_k, const X* x, const std::int32_t* slots,
             const float* weights, const Y* residual, Y* y) {
  constexpr std::int64_t kBlock = 64;
  each_row(tokens, tokens * top_k * hidden > (1 << 16), [&](std::int64_t t) {
    for (std::int64_t begin = 0; begin < hidden; begin += kBlock) {
      const std::int64_t count = std::min(kBlock, hidden - begin);
      float sum[kBlock] = {};
      for (std::int64_t p = t * top_k; p < (t + 1) * top_k; ++p) {
        const X* row = x + slots[p] * hidden + begin;
        for (std::int64_t h = 0; h < count; ++h) sum[h] += weights[p] * load_f32(row + h);
      }
      const std::int64_t at = t * hidden + begin;
      for (std::int64_t h = 0; h < count; ++h)
        store_f32(y + at + h, residual != nullptr ? sum[h] + load_f32(residual + at + h) : sum[h]);
    }
  });
}

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime&) {
  const std::int64_t tokens = c.axis("tokens"), hidden = c.axis("hidden"), top_k = c.axis("top_k");
  const Tensor x = t.tensor("x"), slots = t.tensor("slots"), weights = t.tensor("weights"), y = t.tensor("y");
  const Tensor residual = c.flag("residual") ? t.tensor("residual") : Tensor{};
  return dispatch_float(x.dtype, [&]<class X>(X*) {
    return dispatch_float(y.dtype, [&]<class Y>(Y*) {
      return invocation([=] {
        combine(tokens, hidden, top_k, x.as<X>(), slots.as<std::int32_t>(), weights.as<float>(), residual.as<Y>(),
                y.as<Y>());
      });
    });
  });
}

}  // namespace

const Variant moe_combine_plain_loops{
    .name = "plain_loops",
    .target = Target::cpu,
    .provider = "layercost",
    .knows = "x_type=f32|bf16 y_type=f32|bf16 residual",
    .plain = true,
    .make = prepare,
};

}  // namespace layercost
