// A block for 32 keys of a query makes their scores, a block for a query chooses; rows in parts, so that their scores
// fit some memory.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "dsa_index_variants.h"
#include "kernels/cuda/cuda_variant.h"
#include "kernels/dsa_index/dsa_index.h"
#include "kernels/dsa_index/dsa_index_cuda_blocks_launch.h"

namespace layercost {
namespace {

// 16 Mi scores, 64 MiB: half of a million blocks, far from every limit of a launch.
std::int64_t rows_at_once(const DsaIndexAxes& a) {
  return std::clamp<std::int64_t>((std::int64_t{1} << 24) / a.kv_len, 1, a.rows());
}

Support supports(const OpCase& c, const DeviceInfo& device) {
  const DsaIndexAxes a = dsa_index_axes(c);
  if (const Support s = cuda_support(device, launch_dsa_index_cuda_scores != nullptr); !s) return s;
  if (a.head_dim > kDsaIndexMostDims) return Support::no(fmt::format("up to {} dims of a head", kDsaIndexMostDims));
  if (a.capacity > std::numeric_limits<int>::max() || a.top_k > std::numeric_limits<int>::max())
    return Support::no("2^31 keys or more");
  return Support::yes();
}

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime& runtime) {
  const DsaIndexAxes a = dsa_index_axes(c);
  const std::int64_t at_once = rows_at_once(a);
  const auto scores = std::make_shared<OwnedTensor>();
  const bool scored = a.kv_len > a.top_k;
  if (scored) *scores = runtime.tensor(DType::f32, {at_once, a.kv_len});
  DsaIndexCudaBlocks p{};
  p.q_len = a.q_len, p.kv_len = static_cast<int>(a.kv_len), p.capacity = static_cast<int>(a.capacity);
  p.heads = static_cast<int>(a.heads), p.head_dim = static_cast<int>(a.head_dim);
  p.top_k = static_cast<int>(a.top_k);
  p.q = t.tensor("q").data, p.cache = t.tensor("index_cache").data, p.weights = t.tensor("weights").as<float>();
  p.selection = t.tensor("selection").as<std::int32_t>();
  if (scored) p.scores = scores->view().as<float>();
  p.x_type = simt_type(c.type("x_type")), p.kv_type = simt_type(c.type("kv_type"));
  return invocation(
      [p, a, at_once, scored, scores, &runtime]() mutable {
        for (p.first = 0; p.first < a.rows(); p.first += at_once) {
          p.rows = std::min(at_once, a.rows() - p.first);
          if (scored) runtime.check(launch_dsa_index_cuda_scores(p, runtime.stream()), "dsa_index");
          runtime.check(launch_dsa_index_cuda_select(p, runtime.stream()), "dsa_index");
        }
      },
      fmt::format("{} queries at once", at_once));
}

}  // namespace

const Variant dsa_index_cuda_blocks{
    .name = "cuda_blocks",
    .target = Target::cuda,
    .provider = "layercost",
    .knows = "x_type=f32|bf16 kv_type=f32|bf16",
    .supports = supports,
    .make = prepare,
};

}  // namespace layercost
