// Every thread makes two vectors of eight elements, or two elements where ffn_hidden is no multiple of eight.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/glu/glu_cuda_rows_launch.h"

#include "glu_variants.h"
#include "kernels/contract/glu_act.h"
#include "kernels/cuda/cuda_variant.h"

namespace layercost {
namespace {

Support supports(const OpCase&, const DeviceInfo& device) {
  return cuda_support(device, launch_glu_cuda_rows != nullptr);
}

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime& runtime) {
  const GluAct act = glu_act(c);
  const GluCudaRows p{c.axis("tokens"),
                      c.axis("ffn_hidden"),
                      t.tensor("x").data,
                      t.tensor("y").data,
                      simt_type(c.type("x_type")),
                      simt_type(c.type("y_type")),
                      static_cast<GluCudaRows::Act>(act.kind),
                      static_cast<float>(act.limit)};
  return invocation([p, &runtime] { runtime.check(launch_glu_cuda_rows(p, runtime.stream()), "glu"); });
}

}  // namespace

const Variant glu_cuda_rows{
    .name = "cuda_rows",
    .target = Target::cuda,
    .provider = "layercost",
    .knows = "act=silu|clamped|gelu_tanh limit x_type=f32|bf16 y_type=f32|bf16",
    .supports = supports,
    .make = prepare,
};

}  // namespace layercost
