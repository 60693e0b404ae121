// Few tokens: every weight row of a chosen expert is read once and multiplied by the rows of all tokens that chose the
// expert. Two kernels, nothing is permuted.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "kernels/cuda/cuda_variant.h"
#include "kernels/moe_experts/moe_experts_cuda_gemv_launch.h"
#include "moe_experts_variants.h"

namespace layercost {
namespace {

// The crossover to tiles on tensor cores. H100, 128 experts of 2048 x 768, top 8: at 1 token 36.3 us beside 36.8 by
// cuda_small_tiles, at 2 64.2 beside 64.5, at 4 116 beside 111, at 8 238 beside 193.
static_assert(kMoeGemvMostTokens == 2);

Support supports(const OpCase& c, const DeviceInfo& device) {
  if (const Support s = cuda_support(device, launch_moe_experts_cuda_gemv != nullptr); !s) return s;
  const std::int64_t tokens = c.axis("tokens"), pairs = tokens * c.axis("top_k");
  if (tokens > kMoeGemvMostTokens) return Support::no(fmt::format("for at most {} tokens", kMoeGemvMostTokens));
  if (pairs > kMoeGemvMostPairs) return Support::no(fmt::format("for at most {} tokens x top_k", kMoeGemvMostPairs));
  if (c.axis("hidden") % 8 != 0 || c.axis("ffn_hidden") % 8 != 0)
    return Support::no("needs rows of whole 16-byte vectors: hidden and ffn_hidden in multiples of 8");
  return Support::yes();
}

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime& runtime) {
  const std::int64_t tokens = c.axis("tokens"), ffn = c.axis("ffn_hidden"), top_k = c.axis("top_k");
  const auto gate_up = on_device(*t.weight("w_gate_up"), runtime), down = on_device(*t.weight("w_down"), runtime);
  const auto h = std::make_shared<OwnedTensor>(runtime.tensor(DType::bf16, {tokens * top_k, ffn}));
  const MoeExpertsCudaGemv p{tokens,
                             c.axis("hidden"),
                             ffn,
                             top_k,
                             t.tensor("x").data,
                             gate_up->view().data,
                             down->view().data,
                             c.flag("residual") ? t.tensor("residual").data : nullptr,
                             t.tensor("ids").as<std::int32_t>(),
                             t.tensor("weights").as<float>(),
                             h->view().data,
                             t.tensor("y").data,
                             simt_type(c.type("y_type"))};
  return invocation([p, gate_up, down, h, &runtime] {
    runtime.check(launch_moe_experts_cuda_gemv(p, runtime.stream()), "moe_experts cuda_gemv");
  });
}

}  // namespace

const Variant moe_experts_cuda_gemv{
    .name = "cuda_gemv",
    .target = Target::cuda,
    .provider = "layercost",
    .knows = "act=silu x_type=bf16 w_type=bf16 y_type=f32|bf16 residual",
    .supports = supports,
    .make = prepare,
};

}  // namespace layercost
