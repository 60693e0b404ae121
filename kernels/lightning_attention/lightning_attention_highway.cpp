// SPDX-License-Identifier: Apache-2.0
#include "kernels/lightning_attention/lightning_attention_highway.h"

#include "kernels/core/team.h"
#include "kernels/cpu/simd.h"

namespace layercost {

std::unique_ptr<Invocation> lightning_attention_by_heads(const OpCase& c, const OpTensors& t,
                                                         std::int64_t scratch_floats, LightningAttentionFunction head) {
  const auto slopes = row_major(*t.weight("slopes"));
  const LightningAttentionAxes a = lightning_attention_axes(c);
  const auto scratch = std::make_shared<const OwnedTensor>(DType::f32, Shape{team_threads(), scratch_floats});
  const LightningAttention d{.a = a,
                             .qkv = t.tensor("qkv").data,
                             .slopes = slopes->view().as<float>(),
                             .state = a.continued ? t.tensor("state").as<float>() : nullptr,
                             .y = t.tensor("y").data,
                             .next = t.tensor("next_state").as<float>(),
                             .scratch = scratch->view().as<float>(),
                             .scratch_floats = scratch_floats};
  return invocation(
      [d, head, slopes, scratch] {
        each_piece(d.a.batch * d.a.heads, [&](int thread, std::int64_t i, std::int64_t) {
          head(d, i / d.a.heads, i % d.a.heads, d.scratch + thread * d.scratch_floats);
        });
      },
      simd_target());
}

}  // namespace layercost
