// One warp per token, all its logits in registers; one launch, whose last block makes the counts.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>

#include "kernels/cuda/cuda_variant.h"
#include "kernels/moe_route/moe_route.h"
#include "kernels/moe_route/moe_route_cuda_warps_launch.h"
#include "moe_route_variants.h"

namespace layercost {
namespace {

Support supports(const OpCase& c, const DeviceInfo& device) {
  const MoeRouteAxes a = moe_route_axes(c);
  if (a.experts > kMoeRouteMostExperts) return Support::no(fmt::format("more than {} experts", kMoeRouteMostExperts));
  if (a.top_k > kMoeRouteMostTopK) return Support::no(fmt::format("top_k is over {}", kMoeRouteMostTopK));
  if (a.groups > kMoeRouteMostGroups) return Support::no(fmt::format("more than {} groups", kMoeRouteMostGroups));
  return cuda_support(device, launch_moe_route_cuda_warps != nullptr);
}

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime& runtime) {
  const MoeRouteAxes a = moe_route_axes(c);
  const auto scales = a.expert_scale ? on_device(*t.weight("expert_scale"), runtime) : nullptr;
  const auto bias = a.bias ? on_device(*t.weight("bias"), runtime) : nullptr;
  MoeRouteCudaWarps p{};
  p.tokens = a.tokens, p.experts = static_cast<int>(a.experts), p.top_k = static_cast<int>(a.top_k);
  p.groups = static_cast<int>(a.groups), p.top_groups = static_cast<int>(a.top_groups);
  p.renormalise = a.renormalise, p.sigmoid = a.sigmoid, p.group_by_best = a.group_by_best,
  p.scaling = static_cast<float>(a.scaling);
  p.logits = t.tensor("logits").data, p.x_type = simt_type(c.type("x_type"));
  p.ids = t.tensor("ids").as<std::int32_t>(), p.weights = t.tensor("weights").as<float>();
  p.counts = t.tensor("counts").as<std::int32_t>();
  if (scales) p.expert_scale = scales->view().as<float>();
  if (a.bias) p.bias = bias->view().as<float>();
  if (a.forced) p.forced_ids = t.tensor("forced_ids").as<std::int32_t>();
  // As many as are at work at once: the longer a block lasts, the fewer additions to the sums it makes.
  const std::int64_t most = std::int64_t{kMoeRouteBlocks} * std::max(runtime.device().cuda.multiprocessors, 1);
  p.blocks = static_cast<int>(std::min((a.tokens + kMoeRouteWarps - 1) / kMoeRouteWarps, most));
  const auto sums = std::make_shared<OwnedTensor>();
  if (p.blocks > 1) {
    *sums = runtime.tensor(DType::i32, {a.experts + 1});
    runtime.fill_bytes(*sums, 0);
    p.sums = sums->view().as<std::int32_t>(), p.arrived = p.sums + a.experts;
  }
  return invocation([p, bias, scales, sums,
                     &runtime] { runtime.check(launch_moe_route_cuda_warps(p, runtime.stream()), "moe_route"); },
                    fmt::format("{} blocks", p.blocks));
}

}  // namespace

const Variant moe_route_cuda_warps{
    .name = "cuda_warps",
    .target = Target::cuda,
    .provider = "layercost",
    .knows =
        "renormalise forced score=softmax|sigmoid bias groups top_groups group_score=top2|max scaling expert_scale "
        "x_type=f32|bf16",
    .supports = supports,
    .make = prepare,
};

}  // namespace layercost
