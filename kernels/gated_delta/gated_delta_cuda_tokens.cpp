// A block per value head and 32 columns of its state, token after token, the state in registers.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <cmath>

#include "gated_delta_variants.h"
#include "kernels/cuda/cuda_variant.h"
#include "kernels/gated_delta/gated_delta.h"
#include "kernels/gated_delta/gated_delta_cuda_tokens_launch.h"

namespace layercost {
namespace {

Support supports(const OpCase& c, const DeviceInfo& device) {
  const GatedDeltaAxes a = gated_delta_axes(c);
  if (a.key_dim > kGatedDeltaMostKeyDim)
    return Support::no(fmt::format("has registers for key_dim up to {}", kGatedDeltaMostKeyDim));
  if (a.batch * a.heads * a.value_dim >= std::int64_t{1} << 30) return Support::no("has 2^30 columns or more");
  return cuda_support(device, launch_gated_delta_cuda_tokens != nullptr);
}

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime& runtime) {
  const GatedDeltaAxes a = gated_delta_axes(c);
  const auto a_log = on_device(*t.weight("a_log"), runtime), dt_bias = on_device(*t.weight("dt_bias"), runtime);
  GatedDeltaCudaTokens p{};
  p.batch = a.batch, p.q_len = a.q_len;
  p.heads = static_cast<int>(a.heads), p.key_heads = static_cast<int>(a.key_heads);
  p.key_dim = static_cast<int>(a.key_dim), p.value_dim = static_cast<int>(a.value_dim);
  p.q_scale = 1.0f / std::sqrt(static_cast<float>(a.key_dim));
  p.vectors = a.value_dim % 4 == 0;
  p.qkv = t.tensor("qkv").data, p.ba = t.tensor("ba").as<float>();
  p.a_log = a_log->view().as<float>(), p.dt_bias = dt_bias->view().as<float>();
  if (a.continued) p.state = t.tensor("state").as<float>();
  p.y = t.tensor("y").data, p.next = t.tensor("next_state").as<float>();
  p.x_type = simt_type(c.type("x_type")), p.y_type = simt_type(c.type("y_type"));
  return invocation([p, a_log, dt_bias, &runtime] {
    runtime.check(launch_gated_delta_cuda_tokens(p, runtime.stream()), "gated_delta");
  });
}

}  // namespace

const Variant gated_delta_cuda_tokens{
    .name = "cuda_tokens",
    .target = Target::cuda,
    .provider = "layercost",
    .knows = "x_type=f32|bf16 y_type=f32|bf16 continued",
    .supports = supports,
    .make = prepare,
};

}  // namespace layercost
