// Every thread makes a vector of eight elements, or one element where groups or rows are no multiples of eight.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/sigmoid_gate/sigmoid_gate_cuda_rows_launch.h"

#include "kernels/cuda/cuda_variant.h"
#include "kernels/sigmoid_gate/sigmoid_gate.h"
#include "sigmoid_gate_variants.h"

namespace layercost {
namespace {

Support supports(const OpCase&, const DeviceInfo& device) {
  return cuda_support(device, launch_sigmoid_gate_cuda_rows != nullptr);
}

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime& runtime) {
  const SigmoidGateAxes a = sigmoid_gate_axes(c);
  SigmoidGateCudaRows p{};
  p.width = a.width % 8 == 0 && (a.group() == 1 || a.group() % 8 == 0) ? 8 : 1;
  p.pieces = a.tokens * a.width / p.width, p.group = a.group();
  p.x = t.tensor("x").data, p.gate = t.tensor("gate").data, p.y = t.tensor("y").data;
  p.x_type = simt_type(c.type("x_type")), p.gate_type = simt_type(c.type("gate_type"));
  p.y_type = simt_type(c.type("y_type"));
  return invocation(
      [p, &runtime] { runtime.check(launch_sigmoid_gate_cuda_rows(p, runtime.stream()), "sigmoid_gate"); });
}

}  // namespace

const Variant sigmoid_gate_cuda_rows{
    .name = "cuda_rows",
    .target = Target::cuda,
    .provider = "layercost",
    .knows = "x_type=f32|bf16 gate_type=f32|bf16 y_type=f32|bf16",
    .supports = supports,
    .make = prepare,
};

}  // namespace layercost
