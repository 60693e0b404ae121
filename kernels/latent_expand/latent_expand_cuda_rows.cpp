// One warp per token and head.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "kernels/cuda/cuda_variant.h"
#include "kernels/latent_expand/latent_expand.h"
#include "kernels/latent_expand/latent_expand_cuda_rows_launch.h"
#include "latent_expand_variants.h"

namespace layercost {
namespace {

Support supports(const OpCase& c, const DeviceInfo& device) {
  const LatentExpandAxes a = latent_expand_axes(c);
  // Warps are numbered in 32 bits.
  if (a.tokens() * a.heads >= std::int64_t{1} << 30) return Support::no("has 2^30 heads or more");
  return cuda_support(device, launch_latent_expand_cuda_rows != nullptr);
}

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime& runtime) {
  const LatentExpandAxes a = latent_expand_axes(c);
  LatentExpandCudaRows p{};
  p.tokens = a.tokens(), p.kv_len = a.kv_len, p.capacity = a.capacity;
  p.heads = static_cast<int>(a.heads), p.nope_dim = static_cast<int>(a.nope_dim);
  p.rope_dim = static_cast<int>(a.rope_dim), p.v_dim = static_cast<int>(a.v_dim);
  p.latent_dim = static_cast<int>(a.latent_dim);
  p.expanded = t.tensor("expanded").data, p.cache = t.tensor("cache").data;
  p.k = t.tensor("k").data, p.v = t.tensor("v").data;
  p.x_type = simt_type(c.type("x_type")), p.kv_type = simt_type(c.type("kv_type"));
  p.y_type = simt_type(c.type("y_type"));
  p.width = (p.nope_dim | p.rope_dim | p.v_dim | p.latent_dim) % 8 == 0 ? 8 : 1;
  return invocation(
      [p, &runtime] { runtime.check(launch_latent_expand_cuda_rows(p, runtime.stream()), "latent_expand"); },
      fmt::format("{} elements per access", p.width));
}

}  // namespace

const Variant latent_expand_cuda_rows{
    .name = "cuda_rows",
    .target = Target::cuda,
    .provider = "layercost",
    .knows = "x_type=f32|bf16 kv_type=f32|bf16 y_type=f32|bf16",
    .supports = supports,
    .make = prepare,
};

}  // namespace layercost
