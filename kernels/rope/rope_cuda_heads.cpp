// head_dim 16, 32, 64, 128, 256 and 512, of which a multiple of 16 is rotated, in vectors of eight, several heads per
// warp; any other even head_dim and rotary_dims with one warp per head. Under one norm of all heads a block makes the q
// heads of a token and another one the k and v heads.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "kernels/cuda/cuda_variant.h"
#include "kernels/rope/rope.h"
#include "kernels/rope/rope_cuda_heads_launch.h"
#include "rope_variants.h"

namespace layercost {
namespace {

Support supports(const OpCase& c, const DeviceInfo& device) {
  const RopeAxes a = rope_axes(c);
  // Threads are numbered in 32 bits, up to 32 per head.
  if (a.tokens() * (a.heads + 2 * a.kv_heads) >= std::int64_t{1} << 27) return Support::no("has 2^27 heads or more");
  return cuda_support(device, launch_rope_cuda_heads != nullptr);
}

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime& runtime) {
  const RopeAxes a = rope_axes(c);
  const auto q_norm = a.has_norm_weights() ? on_device(*t.weight("q_norm"), runtime) : nullptr;
  const auto k_norm = a.has_norm_weights() ? on_device(*t.weight("k_norm"), runtime) : nullptr;
  RopeCudaHeads p{};
  p.tokens = a.tokens(), p.q_len = a.q_len, p.first_position = a.position(0), p.capacity = a.capacity;
  p.heads = a.heads, p.kv_heads = a.kv_heads, p.head_dim = a.head_dim, p.rotary_dims = a.rotary_dims;
  p.interleaved = a.interleaved, p.eps = static_cast<float>(a.eps);
  p.normed = a.has_norm(), p.norm_whole = a.qk_norm == QkNorm::whole, p.norm_after = a.norms_turned();
  p.v_norm = a.v_norm, p.v_from_k = a.v_from_k;
  p.q_scale = a.q_scale ? t.tensor("q_scale").as<float>() : nullptr;
  p.qkv = t.tensor("qkv").data, p.cos = t.tensor("cos").as<float>(), p.sin = t.tensor("sin").as<float>();
  p.q = t.tensor("q").data, p.k_cache = t.tensor("k_cache").data, p.v_cache = t.tensor("v_cache").data;
  if (a.has_norm_weights()) p.q_norm = q_norm->view().data, p.k_norm = k_norm->view().data;
  p.x_type = simt_type(c.type("x_type")), p.w_type = simt_type(c.type("w_type"));
  p.y_type = simt_type(c.type("y_type")), p.kv_type = simt_cache_type(c.type("kv_type"));
  for (int lanes = 1; lanes <= 32; lanes *= 2)
    if (a.head_dim == 16 * lanes && a.rotary_dims % 16 == 0) p.lanes = lanes;
  return invocation(
      [p, q_norm, k_norm, &runtime] { runtime.check(launch_rope_cuda_heads(p, runtime.stream()), "rope"); },
      p.norm_whole   ? fmt::format("a block for all heads, {} elements per access", p.lanes != 0 ? 8 : 1)
      : p.lanes != 0 ? fmt::format("{} lanes per head, 8 elements per access", p.lanes)
                     : "32 lanes per head");
}

}  // namespace

const Variant rope_cuda_heads{
    .name = "cuda_heads",
    .target = Target::cuda,
    .provider = "layercost",
    .knows =
        "rotary_dims interleaved qk_norm=1|whole|after|bare eps v_norm v_from_k q_scale x_type=f32|bf16 "
        "y_type=f32|bf16 kv_type=f32|bf16|fp8_e4m3 "
        "w_type=f32|bf16",
    .supports = supports,
    .make = prepare,
};

}  // namespace layercost
