// Any case up to 1024 dims, in f32.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "attention_variants.h"
#include "kernels/attention/attention.h"
#include "kernels/attention/attention_cuda_plain_launch.h"
#include "kernels/cuda/cuda_variant.h"

namespace layercost {
namespace {

Support supports(const OpCase& c, const DeviceInfo& device) {
  const AttentionAxes a = attention_axes(c);
  if (const Support s = cuda_support(device, launch_attention_cuda_plain != nullptr); !s) return s;
  if (std::max(a.qk_dim, a.v_dim) > kAttentionCudaPlainMostDims)
    return Support::no(fmt::format("up to {} dims", kAttentionCudaPlainMostDims));
  return Support::yes();
}

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime& runtime) {
  const AttentionAxes a = attention_axes(c);
  AttentionCudaPlain p{};
  p.batch = static_cast<int>(a.batch);
  p.q_len = static_cast<int>(a.q_len);
  p.kv_len = static_cast<int>(a.kv_len);
  p.capacity = static_cast<int>(a.capacity);
  p.heads = static_cast<int>(a.heads);
  p.kv_heads = static_cast<int>(a.kv_heads);
  p.qk_dim = static_cast<int>(a.qk_dim);
  p.v_dim = static_cast<int>(a.v_dim);
  p.chunk = static_cast<int>(std::min(a.chunk, a.kv_len));
  p.window = static_cast<int>(a.window == 0 ? a.kv_len : std::min(a.window, a.kv_len));
  p.scale = static_cast<float>(a.scale);
  p.q = t.tensor("q").data;
  p.k = t.tensor("k_cache").data;
  p.v = attention_values(a, t).data;
  p.v_stride = static_cast<int>(a.v_stride());
  p.y = t.tensor("y").data;
  const auto sinks = a.sinks ? on_device(*t.weight("sinks"), runtime) : nullptr;
  if (sinks) p.sinks = sinks->view().as<float>();
  p.x_type = simt_type(c.type("x_type"));
  p.kv_type = simt_cache_type(c.type("kv_type"));
  p.y_type = simt_type(c.type("y_type"));
  return invocation([p, sinks, &runtime] {
    runtime.check(launch_attention_cuda_plain(p, runtime.stream()), "attention cuda_plain");
  });
}

}  // namespace

const Variant attention_cuda_plain{
    .name = "cuda_plain",
    .target = Target::cuda,
    .provider = "layercost",
    .knows = "window chunk uncached shared_kv sinks x_type=f32|bf16 kv_type=f32|bf16|fp8_e4m3 y_type=f32|bf16",
    .supports = supports,
    .plain = true,
    .make = prepare,
};

}  // namespace layercost
