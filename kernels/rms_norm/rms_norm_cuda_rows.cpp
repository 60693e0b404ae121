// One block per token.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/rms_norm/rms_norm_cuda_rows_launch.h"

#include "kernels/shared/cuda_variant.h"
#include "rms_norm_variants.h"

namespace layercost {
namespace {

Support supports(const OpCase&, const DeviceInfo& device) {
  return cuda_support(device, launch_rms_norm_cuda_rows != nullptr);
}

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime& runtime) {
  const bool residual = c.flag("residual");
  const auto w = on_device(*t.weight("w"), runtime);
  const RmsNormCudaRows p{c.axis("tokens"),
                          c.axis("hidden"),
                          static_cast<float>(c.real("eps")),
                          t.tensor("x").data,
                          residual ? t.tensor("residual").data : nullptr,
                          w->view().data,
                          residual ? t.tensor("sum").data : nullptr,
                          t.tensor("y").data,
                          simt_type(c.type("x_type")),
                          simt_type(c.type("w_type")),
                          simt_type(c.type("y_type"))};
  return invocation([p, w, &runtime] { runtime.check(launch_rms_norm_cuda_rows(p, runtime.stream()), "rms_norm"); });
}

}  // namespace

const Variant rms_norm_cuda_rows{"cuda_rows", Target::cuda, "layercost", supports, prepare};

}  // namespace layercost
