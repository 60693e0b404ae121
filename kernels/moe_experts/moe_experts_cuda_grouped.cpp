// Many tokens: grouped products of large tiles on tensor cores, with x gathered by index and the activation fused.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <limits>

#include "kernels/cuda/cuda_variant.h"
#include "kernels/moe_experts/moe_experts_cuda_grouped_launch.h"
#include "moe_experts_variants.h"

namespace layercost {
namespace {

// The crossover from small tiles: not measured yet. Below it most of a tile would be empty.
constexpr std::int64_t kLeastTokens = 32;

struct Sizes {
  explicit Sizes(const OpCase& c)
      : tokens(c.axis("tokens")),
        hidden(c.axis("hidden")),
        ffn(c.axis("ffn_hidden")),
        experts(c.axis("experts")),
        top_k(c.axis("top_k")),
        pairs(tokens * top_k) {}
  std::int64_t tokens, hidden, ffn, experts, top_k, pairs;
};

std::int64_t blocks_of(const Sizes& s, const MmaShape& shape, std::int64_t tiles) {
  return tiles * std::max(shape.column_tiles(2 * s.ffn), shape.column_tiles(s.hidden));
}

// The cheapest that fits, -1 if none does.
int best_shape(const Sizes& s, const CudaFeatures& cuda) {
  return cheapest_shape(kMoeGroupedShapes, cuda.shared_bytes_per_block, [&](const MmaShape& shape) {
    const auto cost_of = [&](std::int64_t columns, std::int64_t k) {
      return static_cast<double>(k) * shape.cost(shape.mean_row_tiles(s.pairs, s.experts) * shape.column_tiles(columns),
                                                 cuda.multiprocessors,
                                                 static_cast<std::int64_t>(cuda.shared_bytes_per_multiprocessor));
    };
    return cost_of(2 * s.ffn, s.hidden) + cost_of(s.hidden, s.ffn);
  });
}

Support supports(const OpCase& c, const DeviceInfo& device) {
  if (const Support s = cuda_support(device, launch_moe_experts_cuda_grouped != nullptr); !s) return s;
  const Sizes s(c);
  if (s.experts > kIndexMostExperts) return Support::no(fmt::format("up to {} experts", kIndexMostExperts));
  if (s.hidden % 8 != 0 || s.ffn % 8 != 0)
    return Support::no("needs rows of whole 16-byte vectors: hidden and ffn_hidden in multiples of 8");
  const int shape = best_shape(s, device.cuda);
  if (shape < 0) return Support::no("needs more shared memory per block");
  constexpr std::int64_t kMost = std::numeric_limits<int>::max();
  if (std::max({s.tokens * (s.hidden / 8), s.pairs * (s.ffn / 8), 2 * s.ffn * (s.hidden / 8)}) > kMost)
    return Support::no("takes x, h and the weights of one expert of up to 32 GB each");
  const MmaShape& tile = kMoeGroupedShapes[shape];
  if (blocks_of(s, tile, most_pair_tiles(s.pairs, s.experts, tile.rows)) > kMost)
    return Support::no("takes grids of less than 2^31 blocks");
  return Support::yes();
}

bool prefers(const OpCase& c, const DeviceInfo&) { return c.axis("tokens") >= kLeastTokens; }

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime& runtime) {
  struct Held {
    std::shared_ptr<const OwnedTensor> gate_up, down;
    OwnedTensor counts, order, h, results;
    Buffer tiles;
  };
  const Sizes s(c);
  const int shape = best_shape(s, runtime.device().cuda);
  const MmaShape& tile = kMoeGroupedShapes[shape];
  const std::int64_t most_tiles = most_pair_tiles(s.pairs, s.experts, tile.rows);
  const std::int64_t segments = (s.pairs + kSortPairs - 1) / kSortPairs;
  const auto held = std::make_shared<Held>();
  held->gate_up = on_device(*t.weight("w_gate_up"), runtime);
  held->down = on_device(*t.weight("w_down"), runtime);
  held->counts = runtime.tensor(DType::i32, {segments, kIndexMostExperts});
  held->order = runtime.tensor(DType::i32, {s.pairs});
  held->h = runtime.tensor(DType::bf16, {s.pairs, s.ffn});
  held->results = runtime.tensor(DType::bf16, {s.pairs, s.hidden});
  held->tiles = runtime.buffer(static_cast<std::size_t>(most_tiles) * sizeof(PairTile));
  const MoeExpertsCudaGrouped p{static_cast<int>(s.tokens),
                                static_cast<int>(s.hidden),
                                static_cast<int>(s.ffn),
                                static_cast<int>(s.experts),
                                static_cast<int>(s.top_k),
                                shape,
                                static_cast<int>(most_tiles),
                                t.tensor("x").data,
                                held->gate_up->view().data,
                                held->down->view().data,
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
        runtime.check(launch_moe_experts_cuda_grouped(p, runtime.stream()), "moe_experts cuda_grouped");
      },
      fmt::format("tiles of {} x {}", tile.rows, tile.columns));
}

}  // namespace

const Variant moe_experts_cuda_grouped{
    .name = "cuda_grouped",
    .target = Target::cuda,
    .provider = "layercost",
    .knows = "act=silu x_type=bf16 w_type=bf16 y_type=f32|bf16 residual",
    .supports = supports,
    .prefers = prefers,
    .make = prepare,
};

}  // namespace layercost
