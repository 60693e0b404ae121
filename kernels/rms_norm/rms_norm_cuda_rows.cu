// One block of 256 threads per token: a pass that adds, stores the sum and squares, and a pass that scales. The second
// reads the row from the L1 cache (5120 bf16 are 10 KB).
// SPDX-License-Identifier: Apache-2.0
#include "kernels/rms_norm/rms_norm_cuda_rows_launch.h"

#include "kernels/simt/simt.h"

namespace layercost {
namespace {

using namespace simt;

constexpr int kThreads = 256;

struct Shared {
  Array<float, kThreads / 32> partial;
};

template <class X, class W, class Y>
__global__ void __launch_bounds__(kThreads) rows(RmsNormCudaRows p) {
  Shared& s = shared<Shared>();
  const std::int64_t at = static_cast<std::int64_t>(blockIdx.x) * p.hidden;
  const X* x = static_cast<const X*>(p.x) + at;
  const X* residual = p.residual != nullptr ? static_cast<const X*>(p.residual) + at : nullptr;
  X* sum = p.residual != nullptr ? static_cast<X*>(p.sum) + at : nullptr;
  const W* w = static_cast<const W*>(p.w);
  Y* y = static_cast<Y*>(p.y) + at;

  float squares = 0;
  for (std::int64_t i = threadIdx.x; i < p.hidden; i += kThreads) {
    float v = to_float(x[i]);
    if (residual != nullptr) {
      v = rounded_to<X>(v + to_float(residual[i]));
      store(sum + i, v);
    }
    squares += v * v;
  }
  squares = warp_sum(squares);
  if (lane() == 0) s.partial[warp()] = squares;
  sync_block();
  float total = 0;
  for (int i = 0; i < kThreads / 32; ++i) total += s.partial[i];
  const float scale = reciprocal_sqrt(total / static_cast<float>(p.hidden) + p.eps);
  const X* from = residual != nullptr ? sum : x;  // each thread reads what it wrote itself
  for (std::int64_t i = threadIdx.x; i < p.hidden; i += kThreads)
    store(y + i, to_float(from[i]) * scale * to_float(w[i]));
}

}  // namespace

int launch_rms_norm_cuda_rows(const RmsNormCudaRows& p, Stream stream) {
  const Launch l{dim3(static_cast<unsigned>(p.tokens)), dim3(kThreads), sizeof(Shared), stream};
  return with_type(p.x_type, [&](auto* x) {
    return with_type(p.w_type, [&](auto* w) {
      return with_type(p.y_type, [&](auto* y) {
        return launch("rms_norm_cuda_rows", l,
                      rows<std::remove_pointer_t<decltype(x)>, std::remove_pointer_t<decltype(w)>,
                           std::remove_pointer_t<decltype(y)>>,
                      p);
      });
    });
  });
}

}  // namespace layercost
