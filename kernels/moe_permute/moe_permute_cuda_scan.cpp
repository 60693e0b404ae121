// Up to 1024 pairs: one launch, each block counts for itself. More: ranks within chunks of 1024 pairs, a scan over the
// chunks, a gather.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/moe_permute/moe_permute_cuda_scan_launch.h"

#include <fmt/format.h>

#include "kernels/cuda/cuda_variant.h"
#include "moe_permute_variants.h"

namespace layercost {
namespace {

Support supports(const OpCase& c, const DeviceInfo& device) {
  if (c.axis("experts") > kMoePermuteMostExperts)
    return Support::no(fmt::format("more than {} experts", kMoePermuteMostExperts));
  return cuda_support(device, launch_moe_permute_cuda_scan != nullptr);
}

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime& runtime) {
  MoePermuteCudaScan p{};
  p.tokens = c.axis("tokens"), p.experts = c.axis("experts"), p.top_k = c.axis("top_k");
  p.row_bytes = c.axis("hidden") * static_cast<std::int64_t>(size_of(c.type("x_type")));
  p.x = t.tensor("x").data, p.ids = t.tensor("ids").as<std::int32_t>(), p.y = t.tensor("y").data;
  p.offsets = t.tensor("offsets").as<std::int32_t>(), p.slots = t.tensor("slots").as<std::int32_t>();
  p.weights = c.flag("weighted") ? t.tensor("weights").as<float>() : nullptr;
  p.x_type = simt_type(c.type("x_type"));
  const std::int64_t pairs = p.tokens * p.top_k, chunks = (pairs + kMoePermuteChunk - 1) / kMoePermuteChunk;
  std::shared_ptr<OwnedTensor> first_rows, ranks;
  if (pairs > kMoePermuteFewPairs) {
    first_rows = std::make_shared<OwnedTensor>(runtime.tensor(DType::i32, {chunks, p.experts}));
    ranks = std::make_shared<OwnedTensor>(runtime.tensor(DType::i32, {pairs}));
    p.first_rows = first_rows->view().as<std::int32_t>(), p.ranks = ranks->view().as<std::int32_t>();
  }
  return invocation([p, first_rows, ranks,
                     &runtime] { runtime.check(launch_moe_permute_cuda_scan(p, runtime.stream()), "moe_permute"); },
                    first_rows ? fmt::format("{} chunks, 3 launches", chunks) : "1 launch");
}

}  // namespace

const Variant moe_permute_cuda_scan{
    .name = "cuda_scan",
    .target = Target::cuda,
    .provider = "layercost",
    .knows = "weighted x_type=f32|bf16",
    .supports = supports,
    .make = prepare,
};

}  // namespace layercost
