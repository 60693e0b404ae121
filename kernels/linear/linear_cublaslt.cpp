// NVIDIA's library, its algorithm chosen by timing: the baseline of every dense product on a GPU.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/contract/dispatch.h"
#include "kernels/cuda/cuda_variant.h"
#include "kernels/libraries/cublaslt.h"
#include "linear_variants.h"

namespace layercost {
namespace {

Support supports(const OpCase& c, const DeviceInfo& device) {
  if (const Support s = cuda_support(device, make_cublaslt_product != nullptr); !s) return s;
  if (const std::string why = cublaslt_why_not(); !why.empty()) return Support::no(why);
  if (c.type("x_type") != c.type("w_type")) return Support::no("needs x_type and w_type to be the same");
  if (c.flag("bias") && c.type("w_type") != c.type("y_type")) return Support::no("needs bias and y of the same type");
  return Support::yes();
}

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime& runtime) {
  const auto w = on_device(*t.weight("w"), runtime);
  const auto bias = c.flag("bias") ? on_device(*t.weight("bias"), runtime) : nullptr;
  const std::shared_ptr<CublasLtProduct> product =
      make_cublaslt_product({c.text(), c.axis("m"), c.axis("n"), c.axis("k"), t.tensor("x"), w->view(), t.tensor("y"),
                             bias ? bias->view() : Tensor{}, c.flag("residual") ? t.tensor("residual") : Tensor{}},
                            runtime);
  return invocation([product, w, bias] { product->run(); }, product->chosen());
}

}  // namespace

const Variant linear_cublaslt{
    .name = "cublaslt",
    .target = Target::cuda,
    .provider = "cuBLASLt",
    .knows = "x_type=f32|bf16 w_type=f32|bf16 y_type=f32|bf16 bias residual",
    .supports = supports,
    .make = prepare,
};

}  // namespace layercost
