// Formats with scales on the tensor cores (kernels/cuda/coded_mma.h). A block takes 1 to 4 tiles of 16 rows of w and up
// to 32 rows of x; more rows of x are further blocks, which read w from the second-level cache.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/linear/linear_cuda_coded_launch.h"

#include "kernels/cuda/coded_mma.h"

namespace layercost {
namespace {

using namespace simt;

template <int kKind, int kTokenTiles>
__global__ void __launch_bounds__(32 * kCodedWarps) coded(LinearCudaCoded p) {
  grid_launch_dependents();
  grid_wait();
  const int first = static_cast<int>(blockIdx.y) * 8 * kTokenTiles;
  const int tokens = p.m - first < 8 * kTokenTiles ? p.m - first : 8 * kTokenTiles;
  const bf16* x = static_cast<const bf16*>(p.x) + static_cast<std::int64_t>(first) * p.w.columns;
  const int tile = static_cast<int>(blockIdx.x) * (kCodedWarps / p.split);
  coded_block<static_cast<DeviceCodes>(kKind), kTokenTiles>(
      p.w, 0, tile, p.split, x, tokens, [&](int n, int token, float v) {
        const std::int64_t at = static_cast<std::int64_t>(first + token) * p.w.rows + n;
        if (p.bias != nullptr) v += p.bias[n];
        switch (p.y_type) {
          case Type::f32:
            if (p.residual != nullptr) v += static_cast<const float*>(p.residual)[at];
            store(static_cast<float*>(p.y) + at, v);
            break;
          case Type::bf16:
            if (p.residual != nullptr) v += to_float(static_cast<const bf16*>(p.residual)[at]);
            store(static_cast<bf16*>(p.y) + at, v);
            break;
        }
      });
}

template <int kKind, int kTokenTiles>
int launch_for(const LinearCudaCoded& p, Stream stream) {
  const int tiles = kCodedWarps / p.split, rows = 8 * kTokenTiles;
  const dim3 grid(static_cast<unsigned>((p.w.tiles + tiles - 1) / tiles),
                  static_cast<unsigned>((p.m + rows - 1) / rows));
  const Launch l{grid, dim3(32 * kCodedWarps), sizeof(CodedSums<kTokenTiles>), stream, kOverlap};
  return launch("linear_cuda_coded", l, coded<kKind, kTokenTiles>, p);
}

}  // namespace

int launch_linear_cuda_coded(const LinearCudaCoded& p, Stream stream) {
  return with_codes(p.w.kind, [&](auto kind) {
    if (p.m <= 8) return launch_for<kind.value, 1>(p, stream);
    if (p.m <= 16) return launch_for<kind.value, 2>(p, stream);
    return launch_for<kind.value, 4>(p, stream);
  });
}

}  // namespace layercost
