// Formats with scales in bf16 instructions: CodedProduct.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/contract/dispatch.h"
#include "kernels/cpu/coded_tiles.h"
#include "linear_variants.h"

namespace layercost {
namespace {

Support supports(const OpCase& c, const DeviceInfo& device) {
  if (c.format("w_type").is_plain()) return Support::no("needs a weight format with scales");
  const std::string why = CodedProduct::why_not(device);
  return why.empty() ? Support::yes() : Support::no(why);
}

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime&) {
  const std::int64_t m = c.axis("m");
  const Tensor x = t.tensor("x"), y = t.tensor("y");
  const auto bias = std::make_shared<std::vector<float>>();
  if (c.flag("bias")) {
    const OwnedTensor values = t.weight("bias")->whole();
    for (std::int64_t i = 0; i < c.axis("n"); ++i) bias->push_back(static_cast<float>(values.view().load(i)));
  }
  const auto product = std::make_shared<CodedProduct>(*t.weight("w"), y.dtype, m, 1);
  const CodedProduct::Arguments a{x.as<bf16>(), bias->empty() ? nullptr : bias->data(),
                                  c.flag("residual") ? t.tensor("residual").data : nullptr, y.data};
  return invocation(
      [=] {
        const CodedGroup all{0, m, 0};
        (void)bias;
        product->run({&all, 1}, a);
      },
      product->chosen());
}

}  // namespace

const Variant linear_coded_tiles{
    .name = "coded_tiles",
    .target = Target::cpu,
    .provider = "layercost",
    .knows = "x_type=bf16 w_type=* y_type=f32|bf16 bias bias_type=f32|bf16 residual",
    .supports = supports,
    .make = prepare,
};

}  // namespace layercost
