// Any sizes and types, in f32 without tensor cores: up to 32 rows a warp per row and column, else tiles of 64 x 64
// whose experts are looked up on the device.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/grouped_linear/grouped_linear_cuda_plain_launch.h"

#include "grouped_linear_variants.h"
#include "kernels/cuda/cuda_variant.h"

namespace layercost {
namespace {

Support supports(const OpCase&, const DeviceInfo& device) {
  return cuda_support(device, launch_grouped_linear_cuda_plain != nullptr);
}

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime& runtime) {
  const auto w = on_device(*t.weight("w"), runtime);
  GroupedLinearCudaPlain p{};
  p.rows = c.axis("rows"), p.experts = c.axis("experts"), p.n = c.axis("n"), p.k = c.axis("k");
  p.x = t.tensor("x").data, p.w = w->view().data, p.y = t.tensor("y").data;
  p.offsets = t.tensor("offsets").as<std::int32_t>();
  p.x_type = simt_type(c.type("x_type")), p.w_type = simt_type(c.type("w_type"));
  p.y_type = simt_type(c.type("y_type"));
  const auto bias = c.flag("bias") ? on_device(*t.weight("bias"), runtime) : nullptr;
  if (bias) p.bias = bias->view().data, p.bias_type = simt_type(bias->view().dtype);
  return invocation([p, w, bias, &runtime] {
    runtime.check(launch_grouped_linear_cuda_plain(p, runtime.stream()), "grouped_linear cuda_plain");
  });
}

}  // namespace

const Variant grouped_linear_cuda_plain{
    .name = "cuda_plain",
    .target = Target::cuda,
    .provider = "layercost",
    .knows = "x_type=f32|bf16 w_type=f32|bf16 y_type=f32|bf16 bias",
    .supports = supports,
    .plain = true,
    .make = prepare,
};

}  // namespace layercost
