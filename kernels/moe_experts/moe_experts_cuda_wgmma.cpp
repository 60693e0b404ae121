// Many tokens on compute capability 9.0: grouped products with TMA and wgmma, x gathered by index, activation fused.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/moe_experts/moe_experts_cuda_wgmma_launch.h"

#include <fmt/format.h>

#include <limits>

#include "kernels/cuda/cuda_variant.h"
#include "moe_experts_variants.h"

namespace layercost {
namespace {

// The crossover from small tiles (moe_experts_cuda_small_tiles.cpp). Below it most of a tile would be empty.
constexpr std::int64_t kLeastTokens = 64;

Support supports(const OpCase& c, const DeviceInfo& device) {
  if (const Support s = hopper_support(device, launch_moe_experts_cuda_wgmma != nullptr); !s) return s;
  const std::int64_t tokens = c.axis("tokens"), hidden = c.axis("hidden"), ffn = c.axis("ffn_hidden"),
                     experts = c.axis("experts"), pairs = tokens * c.axis("top_k");
  if (experts > kIndexMostExperts) return Support::no(fmt::format("up to {} experts", kIndexMostExperts));
  if (hidden % 8 != 0 || ffn % 8 != 0)
    return Support::no("needs rows of whole 16-byte vectors: hidden and ffn_hidden in multiples of 8");
  // ffn / 96 and hidden / 192 tiles across; rows of weights and tiles are counted in int.
  if (std::max({pairs, tokens * (hidden / 8), experts * std::max(2 * ffn, hidden),
                most_pair_tiles(pairs, experts, kMoeWgmmaTileRows) * (std::max(ffn, hidden) / 96 + 1)}) >
      std::numeric_limits<int>::max())
    return Support::no("takes up to 2^31 pairs, 16-byte vectors of x, rows of weights and tiles");
  return Support::yes();
}

bool prefers(const OpCase& c, const DeviceInfo&) { return c.axis("tokens") >= kLeastTokens; }

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime& runtime) {
  struct Held {
    std::shared_ptr<const OwnedTensor> gate_up, down;
    OwnedTensor counts, order, h, results;
    Buffer tiles;
  };
  const std::int64_t tokens = c.axis("tokens"), hidden = c.axis("hidden"), ffn = c.axis("ffn_hidden"),
                     experts = c.axis("experts"), top_k = c.axis("top_k"), pairs = tokens * top_k;
  const std::int64_t most_tiles = most_pair_tiles(pairs, experts, kMoeWgmmaTileRows);
  const auto held = std::make_shared<Held>();
  held->gate_up = on_device(*t.weight("w_gate_up"), runtime);
  held->down = on_device(*t.weight("w_down"), runtime);
  held->counts = runtime.tensor(DType::i32, {(pairs + kSortPairs - 1) / kSortPairs, kIndexMostExperts});
  held->order = runtime.tensor(DType::i32, {pairs});
  held->h = runtime.tensor(DType::bf16, {pairs, ffn});
  held->results = runtime.tensor(DType::bf16, {pairs, hidden});
  held->tiles = runtime.buffer(static_cast<std::size_t>(most_tiles) * sizeof(PairTile));
  const MoeExpertsCudaWgmma p{rows_map(held->gate_up->view().data, experts * 2 * ffn, hidden, runtime, 96),
                              rows_map(held->down->view().data, experts * hidden, ffn, runtime, 96),
                              rows_map(held->h.view().data, pairs, ffn, runtime, 64),
                              static_cast<int>(tokens),
                              static_cast<int>(hidden),
                              static_cast<int>(ffn),
                              static_cast<int>(experts),
                              static_cast<int>(top_k),
                              static_cast<int>(most_tiles),
                              runtime.device().cuda.multiprocessors,
                              t.tensor("x").data,
                              c.flag("residual") ? t.tensor("residual").data : nullptr,
                              t.tensor("ids").as<std::int32_t>(),
                              t.tensor("weights").as<float>(),
                              held->counts.view().as<std::int32_t>(),
                              held->order.view().as<std::int32_t>(),
                              reinterpret_cast<PairTile*>(held->tiles.data()),
                              held->h.view().data,
                              held->results.view().data,
                              t.tensor("y").data,
                              simt_type(c.type("y_type"))};
  return invocation(
      [p, held, &runtime] {
        runtime.check(launch_moe_experts_cuda_wgmma(p, runtime.stream()), "moe_experts cuda_wgmma");
      },
      "tiles 192x192x64, 4 stages");
}

}  // namespace

const Variant moe_experts_cuda_wgmma{
    .name = "cuda_wgmma",
    .target = Target::cuda,
    .provider = "layercost",
    .knows = "act=silu x_type=bf16 w_type=bf16 y_type=f32|bf16 residual",
    .supports = supports,
    .prefers = prefers,
    .make = prepare,
};

}  // namespace layercost
