// Half a warp per head of a token.
// SPDX-License-Identifier: Apache-2.0
#include "gated_norm_variants.h"
#include "kernels/cuda/cuda_variant.h"
#include "kernels/gated_norm/gated_norm.h"
#include "kernels/gated_norm/gated_norm_cuda_heads_launch.h"

namespace layercost {
namespace {

Support supports(const OpCase& c, const DeviceInfo& device) {
  const GatedNormAxes a = gated_norm_axes(c);
  // Blocks are numbered in 31 bits, 16 heads each; dims in 32.
  if (a.tokens * a.heads >= std::int64_t{1} << 34 || a.dim >= std::int64_t{1} << 30)
    return Support::no("has 2^34 heads or 2^30 dims or more");
  return cuda_support(device, launch_gated_norm_cuda_heads != nullptr);
}

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime& runtime) {
  const GatedNormAxes a = gated_norm_axes(c);
  const auto w = on_device(*t.weight("w"), runtime);
  GatedNormCudaHeads p{};
  p.tokens = a.tokens, p.z_width = a.z_width, p.eps = static_cast<float>(a.eps);
  p.heads = static_cast<int>(a.heads), p.dim = static_cast<int>(a.dim);
  p.width = a.dim % 8 == 0 && a.z_width % 8 == 0 ? 8 : 1;
  p.x = t.tensor("x").data, p.z = t.tensor("z").data, p.w = w->view().data, p.y = t.tensor("y").data;
  p.x_type = simt_type(c.type("x_type")), p.w_type = simt_type(c.type("w_type"));
  p.y_type = simt_type(c.type("y_type"));
  return invocation(
      [p, w, &runtime] { runtime.check(launch_gated_norm_cuda_heads(p, runtime.stream()), "gated_norm"); });
}

}  // namespace

const Variant gated_norm_cuda_heads{
    .name = "cuda_heads",
    .target = Target::cuda,
    .provider = "layercost",
    .knows = "x_type=f32|bf16 w_type=f32|bf16 y_type=f32|bf16 z_width",
    .supports = supports,
    .make = prepare,
};

}  // namespace layercost
