// Any number of rows per expert, known on the device only; the tile shape is chosen for the mean.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/grouped_linear/grouped_linear_cuda_tiles_launch.h"

#include <fmt/format.h>

#include <limits>

#include "grouped_linear_variants.h"
#include "kernels/cuda/cuda_variant.h"

namespace layercost {
namespace {

Support supports(const OpCase& c, const DeviceInfo& device) {
  if (Support s = cuda_support(device, launch_grouped_linear_cuda_tiles != nullptr); !s) return s;
  const std::int64_t k = c.axis("k");
  if (k % 8 != 0) return Support::no("needs k to be a multiple of 8");
  if (std::max(c.axis("rows"), c.axis("n")) * (k / 8) > std::numeric_limits<int>::max())
    return Support::no("takes operands of up to 32 GB");
  return Support::yes();
}

int best_shape(std::int64_t rows, std::int64_t experts, std::int64_t n, const CudaFeatures& cuda) {
  return cheapest_shape(kGroupedLinearCudaTiles, cuda.shared_bytes_per_block, [&](const MmaShape& shape) {
    return shape.cost(shape.mean_row_tiles(rows, experts) * shape.column_tiles(n), cuda.multiprocessors,
                      static_cast<std::int64_t>(cuda.shared_bytes_per_multiprocessor));
  });  // the smallest fits everywhere
}

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime& runtime) {
  const std::int64_t rows = c.axis("rows"), experts = c.axis("experts"), n = c.axis("n");
  const auto w = on_device(*t.weight("w"), runtime);
  GroupedLinearCudaTiles p{static_cast<int>(rows),
                           static_cast<int>(experts),
                           static_cast<int>(n),
                           static_cast<int>(c.axis("k")),
                           t.tensor("x").data,
                           t.tensor("offsets").data,
                           w->view().data,
                           t.tensor("y").data,
                           simt_type(c.type("y_type")),
                           best_shape(rows, experts, n, runtime.device().cuda),
                           nullptr,
                           {}};
  const MmaShape& shape = kGroupedLinearCudaTiles[p.shape];
  const auto bias = c.flag("bias") ? on_device(*t.weight("bias"), runtime) : nullptr;
  if (bias) p.bias = bias->view().data, p.bias_type = simt_type(bias->view().dtype);
  return invocation(
      [p, w, bias, &runtime] {
        runtime.check(launch_grouped_linear_cuda_tiles(p, runtime.stream()), "grouped_linear cuda_tiles");
      },
      fmt::format("tiles {}x{}x{}, {} stages", shape.rows, shape.columns, shape.depth, shape.stages));
}

}  // namespace

const Variant grouped_linear_cuda_tiles{
    .name = "cuda_tiles",
    .target = Target::cuda,
    .provider = "layercost",
    .knows = "x_type=bf16 w_type=bf16 y_type=f32|bf16 bias",
    .supports = supports,
    .make = prepare,
};

}  // namespace layercost
