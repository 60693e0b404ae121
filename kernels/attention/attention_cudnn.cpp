// Prefill by NVIDIA's library: a baseline beside cuda_prefill, in builds that were given its front end.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "attention_variants.h"
#include "kernels/attention/attention.h"
#include "kernels/attention/cudnn_attention.h"
#include "kernels/cuda/cuda_variant.h"

namespace layercost {
namespace {

CudnnAttentionShape shape_of(const AttentionAxes& a) {
  return {a.batch, a.q_len, a.kv_len, a.capacity, a.heads, a.kv_heads, a.qk_dim, a.window, a.scale};
}

Support supports(const OpCase& c, const DeviceInfo& device) {
  const AttentionAxes a = attention_axes(c);
  if (list_cuda_devices != nullptr && make_cudnn_attention == nullptr) return Support::no("built without cuDNN");
  if (const Support s = cuda_support(device, make_cudnn_attention != nullptr); !s) return s;
  // Hopper's kernels take twice the size. Multiples of 8: rows of 16 bytes.
  const std::int64_t most = device.cuda.major == 9 ? 256 : 128;
  if (a.qk_dim != a.v_dim || a.qk_dim % 8 != 0 || a.qk_dim > most)
    return Support::no(fmt::format("needs qk_dim = v_dim, a multiple of 8 up to {}, this case has {} and {}", most,
                                   a.qk_dim, a.v_dim));
  if (a.q_len == 1) return Support::no("needs more than one query per sequence");
  if (!(a.scale > 0)) return Support::no("needs scale > 0");
  if (const std::string why = cudnn_attention_why_not(shape_of(a), device.cuda.capability()); !why.empty())
    return Support::no(why);
  return Support::yes();
}

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime& runtime) {
  const std::shared_ptr<CudnnAttention> attention = make_cudnn_attention(
      shape_of(attention_axes(c)), {t.tensor("q"), t.tensor("k_cache"), t.tensor("v_cache"), t.tensor("y")}, runtime);
  return invocation([attention] { attention->run(); }, attention->chosen());
}

}  // namespace

const Variant attention_cudnn{
    .name = "cudnn",
    .target = Target::cuda,
    .provider = "cuDNN",
    .knows = "window uncached x_type=bf16 kv_type=bf16 y_type=bf16",
    .supports = supports,
    .make = prepare,
};

}  // namespace layercost
