// Tiles of queries and keys on compute capability 9.0: TMA and wgmma.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/attention/attention_cuda_wgmma_launch.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <numbers>

#include "attention_variants.h"
#include "kernels/attention/attention.h"
#include "kernels/cuda/cuda_variant.h"

namespace layercost {
namespace {

Support supports(const OpCase& c, const DeviceInfo& device) {
  const AttentionAxes a = attention_axes(c);
  if (const Support s = hopper_support(device, launch_attention_cuda_wgmma != nullptr); !s) return s;
  if (a.qk_dim != a.v_dim || (a.qk_dim != 64 && a.qk_dim != 128))
    return Support::no(fmt::format("qk_dim = v_dim of 64 or 128, this case has {} and {}", a.qk_dim, a.v_dim));
  if (!(a.scale > 0)) return Support::no("needs scale > 0");
  if (std::max(a.batch * a.q_len, a.heads * a.qk_dim) > std::numeric_limits<int>::max())
    return Support::no("takes up to 2^31 queries and columns");
  return Support::yes();
}

// One query would fill a 128th of a block.
bool prefers(const OpCase& c, const DeviceInfo&) { return c.axis("q_len") > 1; }

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime& runtime) {
  const AttentionAxes a = attention_axes(c);
  AttentionCudaWgmma p{};
  p.q = rows_map(t.tensor("q").data, a.batch * a.q_len, a.heads * a.qk_dim, runtime, 128);
  const auto cache_map = [&](const char* name) {
    return rows_map(t.tensor(name).data, a.kv_len, a.qk_dim, runtime, 128, a.batch * a.kv_heads, a.capacity);
  };
  p.k = cache_map("k_cache");
  p.v = cache_map("v_cache");
  p.batch = static_cast<int>(a.batch);
  p.q_len = static_cast<int>(a.q_len);
  p.kv_len = static_cast<int>(a.kv_len);
  p.heads = static_cast<int>(a.heads);
  p.kv_heads = static_cast<int>(a.kv_heads);
  p.dim = static_cast<int>(a.qk_dim);
  p.window = static_cast<int>(a.window == 0 ? a.kv_len : std::min(a.window, a.kv_len));
  p.scale = static_cast<float>(a.scale * std::numbers::log2e);
  p.y = t.tensor("y").data;
  p.blocks = runtime.device().cuda.multiprocessors;
  return invocation(
      [p, &runtime] { runtime.check(launch_attention_cuda_wgmma(p, runtime.stream()), "attention cuda_wgmma"); },
      "tiles of 128 queries and 128 keys");
}

}  // namespace

const Variant attention_cuda_wgmma{
    .name = "cuda_wgmma",
    .target = Target::cuda,
    .provider = "layercost",
    .knows = "window uncached x_type=bf16 kv_type=bf16 y_type=bf16",
    .supports = supports,
    .prefers = prefers,
    .make = prepare,
};

}  // namespace layercost
