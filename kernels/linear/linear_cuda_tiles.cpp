// Any number of rows, in the tile shape that fills the device best.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/linear/linear_cuda_tiles_launch.h"

#include <fmt/format.h>

#include <limits>

#include "kernels/cuda/cuda_variant.h"
#include "linear_variants.h"

namespace layercost {
namespace {

Support supports(const OpCase& c, const DeviceInfo& device) {
  if (Support s = cuda_support(device, launch_linear_cuda_tiles != nullptr); !s) return s;
  const std::int64_t m = c.axis("m"), n = c.axis("n"), k = c.axis("k");
  if (k % 8 != 0) return Support::no("needs k to be a multiple of 8");
  if (std::max(m, n) * (k / 8) > std::numeric_limits<int>::max()) return Support::no("takes operands of up to 32 GB");
  return Support::yes();
}

int best_shape(std::int64_t m, std::int64_t n, const CudaFeatures& cuda) {
  return cheapest_shape(kLinearCudaTiles, cuda.shared_bytes_per_block, [&](const MmaShape& shape) {
    return shape.cost((m + shape.rows - 1) / shape.rows * shape.column_tiles(n), cuda.multiprocessors,
                      static_cast<std::int64_t>(cuda.shared_bytes_per_multiprocessor));
  });  // the smallest fits everywhere
}

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime& runtime) {
  const std::int64_t m = c.axis("m"), n = c.axis("n"), k = c.axis("k");
  const auto w = on_device(*t.weight("w"), runtime);
  const auto bias = c.flag("bias") ? on_device(*t.weight("bias"), runtime) : nullptr;
  const LinearCudaTiles p{static_cast<int>(m),
                          static_cast<int>(n),
                          static_cast<int>(k),
                          t.tensor("x").data,
                          w->view().data,
                          bias ? bias->view().data : nullptr,
                          c.flag("residual") ? t.tensor("residual").data : nullptr,
                          t.tensor("y").data,
                          simt_type(c.type("y_type")),
                          best_shape(m, n, runtime.device().cuda)};
  const MmaShape& shape = kLinearCudaTiles[p.shape];
  return invocation(
      [p, w, bias, &runtime] { runtime.check(launch_linear_cuda_tiles(p, runtime.stream()), "linear cuda_tiles"); },
      fmt::format("tiles {}x{}x{}, {} stages", shape.rows, shape.columns, shape.depth, shape.stages));
}

}  // namespace

const Variant linear_cuda_tiles{
    .name = "cuda_tiles",
    .target = Target::cuda,
    .provider = "layercost",
    .knows = "x_type=bf16 w_type=bf16 y_type=f32|bf16 bias residual",
    .supports = supports,
    .make = prepare,
};

}  // namespace layercost
