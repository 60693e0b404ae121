// The chain of ops (kernels/shared/moe_chain.h) on a CPU.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/shared/moe_chain.h"
#include "moe_experts_variants.h"

namespace layercost {

const Variant moe_experts_chain_default{"chain_default", Target::cpu, "layercost", moe_chain_supports,
                                        moe_chain_prepare};

}  // namespace layercost
