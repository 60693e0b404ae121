// SPDX-License-Identifier: Apache-2.0
#include "kernels/gated_delta/gated_delta_highway.h"


#include "kernels/core/team.h"
#include "kernels/cpu/simd.h"

namespace layercost {

std::unique_ptr<Invocation> gated_delta_by_heads(const OpCase& c, const OpTensors& t, std::int64_t scratch_floats,
                                                 GatedDeltaFunction head) {
  const auto a_log = row_major(*t.weight("a_log")), dt_bias = row_major(*t.weight("dt_bias"));
  const GatedDeltaAxes a = gated_delta_axes(c);
  const int threads = team_threads();
  const auto scratch = std::make_shared<const OwnedTensor>(DType::f32, Shape{threads, scratch_floats});
  const GatedDelta d{.a = a,
                     .qkv = t.tensor("qkv").data,
                     .ba = t.tensor("ba").as<float>(),
                     .a_log = a_log->view().as<float>(),
                     .dt_bias = dt_bias->view().as<float>(),
                     .state = a.continued ? t.tensor("state").as<float>() : nullptr,
                     .y = t.tensor("y").data,
                     .next = t.tensor("next_state").as<float>(),
                     .scratch = scratch->view().as<float>(),
                     .scratch_floats = scratch_floats};
  return invocation(
      [d, head, a_log, dt_bias, scratch] {
        each_piece(d.a.batch * d.a.heads, [&](int thread, std::int64_t i, std::int64_t) {
          head(d, i / d.a.heads, i % d.a.heads, d.scratch + thread * d.scratch_floats);
        });
      },
      simd_target());
}

}  // namespace layercost
