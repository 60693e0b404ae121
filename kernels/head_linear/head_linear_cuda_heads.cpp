// Few tokens: f32 sums, up to eight tokens per pass over the weights. Codes are decoded when they are uploaded.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <limits>

#include "head_linear_variants.h"
#include "kernels/cuda/cuda_variant.h"
#include "kernels/head_linear/head_linear.h"
#include "kernels/head_linear/head_linear_cuda_heads_launch.h"

namespace layercost {
namespace {

std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

std::int64_t column_tiles(const HeadLinearAxes& a) {
  return ceil_div(a.n, a.transposed ? kHeadLinearThreads : kHeadLinearRows);
}

Support supports(const OpCase& c, const DeviceInfo& device) {
  const HeadLinearAxes a = head_linear_axes(c);
  if (a.heads * column_tiles(a) * ceil_div(a.tokens, kHeadLinearTokens) > std::numeric_limits<int>::max())
    return Support::no("takes up to 2^31 blocks");
  return cuda_support(device, launch_head_linear_cuda_heads != nullptr);
}

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime& runtime) {
  const HeadLinearAxes a = head_linear_axes(c);
  const auto w = on_device(*t.weight("w"), runtime);
  HeadLinearCudaHeads p{};
  p.tokens = a.tokens, p.rows = a.rows, p.first_row = a.first_row;
  p.heads = static_cast<int>(a.heads), p.n = static_cast<int>(a.n), p.k = static_cast<int>(a.k);
  p.tail = static_cast<int>(a.tail), p.transposed = a.transposed;
  p.x = t.tensor("x").data, p.w = w->view().data, p.y = t.tensor("y").data;
  p.x_type = simt_type(c.type("x_type")), p.w_type = simt_type(w->view().dtype);
  p.y_type = simt_type(c.type("y_type"));
  p.width = (a.k | a.tail) % 8 == 0 ? 8 : 1;
  p.token_tiles = static_cast<int>(ceil_div(a.tokens, kHeadLinearTokens));
  p.column_tiles = static_cast<int>(column_tiles(a));
  return invocation(
      [p, w, &runtime] { runtime.check(launch_head_linear_cuda_heads(p, runtime.stream()), "head_linear"); },
      fmt::format("{} blocks", a.heads * p.column_tiles * p.token_tiles));
}

}  // namespace

const Variant head_linear_cuda_heads{
    .name = "cuda_heads",
    .target = Target::cuda,
    .provider = "layercost",
    .knows = "first_row transposed tail x_type=f32|bf16 w_type=* y_type=f32|bf16",
    .supports = supports,
    .make = prepare,
};

}  // namespace layercost
