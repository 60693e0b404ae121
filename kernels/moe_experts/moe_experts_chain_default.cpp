// The chain of ops (kernels/moe_experts/moe_chain.h) on a CPU.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/moe_experts/moe_chain.h"
#include "moe_experts_variants.h"

namespace layercost {

const Variant moe_experts_chain_default{
    .name = "chain_default",
    .target = Target::cpu,
    .provider = "layercost",
    .knows =
        "act=silu|clamped|gelu_tanh limit x_type=f32|bf16 w_type=* down_type=* y_type=f32|bf16 residual bias "
        "bias_type=f32|bf16 weigh_input",
    .supports = moe_chain_supports,
    .make = moe_chain_prepare,
};

}  // namespace layercost
