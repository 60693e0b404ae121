// Many rows per expert on compute capability 9.0: TMA and wgmma.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/grouped_linear/grouped_linear_cuda_wgmma_launch.h"

#include <fmt/format.h>

#include <limits>

#include "grouped_linear_variants.h"
#include "kernels/cuda/cuda_variant.h"

namespace layercost {
namespace {

// With fewer, most of a tile of 192 rows is empty, and blocks of cuda_tiles with 16 rows read weights as fast.
constexpr std::int64_t kLeastRowsPerExpert = 32;

Support supports(const OpCase& c, const DeviceInfo& device) {
  if (const Support s = hopper_support(device, launch_grouped_linear_cuda_wgmma != nullptr); !s) return s;
  if (c.axis("n") % 8 != 0 || c.axis("k") % 8 != 0) return Support::no("needs n and k to be multiples of 8");
  if (std::max(c.axis("rows"), c.axis("experts") * c.axis("n")) > std::numeric_limits<int>::max())
    return Support::no("takes up to 2^31 rows of x and w");
  return Support::yes();
}

bool prefers(const OpCase& c, const DeviceInfo&) { return c.axis("rows") >= kLeastRowsPerExpert * c.axis("experts"); }

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime& runtime) {
  const std::int64_t rows = c.axis("rows"), experts = c.axis("experts"), n = c.axis("n"), k = c.axis("k");
  const auto w = on_device(*t.weight("w"), runtime);
  const GroupedLinearCudaWgmma p{rows_map(t.tensor("x").data, rows, k, runtime, 64),
                                 rows_map(w->view().data, experts * n, k, runtime, 96),
                                 static_cast<int>(rows),
                                 static_cast<int>(experts),
                                 static_cast<int>(n),
                                 static_cast<int>(k),
                                 t.tensor("offsets").data,
                                 t.tensor("y").data,
                                 runtime.device().cuda.multiprocessors};
  return invocation(
      [p, w, &runtime] {
        runtime.check(launch_grouped_linear_cuda_wgmma(p, runtime.stream()), "grouped_linear cuda_wgmma");
      },
      "tiles 192x192x64, 4 stages");
}

}  // namespace

const Variant grouped_linear_cuda_wgmma{
    .name = "cuda_wgmma",
    .target = Target::cuda,
    .provider = "layercost",
    .knows = "x_type=bf16 w_type=bf16 y_type=bf16",
    .supports = supports,
    .prefers = prefers,
    .make = prepare,
};

}  // namespace layercost
