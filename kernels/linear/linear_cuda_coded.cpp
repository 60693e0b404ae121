// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "kernels/cuda/coded_weight.h"
#include "kernels/cuda/cuda_variant.h"
#include "kernels/contract/bias.h"
#include "kernels/linear/linear_cuda_coded_launch.h"
#include "linear_variants.h"

namespace layercost {
namespace {

Support supports(const OpCase& c, const DeviceInfo& device) {
  if (Support s = cuda_support(device, launch_linear_cuda_coded != nullptr); !s) return s;
  const std::string why = coded_rows_why_not(c.format("w_type"), c.axis("n"), c.axis("k"));
  if (!why.empty()) return Support::no(why);
  if (c.axis("m") > 65535 * 32) return Support::no("takes up to 2097120 rows");
  return Support::yes();
}

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime& runtime) {
  const auto w = CodedRows::of(*t.weight("w"), runtime);
  std::shared_ptr<OwnedTensor> bias;
  if (c.flag("bias")) {
    bias = std::make_shared<OwnedTensor>(runtime.tensor(DType::f32, {c.axis("n")}));
    runtime.upload(*bias, *f32_bias(c, t));
    runtime.constant(*bias);
  }
  LinearCudaCoded p{w->view(),
                    static_cast<int>(c.axis("m")),
                    t.tensor("x").data,
                    c.flag("residual") ? t.tensor("residual").data : nullptr,
                    bias ? bias->view().as<float>() : nullptr,
                    t.tensor("y").data,
                    simt_type(c.type("y_type")),
                    1};
  // 16 warps for every multiprocessor, but not more for a tile than it has chunks.
  const std::int64_t wanted = std::int64_t{16} * runtime.device().cuda.multiprocessors;
  while (p.split < 4 && p.split * 2 <= p.w.chunks && std::int64_t{p.w.tiles} * p.split < wanted) p.split *= 2;
  return invocation(
      [p, w, bias, &runtime] { runtime.check(launch_linear_cuda_coded(p, runtime.stream()), "linear cuda_coded"); },
      fmt::format("bf16 tensor cores, {} decoded in registers, k over {} warps", c.format("w_type").name, p.split));
}

}  // namespace

const Variant linear_cuda_coded{
    .name = "cuda_coded",
    .target = Target::cuda,
    .provider = "layercost",
    .knows = "x_type=bf16 w_type=* y_type=f32|bf16 bias bias_type=f32|bf16 residual",
    .supports = supports,
    .make = prepare,
};

}  // namespace layercost
