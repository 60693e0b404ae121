// CUTLASS's grouped GEMM for Hopper: the yardstick of ours, where CUTLASS was found by the build (LAYERCOST_CUTLASS).
// SPDX-License-Identifier: Apache-2.0
#include "grouped_linear_variants.h"
#include "kernels/cuda/cuda_variant.h"
#include "kernels/grouped_linear/cutlass_grouped_launch.h"

namespace layercost {
namespace {

Support supports(const OpCase& c, const DeviceInfo& device) {
  if (launch_cutlass_grouped == nullptr) return Support::no("built without CUTLASS");
  if (Support s = cuda_support(device, true); !s) return s;
  if (device.cuda.capability() != 90) return Support::no("needs compute capability 9.0: TMA and wgmma");
  if (c.axis("n") % 8 != 0 || c.axis("k") % 8 != 0) return Support::no("needs n and k to be multiples of 8");
  return Support::yes();
}

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime& runtime) {
  const auto w = on_device(*t.weight("w"), runtime);
  CutlassGrouped p{static_cast<int>(c.axis("experts")),
                   static_cast<int>(c.axis("n")),
                   static_cast<int>(c.axis("k")),
                   t.tensor("x").data,
                   t.tensor("offsets").data,
                   w->view().data,
                   t.tensor("y").data,
                   nullptr,
                   runtime.device().cuda.multiprocessors};
  const auto memory = std::make_shared<Buffer>(runtime.buffer(cutlass_grouped_bytes(p)));
  p.memory = memory->data();
  return invocation(
      [p, w, memory, &runtime] {
        runtime.check(launch_cutlass_grouped(p, runtime.stream()), "grouped_linear cutlass");
      },
      "tiles 128x128x64, ping-pong, clusters of 2");
}

}  // namespace

const Variant grouped_linear_cutlass{
    .name = "cutlass",
    .target = Target::cuda,
    .provider = "CUTLASS",
    .knows = "x_type=bf16 w_type=bf16 y_type=bf16",
    .supports = supports,
    .make = prepare,
};

}  // namespace layercost
