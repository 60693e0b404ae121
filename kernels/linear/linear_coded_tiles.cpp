// Formats with scales in bf16 instructions: CodedProduct.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/contract/bias.h"
#include "kernels/cpu/coded_tiles.h"
#include "kernels/linear/linear.h"
#include "linear_variants.h"

namespace layercost {
namespace {

Support supports(const OpCase& c, const DeviceInfo& device) {
  return CodedProduct::supports(c.format("w_type"), device);
}

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime&) {
  const std::int64_t m = c.axis("m");
  const Tensor x = t.tensor("x"), y = t.tensor("y");
  const LinearOutput out = linear_output(c, y);
  const auto bias = f32_bias(c, t);
  const auto product = std::make_shared<CodedProduct>(*t.weight("w"), y.dtype, m, 1);
  const CodedProduct::Arguments a{x.as<bf16>(),
                                  bias ? bias->view().as<float>() : nullptr,
                                  c.flag("residual") ? t.tensor("residual").data : nullptr,
                                  out.data,
                                  0,
                                  out.stride};
  return invocation(
      [a, m, product, bias] {
        const CodedGroup all{0, m, 0};
        product->run({&all, 1}, a);
      },
      product->chosen());
}

}  // namespace

const Variant linear_coded_tiles{
    .name = "coded_tiles",
    .target = Target::cpu,
    .provider = "layercost",
    .knows = "x_type=bf16 w_type=* y_type=f32|bf16 bias bias_type=f32|bf16 residual y_width y_first",
    .supports = supports,
    .make = prepare,
};

}  // namespace layercost
