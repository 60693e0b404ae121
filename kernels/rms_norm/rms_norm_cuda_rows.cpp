// Rows of up to 8192 elements, a multiple of 8, stay in the registers of 32 to 512 threads; other rows are read twice.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/rms_norm/rms_norm_cuda_rows_launch.h"

#include <fmt/format.h>

#include <algorithm>

#include "kernels/cuda/cuda_variant.h"
#include "kernels/rms_norm/rms_norm.h"
#include "rms_norm_variants.h"

namespace layercost {
namespace {

Support supports(const OpCase&, const DeviceInfo& device) {
  return cuda_support(device, launch_rms_norm_cuda_rows != nullptr);
}

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime& runtime) {
  const bool residual = c.flag("residual");
  const std::int64_t hidden = c.axis("hidden");
  const auto w = on_device(*t.weight("w"), runtime);
  RmsNormCudaRows p{};
  p.tokens = c.axis("tokens"), p.hidden = hidden, p.eps = static_cast<float>(c.real("eps"));
  p.x = t.tensor("x").data, p.w = w->view().data, p.y = t.tensor("y").data;
  if (residual) p.residual = t.tensor("residual").data, p.sum = t.tensor("sum").data;
  const RmsNormFactors times = rms_norm_factors(c);
  p.x_times = times.x, p.residual_times = times.residual, p.y_times = times.y_of_sum;
  const auto factor = c.flag("scaled") ? on_device(*t.weight("scale"), runtime) : nullptr;
  if (c.flag("added")) p.addend = t.tensor("addend").data;
  if (factor) p.factor = factor->view().as<float>();
  p.x_type = simt_type(c.type("x_type")), p.w_type = simt_type(c.type("w_type"));
  p.y_type = simt_type(c.type("y_type"));

  p.width = hidden % 8 == 0 ? 8 : 1;
  const std::int64_t most = std::int64_t{kRmsNormMostThreads} * kRmsNormVectors * 8;
  p.in_registers = p.width == 8 && hidden <= most;
  const std::int64_t per_thread = p.in_registers ? 8 * kRmsNormVectors : p.width;
  const std::int64_t warps = (hidden - 1) / (32 * per_thread) + 1;
  p.team = static_cast<int>(std::min<std::int64_t>(32 * warps, kRmsNormMostThreads));
  const std::string chosen = fmt::format("{} threads per token, {} elements per access, {}", p.team, p.width,
                                         p.in_registers ? "row in registers" : "row read twice");
  return invocation(
      [p, w, factor, &runtime] { runtime.check(launch_rms_norm_cuda_rows(p, runtime.stream()), "rms_norm"); }, chosen);
}

}  // namespace

const Variant rms_norm_cuda_rows{
    .name = "cuda_rows",
    .target = Target::cuda,
    .provider = "layercost",
    .knows = "x_type=f32|bf16 w_type=f32|bf16 y_type=f32|bf16 residual added scaled x_times residual_times y_times",
    .supports = supports,
    .make = prepare,
};

}  // namespace layercost
