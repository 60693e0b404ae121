// A block per head and 32 columns of its state, token after token, the state in registers.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "kernels/cuda/cuda_variant.h"
#include "kernels/lightning_attention/lightning_attention.h"
#include "kernels/lightning_attention/lightning_attention_cuda_tokens_launch.h"
#include "lightning_attention_variants.h"

namespace layercost {
namespace {

Support supports(const OpCase& c, const DeviceInfo& device) {
  const LightningAttentionAxes a = lightning_attention_axes(c);
  if (a.head_dim > kLightningMostHeadDim)
    return Support::no(fmt::format("has registers for head_dim up to {}", kLightningMostHeadDim));
  if (a.batch * a.heads * a.head_dim >= std::int64_t{1} << 30) return Support::no("has 2^30 columns or more");
  return cuda_support(device, launch_lightning_attention_cuda_tokens != nullptr);
}

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime& runtime) {
  const LightningAttentionAxes a = lightning_attention_axes(c);
  const auto slopes = on_device(*t.weight("slopes"), runtime);
  LightningAttentionCudaTokens p{};
  p.batch = a.batch, p.q_len = a.q_len;
  p.heads = static_cast<int>(a.heads), p.head_dim = static_cast<int>(a.head_dim);
  p.vectors = a.head_dim % 4 == 0;
  p.qkv = t.tensor("qkv").data, p.slopes = slopes->view().as<float>();
  if (a.continued) p.state = t.tensor("state").as<float>();
  p.y = t.tensor("y").data, p.next = t.tensor("next_state").as<float>();
  p.x_type = simt_type(c.type("x_type")), p.y_type = simt_type(c.type("y_type"));
  return invocation([p, slopes, &runtime] {
    runtime.check(launch_lightning_attention_cuda_tokens(p, runtime.stream()), "lightning_attention");
  });
}

}  // namespace

const Variant lightning_attention_cuda_tokens{
    .name = "cuda_tokens",
    .target = Target::cuda,
    .provider = "layercost",
    .knows = "x_type=f32|bf16 y_type=f32|bf16 continued",
    .supports = supports,
    .make = prepare,
};

}  // namespace layercost
