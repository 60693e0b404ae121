// One warp per query head and per cache entry.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/cuda_variant.h"
#include "kernels/latent_rope/latent_rope.h"
#include "kernels/latent_rope/latent_rope_cuda_heads_launch.h"
#include "latent_rope_variants.h"

namespace layercost {
namespace {

Support supports(const OpCase& c, const DeviceInfo& device) {
  const LatentRopeAxes a = latent_rope_axes(c);
  // Warps are numbered in 32 bits.
  if (a.tokens() * (a.heads + 1) >= std::int64_t{1} << 30) return Support::no("has 2^30 heads or more");
  return cuda_support(device, launch_latent_rope_cuda_heads != nullptr);
}

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime& runtime) {
  const LatentRopeAxes a = latent_rope_axes(c);
  const auto norm = on_device(*t.weight("norm"), runtime);
  LatentRopeCudaHeads p{};
  p.tokens = a.tokens(), p.q_len = a.q_len, p.first_position = a.position(0), p.capacity = a.capacity;
  p.heads = static_cast<int>(a.heads), p.nope_dim = static_cast<int>(a.nope_dim);
  p.rope_dim = static_cast<int>(a.rope_dim), p.latent_dim = static_cast<int>(a.latent_dim);
  p.interleaved = a.interleaved, p.eps = static_cast<float>(a.eps);
  p.q = t.tensor("q").data, p.kv = t.tensor("kv").data, p.norm = norm->view().data;
  p.cos = t.tensor("cos").as<float>(), p.sin = t.tensor("sin").as<float>();
  p.rotated = t.tensor("rotated").data, p.cache = t.tensor("latent_cache").data;
  if (a.latents) p.latents = t.tensor("latents").data;
  p.x_type = simt_type(c.type("x_type")), p.w_type = simt_type(c.type("w_type"));
  p.y_type = simt_type(c.type("y_type")), p.kv_type = simt_type(c.type("kv_type"));
  return invocation(
      [p, norm, &runtime] { runtime.check(launch_latent_rope_cuda_heads(p, runtime.stream()), "latent_rope"); });
}

}  // namespace

const Variant latent_rope_cuda_heads{
    .name = "cuda_heads",
    .target = Target::cuda,
    .provider = "layercost",
    .knows = "interleaved latents x_type=f32|bf16 y_type=f32|bf16 kv_type=f32|bf16 w_type=f32|bf16",
    .supports = supports,
    .make = prepare,
};

}  // namespace layercost
