// The chain of ops (kernels/moe_experts/moe_chain.h) on a GPU: every case that the ops take, such as f32 or odd sizes.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/cuda_variant.h"
#include "kernels/moe_experts/moe_chain.h"
#include "moe_experts_variants.h"

namespace layercost {
namespace {

Support supports(const OpCase& c, const DeviceInfo& device) {
  if (const Support s = cuda_support(device, true); !s) return s;  // whether it was built, the ops' variants say
  return moe_chain_supports(c, device);
}

}  // namespace

const Variant moe_experts_cuda_chain{
    .name = "cuda_chain",
    .target = Target::cuda,
    .provider = "layercost",
    .knows =
        "act=silu|clamped|gelu_tanh limit x_type=f32|bf16 w_type=* down_type=* y_type=f32|bf16 residual bias "
        "bias_type=f32|bf16 weigh_input",
    .supports = supports,
    .make = moe_chain_prepare,
};

}  // namespace layercost
