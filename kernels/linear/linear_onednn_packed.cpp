// oneDNN's matmul with weights packed once for all m. With AMX it reads weights at two thirds of the read bandwidth for
// up to 16 rows, and multiplies 256 rows x 5120 x 25600 at 1.0 TFLOP/s on 2 cores (Sapphire Rapids class, oneDNN 2.6).
// SPDX-License-Identifier: Apache-2.0
#include "kernels/contract/dispatch.h"
#include "kernels/libraries/onednn.h"
#include "linear_variants.h"

namespace layercost {
namespace {

Support supports(const OpCase& c, const DeviceInfo& device) {
  return onednn_supports(c.type("x_type"), c.type("w_type"), c.type("y_type"), device);
}

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime&) {
  const OnednnMatmul::Options options{c.flag("bias"), c.flag("residual")};
  const Tensor x = t.tensor("x"), y = t.tensor("y");
  const Tensor residual = options.residual ? t.tensor("residual") : Tensor{};
  const auto bias = options.bias ? row_major(*t.weight("bias")) : nullptr;
  const std::shared_ptr<OnednnMatmul> plan =
      OnednnMatmul::make(c.axis("m"), y.dtype, OnednnMatrices::of(*t.weight("w")), options);
  return invocation([=] { plan->execute(x.data, 0, bias ? bias->view().data : nullptr, residual.data, y.data); },
                    plan->chosen());
}

}  // namespace

const Variant linear_onednn_packed{
    .name = "onednn_packed",
    .target = Target::cpu,
    .provider = "oneDNN",
    .knows = "x_type=f32|bf16 w_type=f32|bf16 y_type=f32|bf16 bias residual",
    .supports = supports,
    .make = prepare,
};

}  // namespace layercost
