// Formats with scales on the tensor cores (kernels/cuda/coded_mma.h). A block takes 1 to 4 tiles of 16 rows
// of an expert's matrix and all of the expert's rows of x, so many at a time; blocks of experts without rows leave at
// once.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/grouped_linear/grouped_linear_cuda_coded_launch.h"

#include "kernels/cuda/coded_mma.h"
#include "kernels/simt/elements.h"

namespace layercost {
namespace {

using namespace simt;

template <int kKind, int kTokenTiles>
__global__ void __launch_bounds__(32 * kCodedWarps) coded(GroupedLinearCudaCoded p) {
  grid_launch_dependents();
  grid_wait();
  const int expert = static_cast<int>(blockIdx.y), end = p.offsets[expert + 1];
  const int tile = static_cast<int>(blockIdx.x) * (kCodedWarps / p.split);
  for (int first = p.offsets[expert]; first < end; first += 8 * kTokenTiles) {
    const int tokens = end - first < 8 * kTokenTiles ? end - first : 8 * kTokenTiles;
    const bf16* x = static_cast<const bf16*>(p.x) + static_cast<std::int64_t>(first) * p.w.columns;
    coded_block<static_cast<DeviceCodes>(kKind), kTokenTiles>(
        p.w, expert, tile, p.split, x, tokens, [&](int n, int token, float v) {
          if (p.bias != nullptr) {
            float more[1];
            load_typed(p.bias_type, p.bias, std::int64_t{expert} * p.w.rows + n, more);
            v += more[0];
          }
          const std::int64_t at = static_cast<std::int64_t>(first + token) * p.w.rows + n;
          switch (p.y_type) {
            case Type::f32: store(static_cast<float*>(p.y) + at, v); break;
            case Type::bf16: store(static_cast<bf16*>(p.y) + at, v); break;
          }
        });
  }
}

template <int kKind, int kTokenTiles>
int launch_for(const GroupedLinearCudaCoded& p, Stream stream) {
  const int tiles = kCodedWarps / p.split;
  const Launch l{dim3(static_cast<unsigned>((p.w.tiles + tiles - 1) / tiles), static_cast<unsigned>(p.experts)),
                 dim3(32 * kCodedWarps), sizeof(CodedSums<kTokenTiles>), stream, kOverlap};
  return launch("grouped_linear_cuda_coded", l, coded<kKind, kTokenTiles>, p);
}

}  // namespace

int launch_grouped_linear_cuda_coded(const GroupedLinearCudaCoded& p, Stream stream) {
  return with_codes(p.w.kind, [&](auto kind) {
    if (p.tokens <= 8) return launch_for<kind.value, 1>(p, stream);
    if (p.tokens <= 16) return launch_for<kind.value, 2>(p, stream);
    return launch_for<kind.value, 4>(p, stream);
  });
}

}  // namespace layercost
