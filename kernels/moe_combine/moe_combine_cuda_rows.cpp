// Every thread gathers the same eight columns of a token's top_k rows; single columns where hidden is no multiple of
// eight.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/moe_combine/moe_combine_cuda_rows_launch.h"

#include "kernels/cuda/cuda_variant.h"
#include "moe_combine_variants.h"

namespace layercost {
namespace {

Support supports(const OpCase&, const DeviceInfo& device) {
  return cuda_support(device, launch_moe_combine_cuda_rows != nullptr);
}

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime& runtime) {
  MoeCombineCudaRows p{};
  p.tokens = c.axis("tokens"), p.hidden = c.axis("hidden"), p.top_k = c.axis("top_k");
  p.x = t.tensor("x").data, p.slots = t.tensor("slots").as<std::int32_t>();
  p.weights = t.tensor("weights").as<float>(), p.y = t.tensor("y").data;
  if (c.flag("residual")) p.residual = t.tensor("residual").data;
  p.x_type = simt_type(c.type("x_type")), p.y_type = simt_type(c.type("y_type"));
  return invocation([p, &runtime] { runtime.check(launch_moe_combine_cuda_rows(p, runtime.stream()), "moe_combine"); });
}

}  // namespace

const Variant moe_combine_cuda_rows{
    .name = "cuda_rows",
    .target = Target::cuda,
    .provider = "layercost",
    .knows = "x_type=f32|bf16 y_type=f32|bf16 residual",
    .supports = supports,
    .make = prepare,
};

}  // namespace layercost
