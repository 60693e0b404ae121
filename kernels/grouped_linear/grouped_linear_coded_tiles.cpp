// Formats with scales in bf16 instructions: CodedProduct, the blocks of all experts in one list.
// SPDX-License-Identifier: Apache-2.0
#include "grouped_linear_variants.h"
#include "kernels/contract/bias.h"
#include "kernels/cpu/coded_tiles.h"

namespace layercost {
namespace {

Support supports(const OpCase& c, const DeviceInfo& device) {
  return CodedProduct::supports(c.format("w_type"), device);
}

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime&) {
  const std::int64_t rows = c.axis("rows"), experts = c.axis("experts");
  const std::int64_t n = c.axis("n");
  const auto bias = f32_bias(c, t);
  const Tensor x = t.tensor("x"), y = t.tensor("y");
  const auto* offsets = t.tensor("offsets").as<std::int32_t>();
  const auto product = std::make_shared<CodedProduct>(*t.weight("w"), y.dtype, rows, experts);
  return invocation(
      [=, groups = std::vector<CodedGroup>(static_cast<std::size_t>(experts))]() mutable {
        for (std::int64_t e = 0; e < experts; ++e)
          groups[static_cast<std::size_t>(e)] = {offsets[e], offsets[e + 1] - offsets[e], e};
        product->run(groups, {x.as<bf16>(), bias ? bias->view().as<float>() : nullptr, nullptr, y.data, n});
      },
      product->chosen());
}

}  // namespace

const Variant grouped_linear_coded_tiles{
    .name = "coded_tiles",
    .target = Target::cpu,
    .provider = "layercost",
    .knows = "x_type=bf16 w_type=* y_type=f32|bf16 bias bias_type=f32|bf16",
    .supports = supports,
    .make = prepare,
};

}  // namespace layercost
