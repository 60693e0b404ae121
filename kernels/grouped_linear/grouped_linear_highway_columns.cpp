// Any types on any processor with vectors, in f32: SimdProduct, the blocks of all experts in one list, so that no
// expert waits for another.
// SPDX-License-Identifier: Apache-2.0
#include "grouped_linear_variants.h"
#include "kernels/contract/dispatch.h"
#include "kernels/cpu/simd_product.h"
#include "kernels/libraries/onednn.h"

namespace layercost {
namespace {

Support supports(const OpCase&, const DeviceInfo&) { return simd_product_support(); }

bool prefers(const OpCase& c, const DeviceInfo& device) {
  constexpr std::int64_t kFewRows = 48;  // per expert; as in linear/highway_columns
  const DType x = c.type("x_type"), w = c.type("w_type");
  if (!simd_product_prefers(x, w, device)) return false;
  return w != DType::f32 || c.axis("rows") <= kFewRows * c.axis("experts") ||
         !onednn_supports(x, w, c.type("y_type"), device);
}

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime&) {
  const std::int64_t rows = c.axis("rows"), experts = c.axis("experts");
  const std::int64_t n = c.axis("n");
  const auto bias = c.flag("bias") ? row_major(*t.weight("bias")) : nullptr;
  const Tensor x = t.tensor("x"), y = t.tensor("y");
  const auto* offsets = t.tensor("offsets").as<std::int32_t>();
  const std::shared_ptr<SimdProduct> product = SimdProduct::make(*t.weight("w"), x.dtype, y.dtype, rows, experts);
  return invocation(
      [=, groups = std::vector<SimdProduct::Group>(static_cast<std::size_t>(experts))]() mutable {
        for (std::int64_t e = 0; e < experts; ++e)
          groups[static_cast<std::size_t>(e)] = {offsets[e], offsets[e + 1] - offsets[e], e};
        product->run(groups, {x.data, bias ? bias->view().data : nullptr, nullptr, y.data, n});
      },
      product->chosen());
}

}  // namespace

const Variant grouped_linear_highway_columns{
    .name = "highway_columns",
    .target = Target::cpu,
    .provider = "layercost",
    .knows = "x_type=f32|bf16 w_type=f32|bf16 y_type=f32|bf16 bias",
    .supports = supports,
    .prefers = prefers,
    .make = prepare,
};

}  // namespace layercost
