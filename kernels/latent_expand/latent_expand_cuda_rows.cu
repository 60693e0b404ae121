// A copy: a warp per token and head, kWidth elements per lane and step; of 128, 64 and 128 elements in eights 40 of 64
// lanes have something to do. A key's last part is the same for all heads of a token and comes from the L2 cache.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/latent_expand/latent_expand_cuda_rows_launch.h"

#include "kernels/simt/elements.h"

namespace layercost {
namespace {

using namespace simt;

constexpr int kThreads = 128;

template <int kWidth>
__global__ void __launch_bounds__(kThreads) rows(LatentExpandCudaRows p) {
  grid_launch_dependents();
  const auto heads = static_cast<std::uint32_t>(p.heads), kv_len = static_cast<std::uint32_t>(p.kv_len);
  const std::uint32_t item = blockIdx.x * (kThreads / 32) + static_cast<unsigned>(warp());
  grid_wait();
  if (item >= p.tokens * heads) return;  // whole warps
  const std::uint32_t token = item / heads, head = item % heads, sequence = token / kv_len, slot = token % kv_len;
  const std::int64_t from = static_cast<std::int64_t>(item) * (p.nope_dim + p.v_dim);
  const std::int64_t shared_key = (sequence * p.capacity + slot) * (p.latent_dim + p.rope_dim) + p.latent_dim;
  const std::int64_t place = (static_cast<std::int64_t>(sequence) * p.heads + head) * p.kv_len + slot;
  const int qk_dim = p.nope_dim + p.rope_dim;
  for (int i = kWidth * lane(); i < qk_dim + p.v_dim; i += 32 * kWidth) {
    float part[kWidth];
    if (i < p.nope_dim) load_typed(p.x_type, p.expanded, from + i, part);
    else if (i < qk_dim) load_typed(p.kv_type, p.cache, shared_key + i - p.nope_dim, part);
    else load_typed(p.x_type, p.expanded, from + i - p.rope_dim, part);
    if (i < qk_dim) store_typed(p.y_type, p.k, place * qk_dim + i, part);
    else store_typed(p.y_type, p.v, place * p.v_dim + i - qk_dim, part);
  }
}

}  // namespace

int launch_latent_expand_cuda_rows(const LatentExpandCudaRows& p, Stream stream) {
  const std::int64_t warps = p.tokens * p.heads, per_block = kThreads / 32;
  const Launch l{dim3(static_cast<unsigned>((warps + per_block - 1) / per_block)), dim3(kThreads), 0, stream, kOverlap};
  return launch("latent_expand_cuda_rows", l, p.width == 8 ? rows<8> : rows<1>, p);
}

}  // namespace layercost
