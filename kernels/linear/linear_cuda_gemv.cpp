// For up to 4 rows; for up to 8 where w has so few rows (a router's) that the tensor cores' tiles of 16 would not fill
// half of the device. H100, 8 rows, w of 2048 x 4096: 17.4 us beside 10.1 by cuda_skinny.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/linear/linear_cuda_gemv_launch.h"

#include <fmt/format.h>

#include <limits>

#include "kernels/cuda/cuda_variant.h"
#include "linear_variants.h"

namespace layercost {
namespace {

Support supports(const OpCase& c, const DeviceInfo& device) {
  if (Support s = cuda_support(device, launch_linear_cuda_gemv != nullptr); !s) return s;
  const std::int64_t n = c.axis("n"), k = c.axis("k");
  if (k % 8 != 0) return Support::no("needs k to be a multiple of 8");
  if (std::max(n, k) > std::numeric_limits<int>::max() / 16) return Support::no("takes n and k of up to 2^27");
  if (c.axis("m") > kLinearCudaGemvTokens) return Support::no(fmt::format("up to {} rows", kLinearCudaGemvTokens));
  return Support::yes();
}

// Rows per warp and warps per row, so that there are 32 warps for every multiprocessor (it holds 16 to 32), but not
// more warps per row than have a full set of loads.
void divide(LinearCudaGemv& p, int multiprocessors) {
  const std::int64_t wanted = std::int64_t{32} * multiprocessors, chunks = p.k / 8;
  const auto warps = [&] { return (p.n + p.rows - 1) / p.rows * p.split; };
  p.rows = 2;
  p.split = 1;
  while (p.split < kLinearCudaGemvWarps && warps() < wanted &&
         chunks > std::int64_t{32} * p.split * kLinearCudaGemvLoads / p.rows)
    p.split *= 2;
  if (warps() < wanted) p.rows = 1;
}

bool prefers(const OpCase& c, const DeviceInfo& device) {
  return c.axis("m") <= 4 || c.axis("n") < 8 * device.cuda.multiprocessors;
}

std::unique_ptr<Invocation> prepare(const OpCase& c, const OpTensors& t, Runtime& runtime) {
  const auto w = on_device(*t.weight("w"), runtime);
  const auto bias = c.flag("bias") ? on_device(*t.weight("bias"), runtime) : nullptr;
  LinearCudaGemv p{static_cast<int>(c.axis("m")),
                   static_cast<int>(c.axis("n")),
                   static_cast<int>(c.axis("k")),
                   t.tensor("x").data,
                   w->view().data,
                   bias ? bias->view().data : nullptr,
                   c.flag("residual") ? t.tensor("residual").data : nullptr,
                   t.tensor("y").data,
                   simt_type(c.type("y_type")),
                   1,
                   1};
  divide(p, runtime.device().cuda.multiprocessors);
  return invocation(
      [p, w, bias, &runtime] { runtime.check(launch_linear_cuda_gemv(p, runtime.stream()), "linear cuda_gemv"); },
      fmt::format("{} rows per warp, k over {} warps", p.rows, p.split));
}

}  // namespace

const Variant linear_cuda_gemv{
    .name = "cuda_gemv",
    .target = Target::cuda,
    .provider = "layercost",
    .knows = "x_type=bf16 w_type=bf16 y_type=f32|bf16 bias residual",
    .supports = supports,
    .prefers = prefers,
    .make = prepare,
};

}  // namespace layercost
