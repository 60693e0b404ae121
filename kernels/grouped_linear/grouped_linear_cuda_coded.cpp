// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>

#include "grouped_linear_variants.h"
#include "kernels/cuda/coded_weight.h"
#include "kernels/cuda/cuda_variant.h"
#include "kernels/grouped_linear/grouped_linear_cuda_coded_launch.h"

namespace layercost {
namespace {

Support supports(const OpCase& c, const DeviceInfo& device) {
  if (Support s = cuda_support(device, launch_grouped_linear_cuda_coded != nullptr); !s) return s;
  const std::string why = coded_rows_why_not(c.format("w_type"), c.axis("n"), c.axis("k"));
  if (!why.empty()) return Support::no(why);
  if (c.axis("experts") > 65535) return Support::no("takes up to 65535 experts");
  if (c.axis("rows") > (std::int64_t{1} << 30)) return Support::no("takes up to 2^30 rows");
  return Support::yes();
}

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime& runtime) {
  const std::int64_t rows = c.axis("rows"), experts = c.axis("experts");
  const auto w = CodedRows::of(*t.weight("w"), runtime);
  GroupedLinearCudaCoded p{w->view(),
                           static_cast<int>(experts),
                           rows <= 8 * experts    ? 8
                           : rows <= 16 * experts ? 16
                                                  : 32,
                           t.tensor("x").data,
                           t.tensor("offsets").as<std::int32_t>(),
                           t.tensor("y").data,
                           simt_type(c.type("y_type")),
                           1,
                           nullptr,
                           {}};
  // 16 warps for every multiprocessor from the experts that are likely to have rows, but not more for a tile than it
  // has chunks.
  const std::int64_t wanted = std::int64_t{16} * runtime.device().cuda.multiprocessors;
  while (p.split < 4 && p.split * 2 <= p.w.chunks && std::min(experts, rows) * p.w.tiles * p.split < wanted)
    p.split *= 2;
  const auto bias = c.flag("bias") ? on_device(*t.weight("bias"), runtime) : nullptr;
  if (bias) p.bias = bias->view().data, p.bias_type = simt_type(bias->view().dtype);
  return invocation(
      [p, w, bias, &runtime] {
        runtime.check(launch_grouped_linear_cuda_coded(p, runtime.stream()), "grouped_linear cuda_coded");
      },
      fmt::format("bf16 tensor cores, {} decoded in registers, {} rows at once, k over {} warps",
                  c.format("w_type").name, p.tokens, p.split));
}

}  // namespace

const Variant grouped_linear_cuda_coded{
    .name = "cuda_coded",
    .target = Target::cuda,
    .provider = "layercost",
    .knows = "x_type=bf16 w_type=* y_type=f32|bf16 bias bias_type=f32|bf16",
    .supports = supports,
    .make = prepare,
};

}  // namespace layercost
