// Any sizes and types, in f32 without tensor cores: up to four rows a warp per column, else tiles of 64 x 64.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/linear/linear_cuda_plain_launch.h"

#include "kernels/cuda/cuda_variant.h"
#include "linear_variants.h"

namespace layercost {
namespace {

Support supports(const OpCase&, const DeviceInfo& device) {
  return cuda_support(device, launch_linear_cuda_plain != nullptr);
}

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime& runtime) {
  const auto w = on_device(*t.weight("w"), runtime);
  const auto bias = c.flag("bias") ? on_device(*t.weight("bias"), runtime) : nullptr;
  LinearCudaPlain p{};
  p.m = c.axis("m"), p.n = c.axis("n"), p.k = c.axis("k");
  p.x = t.tensor("x").data, p.w = w->view().data, p.y = t.tensor("y").data;
  if (bias) p.bias = bias->view().data;
  if (c.flag("residual")) p.residual = t.tensor("residual").data;
  p.x_type = simt_type(c.type("x_type")), p.w_type = simt_type(c.type("w_type"));
  p.y_type = simt_type(c.type("y_type"));
  return invocation(
      [p, w, bias, &runtime] { runtime.check(launch_linear_cuda_plain(p, runtime.stream()), "linear cuda_plain"); });
}

}  // namespace

const Variant linear_cuda_plain{
    .name = "cuda_plain",
    .target = Target::cuda,
    .provider = "layercost",
    .knows = "x_type=f32|bf16 w_type=f32|bf16 y_type=f32|bf16 bias residual",
    .supports = supports,
    .plain = true,
    .make = prepare,
};

}  // namespace layercost
