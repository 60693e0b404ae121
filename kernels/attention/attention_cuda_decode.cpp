// Keys split over blocks. The number of splits is fixed here, from sizes and device alone.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <numbers>

#include "attention_variants.h"
#include "kernels/attention/attention.h"
#include "kernels/attention/attention_cuda_decode_launch.h"
#include "kernels/cuda/cuda_variant.h"

namespace layercost {
namespace {

constexpr std::int64_t kTileKeys = 64;

Support supports(const OpCase& c, const DeviceInfo& device) {
  const AttentionAxes a = attention_axes(c);
  if (const Support s = cuda_support(device, launch_attention_cuda_decode != nullptr); !s) return s;
  if (a.qk_dim != a.v_dim || (a.qk_dim != 64 && a.qk_dim != 128))
    return Support::no(fmt::format("qk_dim = v_dim of 64 or 128, this case has {} and {}", a.qk_dim, a.v_dim));
  if (a.batch * a.q_len * a.heads > std::numeric_limits<int>::max() / 16)
    return Support::no("takes up to 2^27 rows of queries");
  if (a.chunk > 0 && a.q_len > 1) return Support::no("takes chunks of one query only");
  if (!(a.scale > 0)) return Support::no("needs scale > 0");
  const int shared = attention_cuda_decode_shared_bytes(static_cast<int>(a.qk_dim));
  if (device.cuda.shared_bytes_per_block < static_cast<std::size_t>(shared))
    return Support::no(fmt::format("needs {} bytes of shared memory per block, this device has {}", shared,
                                   device.cuda.shared_bytes_per_block));
  return Support::yes();
}

std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

// Tiles per split. A wave of blocks takes as long as its tiles and about two more (the first loads, the merge); of all
// numbers of splits of at least four tiles the one whose waves take least. 256 keys and values of 128 dims are 128 KB;
// the partial sums of 8 rows, written and read, 8 KB. Two tiles would give more multiprocessors work, but putting so
// many splits together takes longer: H100, 4097 keys, 8 kv heads of 4 query heads, 14.6 us beside 13.1.
std::int64_t tiles_per_split(std::int64_t tiles, std::int64_t units, std::int64_t blocks_at_once) {
  constexpr std::int64_t kLeastTiles = 4, kFixedTiles = 2;
  std::int64_t best = tiles, best_cost = ceil_div(units, blocks_at_once) * (tiles + kFixedTiles);
  for (std::int64_t splits = 2; splits <= tiles / kLeastTiles; ++splits) {
    const std::int64_t each = ceil_div(tiles, splits);
    const std::int64_t cost = ceil_div(units * ceil_div(tiles, each), blocks_at_once) * (each + kFixedTiles);
    if (cost < best_cost) {
      best = each;
      best_cost = cost;
    }
  }
  return best;
}

// Of a prompt every query sees another part of the keys, and a tile is read for all that share it.
bool prefers(const OpCase& c, const DeviceInfo&) {
  constexpr std::int64_t kMostQueries = 16;
  return c.axis("q_len") <= kMostQueries;
}

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime& runtime) {
  const AttentionAxes a = attention_axes(c);
  const CudaFeatures& cuda = runtime.device().cuda;
  const std::int64_t rows = a.q_len * a.group(), row_tiles = rows <= 16 ? 1 : rows <= 32 ? 2 : 4;
  const std::int64_t row_blocks = ceil_div(rows, 16 * row_tiles), units = a.batch * a.kv_heads * row_blocks;
  const std::int64_t keys = a.kv_len - a.first_key(0), tiles = ceil_div(keys, kTileKeys);
  // The system keeps 1 KB of shared memory per block. The registers hold four blocks, three with more than 16 rows.
  const std::int64_t block_bytes = attention_cuda_decode_shared_bytes(static_cast<int>(a.qk_dim)) + 1024;
  const std::int64_t per_multiprocessor = std::clamp<std::int64_t>(
      static_cast<std::int64_t>(cuda.shared_bytes_per_multiprocessor) / block_bytes, 1, row_tiles == 1 ? 4 : 3);
  const std::int64_t each = tiles_per_split(tiles, units, per_multiprocessor * cuda.multiprocessors);
  const std::int64_t splits = ceil_div(tiles, each);

  struct Partial {
    OwnedTensor sums, weights, arrived;
  };
  const auto partial = std::make_shared<Partial>();
  if (splits > 1) {
    partial->sums = runtime.tensor(DType::f32, {units, splits, 16 * row_tiles, a.v_dim});
    partial->weights = runtime.tensor(DType::f32, {units, splits, 16 * row_tiles, 2});
    partial->arrived = runtime.tensor(DType::i32, {units});
    runtime.fill_bytes(partial->arrived.view(), 0);
  }
  AttentionCudaDecode p{};
  p.q_len = static_cast<int>(a.q_len);
  p.kv_len = static_cast<int>(a.kv_len);
  p.capacity = static_cast<int>(a.capacity);
  p.heads = static_cast<int>(a.heads);
  p.kv_heads = static_cast<int>(a.kv_heads);
  if (a.chunk > 0) p.window = static_cast<int>(keys);  // of one query
  else p.window = static_cast<int>(a.window == 0 ? a.kv_len : std::min(a.window, a.kv_len));
  p.dim = static_cast<int>(a.qk_dim);
  p.tiles = static_cast<int>(row_tiles);
  p.row_blocks = static_cast<int>(row_blocks);
  p.units = static_cast<int>(units);
  p.first_key = static_cast<int>(a.first_key(0));
  p.splits = static_cast<int>(splits);
  p.split_keys = static_cast<int>(each * kTileKeys);
  p.scale = static_cast<float>(a.scale * std::numbers::log2e);
  p.q = t.tensor("q").data;
  p.k = t.tensor("k_cache").data;
  p.v = t.tensor("v_cache").data;
  p.y = t.tensor("y").data;
  const auto sinks = a.sinks ? on_device(*t.weight("sinks"), runtime) : nullptr;
  if (sinks) p.sinks = sinks->view().as<float>();
  p.sink_factor = static_cast<float>(1 / a.scale);
  if (splits > 1) {
    p.sums = partial->sums.view().as<float>();
    p.weights = partial->weights.view().as<float>();
    p.arrived = partial->arrived.view().as<int>();
  }
  return invocation(
      [p, partial, sinks, &runtime] {
        runtime.check(launch_attention_cuda_decode(p, runtime.stream()), "attention cuda_decode");
      },
      fmt::format("splits={} of {} keys, {} blocks", splits, std::min(each * kTileKeys, keys), units * splits));
}

}  // namespace

const Variant attention_cuda_decode{
    .name = "cuda_decode",
    .target = Target::cuda,
    .provider = "layercost",
    .knows = "window chunk uncached sinks x_type=bf16 kv_type=bf16 y_type=bf16",
    .supports = supports,
    .prefers = prefers,
    .make = prepare,
};

}  // namespace layercost
