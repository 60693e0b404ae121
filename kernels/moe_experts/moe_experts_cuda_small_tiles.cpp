// Tiles of few tokens of one expert on tensor cores, with device-made lists and a grid for the worst routing.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <limits>

#include "kernels/cuda/cuda_variant.h"
#include "kernels/moe_experts/moe_experts_cuda_small_tiles_launch.h"
#include "moe_experts_variants.h"

namespace layercost {
namespace {

// The crossover to larger tiles. H100, 128 experts of 2048 x 768, top 8: at 64 tokens 449 us beside 442 by cuda_grouped
// and 416 by cuda_wgmma, at 128 459 beside 450 and 424, at 512 542 beside 473 and 444.
constexpr std::int64_t kMostTokens = 64;
// One block sorts the pairs; 16 warps with 256 pairs each.
constexpr std::int64_t kMostPairs = 4096;

// Pairs of an expert per tile: the smallest width that holds twice the mean, so that with uniform routing few experts
// need a second tile. Twice: not measured yet.
int tile_rows_of(std::int64_t pairs, std::int64_t experts) {
  const std::int64_t wanted = 2 * pairs / experts;
  return wanted <= 8 ? 8 : wanted <= 16 ? 16 : 32;
}

Support supports(const OpCase& c, const DeviceInfo& device) {
  if (const Support s = cuda_support(device, launch_moe_experts_cuda_small_tiles != nullptr); !s) return s;
  const std::int64_t tokens = c.axis("tokens"), pairs = tokens * c.axis("top_k"), experts = c.axis("experts");
  if (pairs > kMostPairs) return Support::no(fmt::format("up to {} tokens x top_k", kMostPairs));
  if (experts > kIndexMostExperts) return Support::no(fmt::format("up to {} experts", kIndexMostExperts));
  const std::int64_t hidden = c.axis("hidden"), ffn = c.axis("ffn_hidden");
  if (hidden % 8 != 0 || ffn % 8 != 0)
    return Support::no("needs rows of whole 16-byte vectors: hidden and ffn_hidden in multiples of 8");
  if (std::max({tokens * hidden, pairs * ffn, 2 * ffn * hidden}) / 8 > std::numeric_limits<int>::max())
    return Support::no("takes x, h and the weights of one expert of up to 32 GB each");
  const int shared_bytes = shared_bytes_moe_experts_cuda_small_tiles(tile_rows_of(pairs, experts));
  if (static_cast<std::size_t>(shared_bytes) > device.cuda.shared_bytes_per_block)
    return Support::no(fmt::format("needs {} bytes of shared memory per block", shared_bytes));
  return Support::yes();
}

bool prefers(const OpCase& c, const DeviceInfo&) { return c.axis("tokens") <= kMostTokens; }

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime& runtime) {
  struct Held {
    std::shared_ptr<const OwnedTensor> gate_up, down;
    OwnedTensor order, h, results;
    Buffer tiles;
  };
  const std::int64_t tokens = c.axis("tokens"), hidden = c.axis("hidden"), ffn = c.axis("ffn_hidden"),
                     experts = c.axis("experts"), top_k = c.axis("top_k"), pairs = tokens * top_k;
  const int tile_rows = tile_rows_of(pairs, experts);
  const std::int64_t most_tiles = most_pair_tiles(pairs, experts, tile_rows);
  const auto held = std::make_shared<Held>();
  held->gate_up = on_device(*t.weight("w_gate_up"), runtime);
  held->down = on_device(*t.weight("w_down"), runtime);
  held->order = runtime.tensor(DType::i32, {pairs});
  held->h = runtime.tensor(DType::bf16, {pairs, ffn});
  held->results = runtime.tensor(DType::f32, {pairs, hidden});
  held->tiles = runtime.buffer(static_cast<std::size_t>(most_tiles) * sizeof(PairTile));
  const MoeExpertsCudaSmallTiles p{tokens,
                                   hidden,
                                   ffn,
                                   experts,
                                   top_k,
                                   tile_rows,
                                   static_cast<int>(most_tiles),
                                   t.tensor("x").data,
                                   held->gate_up->view().data,
                                   held->down->view().data,
                                   c.flag("residual") ? t.tensor("residual").data : nullptr,
                                   t.tensor("ids").as<std::int32_t>(),
                                   t.tensor("weights").as<float>(),
                                   held->order.view().as<std::int32_t>(),
                                   reinterpret_cast<PairTile*>(held->tiles.data()),
                                   held->h.view().data,
                                   held->results.view().as<float>(),
                                   t.tensor("y").data,
                                   simt_type(c.type("y_type"))};
  return invocation(
      [p, held, &runtime] {
        runtime.check(launch_moe_experts_cuda_small_tiles(p, runtime.stream()), "moe_experts cuda_small_tiles");
      },
      fmt::format("tiles of {} tokens", tile_rows));
}

}  // namespace

const Variant moe_experts_cuda_small_tiles{
    .name = "cuda_small_tiles",
    .target = Target::cuda,
    .provider = "layercost",
    .knows = "act=silu x_type=bf16 w_type=bf16 y_type=f32|bf16 residual",
    .supports = supports,
    .prefers = prefers,
    .make = prepare,
};

}  // namespace layercost
