// SPDX-License-Identifier: Apache-2.0
#include "kernels/gated_delta/gated_delta_highway.h"

#include "kernels/cpu/heads_on_threads.h"

namespace layercost {

std::unique_ptr<Invocation> gated_delta_by_heads(const OpCase& c, const OpTensors& t, std::int64_t scratch_floats,
                                                 GatedDeltaFunction head) {
  const auto a_log = row_major(*t.weight("a_log")), dt_bias = row_major(*t.weight("dt_bias"));
  const GatedDeltaAxes a = gated_delta_axes(c);
  const GatedDelta d{.a = a,
                     .qkv = t.tensor("qkv").data,
                     .ba = t.tensor("ba").as<float>(),
                     .a_log = a_log->view().as<float>(),
                     .dt_bias = dt_bias->view().as<float>(),
                     .state = a.continued ? t.tensor("state").as<float>() : nullptr,
                     .y = t.tensor("y").data,
                     .next = t.tensor("next_state").as<float>()};
  return heads_on_threads(d, scratch_floats, head, a_log, dt_bias);
}

}  // namespace layercost
