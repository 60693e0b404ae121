// Tiles of queries and keys on tensor cores.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <cmath>
#include <numbers>

#include "attention_variants.h"
#include "kernels/attention/attention.h"
#include "kernels/attention/attention_cuda_prefill_launch.h"
#include "kernels/cuda/cuda_variant.h"

namespace layercost {
namespace {

Support supports(const OpCase& c, const DeviceInfo& device) {
  const AttentionAxes a = attention_axes(c);
  if (const Support s = cuda_support(device, launch_attention_cuda_prefill != nullptr); !s) return s;
  if (a.qk_dim != a.v_dim || (a.qk_dim != 64 && a.qk_dim != 128))
    return Support::no(fmt::format("qk_dim = v_dim of 64 or 128, this case has {} and {}", a.qk_dim, a.v_dim));
  if (!(a.scale > 0)) return Support::no("needs scale > 0");
  return Support::yes();
}

// One query would fill a 64th of a block.
bool prefers(const OpCase& c, const DeviceInfo&) { return c.axis("q_len") > 1; }

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime& runtime) {
  const AttentionAxes a = attention_axes(c);
  const CudaFeatures& cuda = runtime.device().cuda;
  // 128 queries to a block where two such blocks fit on a multiprocessor (the system keeps 1 KB for each) and the grid
  // fills all of them.
  const int dim = static_cast<int>(a.qk_dim);
  const bool fits = cuda.shared_bytes_per_multiprocessor >=
                    2 * (static_cast<std::size_t>(attention_cuda_prefill_shared_bytes(dim, 128)) + 1024);
  const bool fills = (a.q_len + 127) / 128 * a.batch * a.heads >= 2 * cuda.multiprocessors;
  AttentionCudaPrefill p{};
  p.batch = static_cast<int>(a.batch);
  p.q_len = static_cast<int>(a.q_len);
  p.kv_len = static_cast<int>(a.kv_len);
  p.capacity = static_cast<int>(a.capacity);
  p.heads = static_cast<int>(a.heads);
  p.kv_heads = static_cast<int>(a.kv_heads);
  p.chunk = static_cast<int>(std::min(a.chunk, a.kv_len));
  p.window = static_cast<int>(a.window == 0 ? a.kv_len : std::min(a.window, a.kv_len));
  p.dim = dim;
  p.block_queries = fits && fills ? 128 : 64;
  p.scale = static_cast<float>(a.scale * std::numbers::log2e);
  p.q = t.tensor("q").data;
  p.k = t.tensor("k_cache").data;
  p.v = t.tensor("v_cache").data;
  p.y = t.tensor("y").data;
  const auto sinks = a.sinks ? on_device(*t.weight("sinks"), runtime) : nullptr;
  if (sinks) p.sinks = sinks->view().as<float>();
  p.sink_factor = static_cast<float>(1 / a.scale);
  return invocation(
      [p, sinks, &runtime] {
        runtime.check(launch_attention_cuda_prefill(p, runtime.stream()), "attention cuda_prefill");
      },
      fmt::format("{} queries per block", p.block_queries));
}

}  // namespace

const Variant attention_cuda_prefill{
    .name = "cuda_prefill",
    .target = Target::cuda,
    .provider = "layercost",
    .knows = "window chunk uncached sinks x_type=bf16 kv_type=bf16 y_type=bf16",
    .supports = supports,
    .prefers = prefers,
    .make = prepare,
};

}  // namespace layercost
