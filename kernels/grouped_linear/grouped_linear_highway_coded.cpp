// Formats with scales on any processor with vectors, and for f32 activations: SimdCodedProduct, the blocks of all
// experts in one list.
// SPDX-License-Identifier: Apache-2.0
#include "grouped_linear_variants.h"
#include "kernels/contract/bias.h"
#include "kernels/cpu/simd_coded_product.h"

namespace layercost {
namespace {

Support supports(const OpCase& c, const DeviceInfo&) { return simd_coded_support(c.format("w_type")); }

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime&) {
  const std::int64_t rows = c.axis("rows"), experts = c.axis("experts");
  const std::int64_t n = c.axis("n");
  const auto bias = f32_bias(c, t);
  const Tensor x = t.tensor("x"), y = t.tensor("y");
  const auto* offsets = t.tensor("offsets").as<std::int32_t>();
  const std::shared_ptr<SimdCodedProduct> product =
      SimdCodedProduct::make(*t.weight("w"), x.dtype, y.dtype, rows, experts);
  return invocation(
      [=, groups = std::vector<CodedGroup>(static_cast<std::size_t>(experts))]() mutable {
        for (std::int64_t e = 0; e < experts; ++e)
          groups[static_cast<std::size_t>(e)] = {offsets[e], offsets[e + 1] - offsets[e], e};
        product->run(groups, {x.data, bias ? bias->view().as<float>() : nullptr, nullptr, y.data, n});
      },
      product->chosen());
}

}  // namespace

const Variant grouped_linear_highway_coded{
    .name = "highway_coded",
    .target = Target::cpu,
    .provider = "layercost",
    .knows = "x_type=f32|bf16 w_type=* y_type=f32|bf16 bias bias_type=f32|bf16",
    .supports = supports,
    .make = prepare,
};

}  // namespace layercost
