// Latents of 512 dims and a rotated key of 64. Keys split over blocks.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <numbers>

#include "attention_variants.h"
#include "kernels/attention/attention.h"
#include "kernels/attention/attention_cuda_latent_launch.h"
#include "kernels/cuda/cuda_variant.h"

namespace layercost {
namespace {

Support supports(const OpCase& c, const DeviceInfo& device) {
  const AttentionAxes a = attention_axes(c);
  if (const Support s = cuda_support(device, launch_attention_cuda_latent != nullptr); !s) return s;
  if (!a.shared_kv || a.qk_dim != kAttentionLatentQk || a.v_dim != kAttentionLatentV)
    return Support::no(fmt::format("values in keys, qk_dim {} and v_dim {}, this case has {} and {}",
                                   kAttentionLatentQk, kAttentionLatentV, a.qk_dim, a.v_dim));
  if (a.batch * a.q_len * a.heads > std::numeric_limits<int>::max() / 16)
    return Support::no("takes up to 2^27 rows of queries");
  if (!(a.scale > 0)) return Support::no("needs scale > 0");
  const int shared = attention_cuda_latent_shared_bytes();
  if (device.cuda.shared_bytes_per_block < static_cast<std::size_t>(shared))
    return Support::no(fmt::format("needs {} bytes of shared memory per block, this device has {}", shared,
                                   device.cuda.shared_bytes_per_block));
  return Support::yes();
}

std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime& runtime) {
  constexpr std::int64_t kLeastTiles = 4;  // of a split: below, putting splits together takes longer
  const AttentionAxes a = attention_axes(c);
  const CudaFeatures& cuda = runtime.device().cuda;
  const std::int64_t row_blocks = ceil_div(a.q_len * a.group(), kAttentionLatentRows);
  const std::int64_t units = a.batch * a.kv_heads * row_blocks;
  const std::int64_t keys = a.kv_len - a.first_key(0), tiles = ceil_div(keys, kAttentionLatentTileKeys);
  const std::int64_t per_multiprocessor =
      std::max<std::int64_t>(1, static_cast<std::int64_t>(cuda.shared_bytes_per_multiprocessor) /
                                    (attention_cuda_latent_shared_bytes() + 1024));
  const std::int64_t at_once = per_multiprocessor * std::max(cuda.multiprocessors, 1);
  const std::int64_t wanted =
      std::clamp<std::int64_t>(at_once / units, 1, std::max<std::int64_t>(1, tiles / kLeastTiles));
  const std::int64_t each = ceil_div(tiles, wanted), splits = ceil_div(tiles, each);

  struct Partial {
    OwnedTensor sums, weights, arrived;
  };
  const auto partial = std::make_shared<Partial>();
  AttentionCudaLatent p{};
  if (splits > 1) {
    partial->sums = runtime.tensor(DType::f32, {units, splits, kAttentionLatentRows, a.v_dim});
    partial->weights = runtime.tensor(DType::f32, {units, splits, kAttentionLatentRows, 2});
    partial->arrived = runtime.tensor(DType::i32, {units});
    runtime.fill_bytes(partial->arrived.view(), 0);
    p.sums = partial->sums.view().as<float>();
    p.weights = partial->weights.view().as<float>();
    p.arrived = partial->arrived.view().as<int>();
  }
  p.q_len = static_cast<int>(a.q_len), p.kv_len = static_cast<int>(a.kv_len);
  p.capacity = static_cast<int>(a.capacity);
  p.heads = static_cast<int>(a.heads), p.kv_heads = static_cast<int>(a.kv_heads);
  p.window = static_cast<int>(a.window == 0 ? a.kv_len : std::min(a.window, a.kv_len));
  p.row_blocks = static_cast<int>(row_blocks), p.units = static_cast<int>(units);
  p.first_key = static_cast<int>(a.first_key(0));
  p.splits = static_cast<int>(splits), p.split_keys = static_cast<int>(each * kAttentionLatentTileKeys);
  p.scale = static_cast<float>(a.scale * std::numbers::log2e);
  p.q = t.tensor("q").data, p.k = t.tensor("k_cache").data, p.y = t.tensor("y").data;
  return invocation(
      [p, partial, &runtime] {
        runtime.check(launch_attention_cuda_latent(p, runtime.stream()), "attention cuda_latent");
      },
      fmt::format("splits={} of {} keys, {} blocks", splits, std::min(each * kAttentionLatentTileKeys, keys),
                  units * splits));
}

}  // namespace

const Variant attention_cuda_latent{
    .name = "cuda_latent",
    .target = Target::cuda,
    .provider = "layercost",
    .knows = "window uncached shared_kv x_type=bf16 kv_type=bf16 y_type=bf16",
    .supports = supports,
    .make = prepare,
};

}  // namespace layercost
