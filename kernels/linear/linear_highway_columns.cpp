// Any types on any processor with vectors, in f32: SimdProduct. bf16 without AVX-512-BF16, 25600 x 5120, share of the
// read loop at 1, 4, 8, 16 rows: AVX-512 0.9, 0.8, 0.7, 0.5; AVX2 0.9, 0.8, 0.5, 0.3, then 300 and 170 GFLOP/s; oneDNN
// 2.6 without bf16 instructions 0.9, 0.2, 0.15, 0.1 and 70 GFLOP/s. f32: as fast as oneDNN or up to 1.3 times as fast
// up to 48 rows (2 threads of a Xeon). On an EPYC with AVX2 (Zen 3) 256 rows run at 100 to 145 GFLOP/s
// where registers do about 160 (0.7 of it before weights were widened once for all rows).
// SPDX-License-Identifier: Apache-2.0
#include "kernels/contract/dispatch.h"
#include "kernels/cpu/simd_product.h"
#include "kernels/libraries/onednn.h"
#include "kernels/linear/linear.h"
#include "linear_variants.h"

namespace layercost {
namespace {

Support supports(const OpCase&, const DeviceInfo&) { return simd_product_support(); }

bool prefers(const OpCase& c, const DeviceInfo& device) {
  constexpr std::int64_t kFewRows = 48;
  const DType x = c.type("x_type"), w = c.type("w_type");
  if (!simd_product_prefers(x, w, device)) return false;
  return w != DType::f32 || c.axis("m") <= kFewRows || !onednn_supports(x, w, c.type("y_type"), device);
}

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime&) {
  const std::int64_t m = c.axis("m");
  const Tensor x = t.tensor("x"), y = t.tensor("y");
  const LinearOutput out = linear_output(c, y);
  const auto bias = c.flag("bias") ? row_major(*t.weight("bias")) : nullptr;
  const SimdProduct::Arguments a{x.data,
                                 bias ? bias->view().data : nullptr,
                                 c.flag("residual") ? t.tensor("residual").data : nullptr,
                                 out.data,
                                 0,
                                 out.stride};
  const std::shared_ptr<SimdProduct> product = SimdProduct::make(*t.weight("w"), x.dtype, y.dtype, m, 1);
  return invocation(
      [=] {
        const SimdProduct::Group all{0, m, 0};
        product->run({&all, 1}, a);
      },
      product->chosen());
}

}  // namespace

const Variant linear_highway_columns{
    .name = "highway_columns",
    .target = Target::cpu,
    .provider = "layercost",
    .knows = "x_type=f32|bf16 w_type=f32|bf16 y_type=f32|bf16 bias residual y_width y_first",
    .supports = supports,
    .prefers = prefers,
    .make = prepare,
};

}  // namespace layercost
