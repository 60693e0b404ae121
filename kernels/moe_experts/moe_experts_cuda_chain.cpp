// The chain of ops (kernels/shared/moe_chain.h) on a GPU: every case that the ops take, such as f32 or odd sizes.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/shared/cuda_variant.h"
#include "kernels/shared/moe_chain.h"
#include "moe_experts_variants.h"

namespace layercost {
namespace {

Support supports(const OpCase& c, const DeviceInfo& device) {
  if (const Support s = cuda_support(device, true); !s) return s;  // whether it was built, the ops' variants say
  return moe_chain_supports(c, device);
}

}  // namespace

const Variant moe_experts_cuda_chain{"cuda_chain", Target::cuda, "layercost", supports, moe_chain_prepare};

}  // namespace layercost
