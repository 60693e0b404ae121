// Any types on any processor with vectors, in f32: SimdProduct.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "kernels/contract/dispatch.h"
#include "kernels/shared/onednn.h"
#include "kernels/shared/simd_product.h"
#include "linear_variants.h"

namespace layercost {
namespace {

Support supports(const OpCase& c, const DeviceInfo& device) {
  return simd_product_supports(c.type("x_type"), c.type("w_type"), device);
}

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime&) {
  const std::int64_t m = c.axis("m");
  const Tensor x = t.tensor("x"), y = t.tensor("y");
  const auto bias = c.flag("bias") ? row_major(*t.weight("bias")) : nullptr;
  const SimdProduct::Arguments a{x.data, bias ? bias->view().data : nullptr,
                                 c.flag("residual") ? t.tensor("residual").data : nullptr, y.data};
  const std::shared_ptr<SimdProduct> product = SimdProduct::make(*t.weight("w"), x.dtype, y.dtype, m, 1);
  return invocation(
      [=] {
        const SimdProduct::Group all{0, m, 0};
        product->run({&all, 1}, a);
      },
      product->chosen());
}

}  // namespace

const Variant linear_highway_columns{"highway_columns", Target::cpu, "layercost", supports, prepare};

}  // namespace layercost
