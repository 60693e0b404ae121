// Up to 32 rows, on the tensor cores, k divided among the warps of a block.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/linear/linear_cuda_skinny_launch.h"

#include <fmt/format.h>

#include <limits>

#include "kernels/cuda/cuda_variant.h"
#include "linear_variants.h"

namespace layercost {
namespace {

Support supports(const OpCase& c, const DeviceInfo& device) {
  if (Support s = cuda_support(device, launch_linear_cuda_skinny != nullptr); !s) return s;
  const std::int64_t n = c.axis("n"), k = c.axis("k");
  if (k % 8 != 0) return Support::no("needs k to be a multiple of 8");
  if (std::max(n, k) > std::numeric_limits<int>::max() / 64) return Support::no("takes n and k of up to 2^25");
  if (c.axis("m") > kLinearCudaSkinnyTokens)
    return Support::no(fmt::format("for up to {} rows", kLinearCudaSkinnyTokens));
  return Support::yes();
}

// The shape with which the busiest multiprocessor reads least: its blocks' rows of w and, for each block, all of x.
int best_shape(std::int64_t m, std::int64_t n, int multiprocessors) {
  int best = -1;
  std::int64_t least = 0;
  for (int i = 0; i < kLinearCudaSkinnyShapes; ++i) {
    const LinearCudaSkinnyShape& shape = kLinearCudaSkinny[i];
    if (shape.tokens < m) continue;
    const std::int64_t blocks = (n + shape.rows - 1) / shape.rows;
    const std::int64_t read = (blocks + multiprocessors - 1) / multiprocessors * (shape.rows + shape.tokens);
    if (best >= 0 && read >= least) continue;
    best = i;
    least = read;
  }
  return best;
}

// Its blocks take 16 rows of w or more: of a router's w they leave most multiprocessors idle, where cuda_gemv does not.
bool prefers(const OpCase& c, const DeviceInfo& device) {
  return c.axis("m") > 8 || c.axis("n") >= 8 * device.cuda.multiprocessors;
}

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime& runtime) {
  const std::int64_t m = c.axis("m"), n = c.axis("n");
  const auto w = on_device(*t.weight("w"), runtime);
  const auto bias = c.flag("bias") ? on_device(*t.weight("bias"), runtime) : nullptr;
  const LinearCudaSkinny p{static_cast<int>(m),
                           static_cast<int>(n),
                           static_cast<int>(c.axis("k")),
                           t.tensor("x").data,
                           w->view().data,
                           bias ? bias->view().data : nullptr,
                           c.flag("residual") ? t.tensor("residual").data : nullptr,
                           t.tensor("y").data,
                           simt_type(c.type("y_type")),
                           best_shape(m, n, runtime.device().cuda.multiprocessors)};
  const LinearCudaSkinnyShape& shape = kLinearCudaSkinny[p.shape];
  return invocation(
      [p, w, bias, &runtime] { runtime.check(launch_linear_cuda_skinny(p, runtime.stream()), "linear cuda_skinny"); },
      fmt::format("{} rows per block, k over {} warps, {} stages", shape.rows, shape.warps, shape.stages));
}

}  // namespace

const Variant linear_cuda_skinny{
    .name = "cuda_skinny",
    .target = Target::cuda,
    .provider = "layercost",
    .knows = "x_type=bf16 w_type=bf16 y_type=f32|bf16 bias residual",
    .supports = supports,
    .prefers = prefers,
    .make = prepare,
};

}  // namespace layercost
