// One warp per index query head and per cache entry.
// SPDX-License-Identifier: Apache-2.0
#include "index_rope_variants.h"
#include "kernels/cuda/cuda_variant.h"
#include "kernels/index_rope/index_rope.h"
#include "kernels/index_rope/index_rope_cuda_heads_launch.h"

namespace layercost {
namespace {

Support supports(const OpCase& c, const DeviceInfo& device) {
  const IndexRopeAxes a = index_rope_axes(c);
  // Warps are numbered in 32 bits.
  if (a.tokens() * (a.heads + 1) >= std::int64_t{1} << 30) return Support::no("has 2^30 heads or more");
  return cuda_support(device, launch_index_rope_cuda_heads != nullptr);
}

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime& runtime) {
  const IndexRopeAxes a = index_rope_axes(c);
  const auto norm = on_device(*t.weight("norm"), runtime), bias = on_device(*t.weight("norm_bias"), runtime);
  IndexRopeCudaHeads p{};
  p.tokens = a.tokens(), p.q_len = a.q_len, p.first_position = a.position(0), p.capacity = a.capacity;
  p.heads = static_cast<int>(a.heads), p.head_dim = static_cast<int>(a.head_dim);
  p.rope_dim = static_cast<int>(a.rope_dim), p.interleaved = a.interleaved, p.eps = static_cast<float>(a.eps);
  p.q = t.tensor("q").data, p.k = t.tensor("k").data, p.norm = norm->view().data, p.bias = bias->view().data;
  p.cos = t.tensor("cos").as<float>(), p.sin = t.tensor("sin").as<float>();
  p.rotated = t.tensor("rotated").data, p.cache = t.tensor("index_cache").data;
  p.x_type = simt_type(c.type("x_type")), p.w_type = simt_type(c.type("w_type"));
  p.y_type = simt_type(c.type("y_type")), p.kv_type = simt_type(c.type("kv_type"));
  return invocation(
      [p, norm, bias, &runtime] { runtime.check(launch_index_rope_cuda_heads(p, runtime.stream()), "index_rope"); });
}

}  // namespace

const Variant index_rope_cuda_heads{
    .name = "cuda_heads",
    .target = Target::cuda,
    .provider = "layercost",
    .knows = "interleaved x_type=f32|bf16 y_type=f32|bf16 kv_type=f32|bf16 w_type=f32|bf16",
    .supports = supports,
    .make = prepare,
};

}  // namespace layercost
