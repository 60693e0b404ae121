// SPDX-License-Identifier: Apache-2.0
#include "kernels/lightning_attention/lightning_attention_highway.h"

#include "kernels/cpu/heads_on_threads.h"

namespace layercost {

std::unique_ptr<Invocation> lightning_attention_by_heads(const OpCase& c, const OpTensors& t,
                                                         std::int64_t scratch_floats, LightningAttentionFunction head) {
  const auto slopes = row_major(*t.weight("slopes"));
  const LightningAttentionAxes a = lightning_attention_axes(c);
  const LightningAttention d{.a = a,
                             .qkv = t.tensor("qkv").data,
                             .slopes = slopes->view().as<float>(),
                             .state = a.continued ? t.tensor("state").as<float>() : nullptr,
                             .y = t.tensor("y").data,
                             .next = t.tensor("next_state").as<float>()};
  return heads_on_threads(d, scratch_floats, head, slopes);
}

}  // namespace layercost
