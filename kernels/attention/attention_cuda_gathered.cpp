// Selected keys, by whatever is fastest for keys that lie side by side (attention_gather.h).
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <limits>

#include "attention_variants.h"
#include "kernels/attention/attention_cuda_gathered_launch.h"
#include "kernels/attention/attention_gather.h"
#include "kernels/cuda/cuda_variant.h"

namespace layercost {
namespace {

constexpr std::int64_t kMostBytes = std::int64_t{32} << 20;  // of gathered keys: they stay in the second-level cache
constexpr std::int64_t kMostRows = 16;                       // 13 of 2048 latents of DeepSeek's size are 31 MB

Support supports(const OpCase& c, const DeviceInfo& device) {
  if (const Support s = cuda_support(device, launch_attention_cuda_gather != nullptr); !s) return s;
  const GatherPlan p = gather_plan(c, kMostBytes, kMostRows);
  if (p.at_once * p.a.selected > std::numeric_limits<int>::max()) return Support::no("2^31 keys or more at once");
  return gather_supports(p, device);
}

struct Gathered {
  GatherPlan p;
  GatherParts parts;
  AttentionCudaGathered of_kernel;
  Runtime& runtime;

  void run() const {
    for (const auto& call : parts.whole) call->run();
    AttentionCudaGathered k = of_kernel;
    for (k.first = 0; k.first < p.cut_rows(); k.first += p.at_once) {
      k.rows = std::min(p.at_once, p.cut_rows() - k.first);
      runtime.check(launch_attention_cuda_gather(k, runtime.stream()), "attention cuda_gathered");
      (k.rows == p.at_once ? parts.cut : parts.rest)->run();
      runtime.check(launch_attention_cuda_scatter(k, runtime.stream()), "attention cuda_gathered");
    }
  }
};

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime& runtime) {
  const GatherPlan p = gather_plan(c, kMostBytes, kMostRows);
  AttentionCudaGathered k{};
  k.q_len = p.a.q_len, k.whole = p.whole, k.cut = p.cut, k.capacity = p.a.capacity, k.selected = p.a.selected;
  k.entry_bytes = p.entry_bytes, k.q_bytes = p.q_bytes, k.y_bytes = p.y_bytes;
  k.q = t.tensor("q").data, k.cache = t.tensor("k_cache").data, k.y = t.tensor("y").data;
  k.selection = t.tensor("selection").as<std::int32_t>();
  const auto g = std::make_shared<Gathered>(Gathered{p, gather_parts(p, t, runtime), k, runtime});
  g->of_kernel.near_q = g->parts.q.view().data, g->of_kernel.near_keys = g->parts.keys.view().data;
  g->of_kernel.near_y = g->parts.y.view().data;
  return invocation([g] { g->run(); }, g->parts.chosen);
}

}  // namespace

const Variant attention_cuda_gathered{
    .name = "cuda_gathered",
    .target = Target::cuda,
    .provider = "layercost",
    .knows = "uncached shared_kv sinks selected x_type=f32|bf16 kv_type=f32|bf16|fp8_e4m3 y_type=f32|bf16",
    .supports = supports,
    .make = prepare,
};

}  // namespace layercost
