// A thread makes eight channels of eight tokens in a run.
// SPDX-License-Identifier: Apache-2.0
#include "causal_conv_variants.h"
#include "kernels/causal_conv/causal_conv.h"
#include "kernels/causal_conv/causal_conv_cuda_runs_launch.h"
#include "kernels/cuda/cuda_variant.h"

namespace layercost {
namespace {

Support supports(const OpCase& c, const DeviceInfo& device) {
  const CausalConvAxes a = causal_conv_axes(c);
  // Blocks of 128 threads are numbered in 31 bits.
  if ((a.tokens() + a.batch * a.kernel) * a.channels >= std::int64_t{1} << 38)
    return Support::no("has 2^38 outputs or more");
  return cuda_support(device, launch_causal_conv_cuda_runs != nullptr);
}

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime& runtime) {
  const CausalConvAxes a = causal_conv_axes(c);
  const auto w = on_device(*t.weight("w"), runtime);
  CausalConvCudaRuns p{};
  p.batch = a.batch, p.q_len = a.q_len, p.channels = a.channels, p.kernel = a.kernel, p.x_width = a.x_width;
  p.width = a.channels % 8 == 0 && a.x_width % 8 == 0 ? 8 : 1;
  p.x = t.tensor("x").data, p.w = w->view().data, p.y = t.tensor("y").data, p.next = t.tensor("next_state").data;
  if (a.continued) p.state = t.tensor("state").data;
  p.x_type = simt_type(c.type("x_type")), p.w_type = simt_type(c.type("w_type"));
  p.y_type = simt_type(c.type("y_type"));
  return invocation(
      [p, w, &runtime] { runtime.check(launch_causal_conv_cuda_runs(p, runtime.stream()), "causal_conv"); });
}

}  // namespace

const Variant causal_conv_cuda_runs{
    .name = "cuda_runs",
    .target = Target::cuda,
    .provider = "layercost",
    .knows = "x_type=f32|bf16 w_type=f32|bf16 y_type=f32|bf16 x_width continued",
    .supports = supports,
    .make = prepare,
};

}  // namespace layercost
